"""A clinician is away: what became of each visit, and messages that wait until it cannot be undone any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0027"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT = sa.DateTime(timezone=True)
ACTS = ("same_time", "other_time", "phone", "waiting_list", "keep", "cancel")
CAUSED = sa.text("absence_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("id", BIG, nullable=False),
        sa.Column("public_id", sa.String(24), nullable=False),
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("exception_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("created_by_account_id", BIG, nullable=False),
        sa.Column("leaves_at", AT, nullable=False),
        sa.Column("undone_at", AT, nullable=True),
        sa.Column("undone_by_account_id", BIG, nullable=True),
        sa.CheckConstraint("reason IN ('sick', 'leave', 'other')", name=op.f("ck_absences_reason")),
        sa.CheckConstraint(
            "(undone_at IS NULL) = (undone_by_account_id IS NULL)", name=op.f("ck_absences_undone_by_whom")
        ),
        sa.ForeignKeyConstraint(["practitioner_id"], ["practitioners.id"], name=op.f("fk_absences_practitioner_id")),
        sa.ForeignKeyConstraint(
            ["exception_id"], ["availability_exceptions.id"], name=op.f("fk_absences_exception_id")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_account_id"], ["accounts.id"], name=op.f("fk_absences_created_by_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["undone_by_account_id"], ["accounts.id"], name=op.f("fk_absences_undone_by_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
        sa.UniqueConstraint("public_id", name=op.f("uq_absences_public_id")),
    )
    op.create_index("ix_absences_practitioner_id", "absences", ["practitioner_id"])
    op.create_table(
        "absence_visits",
        sa.Column("id", BIG, nullable=False),
        sa.Column("absence_id", BIG, nullable=False),
        sa.Column("appointment_id", BIG, nullable=False),
        sa.Column("act", sa.String(24), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("again_id", BIG, nullable=True),
        sa.Column("again_version", sa.Integer(), nullable=True),
        sa.Column("stays_because", sa.String(24), nullable=True),
        sa.CheckConstraint(f"act IN {ACTS}", name=op.f("ck_absence_visits_act")),
        sa.ForeignKeyConstraint(["absence_id"], ["absences.id"], name=op.f("fk_absence_visits_absence_id")),
        sa.ForeignKeyConstraint(["appointment_id"], ["appointments.id"], name=op.f("fk_absence_visits_appointment_id")),
        sa.ForeignKeyConstraint(["again_id"], ["appointments.id"], name=op.f("fk_absence_visits_again_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absence_visits")),
    )
    op.create_index("uq_absence_visits_visit", "absence_visits", ["absence_id", "appointment_id"], unique=True)
    op.create_index("ix_absence_visits_appointment_id", "absence_visits", ["appointment_id"])
    with op.batch_alter_table("notifications") as batch:
        batch.add_column(sa.Column("absence_id", BIG, nullable=True))
        batch.create_foreign_key(op.f("fk_notifications_absence_id"), "absences", ["absence_id"], ["id"])
    op.create_index(
        "ix_notifications_absence_id", "notifications", ["absence_id"], sqlite_where=CAUSED, postgresql_where=CAUSED
    )
