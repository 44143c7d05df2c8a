"""What a message to a patient says in words: the clinic's own where it has some, filled in with what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clinic_portal.notifications.kinds import built_in, source_of
from clinic_portal.notifications.letters import AddressCheck, Letter, ReminderLetter, text_key
from clinic_portal.notifications.request_letters import RequestLetter
from clinic_portal.notifications.sandbox import Line, fill_in, fill_in_paragraphs, one_line

Worded = Letter | ReminderLetter | AddressCheck | RequestLetter


@dataclass(frozen=True)
class Said:
    """The words of one mail in plain text: subject, heading, and the lines of each paragraph around the facts."""

    subject: str
    heading: str
    before: list[list[Line]]
    after: list[list[Line]]


def say(letter: Worded, facts: Mapping[str, str | None]) -> Said:
    """Fill in the words of a mail in the present language.

    Args: facts, by the names that its kind may use, and more.
    Raises: BadText when they are the clinic's own and cannot be used.
    """
    key = text_key(letter)
    assert key is not None
    known = {name: facts[name] for name in key.names}
    text = letter.own.text if letter.own else built_in(key.kind, is_neutral=key.is_neutral)
    heading = fill_in(source_of(key.kind.heading, key.names), known)
    return Said(
        # No mail is without a subject, whatever a text leaves out.
        subject=one_line(fill_in(text.subject, known)) or heading,
        heading=heading,
        before=fill_in_paragraphs(text.before, known),
        after=fill_in_paragraphs(text.after, known),
    )
