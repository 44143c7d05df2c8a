"""Texts that a clinic wrote: words, names of facts, if and else, and nothing else.

They are Jinja, read by a sandbox, and of its language only what is listed here is let through: no loops, no calls, no
attributes, so that a text can neither hang nor reach anything. Words stay words: markup in them is shown, not obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

FILTERS = ("upper", "lower", "capitalize", "trim")
DEEPEST = 12
_ALLOWED = (nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.Filter, nodes.And, nodes.Or,
            nodes.Not, nodes.Compare, nodes.Operand)  # fmt: skip
_TAG = re.compile(r"<[^<>]*>")
_BETWEEN = re.compile(r"\n[ \t]*\n\s*")


class BadText(Exception):
    """A text that cannot be used; `line` says where it goes wrong."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"Line {line}: {problem}")
        self.line = line


@dataclass(frozen=True)
class Said:
    """One paragraph or subject that was filled in: as markup, and in plain words."""

    markup: Markup

    @property
    def plain(self) -> str:
        return unescape(_TAG.sub("", str(self.markup)))


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, finalize=lambda value: "" if value is None else value
    )
    made.globals.clear()
    made.tests.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    return made


_ENVIRONMENT = _environment()


def check(source: str, names: Iterable[str]) -> None:
    """Refuse what no text may contain.

    Args: names, of the facts that it may use.
    Raises: BadText.
    """
    _template(source, frozenset(names))


def fill_in(source: str, facts: Mapping[str, Any]) -> list[Said]:
    """The paragraphs of a text with its facts; empty ones are left out.

    Raises: BadText.
    """
    try:
        filled = _template(source, frozenset(facts)).render(facts)
    except UndefinedError as error:
        raise BadText(f"{error}.", 1) from error
    return [Said(Markup(part.strip())) for part in _BETWEEN.split(filled.strip()) if part.strip()]  # noqa: S704


@lru_cache(maxsize=256)
def _template(source: str, names: frozenset[str]) -> Template:
    try:
        tree = _ENVIRONMENT.parse(source.replace("\r\n", "\n"))
        for node in tree.body:
            _check(node, names, 1)
        # The words around the facts are escaped like the facts: a text is no place for markup.
        for words in tree.find_all(nodes.TemplateData):
            words.data = str(escape(words.data))
        return Template.from_code(_ENVIRONMENT, _ENVIRONMENT.compile(tree), {})
    except TemplateSyntaxError as error:
        raise BadText(error.message or "This cannot be read.", error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError, OverflowError, ValueError) as error:
        raise BadText("This is too deep to be read.", 1) from error


def _check(node: nodes.Node, names: frozenset[str], depth: int) -> None:
    if depth > DEEPEST:
        raise BadText("This is too deep to be read.", node.lineno)
    if not isinstance(node, _ALLOWED):
        raise BadText("Only {{ facts }}, if and else can be used.", node.lineno)
    if isinstance(node, nodes.Name) and node.name not in names:
        raise BadText(f"There is no fact “{node.name}” here.", node.lineno)
    if isinstance(node, nodes.Filter) and (node.name not in FILTERS or node.args or node.kwargs or node.dyn_args):
        raise BadText(f"After | only these can be used: {', '.join(FILTERS)}.", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, names, depth + 1)
