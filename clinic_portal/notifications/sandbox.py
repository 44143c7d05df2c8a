"""Texts that a clinic wrote: words, names of facts, if and else, and nothing else.

They are Jinja, read by a sandbox, and of its language only what is listed here is let through: no loops, no calls, no
attributes, so that a text can neither hang nor reach anything. What comes out is plain text; whoever shows it as HTML
escapes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from clinic_portal.languages import ENGLISH, TAGS, Foreign

FILTERS = ("upper", "lower", "capitalize")
DEEPEST = 12
_ALLOWED = (nodes.Output, nodes.TemplateData, nodes.Name, nodes.If, nodes.Filter)
_IN_CONDITIONS = (nodes.And, nodes.Or, nodes.Not)
_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
_LINE_ENDS = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# They would show the words around them in another order.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Around what is in another language than the rest; nobody can type them, see `clean`.
_FROM, _TO = "\ue000", "\ue001"
_MARKS = re.compile(f"[{_FROM}{_TO}]")


class BadText(Exception):
    """A text that cannot be used; `line` says where it goes wrong."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"Line {line}: {problem}")
        self.line = line


class Line(str):
    """One line of a paragraph: plain text, which as HTML is escaped, and marked where it is in another language."""

    __slots__ = ("_marked",)
    _marked: str

    def __new__(cls, marked: str) -> Line:
        line = super().__new__(cls, _MARKS.sub("", marked))
        line._marked = marked
        return line

    def __html__(self) -> Markup:
        html = escape(self._marked).replace(_FROM, Markup('<span lang="{}">').format(TAGS[ENGLISH]))
        return html.replace(_TO, Markup("</span>"))


def _capitalized(words: str) -> str:
    mark = _FROM if words.startswith(_FROM) else ""
    return mark + words.removeprefix(mark).capitalize()


def _environment() -> ImmutableSandboxedEnvironment:
    # No markup is made of it here, and what is plain text must not be escaped twice.
    made = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    made.globals.clear()
    made.tests.clear()
    made.filters = {"upper": str.upper, "lower": str.lower, "capitalize": _capitalized}
    return made


_ENVIRONMENT = _environment()


def clean(text: str) -> str:
    """What somebody typed, without characters that nobody sees; its lines stay lines."""
    lines = _LINE_ENDS.sub("\n", text).replace("\t", " ")
    return "".join(letter for letter in lines if letter == "\n" or _is_seen(letter)).strip()


def one_line(text: str) -> str:
    """The same on one line, as a subject needs it."""
    return re.sub(r"\s*\n\s*", " ", clean(text))


def check(source: str, names: Iterable[str]) -> None:
    """Refuse what no text may contain.

    Args: names, of the facts that it may use.
    Raises: BadText.
    """
    _template(source, frozenset(names))


def fill_in(source: str, facts: Mapping[str, str | None]) -> str:
    """A text with its facts; one that is not known leaves nothing, and none brings lines of its own.

    Raises: BadText.
    """
    return _MARKS.sub("", _filled(source, facts))


def fill_in_paragraphs(source: str, facts: Mapping[str, str | None]) -> list[list[Line]]:
    """The same as the lines of each paragraph; a blank line divides them.

    Raises: BadText.
    """
    return [[Line(line) for line in part.strip().split("\n")]
            for part in _BLANK_LINE.split(_filled(source, facts).strip()) if part.strip()]  # fmt: skip


def _filled(source: str, facts: Mapping[str, str | None]) -> str:
    return _template(source, frozenset(facts)).render({name: _value(value or "") for name, value in facts.items()})


def _value(fact: str) -> str:
    words = one_line(fact)
    return f"{_FROM}{words}{_TO}" if isinstance(fact, Foreign) else words


def _is_seen(letter: str) -> bool:
    return letter not in _TURNING and unicodedata.category(letter) not in ("Cc", "Cs", "Co", "Cn")


@lru_cache(maxsize=512)
def _template(source: str, names: frozenset[str]) -> Template:
    try:
        tree = _ENVIRONMENT.parse(source)
        for node in tree.body:
            _check(node, names, 1)
        return Template.from_code(_ENVIRONMENT, _ENVIRONMENT.compile(tree), {})
    except TemplateSyntaxError as error:
        raise BadText(error.message or "This cannot be read.", error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError, OverflowError, ValueError) as error:
        raise BadText("This cannot be read.", 1) from error


def _check(node: nodes.Node, names: frozenset[str], depth: int, *, is_condition: bool = False) -> None:
    if depth > DEEPEST:
        raise BadText("This is nested too deeply.", node.lineno)
    if not isinstance(node, _ALLOWED) and not (is_condition and isinstance(node, _IN_CONDITIONS)):
        raise BadText("Only names in {{ }}, {% if %} and {% else %} can be used.", node.lineno)
    if isinstance(node, nodes.Name) and node.name not in names:
        raise BadText(f"There is nothing called “{node.name}” here.", node.lineno)
    if isinstance(node, nodes.Filter):
        _check_filter(node)
    for child in node.iter_child_nodes():
        is_asked = isinstance(node, _IN_CONDITIONS) or (isinstance(node, nodes.If) and child is node.test)
        _check(child, names, depth + 1, is_condition=is_asked)


def _check_filter(node: nodes.Filter) -> None:
    has_more = node.args or node.kwargs or node.dyn_args or node.dyn_kwargs
    # Without something to work on it would be a block of its own.
    if node.name not in FILTERS or has_more or node.node is None:
        raise BadText(f"After | only these can be used: {', '.join(FILTERS)}.", node.lineno)
