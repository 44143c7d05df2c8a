"""What people need with their appointments.

Plain additions of columns on both databases where a table has triggers: rebuilding it on SQLite would lose them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WHO = "who_may_book IN ('anyone', 'known_patient', 'referred', 'staff')"
NEEDS = (
    "interpreter", "sign_language", "step_free", "female_clinician", "male_clinician", "longer_visit", "hearing",
    "vision", "carer_present", "easy_read", "large_print", "other",
)  # fmt: skip


def upgrade() -> None:
    _add_needs()
    _add_attempts()
    _ask_for_calls()
    _let_rights_be_given()
    _add_referrals()


def _add_needs() -> None:
    for table in ("appointments", "holds"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN extra_minutes INTEGER DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE holds ADD COLUMN is_private BOOLEAN")
    op.create_table(
        "patient_needs",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("patient_id", BIG_ID, nullable=False),
        sa.Column("kind", _one_of("kind", *NEEDS), nullable=False),
        sa.Column("detail", sa.String(120), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", _one_of("source", "patient", "proxy", "staff"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_patient_needs_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_needs")),
    )
    _unique_while(op.f("uq_patient_needs_live"), "patient_needs", ["patient_id", "kind"], "ended_at IS NULL")


def _add_attempts() -> None:
    op.create_table(
        "task_attempts",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("task_id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", _one_of("outcome", "no_answer", "left_message", "spoke", "wrong_number"), nullable=False),
        sa.Column("contact_point_id", BIG_ID, nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_attempts_task_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_task_attempts_account_id")),
        sa.ForeignKeyConstraint(
            ["contact_point_id"], ["contact_points.id"], name=op.f("fk_task_attempts_contact_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_attempts")),
    )
    op.create_index("ix_task_attempts_task_id", "task_attempts", ["task_id"])


def _ask_for_calls() -> None:
    """Messages that wait for a call become tasks: until now nobody could work them off."""
    op.execute(
        "INSERT INTO tasks (kind, patient_id, appointment_id, facts, created_at, due_at) "
        "SELECT 'call', MIN(patient_id), appointment_id, '{}', MIN(created_at), MIN(created_at) FROM notifications "
        "WHERE delivery = 'to_call' AND appointment_id IS NOT NULL AND patient_id IS NOT NULL GROUP BY appointment_id"
    )


def _let_rights_be_given() -> None:
    big = _big()
    giver = "CONSTRAINT fk_patient_access_granted_by_account_id REFERENCES accounts (id)"
    for column in (f"granted_by_account_id {big} {giver}", "evidence_note VARCHAR(200)", "review_on DATE"):
        op.execute(f"ALTER TABLE patient_access ADD COLUMN {column}")


def _add_referrals() -> None:
    with op.batch_alter_table("visit_types") as batch:
        batch.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        batch.drop_constraint(op.f("ck_visit_types_who_may_book"), type_="check")
        batch.create_check_constraint(op.f("ck_visit_types_who_may_book"), WHO)
    op.create_table(
        "referrals",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("patient_id", BIG_ID, nullable=False),
        sa.Column("visit_type_id", sa.Integer(), nullable=False),
        sa.Column("from_whom", sa.String(120), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("visits_allowed", sa.Integer(), nullable=False),
        sa.Column("visits_used", sa.Integer(), nullable=False),
        sa.Column("entered_by_account_id", BIG_ID, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("visits_used >= 0 AND visits_used <= visits_allowed", name=op.f("ck_referrals_visits_used")),
        sa.CheckConstraint("received_on <= valid_until", name=op.f("ck_referrals_days")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_referrals_patient_id")),
        sa.ForeignKeyConstraint(["visit_type_id"], ["visit_types.id"], name=op.f("fk_referrals_visit_type_id")),
        sa.ForeignKeyConstraint(
            ["entered_by_account_id"], ["accounts.id"], name=op.f("fk_referrals_entered_by_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
    )
    op.create_index("ix_referrals_patient_id", "referrals", ["patient_id"])
    link = "CONSTRAINT fk_appointments_referral_id REFERENCES referrals (id)"
    op.execute(f"ALTER TABLE appointments ADD COLUMN referral_id {_big()} {link}")


def _big() -> str:
    """The type of an id, written out: SQLite knows one kind of whole number."""
    return "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"


def _unique_while(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)
