"""Finds the texts of Python files for `make translations`: what is marked, and what refusals say by their class."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from babel.messages.extract import extract_python


def python(file: BinaryIO, keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """The marked texts, and the first line of each class that has a code: see errors.py."""
    source = file.read()
    yield from extract_python(io.BytesIO(source), keywords, comment_tags, options)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and _has_code(node):
            yield node.lineno, None, (ast.get_docstring(node) or "").splitlines()[0], []


def _has_code(node: ast.ClassDef) -> bool:
    assigned = [target for each in node.body if isinstance(each, ast.Assign) for target in each.targets]
    return any(isinstance(target, ast.Name) and target.id == "code" for target in assigned)
