"""Who signs in, and what they may reach: Flask-Security on our tables, and fetchers that find only one's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask import Flask, Response, g, has_request_context, make_response, redirect, request, url_for
from flask_login import current_user
from flask_security import Security, SQLAlchemyUserDatastore
from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from clinic_portal import clock
from clinic_portal.accounts.asking import is_own_path, to_sign_in
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.catalogue import catalogue
from clinic_portal.config import Config
from clinic_portal.database import db, writing
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.languages import FOLDER, N_
from clinic_portal.models import (
    WAITING,
    Account,
    Appointment,
    Hold,
    Location,
    Patient,
    PatientAccess,
    Practitioner,
    Relation,
    Role,
    RoleName,
)

P = ParamSpec("P")
R = TypeVar("R")

STAFF = (RoleName.FRONT_DESK, RoleName.ADMIN)


_BY_COOKIE = select(Account).where(Account.fs_uniquifier == bindparam("uniquifier")).options(joinedload(Account.roles))


class Accounts(SQLAlchemyUserDatastore):
    """Flask-Security's way to our tables. It would commit by itself; here its one change is a service."""

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> Account | None:
        """Asked for each page with what the cookie says: for that the statement is made beforehand."""
        if kwargs.keys() != {"fs_uniquifier"}:
            return cast("Account | None", super().find_user(case_insensitive, **kwargs))
        return db.session().scalars(_BY_COOKIE, {"uniquifier": kwargs["fs_uniquifier"]}).unique().one_or_none()

    def put(self, model: Account) -> Account:
        """Called at sign-in when a password was kept in an older way and has just been hashed anew."""
        keep_password_hash(account_id=model.id, hashed=model.password)
        return model

    def commit(self) -> None:
        """Nothing is left to commit: see `put`."""


@writing
def keep_password_hash(session: Session, *, account_id: int, hashed: str | None) -> None:
    """Keep the new hash of an unchanged password."""
    session.execute(update(Account).where(Account.id == account_id).values(password=hashed))


datastore = Accounts(db, Account, Role)


def install(app: Flask, config: Config) -> None:
    """Set Flask-Security up: sign in and out only; nothing tells whether an address has an account."""
    is_https = config.base_url.startswith("https:")
    wrong = (N_("The e-mail address or the password is not right."), "error")
    app.config.update(
        SECRET_KEY=config.secret_key,
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=is_https,
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        SECURITY_PASSWORD_SALT=config.password_salt,
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106  # the method, not a password
        SECURITY_REGISTERABLE=False,
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_TRACKABLE=False,
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_MSG_GENERIC_AUTHN_FAILED=wrong,
        SECURITY_MSG_DISABLED_ACCOUNT=wrong,
        SECURITY_MSG_UNAUTHENTICATED=(N_("Sign in to go on."), "info"),
        # Its own catalogue, and ours after it for what we say differently.
        SECURITY_I18N_DOMAIN="flask_security;messages",
        SECURITY_I18N_DIRNAME=["builtin", str(FOLDER)],
        SECURITY_POST_LOGIN_VIEW="/start",
        SECURITY_STATIC_FOLDER=None,
    )
    security = Security(app, datastore)
    # Browsers with our cookie are the only way in: no JSON, no tokens in headers or addresses.
    security.want_json(lambda _request: False)
    security.login_manager.request_loader(lambda _request: None)
    security.unauthn_handler(lambda *_args, **_kwargs: to_sign_in())
    security.login_manager.unauthorized_handler(to_sign_in)
    # Nothing asks for the password again yet.
    app.view_functions["security.verify"] = _nothing_here
    app.before_request(_keep_next_here)
    app.add_url_rule("/start", "start", signed_in(_start))


