"""What patients read about kinds of visits in other languages; part of what the catalogue's stamp tells of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE = "visit_type_texts"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("visit_type_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("hint", sa.String(length=200), nullable=False),
        sa.Column("how_to_prepare", sa.String(length=500), nullable=False),
        sa.Column("what_to_bring", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["visit_type_id"], ["visit_types.id"], name=op.f("fk_visit_type_texts_visit_type_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_type_texts")),
        sa.UniqueConstraint("visit_type_id", "language", name=op.f("uq_visit_type_texts_visit_type_id_language")),
    )
    if op.get_bind().dialect.name == "sqlite":
        change = "UPDATE catalogue_stamp SET value = lower(hex(randomblob(16)))"
        for act in ("INSERT", "UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {TABLE}_stamped_{act.lower()} AFTER {act} ON {TABLE} BEGIN {change}; END")
    else:
        op.execute(
            f"CREATE TRIGGER {TABLE}_stamped AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION stamp_catalogue()"
        )
