"""Hours can be for some kinds of visits only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("availability_rules", "availability_exceptions", "sessions"):
        op.add_column(table, sa.Column("visit_type_ids", sa.Text(), nullable=False, server_default=""))
