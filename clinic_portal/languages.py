"""In which language somebody reads, and how texts come to be in it.

Texts are written in English where they are used, and that English is their key in the catalogues of `translations`:

- In templates `_('Hello %(name)s', name=...)`, and `ngettext('%(num)d day', '%(num)d days', n)` for plurals.
- In Python that answers a reader, `_(...)` and `ngettext(...)` from here, at the moment when the text is shown.
- In tables and in refusals of the domain, `N_("...")` or `NN_("one ...", "many ...")`, which only mark a text. It stays
  English in logs and is translated where it is shown: by `_`, and a refusal by `wording.say`.

Whole sentences with named placeholders, never pieces put together. `make translations` collects what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.support import NullTranslations, Translations
from markupsafe import Markup

ENGLISH = "en"
# Each by its own name, for those who do not read the other.
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
# Those that texts are translated into.
TRANSLATED = tuple(language for language in LANGUAGES if language != ENGLISH)
# What pages and mails say of themselves.
TAGS = {ENGLISH: "en-GB"}
FOLDER = Path(__file__).resolve().parent / "translations"

# A function while nobody has asked yet: most requests for files and figures never do.
_language: ContextVar[str | Callable[[], str]] = ContextVar("language", default=ENGLISH)


class Foreign(str):
    """A text that is in English though its reader reads another language; pages mark it for who has them read aloud.

    Source: WCAG 2.2, 3.1.2 Language of Parts.
    """

    __slots__ = ()

    def __html__(self) -> Markup:
        return Markup('<span lang="{}">{}</span>').format(TAGS[ENGLISH], str(self))


def filled_up(words: Iterable[str], written: Iterable[str]) -> Iterator[str]:
    """Texts in another language, each with what the clinic wrote first where it is not translated."""
    return (word or (Foreign(first) if first else "") for word, first in zip(words, written, strict=True))


def current() -> str:
    """The language of whoever reads what is written now."""
    found = _language.get()
    if not isinstance(found, str):
        found = found()
        _language.set(found)
    return found


def begin(choose: Callable[[], str]) -> None:
    """Find the language out when it is first asked for: at the start of a request."""
    _language.set(choose)


def end() -> None:
    """The reader has gone."""
    _language.set(ENGLISH)


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Write in this language for a while: for mails, whose reader is not the one who asks."""
    before = _language.get()
    _language.set(known(language))
    try:
        yield
    finally:
        _language.set(before)


def known(language: str | None) -> str:
    """The language itself if the portal speaks it, else English."""
    return language if language in LANGUAGES else ENGLISH


def tag() -> str:
    """The present language as HTML names it."""
    language = current()
    return TAGS.get(language, language)


def english_name(language: str) -> str:
    """How English calls a language: for the clinic's own tools."""
    return str(Locale.parse(language).english_name)


def in_sentence(words: str) -> str:
    """A label as part of a sentence: English writes it small there, German keeps its nouns."""
    return words.lower() if current() == ENGLISH else words


def translated(message: str) -> str:
    """A text in the present language, its placeholders as they are."""
    language = current()
    return message if language == ENGLISH else str(_catalogue(language).ugettext(message))


def translated_plural(one: str, many: str, num: int) -> str:
    """The form of a text that this number asks for, its placeholders as they are."""
    return str(_catalogue(current()).ungettext(one, many, num))


def _(message: str, **facts: Any) -> str:
    """A text in the present language."""
    text = translated(message)
    return text % facts if facts else text


def ngettext(one: str, many: str, num: int, **facts: Any) -> str:
    """A text about a number of things, which it may name as `%(num)d`."""
    return translated_plural(one, many, num) % {"num": num, **facts}


def N_(message: str) -> str:  # noqa: N802  # the name that gettext's users know
    """Mark a text that is translated later."""
    return message


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802
    """Mark a text about a number of things that is translated later; the number is its fact `num`."""
    return one, many


@cache
def _catalogue(language: str) -> NullTranslations:
    return NullTranslations() if language == ENGLISH else Translations.load(FOLDER, [language])
