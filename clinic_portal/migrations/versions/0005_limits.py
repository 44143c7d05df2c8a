"""What clinics allow patients to book by themselves.

Plain additions of columns on both databases: rebuilding a table on SQLite would lose its triggers.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WHO = "who_may_book IN ('anyone', 'known_patient', 'staff')"
COLUMNS = {
    "visit_types": (
        f"who_may_book VARCHAR(24) DEFAULT 'anyone' NOT NULL CONSTRAINT ck_visit_types_who_may_book CHECK ({WHO})",
        "min_age INTEGER",
        "max_age INTEGER CONSTRAINT ck_visit_types_ages CHECK (min_age <= max_age)",
        "may_be_acute BOOLEAN DEFAULT false NOT NULL",
    ),
    "appointments": ("safety_answer JSON", "note VARCHAR(200)"),
    "holds": ("safety_answer JSON", "note VARCHAR(200)"),
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
