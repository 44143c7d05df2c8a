"""In person, by phone or by video: what visit types offer, what hours are for, and what a visit needs for it.

Plain additions of columns on both databases: rebuilding a table on SQLite would lose its triggers.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MODES = "modes INTEGER DEFAULT {default} NOT NULL CONSTRAINT ck_{table}_modes CHECK (modes BETWEEN 1 AND 7)"
IN_PERSON, ALL = 1, 7
MODE = "mode VARCHAR(24) DEFAULT 'in_person' NOT NULL CONSTRAINT ck_holds_mode CHECK (mode IN ('in_person', 'phone', 'video', 'home'))"
NEEDS = "CONSTRAINT ck_appointments_{name} CHECK (status <> 'booked' OR mode <> '{mode}' OR {column} IS NOT NULL)"
COLUMNS = {
    "visit_types": (
        MODES.format(table="visit_types", default=IN_PERSON),
        "what_to_bring VARCHAR(500) DEFAULT '' NOT NULL",
    ),
    "locations": ("parking_note VARCHAR(300) DEFAULT '' NOT NULL",),
    "availability_rules": (MODES.format(table="availability_rules", default=ALL),),
    "availability_exceptions": (MODES.format(table="availability_exceptions", default=ALL),),
    "sessions": (MODES.format(table="sessions", default=ALL),),
    "appointments": (
        f"call_number VARCHAR(40) {NEEDS.format(name='phone_has_number', mode='phone', column='call_number')}",
        f"join_url VARCHAR(300) {NEEDS.format(name='video_has_room', mode='video', column='join_url')}",
        "shown_window_min INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_appointments_shown_window_min CHECK (shown_window_min >= 0)",
    ),
    "holds": (MODE, "call_number VARCHAR(40)"),
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
