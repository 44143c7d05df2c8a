"""Whether an invitation asks for the same person as last time; and how to find requests that have just become visits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None

WISHES = "'none', 'prefer_same', 'same_only'"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE visit_invitations ADD COLUMN continuity_wish VARCHAR(24) DEFAULT 'none' NOT NULL "
        f"CONSTRAINT ck_visit_invitations_continuity_wish CHECK (continuity_wish IN ({WISHES}))"
    )
    where = sa.text("answer_by IS NOT NULL")
    op.create_index("ix_appointments_served", "appointments", ["booked_at"], sqlite_where=where, postgresql_where=where)
