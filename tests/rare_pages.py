"""Pages that no address shows by itself: refusals, lost races, times that have passed."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.test import TestResponse

from clinic_portal import clock, errors
from clinic_portal.database import writing
from clinic_portal.models import ClinicSession, SessionStatus
from clinic_portal.patient.reading import write_instant
from clinic_portal.settings import put_setting
from tests.addresses import CHOICE, filled
from tests.belongings import Belongings
from tests.bookings import book
from tests.visitor import Visitor
from tests.world import add_session, at

FAULTS: tuple[Exception, ...] = (
    RuntimeError("a fault"),
    OperationalError("SELECT", {}, RuntimeError("no database")),
    errors.SubmissionConflict(),
    errors.VersionConflict(),
    errors.LinkExpired(),
    errors.TooManyTries(until=at(9)),
    errors.Busy(),
)


def error_pages(app: Flask) -> Iterator[tuple[str, TestResponse]]:
    """The page of each fault and of each HTTP error."""
    http = [kind() for code, kind in default_exceptions.items() if code not in (401, 412, 428)]
    for error in (*FAULTS, *http):
        yield repr(error), _answer(app, error)


def _answer(app: Flask, error: Exception) -> TestResponse:
    with app.test_request_context("/appointments") as context:
        handle = app.handle_http_exception if isinstance(error, HTTPException) else app.handle_user_exception
        response = app.make_response(handle(error))  # type: ignore[arg-type]
        return TestResponse(response.response, response.status, response.headers, context.request)


def rare_pages(belongings: Belongings) -> Iterator[tuple[str, TestResponse]]:
    """Pages on the way to a booking and to a changed one when something is not as it was."""
    alice, world, ids = Visitor(belongings.app, "alice"), belongings.world, belongings.ids
    times = filled(f"/book/times?{CHOICE}", ids)
    yield "no time chosen", alice.post(times, 422)
    yield "a time that is none", alice.post(times, 422, start="nonsense")
    yield "a note that is too long", alice.post(f"/check/{ids['hold']}", 422, note="x" * 500)
    book(world, at(9, 30, day=1), patient_id=world.bob_id, actor=world.bob)
    yield "somebody was faster", alice.post(times, 409, start=write_instant(at(9, 30, day=1)))
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    yield "another visit then", alice.post(times, 409, start=write_instant(at(9, 15, day=1)))
    yield "the same time", alice.post(f"/appointments/{ids['visit']}/move", 422, start=write_instant(at(9, day=1)))
    with clock.clock_at(at(8, 30)):
        yield "no longer kept", alice.get(f"/check/{ids['hold']}")
    with clock.clock_at(at(7, 30, day=1)):
        yield "too late to move", alice.get(f"/appointments/{ids['visit']}/move", 409)
        yield "late to cancel", alice.get(f"/appointments/{ids['visit']}/cancel")
    _limit_to_one()
    yield "not online", alice.get(times, 409)
    yield "nothing more to book", alice.get(filled("/book/visit-type?patient={person}", ids))
    belongings.start_again()
    _close_all()
    yield "no times", Visitor(belongings.app, "alice").get(times)
    belongings.start_again()
    stranger = Visitor(belongings.app)
    wrong = {"email": "alice@example.com", "password": "wrong"}
    yield "wrong password", stranger.post("/login", 200, **wrong)
    yield "too many tries", [stranger.post("/login", status, **wrong) for status in (200, 200, 200, 200, 429)][-1]


@writing
def _limit_to_one(session: Session) -> None:
    put_setting(session, "max_open_per_patient", 1)


@writing
def _close_all(session: Session) -> None:
    session.execute(update(ClinicSession).values(status=SessionStatus.CANCELLED))
