"""Doctors say whom they are with and how late they run, and see what has changed for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # One by one and in place: rebuilding a table on SQLite would lose its triggers.
    op.add_column("appointments", sa.Column("called_at", AT, nullable=True))
    op.add_column("sessions", sa.Column("late_min", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_notifications_practitioner_id", "notifications", ["practitioner_id", "created_at"])
