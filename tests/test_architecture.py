"""The laws of the house that a machine can check: import directions, who commits, aware instants, strict pages."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clinic_portal"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# The e-mail's styles are put inline when it is made, and mail programs run no scripts.
PAGES = [path for path in TEMPLATES if "email" not in path.parts]

# Who may end a reading transaction besides the database module, and why; nobody else may end any.
ENDS_READS = {
    "jobs.py": "the sweeper lives long: each look starts afresh",
    "scheduling/queue.py": "a drain looks at the line again and again, each time as it is then",
    "notifications/delivery.py": "no transaction stays open while a mail is sent",
    "web/errors.py": "the page about an error reads on a clean session",
}


def calls(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """Calls of methods with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@cache
def parsed() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(), str(path))) for path in SOURCES]


def test_imports_go_one_way() -> None:
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_the_database_module_commits() -> None:
    assert _endings("commit").keys() <= {"database.py"}


def test_only_those_named_here_end_a_reading_transaction() -> None:
    assert _endings("rollback").keys() - {"database.py"} == ENDS_READS.keys()


def _endings(how: str) -> dict[str, list[str]]:
    """The files that end transactions in one way; giving up a savepoint inside one is no end of it."""
    found: dict[str, list[str]] = {}
    for path, tree in parsed():
        for node in calls(tree, {how}):
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "savepoint":
                found.setdefault(path.relative_to(PACKAGE).as_posix(), []).append(where(path, node))
    return found


def test_no_writing_function_calls_another() -> None:
    """The database module refuses it at run time; this finds it without running."""
    trees = {_module(path): (path, tree) for path, tree in parsed()}
    services = {name: {node.name for node in tree.body if _is_writing(node)} for name, (_, tree) in trees.items()}
    assert sum(len(names) for names in services.values()) > 10
    found = []
    for module, (path, tree) in trees.items():
        known = services[module] | _imported(tree, services)
        for node in filter(_is_writing, tree.body):
            found += [
                f"{where(path, call)} {node.name} calls {call.func.id}"
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known
            ]
    assert found == []


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(tree: ast.Module, services: dict[str, set[str]]) -> set[str]:
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in services.get(node.module or "", ())
    }


def _is_writing(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    is_function = isinstance(node, ast.FunctionDef)
    return is_function and any(isinstance(each, ast.Name) and each.id == "writing" for each in node.decorator_list)


def test_the_time_is_asked_of_the_clock_only() -> None:
    asks = {"now", "utcnow", "today", "utcfromtimestamp"}
    found = [
        where(path, node)
        for path, tree in parsed()
        if path.name != "clock.py"
        for node in calls(tree, asks)
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).split(".")[-1] in ("datetime", "date")
    ]
    assert found == []


def test_no_instant_is_made_without_its_zone() -> None:
    """`datetime(...)` and `fromtimestamp(...)` name a zone; wall-clock readings live in clock.py."""
    found = []
    for path, tree in parsed():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            made = ast.unparse(node.func)
            is_instant = made in ("datetime", "datetime.datetime") or made.endswith("datetime.fromtimestamp")
            has_zone = any(word.arg in ("tzinfo", "tz") for word in node.keywords) or len(node.args) in (2, 8)
            if is_instant and not has_zone:
                found.append(where(path, node))
    assert found == []


@pytest.mark.parametrize("library", ["flask", "redis", "rq", "wtforms", "jinja2"])
def test_scheduling_knows_neither_web_nor_queue(library: str) -> None:
    found = [
        where(path, node)
        for path, tree in parsed()
        if "scheduling" in path.parts
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0].startswith(library))
        or (isinstance(node, ast.Import) and any(name.name.split(".")[0].startswith(library) for name in node.names))
    ]
    assert found == []


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 500
    }
    assert long == {}


INLINE = {
    "inline script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/(?:ld\+)?json\")", re.IGNORECASE),
    "inline style": re.compile(r"<style|\sstyle\s*=", re.IGNORECASE),
    "inline handler": re.compile(r"<[^>{}]*\son[a-z]+\s*=", re.IGNORECASE),
    "script address": re.compile(r"javascript:", re.IGNORECASE),
    "htmx code in attributes": re.compile(r"hx-on[:=-]|\bjs:", re.IGNORECASE),
    "another machine": re.compile(r"(?:src|href|action)\s*=\s*[\"']?(?:https?:)?//", re.IGNORECASE),
    "invalid htmx attribute": re.compile(r"(?<!data-)\bhx-[a-z]+=", re.IGNORECASE),
}


# Written to disk to be printed, and never served.
FILES = ("sheet.html",)


@pytest.mark.parametrize("what", INLINE)
def test_pages_hold_up_under_a_strict_content_policy(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)[:80]}"
        for path in PAGES
        if path.name not in FILES
        for match in INLINE[what].finditer(_without_comments(path.read_text()))
    ]
    assert found == []


BY_ITSELF = re.compile(r"<[^>]*data-hx-trigger=\"[^\"]*\b(?:every|load delay)\b[^>]*>", re.IGNORECASE)


def test_what_a_page_asks_by_itself_keeps_nobody_signed_in() -> None:
    """A part that asks again and again says so, see entrance/presence.py."""
    tag = '<div data-hx-get="/x" data-hx-trigger="every 10s">'
    assert BY_ITSELF.findall(tag) == [tag]
    found = [
        f"{path.relative_to(ROOT)}: {tag[:80]}"
        for path in PAGES
        for tag in BY_ITSELF.findall(_without_comments(path.read_text()))
        if "X-Unattended" not in tag
    ]
    assert found == []


def _without_comments(source: str) -> str:
    return re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)


@pytest.mark.parametrize("folder", ["static", "tests/checkers"])
def test_the_lock_of_npm_packages_names_no_registry(folder: str) -> None:
    packages = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    assert packages
    assert [name for name, facts in packages.items() if "resolved" in facts] == []


# In pieces, so that this file does not name them itself.
REGISTRIES = (*map(".".join, (("pypi", "org"), ("registry", "npmjs"), ("npmjs", "org/"))), "-".join(("index", "url")),
              *map("".join, (("python", "hosted"), ("jsd", "elivr"), ("un", "pkg"), ("cdn", "js"))))  # fmt: skip


def test_no_file_names_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.resolve() == Path(__file__).resolve() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}: {host}" for host in REGISTRIES if host in text]
    assert found == []
