"""What patients read about places in other languages; and places are edited by one at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = "location_texts"


def upgrade() -> None:
    op.execute("ALTER TABLE locations ADD COLUMN version INTEGER DEFAULT 1 NOT NULL")
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=12), nullable=False),
        sa.Column("entrance_note", sa.String(length=300), nullable=False),
        sa.Column("parking_note", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_location_texts_location_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_texts")),
        sa.UniqueConstraint("location_id", "language", name=op.f("uq_location_texts_location_id_language")),
    )
    # As for all tables of the catalogue.
    if op.get_bind().dialect.name == "sqlite":
        change = "UPDATE catalogue_stamp SET value = lower(hex(randomblob(16)))"
        for act in ("INSERT", "UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {TABLE}_stamped_{act.lower()} AFTER {act} ON {TABLE} BEGIN {change}; END")
    else:
        op.execute(
            f"CREATE TRIGGER {TABLE}_stamped AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION stamp_catalogue()"
        )
