"""Where changes of hours need agreement: a doctor asks, the desk agrees or not, and nothing changes in between."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed
from clinic_portal.models import (
    AvailabilityException,
    Event,
    ExceptionKind,
    HoursRequest,
    HoursRequestStatus,
    Notification,
    Practitioner,
    Status,
)
from clinic_portal.scheduling import hours, hours_requests
from clinic_portal.scheduling.blocks import Away
from clinic_portal.scheduling.hours_changes import EndAway, HoursChange, WeekChange, from_plain, to_plain
from clinic_portal.settings import put_setting
from tests.asking import fresh
from tests.bookings import book
from tests.plans import TUE
from tests.rota import TODAY, away, block, work
from tests.visitor import Visitor, forms_of, words_of
from tests.world import ZONE, World, at


@writing
def need_agreement(session: Session) -> None:
    put_setting(session, "hours_approval", "needed")


@pytest.fixture
def chen(app: Flask, world: World) -> Visitor:
    need_agreement()
    return Visitor(app, "chen")


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@pytest.fixture
def own(world: World) -> str:
    """Where Dr Chen's hours are."""
    return f"/hours/{db.session().get_one(Practitioner, world.chen_id).public_id}"


def wishes() -> list[HoursRequest]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(HoursRequest).order_by(HoursRequest.id)))


def exceptions() -> list[AvailabilityException]:
    db.session().rollback()
    return list(db.session().scalars(select(AvailabilityException)))


def refusals() -> list[Notification]:
    return list(db.session().scalars(select(Notification).filter_by(event=Event.HOURS_REFUSED)))


def press(visitor: Visitor, page: TestResponse, path: str, status: int = 303) -> TestResponse:
    """Press the button of the form that goes to an address."""
    index = next(number for number, form in enumerate(forms_of(page)) if form.action == path)
    return visitor.submit(page, status, index)


def test_time_off_waits_until_the_desk_agrees_and_has_said_what_becomes_of_the_visits(
    chen: Visitor, erin: Visitor, world: World, own: str
) -> None:
    work(world, block(world, TUE, "09:00", "12:00"), actor=world.erin)
    visit = book(world, at(9, day=1))
    form = chen.get(f"{own}/off")
    done = chen.submit(form, starts_on="2026-03-03", reason="Course")
    says = words_of(chen.follow(done))
    assert "It counts as soon as somebody at the clinic agrees" in says
    assert "Changes that wait for agreement Time off: Tuesday 3 March" in says
    assert exceptions() == []
    assert fresh(visit).status is Status.BOOKED

    assert "1 change waits for agreement" in words_of(erin.get("/hours/"))
    assert "Changes of hours to agree to 1" in words_of(erin.get("/backoffice/"))
    (wish,) = wishes()
    decide = erin.get(f"{own}/wishes/{wish.public_id}")
    assert "Time off: Tuesday 3 March" in words_of(decide)
    asked = press(erin, decide, f"{own}/wishes/{wish.public_id}/agree", 409)
    assert "1 appointment is outside of these hours" in words_of(asked)
    assert wishes()[0].status is HoursRequestStatus.ASKED
    name = re.findall(r'name="(visit-\d+)"', asked.text)[0]
    erin.follow(erin.submit(asked, **{name: "keep"}))
    assert [row.reason for row in exceptions()] == ["Course"]
    assert (wishes()[0].status, fresh(visit).status) == (HoursRequestStatus.APPROVED, Status.BOOKED)
    assert "Changes that wait for agreement" not in words_of(chen.get(own))


def test_the_desk_does_not_agree_and_whose_hours_they_are_is_told(
    chen: Visitor, erin: Visitor, world: World, own: str
) -> None:
    chen.submit(chen.get(f"{own}/off"), starts_on="2026-03-03")
    (wish,) = wishes()
    page = erin.get(f"{own}/wishes/{wish.public_id}")
    says = words_of(erin.follow(press(erin, page, f"{own}/wishes/{wish.public_id}/refuse")))
    assert "The hours stay as they were" in says
    assert (wishes()[0].status, exceptions(), len(refusals())) == (HoursRequestStatus.REFUSED, [], 1)
    # The other tab still shows the button.
    again = erin.follow(press(erin, page, f"{own}/wishes/{wish.public_id}/refuse"))
    assert again.status_code == 200
    assert len(refusals()) == 1
    late = press(erin, page, f"{own}/wishes/{wish.public_id}/agree", 409)
    assert "Somebody has decided about this already" in words_of(late)