def show_sign_ins(app: Flask, sign_ins: Callable[[], list[tuple[str, str, str]]]) -> None:
    """List the demo clinic's accounts on the sign-in page: who, e-mail, password."""
    security: Security = app.extensions["security"]
    keys = ("who", "email", "password")
    security.login_context_processor(
        lambda: {"demo_sign_ins": [dict(zip(keys, row, strict=True)) for row in sign_ins()]}
    )


def _keep_next_here() -> Response | None:
    """After signing in one goes on only to a page of ours: any other address is dropped at once."""
    target = request.args.get("next")
    if request.endpoint != "security.login" or target is None or is_own_path(target):
        return None
    return make_response(redirect(url_for("security.login")))


def _nothing_here() -> Response:
    raise NotFound


def _start() -> Response:
    """After signing in, everybody lands where their work is."""
    account = signed_in_account()
    if account.has_role_name(*STAFF):
        return make_response(redirect("/backoffice/"))
    if account.has_role_name(RoleName.PRACTITIONER):
        return make_response(redirect(url_for("doctor.day")))
    return make_response(redirect(url_for("patient.appointments")))


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Let only people who are signed in see a page."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not current_user.is_authenticated:
            return cast("R", to_sign_in())
        return view(*args, **kwargs)

    return guarded


def roles_required(*roles: RoleName) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only people with one of these roles see a page.

    Raises: NotAllowed for everybody else who is signed in.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not signed_in_account().has_role_name(*roles):
                raise NotAllowed
            return view(*args, **kwargs)

        return signed_in(guarded)

    return decorate


def signed_in_account() -> Account:
    """The account of the present request; only behind `signed_in` or `roles_required`."""
    return cast("Account", current_user)


def actor_of(account: Account) -> Actor:
    """In which role somebody looks after their own account."""
    if account.has_role_name(*STAFF):
        return Actor(ActorKind.STAFF, account.id)
    is_practitioner = account.has_role_name(RoleName.PRACTITIONER)
    return Actor(ActorKind.PRACTITIONER if is_practitioner else ActorKind.PATIENT, account.id)


_FIRST_ZONE = select(Location.zone).where(Location.is_active).order_by(Location.id).limit(1)


def clinic_zone(session: Session) -> str:
    """The zone for what belongs to no location: that of the first one."""
    first = catalogue(session).rows(_FIRST_ZONE)
    return first[0].zone if first else "UTC"


def _today(session: Session) -> date:
    """The calendar day at the clinic: rights begin and end with it."""
    return clock.local_date(clock.now(), clinic_zone(session))


_RIGHTS = (
    select(PatientAccess)
    .join(PatientAccess.patient)
    .options(contains_eager(PatientAccess.patient))
    .where(
        PatientAccess.account_id == bindparam("account_id"),
        PatientAccess.starts_on <= bindparam("today"),
        or_(PatientAccess.ends_on.is_(None), PatientAccess.ends_on > bindparam("today")),
        or_(PatientAccess.revoked_at.is_(None), PatientAccess.revoked_at > bindparam("now")),
    )
    .order_by(case((PatientAccess.relation == Relation.SELF, 0), else_=1), Patient.birth_on, PatientAccess.id)
)


def rights_of(account: Account) -> list[PatientAccess]:
    """The rights of an account that hold today, its own person first; one for each patient."""
    if not has_request_context():
        return _rights_today(account.id)
    # Asked several times while one page is made.
    kept: dict[int, list[PatientAccess]] = g.setdefault("rights", {})
    if account.id not in kept:
        kept[account.id] = _rights_today(account.id)
    return kept[account.id]


def _rights_today(account_id: int) -> list[PatientAccess]:
    session = db.session()
    values = {"account_id": account_id, "today": _today(session), "now": clock.now()}
    first: dict[int, PatientAccess] = {}
    for right in session.scalars(_RIGHTS, values):
        first.setdefault(right.patient_id, right)
    return list(first.values())


def patients_for(account: Account) -> list[Patient]:
    """The people that an account may act for today, itself first."""
    return [right.patient for right in rights_of(account)]


