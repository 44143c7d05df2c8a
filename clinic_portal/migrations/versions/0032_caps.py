"""How many visits a practitioner has on one day at most, breaks after so much work, and a notice of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0034"
branch_labels = None
depends_on = None

# Table, column, and the least that it may be.
COLUMNS = (
    ("practitioners", "max_visits_a_day", 0),
    ("practitioners", "notice_min", 0),
    ("practitioners", "break_min", 1),
    ("practitioners", "break_after_min", 1),
    ("practitioner_visit_types", "max_a_day", 0),
)


def upgrade() -> None:
    # Written out: a rebuilt table would lose its triggers on SQLite.
    for table, column, least in COLUMNS:
        check = f"{column} >= 0" if not least else f"{column} > 0"
        name = op.f(f"ck_{table}_{column}")
        op.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER CONSTRAINT {name} CHECK ({check})"))
    columns = ["practitioner_id", "starts_at", "status", "visit_type_id", "location_id"]
    op.create_index("ix_appointments_of_day", "appointments", columns)
