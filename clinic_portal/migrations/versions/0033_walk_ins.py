"""The desk's day: tickets of those who walk in, names and numbers that are found by a part."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from clinic_portal.models import ContactKind, fold, reversed_digits

revision = "0033"
down_revision = "0037"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Lets Postgres find a beginning whatever the language of the database.
BEGINS = "varchar_pattern_ops"
PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)
AT_ONCE = 1000


def upgrade() -> None:
    _add_tickets()
    _add_words()
    _add_tails()


def _add_tickets() -> None:
    op.create_table(
        "walk_in_tickets",
        sa.Column("appointment_id", BIG, autoincrement=False, nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_walk_in_tickets_number")),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointments.id"], name=op.f("fk_walk_in_tickets_appointment_id")
        ),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_walk_in_tickets_location_id")),
        sa.PrimaryKeyConstraint("appointment_id", name=op.f("pk_walk_in_tickets")),
        sa.UniqueConstraint("location_id", "day", "number", name=op.f("uq_walk_in_tickets_location_id_day_number")),
    )


def _add_words() -> None:
    op.create_table(
        "patient_words",
        sa.Column("patient_id", BIG, autoincrement=False, nullable=False),
        sa.Column("word", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_patient_words_patient_id")),
        sa.PrimaryKeyConstraint("patient_id", "word", name=op.f("pk_patient_words")),
    )
    words = sa.table("patient_words", sa.column("patient_id", BIG), sa.column("word", sa.String))
    named = sa.text("SELECT id, search_name, called_name FROM patients")
    rows = [{"patient_id": row[0], "word": word} for row in _all(named) for word in _words(row[1], row[2])]
    for start in range(0, len(rows), AT_ONCE):
        op.get_bind().execute(words.insert(), rows[start : start + AT_ONCE])
    op.create_index("ix_patient_words_word", "patient_words", ["word", "patient_id"], postgresql_ops={"word": BEGINS})


def _words(search_name: str, called_name: str) -> list[str]:
    return sorted({word[:80] for word in fold(f"{search_name} {called_name}").split()})


def _add_tails() -> None:
    op.add_column("contact_points", sa.Column("phone_tail", sa.String(20), nullable=True))
    tails = sa.text("UPDATE contact_points SET phone_tail = :tail WHERE id = :id")
    kept = sa.text("SELECT id, value, kind FROM contact_points")
    changed = [{"id": row[0], "tail": reversed_digits(row[1])} for row in _all(kept) if row[2] in PHONES]
    if changed:
        op.get_bind().execute(tails, changed)
    op.create_index(
        "ix_contact_points_phone_tail", "contact_points", ["phone_tail"], postgresql_ops={"phone_tail": BEGINS}
    )


def _all(query: Any) -> list[Any]:
    return list(op.get_bind().execute(query))
