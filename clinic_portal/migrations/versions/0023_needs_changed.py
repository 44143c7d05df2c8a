"""A need that is told after booking may not be met by the visit: somebody at the clinic looks at it."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

KINDS = ("call", "same_person", "interpreter", "review_right", "triage", "past_promise", "cannot_place",
         "offers_unanswered", "needs_changed")  # fmt: skip


def upgrade() -> None:
    with op.batch_alter_table("tasks") as batch:
        batch.drop_constraint(op.f("ck_tasks_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_tasks_kind"), f"kind IN {KINDS}")
