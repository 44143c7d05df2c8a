"""Requests without a time: what is wished, what the queue notes, offers, invitations, and when time opened.

Columns are added plainly; where a rule changes, SQLite rebuilds the table, and it gets its triggers back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ALL_PARTS = (1 << 21) - 1
CLASSES = ("urgent", "soon", "routine", "flexible")
ORIGINS = ("patient_online", "proxy_online", "phone", "desk", "walk_in", "invitation", "import")
EVENTS = (
    "booked", "moved", "cancelled", "request_received", "waitlisted", "offer", "offer_lapsed", "request_paused",
    "request_delayed", "request_closed", "invitation", "reminder", "confirm_email", "already_registered",
    "reset_password", "password_changed", "change_email", "email_changed", "verify", "second_step_added",
    "second_step_removed", "second_step_reset", "recovery_code_used",
)  # fmt: skip
ONE_SUBJECT = (
    "CASE event WHEN 'verify' THEN contact_point_id IS NOT NULL AND appointment_id IS NULL "
    "AND account_id IS NULL AND visit_invitation_id IS NULL "
    "WHEN 'invitation' THEN visit_invitation_id IS NOT NULL AND appointment_id IS NULL AND account_id IS NULL "
    "ELSE (appointment_id IS NULL) <> (account_id IS NULL) AND visit_invitation_id IS NULL END"
)
WAITING = "status IN ('proposed', 'pending', 'waitlist')"
OPEN_INVITATION = "used_by_appointment_id IS NULL AND withdrawn_at IS NULL"


def upgrade() -> None:
    _add_columns()
    _let_visits_come_from_invitations()
    _let_nobody_take_a_visit()
    _let_offers_hold_time()
    _add_offers()
    _add_invitations()
    _note_which_lists_were_served()
    _let_messages_be_about_requests()


def _add_columns() -> None:
    instant = "DATETIME" if _is_sqlite() else "TIMESTAMP WITH TIME ZONE"
    account = f"{'INTEGER' if _is_sqlite() else 'BIGINT'} CONSTRAINT fk_appointments_triaged_by_account_id REFERENCES accounts (id)"
    columns = {
        "appointments": (
            "wish_from DATE",
            "wish_until DATE CONSTRAINT ck_appointments_wish_window CHECK (wish_until >= wish_from)",
            f"wish_parts INTEGER DEFAULT {ALL_PARTS} NOT NULL CONSTRAINT ck_appointments_wish_parts CHECK (wish_parts BETWEEN 1 AND {ALL_PARTS})",
            f"continuity_wish VARCHAR(24) DEFAULT 'none' NOT NULL {_check('appointments', 'continuity_wish', 'none', 'prefer_same', 'same_only')}",
            "min_warning_min INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_appointments_min_warning_min CHECK (min_warning_min >= 0)",
            "is_ask_first BOOLEAN DEFAULT false NOT NULL",
            "wants_earlier BOOLEAN DEFAULT false NOT NULL",
            f"answer_by {instant}",
            f"escalate_at {instant}",
            f"triage_status VARCHAR(24) DEFAULT 'not_needed' NOT NULL {_check('appointments', 'triage_status', 'not_needed', 'waiting', 'done', 'redirected')}",
            f"triaged_at {instant}",
            f"triaged_by_account_id {account}",
            "triage_note VARCHAR(200)",
            f"next_try_at {instant}",
            "tries INTEGER DEFAULT 0 NOT NULL",
            "not_placed_because VARCHAR(40)",
            f"deferred_until {instant}",
            "unanswered_offers INTEGER DEFAULT 0 NOT NULL",
            f"paused_at {instant}",
        ),
        "visit_types": ("needs_triage BOOLEAN DEFAULT false NOT NULL",),
        "sessions": (f"opened_at {instant} DEFAULT '1970-01-01 00:00:00' NOT NULL",),
    }
    for table, added in columns.items():
        for column in added:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.execute("UPDATE sessions SET opened_at = bookable_from")
    op.create_index("ix_sessions_opened_at", "sessions", ["opened_at"])
    _index("ix_appointments_waiting", "appointments", ["target_at"], WAITING)
    _index("ix_appointments_earlier", "appointments", ["target_at"], "wants_earlier")
    _index("uq_appointments_one_request", "appointments", ["patient_id", "visit_type_id"], WAITING, unique=True)


def _let_visits_come_from_invitations() -> None:
    with _with_triggers("appointments") as batch:
        batch.drop_constraint(op.f("ck_appointments_origin"), type_="check")
        batch.create_check_constraint(op.f("ck_appointments_origin"), f"origin IN ({', '.join(map(repr, ORIGINS))})")


def _let_nobody_take_a_visit() -> None:
    with op.batch_alter_table("assignment_attempts") as batch:
        batch.alter_column("practitioner_id", existing_type=sa.Integer(), nullable=True)
        batch.add_column(sa.Column("reason", sa.String(40), nullable=True))
        batch.create_check_constraint(
            op.f("ck_assignment_attempts_taken_or_not"), "(practitioner_id IS NULL) = (reason IS NOT NULL)"
        )


def _let_offers_hold_time() -> None:
    with _with_triggers("holds") as batch:
        batch.alter_column("account_id", existing_type=BIG, nullable=True)
        batch.drop_constraint(op.f("ck_holds_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_holds_kind"), "kind IN ('patient_checkout', 'staff_call', 'offer')")
        batch.create_check_constraint(op.f("ck_holds_owner"), "account_id IS NOT NULL OR kind = 'offer'")


def _add_offers() -> None:
    op.create_table(
        "offers",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("public_id", sa.String(24), nullable=False),
        _to("offers", "appointment_id", "appointments", BIG),
        _to("offers", "patient_id", "patients", BIG),
        _to("offers", "hold_id", "holds", BIG),
        _to("offers", "practitioner_id", "practitioners", sa.Integer()),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("state", _one_of("state", "open", "accepted", "declined", "expired", "withdrawn"), nullable=False),
        sa.Column("answered_at", INSTANT),
        sa.Column("answered_via", _one_of("answered_via", "portal", "link", "staff")),
        sa.Column("round_no", sa.Integer(), nullable=False),
        sa.UniqueConstraint("public_id", name=op.f("uq_offers_public_id")),
        sa.CheckConstraint("(answered_at IS NULL) = (answered_via IS NULL)", name=op.f("ck_offers_answered")),
    )
    _index("uq_offers_open", "offers", ["patient_id"], "state = 'open'", unique=True)
    op.create_index("ix_offers_appointment_id", "offers", ["appointment_id"])
    op.create_index("ix_offers_starts_at", "offers", ["starts_at"])


def _add_invitations() -> None:
    op.create_table(
        "visit_invitations",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("public_id", sa.String(24), nullable=False),
        _to("visit_invitations", "patient_id", "patients", BIG),
        _to("visit_invitations", "visit_type_id", "visit_types", sa.Integer()),
        sa.Column("due_from", sa.Date(), nullable=False),
        sa.Column("due_until", sa.Date(), nullable=False),
        sa.Column("priority_class", _one_of("priority_class", *CLASSES), nullable=False),
        sa.Column("message", sa.String(200)),
        _to("visit_invitations", "made_by_account_id", "accounts", BIG),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("withdrawn_at", INSTANT),
        _to("visit_invitations", "used_by_appointment_id", "appointments", BIG, nullable=True),
        sa.UniqueConstraint("public_id", name=op.f("uq_visit_invitations_public_id")),
        sa.CheckConstraint("due_until >= due_from", name=op.f("ck_visit_invitations_window")),
    )
    op.create_index("ix_visit_invitations_patient_id", "visit_invitations", ["patient_id"])
    _index("ix_visit_invitations_open", "visit_invitations", ["expires_at"], OPEN_INVITATION)


def _note_which_lists_were_served() -> None:
    op.create_table(
        "served_lists",
        sa.Column("visit_type_id", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("served_until", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["visit_type_id"], ["visit_types.id"], name=op.f("fk_served_lists_visit_type_id")),
    )


def _let_messages_be_about_requests() -> None:
    with op.batch_alter_table("notifications") as batch:
        batch.add_column(sa.Column("visit_invitation_id", BIG, nullable=True))
        batch.create_foreign_key(
            op.f("fk_notifications_visit_invitation_id"), "visit_invitations", ["visit_invitation_id"], ["id"]
        )
        for name, rule in (("event", f"event IN ({', '.join(map(repr, EVENTS))})"), ("one_subject", ONE_SUBJECT)):
            batch.drop_constraint(op.f(f"ck_notifications_{name}"), type_="check")
            batch.create_check_constraint(op.f(f"ck_notifications_{name}"), rule)


@contextmanager
def _with_triggers(table: str) -> Iterator[Any]:
    """Change a table; on SQLite that rebuilds it, and its triggers must be made anew."""
    triggers = []
    if _is_sqlite():
        found = sa.text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY name")
        triggers = list(op.get_bind().execute(found, {"name": table}).scalars())
    with op.batch_alter_table(table) as batch:
        yield batch
    for trigger in triggers:
        op.execute(sa.text(trigger.replace(":", r"\:")))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _check(table: str, column: str, *values: str) -> str:
    return f"CONSTRAINT ck_{table}_{column} CHECK ({column} IN ({', '.join(map(repr, values))}))"


def _to(table: str, column: str, target: str, kind: Any, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(column, kind, sa.ForeignKey(f"{target}.id", name=op.f(f"fk_{table}_{column}")), nullable=nullable)


def _index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)
