"""What people, programs and attackers type: values that are wrong in every way, and what must never come back."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.test import TestResponse

# Whatever of these stands in an answer as it was typed has not been escaped, or was carried out.
MARKUP, ATTRIBUTE, SUM, PRODUCT = "<q7 x=", '" onq7=', "{{7919*7907}}", "62615533"

BAD: tuple[str | bytes, ...] = (
    "", " ", "\x00", "a\x00b", "\r\nX-Q7: 1", "\t\v\f", "\u202e\u2066", "\ufeff", "ø😀👩‍👩‍👧", "e\u0301" * 50,
    "a" * 300, "😀" * 5000, "9" * 400,
    "-1", "0", "1.5", "1e309", "NaN", "0x10", "٣", "²", "18446744073709551616", "True", "None", "null",
    "2026-02-30", "0000-00-00", "0001-01-01", "9999-12-31", "10000-01-01", "2026-W10", "-2026-03-03", "20260329T0130Z",
    "99991231T2359Z", "00010101T0000Z", "20261399T9999Z", "2026-03-29T01:30", "24:00", "3000", "31",
    MARKUP + "1>", ATTRIBUTE + "1", "javascript:q7()", SUM, "{% include 'q7' %}", "%s%n{0.__class__}", "${7919*7907}",
    "' OR 1=1 --", "%", "_", "\\", "../../etc/passwd", "//evil.example/q7", "/\\evil.example", "https://evil.example",
    "[]", "{}", '{"a": 1}', "a@b", "@example.com", "a@" + "b" * 250 + ".example", "a@xn--.example", "a@[127.0.0.1]",
    b"\xff\xfe", b"\xed\xa0\x80", b"a\xc0\xaf", "any", "none", "self", "email",
)  # fmt: skip

# Names that no page asks for, and ways to send the same name more than once.
STRANGE_NAMES = ("q7", "__class__", "patient[]", "patient[0]", "\x00", "")


def listening(heard: set[str]) -> type[Request]:
    """A kind of request that notes which names of its query and its form a page has asked for."""

    class Asked(ImmutableMultiDict[str, str]):
        def get(self, key, *args, **kwargs):  # type: ignore[no-untyped-def]
            heard.add(key)
            return super().get(key, *args, **kwargs)

        def getlist(self, key, *args, **kwargs):  # type: ignore[no-untyped-def]
            heard.add(key)
            return super().getlist(key, *args, **kwargs)

        def __contains__(self, key: object) -> bool:
            heard.add(str(key))
            return super().__contains__(key)

    class Listening(Request):
        parameter_storage_class = Asked

    return Listening


def what_is_wrong_with(answer: TestResponse) -> list[str]:
    """An answer to bad input is a page, a way on, or a refusal, and never carries out or repeats what was typed."""
    text, wrong = answer.text, []
    if answer.status_code >= 500:
        wrong.append(answer.status)
    if answer.mimetype == "text/html":
        wrong += [f"not escaped: {part}" for part in (MARKUP, ATTRIBUTE) if part in text and is_obeyed(part, answer)]
    if PRODUCT in text:
        wrong.append("carried out a template")
    if leads_away(answer):
        wrong.append(f"leads away: {answer.headers['Location'][:80]}")
    if "X-Q7" in answer.headers:
        wrong.append("a header was made up")
    return wrong


def is_obeyed(part: str, answer: TestResponse) -> bool:
    """Whether what was typed is more than words. What lays mails out leaves quotes in words as they are."""
    is_mail = answer.headers.get("Content-Security-Policy", "").startswith("sandbox")
    return not is_mail or part == MARKUP or bool(re.search(f"<[^<>]*{re.escape(part)}", answer.text))


def leads_away(answer: TestResponse) -> bool:
    """Whether a browser would leave the portal; it takes a backslash for a slash."""
    target = answer.headers.get("Location", "").replace("\\", "/")
    parts = urlsplit(urljoin(answer.request.url, target))
    return (parts.scheme, parts.netloc) != ("http", "localhost")
