"""How a clinic words its messages to patients: the text that counts, changing it, and every one before it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased, joinedload

from clinic_portal import clock
from clinic_portal.audit import Actor, record
from clinic_portal.database import run, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.languages import LANGUAGES, speaking
from clinic_portal.models import MAX_PARAGRAPHS, MAX_SUBJECT, Event, MessageText
from clinic_portal.notifications import sandbox
from clinic_portal.notifications.kinds import KINDS, Kind, Text, built_in

LONGEST = {"subject": MAX_SUBJECT, "before": MAX_PARAGRAPHS, "after": MAX_PARAGRAPHS}

# Race: two first versions, which no row that is there could keep apart.
_ADD = {
    name: dialect.insert(MessageText)
    .on_conflict_do_nothing(index_elements=["kind", "language", "is_neutral", "version"])
    .returning(MessageText.id)
    for name, dialect in {"sqlite": sqlite, "postgresql": postgresql}.items()
}


@dataclass(frozen=True)
class TextKey:
    """Which text: of what kind of message, in which language, and whether for sensitive visits."""

    event: Event
    language: str
    is_neutral: bool = False

    @property
    def kind(self) -> Kind:
        return KINDS[self.event]

    @property
    def names(self) -> frozenset[str]:
        """The facts that it may name."""
        return self.kind.names_told(is_neutral=self.is_neutral)

    @property
    def exists(self) -> bool:
        """Whether there is such a text at all."""
        is_for_a_kind = self.event in KINDS and (KINDS[self.event].is_about_visit or not self.is_neutral)
        return is_for_a_kind and self.language in LANGUAGES


@dataclass(frozen=True)
class OwnText:
    """A clinic's own words for a message, and which of its texts that is."""

    id: int
    text: Text


def all_keys() -> list[TextKey]:
    """Every text that a clinic can change."""
    keys = (TextKey(event, language, neutral) for event in KINDS for language in LANGUAGES for neutral in (False, True))
    return [key for key in keys if key.exists]


def own_text(session: Session, key: TextKey) -> OwnText | None:
    """The clinic's own words for a message; None while it has the portal's.

    What was written for other visits is never said of a sensitive one.
    """
    row = newest(session, key)
    return OwnText(row.id, text_of(row)) if row is not None and row.is_own else None


def built_in_text(key: TextKey) -> Text:
    """The portal's own words."""
    with speaking(key.language):
        return built_in(key.kind, is_neutral=key.is_neutral)


def text_of(row: MessageText) -> Text:
    """The words of one version."""
    return Text(row.subject, row.before, row.after)


def newest(session: Session, key: TextKey) -> MessageText | None:
    """The version that counts; None while the clinic has changed nothing."""
    found = select(MessageText).where(_is_of(key)).order_by(MessageText.version.desc()).limit(1)
    return session.scalar(found)


def versions(session: Session, key: TextKey) -> list[MessageText]:
    """All versions with who made them, newest first."""
    found = select(MessageText).where(_is_of(key)).order_by(MessageText.version.desc())
    return list(session.scalars(found.options(joinedload(MessageText.account))))


def version_of(session: Session, key: TextKey, version: int) -> MessageText | None:
    """One version; None for 0, the portal's own words. Raises: NotFound."""
    if version == 0:
        return None
    found = session.scalar(select(MessageText).where(_is_of(key), MessageText.version == version))
    if found is None:
        raise NotFound
    return found


def words_of(key: TextKey, row: MessageText | None) -> Text:
    """What a version says: its own words, or the portal's."""
    return text_of(row) if row is not None and row.is_own else built_in_text(key)


def all_newest(session: Session) -> dict[TextKey, MessageText]:
    """The version that counts of every text that the clinic has changed."""
    found = session.scalars(select(MessageText).where(_is_newest()).options(joinedload(MessageText.account)))
    return {TextKey(Event(row.kind), row.language, row.is_neutral): row for row in found}


def count_failed(session: Session) -> int:
    """How many texts in force could not be used when a mail was made."""
    failed = select(func.count()).select_from(MessageText).where(MessageText.failed_at.is_not(None), _is_newest())
    return session.scalar(failed) or 0


def _is_of(key: TextKey) -> ColumnElement[bool]:
    return and_(
        MessageText.kind == key.event.value,
        MessageText.language == key.language,
        MessageText.is_neutral == key.is_neutral,
    )


def _is_newest() -> ColumnElement[bool]:
    later = aliased(MessageText)
    same = and_(
        later.kind == MessageText.kind,
        later.language == MessageText.language,
        later.is_neutral == MessageText.is_neutral,
    )
    return ~select(later.id).where(same, later.version > MessageText.version).exists()