def public_id_now(public_id: str) -> str:
    """The public id of the record into which a record was joined, so that old links still lead to the person."""
    joined = aliased(Patient)
    query = select(Patient.public_id).join(joined, joined.merged_into_id == Patient.id)
    return db.session().scalar(query.where(joined.public_id == public_id)) or public_id


def actor_for(account: Account, patient_id: int) -> Actor:
    """In which role the account acts for this patient: for itself, or for somebody else.

    Raises: NotFound without a right to act.
    """
    right = _right(account, patient_id)
    return Actor(ActorKind.PATIENT if right.relation == Relation.SELF else ActorKind.PROXY, account.id)


def _right(account: Account, patient_id: int) -> PatientAccess:
    return next((right for right in rights_of(account) if right.patient_id == patient_id), None) or _not_found()


def appointment_for(account: Account, public_id: str) -> Appointment:
    """One visit of somebody the account may act for.

    Raises: NotFound, also for a private visit of somebody else: it does not exist for a proxy.
    """
    visit = db.session().scalar(
        select(Appointment)
        .where(Appointment.public_id == public_id)
        .options(
            joinedload(Appointment.patient),
            joinedload(Appointment.visit_type),
            joinedload(Appointment.practitioner),
            joinedload(Appointment.location),
        )
    )
    if visit is None:
        raise NotFound
    right = _right(account, visit.patient_id)
    if visit.is_private and right.relation != Relation.SELF:
        raise NotFound
    return visit


def appointments_for(account: Account) -> list[Appointment]:
    """All visits with a time, of all the people the account may act for, by time; private ones only of itself."""
    rights = rights_of(account)
    own = [right.patient_id for right in rights if right.relation == Relation.SELF]
    return list(
        db.session().scalars(
            select(Appointment)
            .where(
                Appointment.patient_id.in_([right.patient_id for right in rights]),
                Appointment.starts_at.is_not(None),
                or_(Appointment.is_private.is_(False), Appointment.patient_id.in_(own)),
            )
            .options(
                joinedload(Appointment.patient), joinedload(Appointment.visit_type), joinedload(Appointment.location)
            )
            .order_by(Appointment.starts_at, Appointment.id)
        )
    )


def open_requests_for(account: Account) -> list[Appointment]:
    """All requests that still wait, of all the people the account may act for, oldest first; private ones only its own.

    `scheduling.waiting.request_card` tells the rest about each.
    """
    rights = rights_of(account)
    own = [right.patient_id for right in rights if right.relation == Relation.SELF]
    return list(
        db.session().scalars(
            select(Appointment)
            .where(
                Appointment.patient_id.in_([right.patient_id for right in rights]),
                Appointment.status.in_(WAITING),
                or_(Appointment.is_private.is_(False), Appointment.patient_id.in_(own)),
            )
            .options(joinedload(Appointment.patient), joinedload(Appointment.visit_type))
            .order_by(Appointment.requested_at, Appointment.id)
        )
    )


def hold_for(account: Account, public_id: str) -> Hold:
    """One of the times that the account has kept or is keeping, while it may still act for that patient.

    Raises: NotFound.
    """
    hold = db.session().scalar(
        select(Hold)
        .where(Hold.public_id == public_id, Hold.account_id == account.id)
        .options(joinedload(Hold.patient), joinedload(Hold.visit_type), joinedload(Hold.location))
    )
    if hold is None:
        raise NotFound
    right = _right(account, hold.patient_id)
    if hold.appointment is not None and hold.appointment.is_private and right.relation != Relation.SELF:
        # The visit to be moved became private meanwhile.
        raise NotFound
    return hold


def practitioner_for(account: Account) -> Practitioner:
    """The practitioner that signs in with this account.

    Raises: NotFound.
    """
    return (
        db.session().scalar(select(Practitioner).where(Practitioner.account_id == account.id, Practitioner.is_active))
        or _not_found()
    )


def _not_found() -> Any:
    raise NotFound
