"""Contact points that patients change themselves, who opened a record, and the privacy notice that was accepted.

Addresses that are already known count as verified: the clinic took them down.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EVENTS = (
    "booked", "moved", "cancelled", "confirm_email", "already_registered", "reset_password", "password_changed",
    "change_email", "email_changed", "verify",
)  # fmt: skip
ONE_SUBJECT = (
    "(event <> 'verify' AND (appointment_id IS NULL) <> (account_id IS NULL)) OR "
    "(event = 'verify' AND contact_point_id IS NOT NULL AND appointment_id IS NULL AND account_id IS NULL)"
)


def upgrade() -> None:
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("privacy_notice_version", sa.String(20), nullable=True))
    _open_contact_points()
    _let_messages_be_about_addresses()
    _add_access_log()


def _open_contact_points() -> None:
    with op.batch_alter_table("contact_points") as batch:
        batch.add_column(sa.Column("public_id", sa.String(24), nullable=True))
        batch.add_column(sa.Column("unverified_since", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("replaces_id", BIG_ID, nullable=True))
    points = sa.table("contact_points", sa.column("id", BIG_ID), sa.column("public_id", sa.String))
    connection = op.get_bind()
    ids = connection.execute(sa.select(points.c.id)).scalars().all()
    named = sa.update(points).where(points.c.id == sa.bindparam("row")).values(public_id=sa.bindparam("name"))
    if ids:
        connection.execute(named, [{"row": id_, "name": secrets.token_urlsafe(12)} for id_ in ids])
    with op.batch_alter_table("contact_points") as batch:
        batch.alter_column("public_id", existing_type=sa.String(24), nullable=False)
        batch.create_unique_constraint(op.f("uq_contact_points_public_id"), ["public_id"])
        batch.create_foreign_key(op.f("fk_contact_points_replaces_id"), "contact_points", ["replaces_id"], ["id"])


def _let_messages_be_about_addresses() -> None:
    with op.batch_alter_table("notifications") as batch:
        for name, rule in (("event", f"event IN ({', '.join(map(repr, EVENTS))})"), ("one_subject", ONE_SUBJECT)):
            batch.drop_constraint(op.f(f"ck_notifications_{name}"), type_="check")
            batch.create_check_constraint(op.f(f"ck_notifications_{name}"), rule)


def _add_access_log() -> None:
    op.create_table(
        "access_log",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("patient_id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("role", _one_of("role", "patient", "practitioner", "front_desk", "admin"), nullable=False),
        sa.Column("place", _one_of("place", "patient", "appointment"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_access_log_patient_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_access_log_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_log")),
    )
    op.create_index("ix_access_log_patient_id", "access_log", ["patient_id", "opened_at"])
    _keep_for_ever("access_log")


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def _keep_for_ever(table: str) -> None:
    """Rows are neither changed nor deleted, as in the audit log."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_kept_{act.lower()} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'kept: {table}'); END"
        )
