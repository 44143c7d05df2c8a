"""The audit log is chained by digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_portal.models.base import BigId

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Values from before have no salt: short ones can be guessed from their digest.
    op.add_column("audit_values", sa.Column("salt", sa.String(32), nullable=False, server_default=""))
    op.create_table(
        "audit_seals",
        sa.Column("number", BigId, primary_key=True, autoincrement=False),
        sa.Column("audit_entry_id", BigId, nullable=False),
        sa.Column("values_digest", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.UniqueConstraint("audit_entry_id", name=op.f("uq_audit_seals_audit_entry_id")),
    )
    for statement in kept(op.get_bind().dialect.name):
        op.execute(statement)


def kept(dialect: str) -> list[str]:
    """Triggers that refuse to change or to take out a seal; the function is that of the audit log itself."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER audit_seals_kept_{act} BEFORE {act} ON audit_seals "
            "BEGIN SELECT RAISE(ABORT, 'kept: audit_seals'); END"
            for act in ("update", "delete")
        ]
    return [
        (
            "CREATE TRIGGER audit_seals_kept BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW "
            "EXECUTE FUNCTION refuse_change()"
        )
    ]
