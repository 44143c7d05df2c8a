"""Reminders with due times, whether patients have said that they will come, and who wants no reminders.

Plain additions of columns to appointments and patients on both databases: rebuilding appointments on SQLite would lose
its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

EVENTS = (
    "booked", "moved", "cancelled", "reminder", "confirm_email", "already_registered", "reset_password",
    "password_changed", "change_email", "email_changed", "verify", "second_step_added", "second_step_removed",
    "second_step_reset", "recovery_code_used",
)  # fmt: skip
SAID = "confirmation IN ('not_asked', 'asked', 'confirmed')"
COLUMNS = {
    "appointments": (
        f"confirmation VARCHAR(24) DEFAULT 'not_asked' NOT NULL CONSTRAINT ck_appointments_confirmation CHECK ({SAID})",
        "confirmed_at {instant}",
        "confirmed_via VARCHAR(24) CONSTRAINT ck_appointments_confirmed_via CHECK (confirmed_via IN ('link'))",
        "reminder_rules VARCHAR(120)",
    ),
    "patients": ("reminders_stopped_at {instant}",),
}


def upgrade() -> None:
    instant = "DATETIME" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column.format(instant=instant)}")
    _let_messages_be_reminders()


def _let_messages_be_reminders() -> None:
    with op.batch_alter_table("notifications") as batch:
        batch.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        batch.drop_constraint(op.f("ck_notifications_event"), type_="check")
        batch.create_check_constraint(op.f("ck_notifications_event"), f"event IN ({', '.join(map(repr, EVENTS))})")
    op.execute("UPDATE notifications SET due_at = created_at")
    with op.batch_alter_table("notifications") as batch:
        batch.alter_column("due_at", existing_type=sa.DateTime(timezone=True), nullable=False)
