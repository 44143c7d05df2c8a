"""Which language the reader of a page wants: chosen here, kept with the account, or told by the browser."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask, Response, g, request, session
from flask_babel import Babel
from flask_login import current_user
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from clinic_portal import languages
from clinic_portal.languages import ENGLISH, LANGUAGES

KEY = "language"
# The clinic's own tools speak English only.
IN_ENGLISH = ("/backoffice/",)
# Libraries keep their catalogues under these names.
_LOCALES = {"de": "de_DE"}


def install(app: Flask) -> None:
    """Let templates, and the libraries that ask Flask-Babel, speak the reader's language."""
    Babel(app, configure_jinja=False, locale_selector=lambda: _LOCALES.get(languages.current(), ENGLISH))
    app.jinja_env.globals.update(_=_in_page, ngettext=_number_in_page, N_=languages.N_, language_tag=languages.tag)
    app.jinja_env.filters["in_sentence"] = languages.in_sentence
    app.before_request(lambda: languages.begin(_choose))
    app.teardown_request(lambda _error: languages.end())
    app.after_request(_tell)


def choose(language: str) -> None:
    """Keep what this reader chose, for as long as the browser keeps the session."""
    session[KEY] = language


def other_languages() -> dict[str, str]:
    """The languages to choose from, each by its own name, without the present one."""
    return {code: name for code, name in LANGUAGES.items() if code != languages.current()}


@pass_eval_context
def _in_page(template: EvalContext, message: str, **facts: Any) -> str:
    """A text of a template: its own markup counts, that of its facts is escaped.

    Jinja's extension does the same at ten times the cost, and each page asks for dozens of texts.
    """
    text = _marked(languages.current(), message) if template.autoescape else languages.translated(message)
    return text % facts if facts else text


@pass_eval_context
def _number_in_page(template: EvalContext, one: str, many: str, num: int, **facts: Any) -> str:
    """A text of a template about a number of things, which it may name as `%(num)d`."""
    text = languages.translated_plural(one, many, num)
    return (Markup(text) if template.autoescape else text) % {"num": num, **facts}  # noqa: S704  # a text of ours


@cache
def _marked(_language: str, message: str) -> Markup:
    return Markup(languages.translated(message))  # noqa: S704  # a text of ours


def _choose() -> str:
    g.language = _wanted()
    return str(g.language)


def _wanted() -> str:
    if request.path.startswith(IN_ENGLISH):
        return ENGLISH
    kept = session.get(KEY)
    if kept is None and current_user.is_authenticated:
        kept = current_user.language
    return languages.known(kept or request.accept_languages.best_match(LANGUAGES, ENGLISH))


def _tell(response: Response) -> Response:
    """Say in which language an answer is, when it is in one, and what that depended on."""
    if "language" in g:
        response.headers["Content-Language"] = g.language
        response.vary.update(("Accept-Language", "Cookie"))
    return response
