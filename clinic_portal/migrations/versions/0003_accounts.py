"""Accounts that people open by themselves: confirmed addresses, messages about accounts, codes, counted tries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
EVENTS = (
    "booked", "moved", "cancelled", "confirm_email", "already_registered", "reset_password", "password_changed",
    "change_email", "email_changed",
)  # fmt: skip
CHECKS = {
    "event": EVENTS,
    "recipient": ("patient", "practitioner", "account"),
}


def upgrade() -> None:
    for column in ("pending_email", "former_email"):
        op.add_column("accounts", sa.Column(column, sa.String(length=255), nullable=True))
    op.add_column("accounts", sa.Column("confirmed_at", INSTANT, nullable=True))
    # Accounts that are there already were opened by the clinic.
    op.execute("UPDATE accounts SET confirmed_at = created_at")
    _make_tables()
    _let_messages_be_about_accounts()


def _make_tables() -> None:
    op.create_table(
        "account_invitations",
        sa.Column("id", BIG, nullable=False),
        sa.Column("patient_id", BIG, nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("made_by_account_id", BIG, nullable=True),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.Column("used_by_account_id", BIG, nullable=True),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_account_invitations_{column}"))
            for column, target in (
                ("patient_id", "patients.id"),
                ("made_by_account_id", "accounts.id"),
                ("used_by_account_id", "accounts.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_invitations")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_account_invitations_code_hash")),
    )
    op.create_index("ix_account_invitations_patient_id", "account_invitations", ["patient_id"])
    op.create_table(
        "throttles",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.Column("refused_until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_throttles")),
    )


def _let_messages_be_about_accounts() -> None:
    with op.batch_alter_table("notifications") as table:
        table.alter_column("appointment_id", existing_type=BIG, nullable=True)
        table.add_column(sa.Column("account_id", BIG, nullable=True))
        table.create_foreign_key(op.f("fk_notifications_account_id"), "accounts", ["account_id"], ["id"])
        for column, values in CHECKS.items():
            name = op.f(f"ck_notifications_{column}")
            table.drop_constraint(name, type_="check")
            table.create_check_constraint(name, f"{column} IN ({', '.join(map(repr, values))})")
        table.create_check_constraint(
            op.f("ck_notifications_one_subject"), "(appointment_id IS NULL) <> (account_id IS NULL)"
        )
    op.create_index("ix_notifications_account_id", "notifications", ["account_id"])
