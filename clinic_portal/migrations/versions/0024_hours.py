"""Of two people who change a practitioner's hours at once the second is told, and so is whose hours they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

EVENTS = (
    "booked", "moved", "cancelled", "request_received", "waitlisted", "offer", "offer_lapsed", "request_paused",
    "request_delayed", "request_closed", "invitation", "reminder", "confirm_email", "already_registered",
    "reset_password", "password_changed", "change_email", "email_changed", "verify", "second_step_added",
    "second_step_removed", "second_step_reset", "recovery_code_used", "hours_changed",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "practitioner_states",
        sa.Column("practitioner_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours_version", sa.Integer(), nullable=False),
        sa.Column("agenda_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["practitioner_id"], ["practitioners.id"], name=op.f("fk_practitioner_states_practitioner_id")
        ),
        sa.PrimaryKeyConstraint("practitioner_id", name=op.f("pk_practitioner_states")),
    )
    with op.batch_alter_table("notifications") as batch:
        batch.drop_constraint(op.f("ck_notifications_event"), type_="check")
        batch.create_check_constraint(op.f("ck_notifications_event"), f"event IN ({', '.join(map(repr, EVENTS))})")
