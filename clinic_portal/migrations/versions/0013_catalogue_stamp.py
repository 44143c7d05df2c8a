"""A stamp that changes with settings, visit types, places, practitioners and what they do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WATCHED = ("settings", "visit_types", "locations", "practitioners", "practitioner_visit_types")
RANDOM = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()::text"}


def upgrade() -> None:
    op.create_table(
        "catalogue_stamp",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("value", sa.String(36), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_catalogue_stamp_one_row")),
    )
    random = RANDOM[op.get_bind().dialect.name]
    op.execute(f"INSERT INTO catalogue_stamp (id, value) VALUES (1, {random})")
    change = f"UPDATE catalogue_stamp SET value = {random}"
    if op.get_bind().dialect.name == "sqlite":
        for table in WATCHED:
            for act in ("INSERT", "UPDATE", "DELETE"):
                op.execute(f"CREATE TRIGGER {table}_stamped_{act.lower()} AFTER {act} ON {table} BEGIN {change}; END")
        return
    op.execute(
        f"CREATE FUNCTION stamp_catalogue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NULL; END $$"
    )
    for table in WATCHED:
        op.execute(
            f"CREATE TRIGGER {table}_stamped AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION stamp_catalogue()"
        )
