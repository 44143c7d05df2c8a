"""What a patient may write about a visit: a line or two, for the people who will deal with it."""

from __future__ import annotations

import unicodedata

from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import MAX_NOTE

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class NoteRefused(InvalidRequest):
    """This cannot be kept with the appointment."""

    code = "note_refused"


def clean_note(text: str | None) -> str | None:
    """The note as it is kept; None when nothing was written.

    Raises: NoteRefused when it is too long.
    Source: clinic.md 9, page 7.
    """
    # Browsers send line ends as two characters; no other control characters belong in a note.
    lines = (text or "").replace("\r\n", "\n").split("\n")
    printed = ["".join(letter for letter in line if _is_printed(letter)) for line in lines]
    note = "\n".join(printed).strip()
    if len(note) > MAX_NOTE:
        raise NoteRefused(
            N_("Use no more than %(most)s characters. You have used %(used)s."), most=MAX_NOTE, used=len(note)
        )
    return note or None


def _is_printed(letter: str) -> bool:
    # Marks that join letters are part of some scripts; those that turn the direction of a line around are not.
    return unicodedata.category(letter) not in ("Cc", "Cs") and letter not in TURNING


def allowed_note(note: str | None, *, is_sensitive: bool) -> str | None:
    """The note, where the visit type takes one.

    Raises: NoteRefused where the visit type itself is too sensitive for a note.
    """
    if note and is_sensitive:
        raise NoteRefused(N_("We keep no notes with this kind of appointment. Tell us when you come."))
    return note
