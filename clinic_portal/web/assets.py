"""The files browsers keep: found by their plain names, served under names that change with their content."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

from flask import Flask, Response, request, url_for
from flask_compress import Compress

PACKAGE = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """A folder of the portal beside its code: inside the package when installed, beside it in the source tree."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


class Assets:
    """What was built: plain names and the stamped ones they stand for."""

    def __init__(self, dist: Path) -> None:
        self._dist = dist

    @cached_property
    def _names(self) -> dict[str, str]:
        try:
            return dict(json.loads((self._dist / "manifest.json").read_text()))
        except FileNotFoundError as error:
            raise RuntimeError("The pages' styles and scripts are not built: run `make assets`.") from error

    def url(self, name: str) -> str:
        """The address of one file as it is now."""
        return url_for("static", filename=self._names[name])


def install(app: Flask) -> None:
    """Let templates say `asset("portal.css")`, and send what can be compressed in less."""
    assert app.static_folder is not None
    app.jinja_env.globals["asset"] = Assets(Path(app.static_folder)).url
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)
    app.after_request(_read_whole)


def _read_whole(response: Response) -> Response:
    """Styles and scripts are small: read as a whole they are compressed like a page, and their file is closed."""
    is_text = (response.mimetype or "").startswith("text/")
    if request.endpoint == "static" and is_text and response.status_code == 200:
        response.direct_passthrough = False
        response.make_sequence()
    return response
