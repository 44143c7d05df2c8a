"""The second step of signing in: a code of an app, a passkey or a recovery code beside the password."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from webauthn.helpers import bytes_to_base64url
from webauthn.registration.verify_registration_response import VerifiedRegistration

from clinic_portal import audit, clock
from clinic_portal.accounts import actor_of, authenticator, emails, recovery_codes, sign_ins
from clinic_portal.accounts.passkeys import Proof, passkeys_of
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import Account, AuthenticatorApp, Event, Passkey, SignIn
from clinic_portal.notifications.account_outbox import tell_account
from clinic_portal.settings import Settings, load_settings

LONGEST_NAME = 60


@dataclass(frozen=True)
class SecondStep:
    """What an account can show beside its password."""

    app: AuthenticatorApp | None
    passkeys: list[Passkey]
    codes_left: int

    @property
    def is_set_up(self) -> bool:
        return bool(self.app or self.passkeys)


def second_step_of(session: Session, account_id: int) -> SecondStep:
    """What an account has set up."""
    app, passkeys = authenticator.app_of(session, account_id), passkeys_of(session, account_id)
    return SecondStep(app, passkeys, recovery_codes.left(session, account_id))


def is_required(settings: Settings, account: Account) -> bool:
    """Whether the clinic lets this account in with a password only after it has set a second step up."""
    return settings.value("second_factor") == "staff" and account.has_role_name(*sign_ins.CLINIC_ROLES)


@writing
def pass_with_code(session: Session, *, account_id: int, code: str) -> bool:
    """Take a code of the app. Each code is taken once.

    Commits: which code was taken last.
    Returns: whether it was right.
    """
    session.get_one(Account, account_id, with_for_update={"key_share": True})
    return authenticator.take_code(session, account_id, code)


@writing
def pass_with_recovery_code(session: Session, *, account_id: int, code: str) -> bool:
    """Use a recovery code up; its owner is told by mail.

    Commits: that it was used, audit and message.
    Returns: whether it was right.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    if not recovery_codes.take(session, account_id, code):
        return False
    audit.record(session, actor_of(account), "use_recovery_code", account)
    tell_account(session, account_id, Event.RECOVERY_CODE_USED)
    return True


@writing
def pass_with_passkey(session: Session, *, proof: Proof) -> bool:
    """Take the answer of a passkey. Each answer is taken once.

    Commits: when the passkey was used.
    Returns: whether the answer is newer than the last one; the same one again is not.
    """
    # Race: of two that show the same answer at once, the second finds it taken.
    passkey = session.get(Passkey, proof.passkey.id, with_for_update=True)
    if passkey is None or (passkey.last_used_at is not None and proof.asked_at < passkey.last_used_at):
        return False
    passkey.sign_count, passkey.last_used_at = proof.sign_count, clock.now()
    return True


@writing
def add_app(session: Session, *, account_id: int, key: str, counter: int, sign_in: str) -> list[str]:
    """Set up an authenticator app whose first code was right.

    Args: counter, the half minute of that code; sign_in, the present one: it counts as two-factor from now on.
    Commits: the app, the ends of all other sign-ins, audit and message.
    Returns: recovery codes, if these are the account's first.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    authenticator.add_app(session, account_id, key, counter)
    return _added(session, account, sign_in, {"app": "added"})


@writing
def _add_passkey(
    session: Session, *, account_id: int, name: str, made: VerifiedRegistration, sign_in: str
) -> list[str]:
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    session.add(
        Passkey(account_id=account_id, credential_id=bytes_to_base64url(made.credential_id), name=name,
                public_key=made.credential_public_key, sign_count=made.sign_count, added_at=clock.now())
    )  # fmt: skip
    session.flush()
    return _added(session, account, sign_in, {"passkey": "added"})


def add_passkey(*, account_id: int, name: str, made: VerifiedRegistration, sign_in: str) -> list[str]:
    """Add a passkey that the browser has just made.

    Args: sign_in, the present one: it counts as two-factor from now on.
    Commits: the passkey, the ends of all other sign-ins, audit and message.
    Returns: recovery codes, if these are the account's first.
    Raises: InvalidRequest for a passkey that some account has already.
    Rings: deliver_notifications.
    """
    try:
        return _add_passkey(account_id=account_id, name=name, made=made, sign_in=sign_in)
    except IntegrityError as error:
        raise InvalidRequest from error


@writing
def new_recovery_codes(session: Session, *, account_id: int) -> list[str]:
    """Make new recovery codes; the old ones are void.

    Commits: the codes, audit.
    Raises: NotAllowed without anything that they could stand in for.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    if not second_step_of(session, account_id).is_set_up:
        raise NotAllowed
    audit.record(session, actor_of(account), "new_recovery_codes", account)
    return recovery_codes.make(session, account_id)


@writing
def remove_app(session: Session, *, account_id: int) -> None:
    """Take the authenticator app away. Doing it again changes nothing.

    Commits: that, audit and message.
    Raises: InvalidRequest when it is the last one and the clinic asks for one.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    app = authenticator.app_of(session, account_id)
    if app is not None:
        _remove(session, account, app, {"app": "removed"})


@writing
def remove_passkey(session: Session, *, account_id: int, public_id: str) -> None:
    """Take a passkey away.

    Commits: that, audit and message.
    Raises: NotFound for one of somebody else; InvalidRequest when it is the last one and the clinic asks for one.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    passkey = session.scalar(select(Passkey).filter_by(account_id=account_id, public_id=public_id))
    if passkey is None:
        raise NotFound
    _remove(session, account, passkey, {"passkey": "removed"})


@writing
def reset(session: Session, *, actor: audit.Actor, email: str) -> None:
    """Take everything away that somebody shows beside the password: for those who have lost it.

    They are signed out everywhere and told by mail; the clinic may ask them to set it up again.
    Commits: that, audit and message.
    Raises: NotFound when nobody has this address; NotAllowed for one's own account.
    Rings: deliver_notifications.
    """
    account = emails.find(session, email, lock=True)
    if account is None:
        raise NotFound("There is no account with this address.")
    if account.id == actor.account_id:
        raise NotAllowed
    for model in (AuthenticatorApp, Passkey):
        session.execute(delete(model).where(model.account_id == account.id))
    recovery_codes.forget(session, account.id)
    sign_ins.end_all(session, account.id)
    audit.record(session, actor, "reset_second_step", account)
    tell_account(session, account.id, Event.SECOND_STEP_RESET)


def _added(session: Session, account: Account, sign_in: str, what: dict[str, str]) -> list[str]:
    # Whoever else is signed in has shown less than is asked for from now on.
    sign_ins.end_all(session, account.id, but=sign_in)
    present = session.scalar(select(SignIn).where(SignIn.public_id == sign_in))
    if present is not None:
        present.is_two_factor = True
    audit.record(session, actor_of(account), "second_step", account, after=what)
    tell_account(session, account.id, Event.SECOND_STEP_ADDED)
    return [] if recovery_codes.left(session, account.id) else recovery_codes.make(session, account.id)


def _remove(session: Session, account: Account, row: AuthenticatorApp | Passkey, what: dict[str, str]) -> None:
    session.delete(row)
    session.flush()
    if not second_step_of(session, account.id).is_set_up:
        if is_required(load_settings(session), account):
            raise InvalidRequest(N_("Set up another second step first. The clinic asks for one."))
        recovery_codes.forget(session, account.id)
    audit.record(session, actor_of(account), "second_step", account, after=what)
    tell_account(session, account.id, Event.SECOND_STEP_REMOVED)
