"""A message tells that a visit takes longer than it was booked for."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0026"
branch_labels = None
depends_on = None

EVENTS = (
    "booked", "moved", "cancelled", "lengthened", "reminder", "request_received", "waitlisted", "offer", "offer_lapsed",
    "request_paused", "request_delayed", "request_closed", "invitation", "confirm_email", "already_registered",
    "reset_password", "password_changed", "change_email", "email_changed", "second_step_added", "second_step_removed",
    "second_step_reset", "recovery_code_used", "hours_changed", "verify",
)  # fmt: skip


def upgrade() -> None:
    with op.batch_alter_table("notifications") as batch:
        batch.drop_constraint(op.f("ck_notifications_event"), type_="check")
        batch.create_check_constraint(op.f("ck_notifications_event"), f"event IN {EVENTS}")