def cleaned(text: Text) -> Text:
    """A text as somebody typed it, as it is kept."""
    return Text(sandbox.one_line(text.subject), sandbox.clean(text.before), sandbox.clean(text.after))


def check_text(key: TextKey, text: Text) -> None:
    """Refuse a text that could not be used.

    Raises: InvalidRequest naming the `field`, and in its words the line.
    """
    for field, longest in LONGEST.items():
        source = getattr(text, field)
        if len(source) > longest:
            raise InvalidRequest(f"Use at most {longest} characters; these are {len(source)}.", field=field)
        try:
            sandbox.check(source, key.names)
        except sandbox.BadText as error:
            # Its words may hold what somebody typed; a refusal fills in facts at each %.
            raise InvalidRequest(str(error).replace("%", "%%"), field=field) from error
    if any(not sandbox.fill_in(text.subject, dict.fromkeys(key.names, fact)).strip() for fact in ("", "x")):
        raise InvalidRequest("Enter a subject that is never empty, whatever is known.", field="subject")


@writing
def change_text(
    session: Session, *, actor: Actor, key: TextKey, text: Text, expected_version: int
) -> MessageText | None:
    """Word a message as the clinic wants it.

    Args: expected_version, the newest that whoever changes it has seen; 0 for none.
    Commits: a new version, audit with the words before and after; nothing when nothing differs.
    Raises: InvalidRequest naming the `field` that is wrong, VersionConflict when somebody changed it since, NotAllowed
    for anybody but the clinic, NotFound when there is no such text.
    Source: UC6.5.
    """
    _refuse_others(actor, key)
    wanted = cleaned(text)
    check_text(key, wanted)
    return _put(session, actor, key, None if wanted == built_in_text(key) else wanted, expected_version)


@writing
def put_back(
    session: Session, *, actor: Actor, key: TextKey, version: int, expected_version: int
) -> MessageText | None:
    """Make an old version count again: as a new one, so that the story stays whole.

    Args: version, 0 for the portal's own words.
    Commits: as `change_text`.
    Raises: as `change_text`; InvalidRequest also when the old text cannot be used any more.
    """
    _refuse_others(actor, key)
    old = version_of(session, key, version)
    wanted = text_of(old) if old and old.is_own else None
    if wanted is not None:
        check_text(key, wanted)
    return _put(session, actor, key, wanted, expected_version)


@writing
def note_failed(session: Session, text_id: int) -> None:
    """A mail could not be made with this text, and left in the portal's own words.

    Commits: when that was seen first, which the list of texts shows until somebody changes it.
    """
    session.execute(
        update(MessageText)
        .where(MessageText.id == text_id, MessageText.failed_at.is_(None))
        .values(failed_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def _refuse_others(actor: Actor, key: TextKey) -> None:
    if not actor.is_clinic:
        raise NotAllowed
    if not key.exists:
        raise NotFound


def _put(
    session: Session, actor: Actor, key: TextKey, wanted: Text | None, expected_version: int
) -> MessageText | None:
    now = newest(session, key)
    number, before = (now.version, text_of(now) if now.is_own else None) if now else (0, None)
    if wanted == before and (number == expected_version or _is_same_form(now, actor, expected_version)):
        return now
    if number != expected_version:
        raise VersionConflict(version=number)
    words = wanted or Text("", "", "")
    values = {
        "kind": key.event.value, "language": key.language, "is_neutral": key.is_neutral, "version": number + 1,
        "is_own": wanted is not None, "subject": words.subject, "before": words.before, "after": words.after,
        "made_at": clock.now(), "account_id": actor.account_id,
    }  # fmt: skip
    row_id = run(session, _ADD[session.get_bind().dialect.name], values).scalar_one_or_none()
    if row_id is None:
        raise VersionConflict(version=number + 1)
    row = session.get_one(MessageText, row_id)
    told = {"message": key.event.value, "language": key.language, "is_neutral": key.is_neutral, "version": number + 1}
    record(session, actor, "change", row, before=_audited(before), after=_audited(wanted) | told)
    return row


def _is_same_form(now: MessageText | None, actor: Actor, expected_version: int) -> bool:
    """Whether it was sent twice: the first time it was saved."""
    return now is not None and now.account_id == actor.account_id and now.version == expected_version + 1


def _audited(text: Text | None) -> dict[str, str]:
    if text is None:
        return {"words": "portal"}
    return {"words": "own", **dict(zip(LONGEST, astuple(text), strict=True))}
