"""The language in which somebody reads the portal.

A plain addition of a column on both databases: rebuilding a table on SQLite would lose its triggers.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE accounts ADD COLUMN language VARCHAR(12)")
