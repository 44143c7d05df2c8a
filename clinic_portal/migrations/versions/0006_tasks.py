"""Tasks for people at the clinic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT = sa.DateTime(timezone=True)
KINDS = (
    "kind IN ('call', 'same_person', 'interpreter', 'review_right', 'triage', 'past_promise', 'cannot_place', "
    "'offers_unanswered')"
)
# Of each kind one open task for a visit, or for a patient where it is about no visit.
OPEN = {
    "uq_tasks_of_visit": (["kind", "appointment_id"], True, "closed_at IS NULL AND appointment_id IS NOT NULL"),
    "uq_tasks_of_patient": (["kind", "patient_id"], True, "closed_at IS NULL AND appointment_id IS NULL"),
    "ix_tasks_open": (["due_at"], False, "closed_at IS NULL"),
}


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("patient_id", BIG_ID, sa.ForeignKey("patients.id"), nullable=False),
        sa.Column("appointment_id", BIG_ID, sa.ForeignKey("appointments.id")),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("closed_at", AT),
        sa.Column("closed_by_account_id", BIG_ID, sa.ForeignKey("accounts.id")),
        sa.Column("outcome", sa.String(40)),
        sa.CheckConstraint(KINDS, name=op.f("ck_tasks_kind")),
        sa.CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name=op.f("ck_tasks_closed_with_outcome")),
    )
    op.create_index("ix_tasks_patient_id", "tasks", ["patient_id"])
    for name, (columns, is_unique, where) in OPEN.items():
        op.create_index(
            name, "tasks", columns, unique=is_unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
