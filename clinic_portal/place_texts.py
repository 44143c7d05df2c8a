"""What patients read about places, in each language: how one gets in, and where to park."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import languages
from clinic_portal.catalogue import Catalogue, catalogue
from clinic_portal.models import Location, LocationText


class PlaceText(NamedTuple):
    """The words about one place in one language."""

    entrance_note: str
    parking_note: str


_BASE = select(Location.id, *(getattr(Location, name) for name in PlaceText._fields))
_TEXTS = select(LocationText.location_id, LocationText.language,
                *(getattr(LocationText, name) for name in PlaceText._fields))  # fmt: skip


def place_text_of(session: Session, location_id: int) -> PlaceText:
    """What the reader of a page is told about a place; what is not translated is told as the clinic wrote it first."""
    texts = catalogue(session).made(_texts_in)
    return texts.get((location_id, languages.current())) or texts[location_id, None]


def _texts_in(found: Catalogue) -> dict[tuple[int, str | None], PlaceText]:
    texts: dict[tuple[int, str | None], PlaceText] = {
        (location_id, None): PlaceText(*words) for location_id, *words in found.rows(_BASE)
    }
    untold = [""] * len(PlaceText._fields)
    told = {(location_id, language): words for location_id, language, *words in found.rows(_TEXTS)}
    for location_id, language in product([id_ for id_, _ in texts], languages.TRANSLATED):
        words = told.get((location_id, language), untold)
        texts[location_id, language] = PlaceText(*languages.filled_up(words, texts[location_id, None]))
    return texts
