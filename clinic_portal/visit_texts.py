"""What patients read about kinds of visits, in each language: the clinic's own words, like the visit types themselves.

Read with the catalogue, because every page of a booking names a visit type.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import languages
from clinic_portal.catalogue import Catalogue, catalogue
from clinic_portal.models import VisitType, VisitTypeText


class VisitText(NamedTuple):
    """The words about one kind of visit in one language."""

    name: str
    hint: str
    how_to_prepare: str
    what_to_bring: str


_BASE = select(VisitType.id, *(getattr(VisitType, name) for name in VisitText._fields))
_TEXTS = select(VisitTypeText.visit_type_id, VisitTypeText.language,
                *(getattr(VisitTypeText, name) for name in VisitText._fields))  # fmt: skip


def text_of(session: Session, visit_type_id: int, language: str | None = None) -> VisitText:
    """What a reader is told about a kind of visit; what is not translated is told as the clinic wrote it first.

    Args: language, of the reader; that of the page when it is not given.
    """
    return text_in(catalogue(session), visit_type_id, language)


def text_in(found: Catalogue, visit_type_id: int, language: str | None = None) -> VisitText:
    """The same, of a catalogue."""
    texts = found.made(_texts_in)
    wanted = languages.current() if language is None else language
    return texts.get((visit_type_id, wanted)) or texts[visit_type_id, None]


def _texts_in(found: Catalogue) -> dict[tuple[int, str | None], VisitText]:
    texts: dict[tuple[int, str | None], VisitText] = {
        (visit_type_id, None): VisitText(*words) for visit_type_id, *words in found.rows(_BASE)
    }
    untold = [""] * len(VisitText._fields)
    told = {(visit_type_id, language): words for visit_type_id, language, *words in found.rows(_TEXTS)}
    for visit_type_id, language in product([id_ for id_, _ in texts], languages.TRANSLATED):
        words = told.get((visit_type_id, language), untold)
        texts[visit_type_id, language] = VisitText(*languages.filled_up(words, texts[visit_type_id, None]))
    return texts
