"""The accounts that people sign in with, and the way back in for those who have lost their second step."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import selectinload

from clinic_portal.accounts import actor_of, second_step, sign_ins, signed_in_account
from clinic_portal.backoffice import places, words
from clinic_portal.backoffice.access import ADMINS
from clinic_portal.backoffice.lists import Column, ReadOnlyList
from clinic_portal.database import db
from clinic_portal.errors import NotFound
from clinic_portal.models import Account, AuthenticatorApp, Passkey
from clinic_portal.web.pages import settings_in_force


class AccountList(ReadOnlyList):
    """Accounts by address. They are everybody's, at every location, so only administrators of all of them look."""

    roles = ADMINS
    knows_locations = False
    noun = "account"
    served = ("index_view", "details_view", "reset_view")
    can_view_details = True
    details_template = "backoffice/account.html"
    search_label = "E-mail address"
    search_hint = "How it begins, for example desk@."
    empty_message = "No account has such an address."
    columns = (
        Column("email", "E-mail", "show_account", sorts=True),
        Column("roles", "Roles", lambda row, _: roles_of(row)),
        Column("second_step", "Second step", lambda row, known: words.yes_no(row.id in known["with_second_step"])),
        Column("active", "May sign in", lambda row, _: words.yes_no(row.is_active)),
        Column("created_at", "Opened", lambda row, _: words.moment(row.created_at, places.clinic_zone()), sorts=True),
    )
    order = (("email", False), ("id", False))
    loads = (selectinload(Account.roles),)

    def matching(self, search: str) -> ColumnElement[bool]:
        return func.lower(Account.email).startswith(search.lower(), autoescape=True)

    def known_about(self, rows: list[Account]) -> dict[str, Any]:
        """Who of them shows more than a password."""
        ids = [row.id for row in rows]
        queries = [select(model.account_id).where(model.account_id.in_(ids)) for model in (AuthenticatorApp, Passkey)]
        return {"with_second_step": {account_id for query in queries for account_id in db.session.scalars(query)}}

    @expose("/details/")  # type: ignore[untyped-decorator]
    def details_view(self) -> Any:
        account = _account(request.args.get("id", ""))
        return self.render(
            self.details_template,
            account=account,
            zone=places.clinic_zone(),
            roles=roles_of(account),
            step=second_step.second_step_of(db.session(), account.id),
            rows=sign_ins.live(db.session(), account, settings_in_force()),
            is_own=account.id == signed_in_account().id,
        )

    @expose("/reset/", methods=("POST",))  # type: ignore[untyped-decorator]
    def reset_view(self) -> Any:
        account = _account(request.values.get("id", ""))
        second_step.reset(actor=actor_of(signed_in_account()), email=account.email)
        flash("The second step is reset. They are signed out everywhere, and told by mail.", "success")
        return redirect(url_for(".details_view", id=account.id), 303)


def roles_of(account: Account) -> str:
    """The roles of an account in words."""
    return ", ".join(sorted({words.code(role.name) for role in account.roles})) or words.NOTHING


def _account(text: str) -> Account:
    is_id = text.isascii() and text.isdecimal() and len(text) < 19
    found = db.session.get(Account, int(text)) if is_id else None
    if found is None:
        raise NotFound
    return found
