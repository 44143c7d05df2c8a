"""Filling the boxes of a page with what was typed before: the page is read as a browser reads it, and rewritten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

# Made anew by each page, or of no use to anybody who reads it.
NEVER = frozenset({"hidden", "password", "submit", "button", "image", "reset", "file"})
TICKED = frozenset({"radio", "checkbox"})
FRESH = frozenset({"csrf_token", "token"})
# The note of the page's frame that is shown once something was filled in.
NOTE = " data-filled-note hidden"

Fields = list[tuple[str, str]]


@dataclass
class Box:
    """One box of a form: its tag and attributes, and where in the page its tag, and for a text area its text, stand."""

    tag: str
    attributes: dict[str, str | None]
    start: int
    end: int
    text_end: int = 0

    @property
    def kind(self) -> str:
        return (self.attributes.get("type") or "text").lower() if self.tag == "input" else self.tag

    @property
    def name(self) -> str:
        return self.attributes.get("name") or ""

    @property
    def value(self) -> str:
        return self.attributes.get("value") or ""


@dataclass
class Form:
    """One form of a page: where it is sent, and its boxes."""

    action: str
    boxes: list[Box] = field(default_factory=list)

    def is_about(self, fields: Fields) -> bool:
        """Whether the form names the same things as the one that was typed into: its hidden values are the same."""
        hidden = [(box.name, box.value) for box in self.boxes if box.kind == "hidden" and box.name not in FRESH]
        return all(pair in fields for pair in hidden)


def fill(html: str, own_path: str, action: str, fields: Fields) -> str | None:
    """The page with its form for `action` filled in; None when it has no such form, or it would look the same.

    Args: own_path, the page's own address; action, the path that the form is sent to.
    """
    forms = [form for form in _forms(html) if (urlsplit(form.action).path or own_path) == action]
    if len(forms) > 1:
        forms = [form for form in forms if form.is_about(fields)]
    if not forms:
        return None
    changes = sorted(_changes(forms[0], fields))
    filled = html
    for start, end, text in reversed(changes):
        filled = filled[:start] + text + filled[end:]
    return filled.replace(NOTE, "", 1) if filled != html else None


def _changes(form: Form, fields: Fields) -> Iterator[tuple[int, int, str]]:
    """What stands in for which piece of the page."""
    typed, left = dict(fields), Counter(fields)
    select = ""
    for box in form.boxes:
        if box.tag == "select":
            select = box.name
        elif box.tag == "option":
            yield box.start, box.end, _marked(box, "selected", (select, box.value) in fields)
        elif box.kind in TICKED:
            is_on = left[box.name, box.attributes.get("value") or "on"] > 0
            yield box.start, box.end, _marked(box, "checked", is_on)
        elif box.kind == "textarea" and box.name in typed:
            # Browsers drop one line break at the start.
            yield box.end, box.text_end, "\n" + escape(typed[box.name])
        elif box.kind not in NEVER and box.tag == "input" and box.name in typed:
            yield box.start, box.end, _tag(box, {**box.attributes, "value": typed[box.name]})


def _marked(box: Box, mark: str, is_on: bool) -> str:
    rest = {name: value for name, value in box.attributes.items() if name != mark}
    return _tag(box, {**rest, mark: None} if is_on else rest)


def _tag(box: Box, attributes: dict[str, str | None]) -> str:
    parts = [name if value is None else f'{name}="{escape(value)}"' for name, value in attributes.items()]
    return f"<{' '.join([box.tag, *parts])}>"


def _forms(html: str) -> list[Form]:
    reader = _Reader(html)
    reader.feed(html)
    return reader.forms


class _Reader(HTMLParser):
    """Collects the forms that are sent by POST."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._lines = [0]
        for line in html.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            is_sent = (attributes.get("method") or "").lower() == "post"
            self._form = Form(attributes.get("action") or "") if is_sent else None
            self.forms += [self._form] if self._form else []
        elif self._form is not None and tag in ("input", "textarea", "select", "option"):
            start = self._here()
            end = start + len(self.get_starttag_text() or "")
            self._form.boxes.append(Box(tag, attributes, start, end, end))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._form and self._form.boxes and self._form.boxes[-1].tag == "textarea":
            self._form.boxes[-1].text_end = self._here()

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column
