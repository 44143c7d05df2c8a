"""Who has no mailbox is told of requests, offers and invitations by phone: a task while it is true, and one only."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal import clock, todo
from clinic_portal.database import db
from clinic_portal.models import Appointment, Delivery, Event, Notification, Task, TaskKind
from clinic_portal.notifications import delivery
from clinic_portal.scheduling import handling, invitations
from clinic_portal.scheduling.offers import decline_offer, settle_offers
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import ask, change, drain, fresh, offers, status, withdraw
from tests.bookings import book, open_clinic
from tests.test_offers import ask_first, one_time
from tests.test_queue import edit
from tests.test_todo import add_walter, tasks
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_session, at

DUE = (date(2026, 3, 9), date(2026, 3, 20))


def calls() -> list[tuple[int | None, str | None]]:
    """What each call task is about, and how it ended."""
    return [(task.appointment_id, task.outcome) for task in tasks()]


def to_tell(visit: Appointment | None = None) -> list[str]:
    """What waits to be told by phone."""
    session = db.session()
    session.rollback()
    rows = session.scalars(select(Notification).filter_by(delivery=Delivery.TO_CALL).order_by(Notification.id))
    return [row.event.value for row in rows if visit is None or row.appointment_id == visit.id]


def test_waiting_is_told_by_phone_and_the_time_that_is_found_later_takes_its_place(world: World) -> None:
    visit = ask(world, add_walter(), world.erin)
    assert calls() == [], "who asked knows it"
    drain()
    assert (calls(), to_tell(visit)) == ([(visit.id, None)], ["waitlisted"])
    assert tasks()[0].due_at == NOW + timedelta(days=1)
    open_clinic(world, 3)
    drain()
    assert status(visit) == "booked"
    assert (calls(), to_tell(visit)) == ([(visit.id, "newer"), (visit.id, None)], ["booked"])


def test_an_offer_is_told_in_half_of_its_time_and_an_answer_ends_the_call(world: World) -> None:
    one_time(world)
    visit = ask_first(world, add_walter())
    drain()
    (offer,) = offers(visit)
    assert tasks()[0].due_at == NOW + (offer.expires_at - NOW) / 2
    decline_offer(actor=world.erin, offer_id=offer.id)
    assert (calls(), to_tell(visit)) == ([(visit.id, "newer")], [])


def test_an_offer_that_lapsed_is_told_once_and_a_pause_only_by_the_task_to_ask(world: World) -> None:
    visit = ask_first(world, add_walter())
    for day in (10, 12, 14):
        one_time(world, at(9, day=day))
    now = NOW
    for _ in range(3):
        with clock.clock_at(now):
            drain()
            now = offers(visit)[-1].expires_at
        with clock.clock_at(now):
            settle_offers()
            assert len([outcome for _, outcome in calls() if outcome is None]) == (0 if fresh(visit).paused_at else 1)
    assert fresh(visit).paused_at is not None
    assert to_tell(visit) == []
    assert [task.closed_at for task in tasks(TaskKind.OFFERS_UNANSWERED)] == [None]
    handling.resume_request(actor=world.erin, appointment_id=visit.id)
    assert [task.outcome for task in tasks(TaskKind.OFFERS_UNANSWERED)] == ["resumed"]


@pytest.mark.parametrize("how", ["change", "withdraw", "defer", "resume", "place"])
def test_a_call_ends_with_what_it_would_tell(world: World, how: str) -> None:
    visit = ask(world, add_walter(), world.erin)
    drain()
    if how == "change":
        change(world, visit, actor=world.erin, min_warning_min=60)
    elif how == "withdraw":
        withdraw(world, visit, world.erin)
    elif how == "defer":
        handling.defer(actor=world.erin, appointment_id=visit.id, until=at(0, day=5))
    elif how == "resume":
        handling.resume_request(actor=world.erin, appointment_id=visit.id)
    else:
        add_session(world.chen_id, at(9, day=1), at(12, day=1))
        handling.place_by_hand(actor=world.erin, appointment_id=visit.id, starts_at=at(10, day=1), token="p")
    told = {"withdraw": ["request_closed"], "place": ["booked"]}.get(how, [])
    assert to_tell(visit) == told
    assert calls() == [(visit.id, "newer"), *[(visit.id, None)] * len(told)]


def test_an_invitation_is_told_by_phone_and_the_call_notes_it(app: Flask, world: World) -> None:
    walter_id = add_walter()
    for token in ("one", "two"):
        invitations.invite(actor=world.erin, patient_id=walter_id, visit_type_id=world.check_up_id, due_from=DUE[0],
                           due_until=DUE[1], token=token)  # fmt: skip
    assert calls() == [(None, None)], "one call for all of them"
    task = tasks()[0]
    says = words_of(Visitor(app, "erin").get(f"/backoffice/todo/details/?id={task.id}"))
    assert says.count("Invited to book, Mon 2 Mar, 8am") == 2
    todo.finish_task(actor=world.erin, task_id=task.id, outcome="told")
    session = db.session()
    session.rollback()
    assert [row.delivery for row in session.scalars(select(Notification))] == [Delivery.SENT, Delivery.SENT]


@pytest.mark.parametrize("end", ["withdrawn", "used", "lapsed", "booked"])
def test_nobody_is_called_about_an_invitation_that_is_over(world: World, end: str) -> None:
    walter_id = add_walter()
    made = invitations.invite(actor=world.erin, patient_id=walter_id, visit_type_id=world.check_up_id, due_from=DUE[0],
                              due_until=DUE[1], token="one")  # fmt: skip
    now = NOW
    if end == "withdrawn":
        invitations.withdraw_invitation(actor=world.erin, invitation_id=made.id)
    elif end == "used":
        search = Search(world.check_up_id, walter_id)
        invitations.let_queue_book(actor=world.erin, invitation_id=made.id, search=search, wishes=Wishes(), token="q")
    elif end == "lapsed":
        now = made.expires_at
    else:
        open_clinic(world)
        book(world, at(9, day=1), patient_id=walter_id, actor=world.erin)
    with clock.clock_at(now):
        invitations.note_used_invitations()
    session = db.session()
    session.rollback()
    row = session.scalars(select(Notification).filter_by(event=Event.INVITATION)).one()
    assert (row.delivery, row.detail) == (Delivery.SUPERSEDED, "newer")
    assert session.scalars(select(Task.outcome).filter_by(appointment_id=None)).all() == ["newer"]


def test_an_invitation_whose_mail_comes_back_becomes_a_call(world: World) -> None:
    invitations.invite(actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, due_from=DUE[0],
                       due_until=DUE[1], token="one")  # fmt: skip
    (claimed,) = delivery.claim_due(token="lease")
    refused = delivery.Verdict(Delivery.FAILED, "refused", is_bad_address=True)
    delivery.record(claimed, token="lease", verdict=refused)
    assert calls() == [(None, None)]
    assert to_tell() == ["invitation"]


def test_a_call_that_is_to_be_made_anyway_is_made_in_time_for_an_offer(world: World) -> None:
    add_session(world.chen_id, at(9, day=20), at(10, day=20))
    visit = book(world, at(9, day=20), patient_id=add_walter(), actor=world.erin)
    assert tasks()[0].due_at == NOW + timedelta(days=1)
    edit(visit, wants_earlier=True, next_try_at=NOW)
    one_time(world)
    drain()
    (offer,) = offers(visit)
    assert to_tell(visit) == ["booked", "offer"]
    assert [task.due_at for task in tasks()] == [NOW + (offer.expires_at - NOW) / 2]