def test_a_wish_is_taken_back_by_whoever_asked(chen: Visitor, erin: Visitor, world: World, own: str) -> None:
    chen.submit(chen.get(f"{own}/off"), starts_on="2026-03-03")
    (wish,) = wishes()
    page = chen.get(own)
    says = words_of(chen.follow(press(chen, page, f"{own}/wishes/{wish.public_id}/take-back")))
    assert "It is taken back." in says
    assert wishes()[0].status is HoursRequestStatus.WITHDRAWN
    with pytest.raises(BadTransition):
        hours_requests.agree(actor=world.erin, request_id=wish.id)
    assert exceptions() == []


def test_what_cannot_be_meant_is_refused_when_it_is_asked_for(chen: Visitor, world: World, own: str) -> None:
    page = chen.submit(chen.get(f"{own}/off"), 422, starts_on="2026-02-01")
    assert "Enter days that are not over" in words_of(page)
    assert wishes() == []


def test_the_same_form_asks_once_and_the_desk_asks_nobody(chen: Visitor, erin: Visitor, world: World, own: str) -> None:
    form = chen.get(f"{own}/off")
    chen.submit(form, starts_on="2026-03-03")
    chen.submit(form, starts_on="2026-03-03")
    assert len(wishes()) == 1
    erin.submit(erin.get(f"{own}/off"), starts_on="2026-03-10")
    assert (len(wishes()), len(exceptions())) == (1, 1)


def test_nobody_decides_about_their_own_wish(chen: Visitor, world: World) -> None:
    off = Away(ExceptionKind.OFF, ZONE, TODAY, 0, TODAY, 1440)
    wish = hours_requests.ask_for_change(actor=world.chen, practitioner_id=world.chen_id, change=off, token="wish-one")
    for act in (hours_requests.agree, hours_requests.refuse):
        with pytest.raises(NotAllowed):
            act(actor=world.chen, request_id=wish.id)
    with pytest.raises(NotAllowed):
        hours_requests.take_back(actor=world.erin, request_id=wish.id)
    with pytest.raises(NotAllowed):
        hours_requests.ask_for_change(actor=world.chen, practitioner_id=world.diaz_id, change=off, token="wish-two")


def test_a_week_is_written_down_and_carried_out_as_it_was_asked(world: World) -> None:
    work(world, block(world, TUE, "09:00", "12:00"), actor=world.erin)
    (rule,) = hours.rules_of(db.session(), world.chen_id, TODAY)
    new = block(world, TUE, "10:00", "12:00", every_n_weeks=2, anchor_on=TODAY)
    change = WeekChange({rule.id: TODAY}, [new])
    wish = hours_requests.ask_for_change(actor=world.chen, practitioner_id=world.chen_id, change=change, token="w")
    db.session().rollback()
    assert [one.starts_min for one in hours.rules_of(db.session(), world.chen_id, TODAY)] == [540]
    hours_requests.agree(actor=world.erin, request_id=wish.id)
    hours_requests.agree(actor=world.erin, request_id=wish.id)
    rules = hours.rules_of(db.session(), world.chen_id, TODAY)
    assert [(one.starts_min, one.every_n_weeks, one.valid_until) for one in rules] == [(540, 1, TODAY), (600, 2, None)]


def test_a_clash_that_came_meanwhile_is_told_when_the_desk_agrees(world: World) -> None:
    change = WeekChange(adds=[block(world, TUE, "10:00", "12:00")])
    wish = hours_requests.ask_for_change(actor=world.chen, practitioner_id=world.chen_id, change=change, token="w")
    work(world, block(world, TUE, "09:00", "12:00"), actor=world.erin)
    with pytest.raises(InvalidRequest):
        hours_requests.agree(actor=world.erin, request_id=wish.id)
    assert wishes()[0].status is HoursRequestStatus.ASKED


def test_every_change_survives_being_written_down(world: World) -> None:
    away(world, TODAY, TODAY, actor=world.erin)
    changes: list[HoursChange] = [
        WeekChange({3: TODAY}, [block(world, TUE, "09:00", "12:00", valid_until=TODAY)]),
        Away(ExceptionKind.EXTRA, ZONE, TODAY, 540, TODAY, 600, world.location_id, "Flu"),
        EndAway(7),
    ]
    for change in changes:
        assert to_plain(from_plain(to_plain(change))) == to_plain(change)
