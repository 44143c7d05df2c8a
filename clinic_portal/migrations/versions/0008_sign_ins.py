"""Where people are signed in, what they show beside the password, and forms kept for who ran out of time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NEW_EVENTS = ("second_step_added", "second_step_removed", "second_step_reset", "recovery_code_used")
EVENTS = (
    "booked", "moved", "cancelled", "confirm_email", "already_registered", "reset_password", "password_changed",
    "change_email", "email_changed", "verify", *NEW_EVENTS,
)  # fmt: skip


def upgrade() -> None:
    _make_table(
        "sign_ins",
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("browser", sa.String(length=60), nullable=False),
        sa.Column("is_two_factor", sa.Boolean(), nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        unique="public_id",
    )
    op.create_index("ix_sign_ins_account_id", "sign_ins", ["account_id", "ended_at"])
    _make_table(
        "authenticator_apps",
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("last_counter", BIG, nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        unique="account_id",
    )
    _make_table(
        "recovery_codes",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        unique="code_hash",
    )
    _make_table(
        "kept_forms",
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("kept_at", INSTANT, nullable=False),
    )
    _make_passkeys()
    for table in ("recovery_codes", "kept_forms", "passkeys"):
        op.create_index(f"ix_{table}_account_id", table, ["account_id"])
    _let_messages_tell_of_them()


def _make_table(name: str, *columns: sa.schema.SchemaItem, unique: str | None = None) -> None:
    rules = [sa.UniqueConstraint(unique, name=op.f(f"uq_{name}_{unique}"))] if unique else []
    op.create_table(
        name,
        sa.Column("id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{name}_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *rules,
    )


def _make_passkeys() -> None:
    _make_table(
        "passkeys",
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", BIG, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
        unique="public_id",
    )


def _let_messages_tell_of_them() -> None:
    name = op.f("ck_notifications_event")
    with op.batch_alter_table("notifications") as batch:
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, f"event IN ({', '.join(map(repr, EVENTS))})")
