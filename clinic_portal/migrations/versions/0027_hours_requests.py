"""Changes of hours can wait until somebody agrees."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0021"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT = sa.DateTime(timezone=True)
ASKED = sa.text("status = 'asked'")
EVENTS = (
    "booked", "moved", "cancelled", "lengthened", "reminder", "request_received", "waitlisted", "offer", "offer_lapsed",
    "request_paused", "request_delayed", "request_closed", "invitation", "confirm_email", "already_registered",
    "reset_password", "password_changed", "change_email", "email_changed", "second_step_added", "second_step_removed",
    "second_step_reset", "recovery_code_used", "hours_changed", "hours_refused", "verify",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "hours_requests",
        sa.Column("id", BIG, nullable=False),
        sa.Column("public_id", sa.String(24), nullable=False),
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("asked_by_account_id", BIG, nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("decided_by_account_id", BIG, nullable=True),
        sa.Column("decided_at", AT, nullable=True),
        sa.CheckConstraint(
            "status IN ('asked', 'approved', 'refused', 'withdrawn')", name=op.f("ck_hours_requests_status")
        ),
        sa.CheckConstraint("(status = 'asked') = (decided_at IS NULL)", name=op.f("ck_hours_requests_decided")),
        sa.ForeignKeyConstraint(
            ["practitioner_id"], ["practitioners.id"], name=op.f("fk_hours_requests_practitioner_id")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by_account_id"], ["accounts.id"], name=op.f("fk_hours_requests_asked_by_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_account_id"], ["accounts.id"], name=op.f("fk_hours_requests_decided_by_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hours_requests")),
        sa.UniqueConstraint("public_id", name=op.f("uq_hours_requests_public_id")),
    )
    op.create_index(
        "ix_hours_requests_asked", "hours_requests", ["practitioner_id"], sqlite_where=ASKED, postgresql_where=ASKED
    )
    with op.batch_alter_table("notifications") as batch:
        batch.drop_constraint(op.f("ck_notifications_event"), type_="check")
        batch.create_check_constraint(op.f("ck_notifications_event"), f"event IN {EVENTS}")
