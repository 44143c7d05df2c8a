"""What the database itself refuses: overlaps in a lane, of a patient, of sessions, of holds; edits of the audit log.

Postgres has exclusion constraints for it; SQLite gets triggers that look at the neighbours. No visit is longer than a
day, which lets the triggers search a short stretch of an index.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ACTIVE = "status IN ('booked', 'arrived', 'fulfilled', 'noshow')"

# name, table, keys that must be equal, start and end column, which rows count
OVERLAPS = (
    ("appointments_lane", "appointments", ("practitioner_id", "lane"), "blocked_from", "blocked_until", ACTIVE),
    ("appointments_patient", "appointments", ("patient_id",), "starts_at", "ends_at", ACTIVE),
    ("sessions_lane", "sessions", ("practitioner_id", "lane"), "starts_at", "ends_at", "status = 'planned'"),
    ("holds_lane", "holds", ("practitioner_id", "lane"), "blocked_from", "blocked_until", "closed_at IS NULL"),
)
APPEND_ONLY = (("audit_entries", ("UPDATE", "DELETE")), ("appointments", ("DELETE",)))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for overlap in OVERLAPS:
            for statement in sqlite_overlap(*overlap):
                op.execute(statement)
        for table, acts in APPEND_ONLY:
            for act in acts:
                op.execute(sqlite_refusal(table, act))
        return
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    for overlap in OVERLAPS:
        op.execute(postgres_overlap(*overlap))
    op.execute(POSTGRES_REFUSE)
    for table, acts in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE {' OR '.join(acts)} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def sqlite_overlap(name: str, table: str, keys: tuple[str, ...], start: str, end: str, counts: str) -> list[str]:
    """Triggers for insert and update. NULL times make every comparison unknown, so rows without a time never clash."""
    same = " AND ".join(f"o.{key} = new.{key}" for key in keys)
    new_counts = f"new.{counts}"
    other_counts = f"o.{counts}"
    body = f"""
    BEGIN
      SELECT RAISE(ABORT, 'longer than a day: {name}') WHERE datetime(new.{end}, '-1 day') > datetime(new.{start});
      SELECT RAISE(ABORT, 'overlap: {name}') WHERE EXISTS (
        SELECT 1 FROM {table} o WHERE {same} AND {other_counts} AND o.id <> new.id
          AND o.{start} < new.{end} AND o.{start} > datetime(new.{start}, '-1 day') AND o.{end} > new.{start});
    END"""
    columns = ", ".join(dict.fromkeys([*keys, start, end, counts.split()[0]]))
    # NEW.id is not yet known before an insert with an automatic id: so AFTER, where it is.
    return [
        f"CREATE TRIGGER no_overlap_{name}_insert AFTER INSERT ON {table} WHEN {new_counts} {body}",
        f"CREATE TRIGGER no_overlap_{name}_update AFTER UPDATE OF {columns} ON {table} WHEN {new_counts} {body}",
    ]


def postgres_overlap(name: str, table: str, keys: tuple[str, ...], start: str, end: str, counts: str) -> str:
    same = ", ".join(f"{key} WITH =" for key in keys)
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT no_overlap_{name} "
        f"EXCLUDE USING gist ({same}, tstzrange({start}, {end}) WITH &&) WHERE ({counts} AND {start} IS NOT NULL), "
        f"ADD CONSTRAINT within_a_day_{name} CHECK ({end} - {start} <= interval '1 day')"
    )


def sqlite_refusal(table: str, act: str) -> str:
    return (
        f"CREATE TRIGGER {table}_kept_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'kept: {table}'); END"
    )


POSTGRES_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'kept: %', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$"""
