"""What would make a web process's first pages slow is done before it takes the first request."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.errors import DomainError
from clinic_portal.models import VisitType
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times

DAYS = 7


def warm_up(app: Flask) -> None:
    """Compile the pages, connect to the database and look for free times once; changes nothing.

    A database that is away is no reason not to serve: the pages say so, and it may come back. Nor is a clinic that
    offers nothing yet.
    """
    _compile_pages(app)
    with app.app_context(), suppress(DBAPIError, DomainError):
        _look_for_times()


def _compile_pages(app: Flask) -> None:
    folder = Path(str(app.template_folder))
    for page in sorted(folder.rglob("*.html")):
        app.jinja_env.get_template(page.relative_to(folder).as_posix())


def _look_for_times() -> None:
    session = db.session()
    for visit_type_id in session.scalars(select(VisitType.id).where(VisitType.is_active).limit(1)):
        find_free_times(session, Search(visit_type_id), clock.now().date(), DAYS)
