"""Patients ask without choosing a time, watch their request, take or leave offers, and wait for earlier times."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    ContactPoint,
    ContinuityWish,
    Mode,
    Offer,
    Patient,
    Status,
    VisitInvitation,
    VisitType,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.scheduling.invitations import invite
from clinic_portal.scheduling.wishes import DayPart, parts_mask
from clinic_portal.settings import put_setting
from tests.asking import ask, drain, fresh, offers
from tests.bookings import book, open_clinic
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_session, at

HTMX = {"HX-Request": "true"}
SUITS = {"weekdays": ["1", "2"], "parts": ["morning"], "warning": "120", "first": "book"}


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def asked() -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    return db.session().scalars(select(Appointment).order_by(Appointment.id.desc()).limit(1)).one()


def about(world: World, **more: str) -> str:
    session = db.session()
    patient = session.get_one(Patient, world.alice_id).public_id
    visit_type = session.get_one(VisitType, world.check_up_id).public_id
    added = "".join(f"&{name}={value}" for name, value in more.items())
    return f"patient={patient}&visit_type={visit_type}&needs=none{added}"


def to_check(alice: Visitor, world: World, **wishes: object) -> TestResponse:
    """From the times page over the wishes to the page on which all is checked."""
    when = alice.follow(alice.get(f"/ask?{about(world)}", 303))
    assert "When could you come?" in words_of(when)
    return alice.follow(alice.post(when.request.full_path, **{**SUITS, **wishes}))


def send(alice: Visitor, world: World, note: str = "", **wishes: object) -> Appointment:
    alice.submit(to_check(alice, world, **wishes), note=note)
    return asked()


# Asking


def test_somebody_asks_checks_sends_and_sees_what_happens_next(alice: Visitor, world: World) -> None:
    check = to_check(alice, world, earliest="2026-03-03", latest="2026-03-20", first="ask")
    says = words_of(check)
    assert "Check your request before you send it" in says
    assert "From Tuesday 3 March to Friday 20 March Tuesday, Wednesday Mornings" in says
    assert "At least 2 hours before" in says
    assert "We ask you first" in says
    sent = alice.follow(alice.submit(check, note="My ear rings"))
    visit = asked()
    assert (visit.status, visit.starts_at, visit.note) == (Status.PROPOSED, None, "My ear rings")
    assert (visit.wish_from, visit.wish_until) == (date(2026, 3, 3), date(2026, 3, 20))
    assert visit.wish_parts == parts_mask([(1, DayPart.MORNING), (2, DayPart.MORNING)])
    assert (visit.min_warning_min, visit.is_ask_first) == (120, True)
    says = words_of(sent)
    assert "We have your request" in says
    assert "We answer by Wednesday 4 March, 6pm" in says
    again = alice.submit(check, note="My ear rings")
    assert again.headers["Location"] == f"/requests/{visit.public_id}/sent"
    assert asked().id == visit.id
    assert f"/requests/{visit.public_id}" in alice.get("/appointments").text


def test_where_no_time_suits_one_asks_with_all_that_was_answered(alice: Visitor, world: World) -> None:
    open_clinic(world)
    times = alice.get(f"/book/times?{about(world)}")
    link = re.search(r'href="(/ask\?[^"]+)"', times.text)
    assert link is not None
    assert "When could you come?" in words_of(alice.follow(alice.get(link.group(1).replace("&amp;", "&"), 303)))


def test_where_there_are_no_times_one_asks(alice: Visitor, world: World) -> None:
    page = alice.get(f"/book/times?{about(world)}")
    assert "There are no times online" in words_of(page)
    assert "/ask?" in page.text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"weekdays": []}, "Choose at least one day of the week"),
        ({"parts": ["night"]}, "Choose at least one part of the day"),
        ({"first": ""}, "Choose what we should do when a time is free"),
        ({"warning": "soon"}, "Choose how long before you must know"),
        ({"latest": "yesterday"}, "Choose a day from the calendar, or type it like 2026-11-24"),
        ({"latest": "2026-03-01"}, "Choose a last day that is not in the past"),
        ({"earliest": "2026-03-20", "latest": "2026-03-10"}, "The last day must not be before the first"),
    ],
)
def test_wishes_that_nobody_can_mean_are_told_and_kept(
    alice: Visitor, world: World, wrong: dict[str, object], says: str
) -> None:
    path = f"/ask/when?{about(world, ask='yes')}"
    page = alice.post(path, 422, **{**SUITS, "latest": "2026-03-19", **wrong})
    assert f"There is a problem {says}" in words_of(page)
    kept = str(wrong.get("latest", "2026-03-19"))
    assert f'value="{kept}"' in page.text
    assert page.text.count("checked") >= 3


def test_the_same_kind_is_asked_for_once(alice: Visitor, world: World) -> None:
    first = send(alice, world)
    check = to_check(alice, world)
    refused = alice.submit(check, 409, note="again")
    assert "already a request for this kind" in words_of(refused)
    assert f'href="/requests/{first.public_id}"' in refused.text
    assert "again" in refused.text
    assert asked().id == first.id


def test_for_a_call_the_number_is_asked_for(alice: Visitor, world: World) -> None:
    @writing
    def by_phone(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).modes = frozenset({Mode.PHONE})

    by_phone()
    check = to_check(alice, world)
    assert "Which number should we call?" in words_of(check)
    refused = alice.submit(check, 422, number="", note="Please")
    assert "There is a problem Enter the phone number" in words_of(refused)
    assert "Please" in refused.text
    alice.submit(refused, number="07700 900 111")
    assert (asked().mode, asked().call_number) == (Mode.PHONE, "07700 900 111")


# Watching it


def look_url(page: TestResponse) -> str:
    found = re.search(r'data-hx-get="([^"]+)"', page.text)
    return found.group(1).replace("&amp;", "&") if found else ""


def test_the_page_looks_by_itself_until_there_is_something_to_see(alice: Visitor, world: World) -> None:
    visit = send(alice, world, earliest="2026-03-04")
    page = alice.get(f"/requests/{visit.public_id}")
    assert "We are looking for a time now" in words_of(page)
    assert alice.open(look_url(page), headers=HTMX).status_code == 204
    drain()
    part = alice.open(look_url(page), headers=HTMX)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "You are on the waiting list" in words_of(part)
    add_session(world.chen_id, at(9, day=2), at(10, day=2))
    drain()
    part = alice.open(look_url(page), headers=HTMX)
    assert "We found a time for you. Wednesday 4 March, 9am" in words_of(part)
    assert "Take the request back" not in words_of(part)
    assert look_url(part) == "", "there is nothing more to look for"
    for page_of_it in ("", "/sent"):
        led = alice.get(f"/requests/{visit.public_id}{page_of_it}", 303).headers["Location"]
        assert led == f"/appointments/{visit.public_id}"


def test_a_page_that_is_left_open_looks_for_some_minutes_only(alice: Visitor, world: World) -> None:
    page = alice.get(f"/requests/{send(alice, world).public_id}")
    with clock.clock_at(NOW + timedelta(minutes=11)):
        part = alice.open(look_url(page), headers=HTMX)
        assert part.status_code == 200
        assert look_url(part) == ""
        assert "Look again" in words_of(part)
    for made_up in ("0", "99999999999", "-1", "x"):
        alice.get(f"/requests/{asked().public_id}?state=x&since={made_up}")


def test_who_waits_is_shown_the_nearest_times_outside_of_the_wishes(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = send(alice, world, weekdays=["4"])
    drain()
    page = alice.get(f"/requests/{visit.public_id}")
    assert "The nearest free times, outside of what you wished Tuesday 3 March, 9am" in words_of(page)
    link = re.search(r'<a href="(/book/times\?[^"]+)">See all free times', page.text)
    assert link is not None
    assert "Choose a day and time" in words_of(alice.get(link.group(1).replace("&amp;", "&")))
    check = alice.follow(alice.submit(page, start="20260303T0900Z"))
    assert "Check your answers before you book" in words_of(check)
    alice.submit(check)
    booked = fresh(visit)
    assert (booked.status, booked.starts_at) == (Status.BOOKED, at(9, day=1)), "the request became that appointment"
    assert asked().id == visit.id


def test_the_nearest_times_are_those_next_to_the_wished_days(alice: Visitor, world: World) -> None:
    for day in (1, 30, 31):
        open_clinic(world, day)
    visit = ask(world, from_on=date(2026, 3, 28), until_on=date(2026, 3, 31))
    drain()
    says = words_of(alice.get(f"/requests/{visit.public_id}"))
    assert (
        "outside of what you wished Wednesday 1 April, 10am Wednesday 1 April, 10:15am Thursday 2 April, 10am" in says
    )


# Changing and taking back


def test_what_was_asked_for_is_changed_and_the_place_in_the_line_stays(alice: Visitor, world: World) -> None:
    visit = send(alice, world)
    with clock.clock_at(at(10)):
        check = alice.follow(alice.get(f"/requests/{visit.public_id}/change", 303))
        assert "Check the changes" in words_of(check)
        other_tab = alice.follow(alice.get(f"/requests/{visit.public_id}/change", 303))
        when = alice.follow(alice.submit(check, change="when"))
        assert f'nhsuk-back-link" href="{check.request.path}?' in when.text
        check_again = alice.follow(alice.post(when.request.full_path, **{**SUITS, "weekdays": ["4"]}))
        alice.submit(check_again)
    changed = fresh(visit)
    assert changed.wish_parts == parts_mask([(4, DayPart.MORNING)])
    assert changed.requested_at == visit.requested_at
    refused = alice.submit(other_tab, 409)
    assert "changed" in words_of(refused)
    assert alice.submit(check).headers["Location"] == f"/requests/{visit.public_id}", "sent already"
    assert fresh(visit).wish_parts == changed.wish_parts


def test_a_request_is_taken_back(alice: Visitor, world: World) -> None:
    visit = send(alice, world)
    page = alice.get(f"/requests/{visit.public_id}/withdraw")
    alice.submit(page, 422, reason="nonsense")
    assert fresh(visit).status == Status.PROPOSED
    ended = alice.follow(alice.submit(page, reason="feel_better"))
    assert fresh(visit).status == Status.CANCELLED
    assert "This request was taken back" in words_of(ended)
    alice.submit(page, reason="feel_better")
    alice.get(f"/requests/{visit.public_id}/change", 404)
    assert alice.get(f"/requests/{visit.public_id}/sent", 303).headers["Location"] == f"/requests/{visit.public_id}"


def test_after_unanswered_offers_one_says_go_on(alice: Visitor, world: World) -> None:
    @writing
    def paused(session: Session, visit_id: int) -> None:
        session.get_one(Appointment, visit_id).paused_at = NOW

    visit = ask(world)
    paused(visit.id)
    page = alice.get(f"/requests/{visit.public_id}")
    assert "until you tell us to go on" in words_of(page)
    alice.submit(page)
    assert fresh(visit).paused_at is None


# Offers


@pytest.fixture
def offered(world: World) -> Offer:
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    visit = ask(world, is_ask_first=True)
    drain()
    return offers(visit)[0]


def mailed_link() -> str:
    """The address in the newest mail that has one to an offer."""
    delivery.deliver_due()
    folder = current_app.config["PORTAL"].mail_dir
    texts = [read_captured(folder, mail.id).plain for mail in list_captured(folder)]
    return next(found.group(1) for text in texts if (found := re.search(r"http://[^/]+(/o/\S+)", text)))


def test_an_offered_time_is_taken_on_its_page(alice: Visitor, world: World, offered: Offer) -> None:
    request_page = alice.get(f"/requests/{offered.appointment.public_id}")
    assert f"/offers/{offered.public_id}" in request_page.text
    page = alice.get(f"/offers/{offered.public_id}")
    says = words_of(page)
    assert "You can have this time Thursday 5 March, 9am" in says
    assert "We keep it for you until" in says
    alice.post(page.request.path, 422)
    booked = alice.follow(alice.post(page.request.path, answer="take"))
    assert "Appointment booked" in words_of(booked)
    assert fresh(offered.appointment_id).starts_at == at(9, day=3)
    assert "This time is yours" in words_of(alice.get(page.request.path))


def test_the_link_in_the_mail_takes_the_time_without_signing_in_and_opening_it_does_nothing(
    app: Flask, world: World, offered: Offer
) -> None:
    link, reader = mailed_link(), Visitor(app)
    page = reader.get(link)
    assert fresh(offered.appointment_id).status == Status.PENDING
    assert "Alice" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "This time is yours" in words_of(reader.follow(reader.post(link, answer="take")))
    visit = fresh(offered.appointment_id)
    assert (visit.status, visit.starts_at) == (Status.BOOKED, at(9, day=3))
    assert [(offer.answered_via, offer.state) for offer in offers(visit)] == [("link", "accepted")]
    reader.post(link, answer="take")


def test_a_time_that_was_let_pass_keeps_the_place_in_the_line(app: Flask, world: World, offered: Offer) -> None:
    link, reader = mailed_link(), Visitor(app)
    page = reader.follow(reader.post(link, answer="leave"))
    assert "You let this time pass" in words_of(page)
    assert "You stay on the list" in words_of(page)
    assert fresh(offered.appointment_id).status == Status.WAITLIST
    assert "You let this time pass" in words_of(reader.post(link, 409, answer="take"))
    assert fresh(offered.appointment_id).starts_at is None


def test_who_comes_too_late_is_told_what_happens_next(app: Flask, world: World, offered: Offer) -> None:
    link, reader = mailed_link(), Visitor(app)
    with clock.clock_at(offered.expires_at):
        assert "That time has gone" in words_of(reader.get(link, 410))
        assert "You stay on the list" in words_of(reader.post(link, 410, answer="take"))
    assert fresh(offered.appointment_id).starts_at is None


def test_a_link_dies_with_its_mailbox(app: Flask, world: World, offered: Offer) -> None:
    @writing
    def ends(session: Session) -> None:
        for contact in session.scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)):
            contact.ended_at = NOW

    link, reader = mailed_link(), Visitor(app)
    ends()
    page = reader.get(link, 410)
    assert "This link no longer works" in words_of(page)
    assert "5 March" not in page.text
    reader.post(link, 410, answer="take")
    assert fresh(offered.appointment_id).starts_at is None


# Earlier times


def test_an_earlier_time_is_told_and_taken_and_the_old_one_freed_only_then(alice: Visitor, world: World) -> None:
    open_clinic(world, 8)
    visit = book(world, at(10, day=8))
    page = alice.get(f"/appointments/{visit.public_id}")
    assert "Tell me if an earlier time becomes free" in words_of(page)
    form = alice.get(f"/appointments/{visit.public_id}/earlier")
    alice.post(form.request.path, 422, **{**SUITS, "weekdays": []})
    alice.post(form.request.path, **SUITS, latest="2026-03-09")
    assert "We tell you if an earlier time becomes free" in words_of(alice.get(page.request.path))
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    drain()
    assert not offers(visit), "Thursdays were not wished"
    add_session(world.chen_id, at(9, day=2), at(9, 30, day=2))
    drain()
    (offer,) = offers(visit)
    assert f"/offers/{offer.public_id}" in alice.get(page.request.path).text
    says = words_of(alice.get(f"/offers/{offer.public_id}"))
    assert "An earlier time is free Wednesday 4 March, 9am" in says
    assert "You have Tuesday 10 March, 10am. It is given to somebody else only when you take the earlier time." in says
    alice.post(f"/offers/{offer.public_id}", answer="take")
    assert fresh(visit).starts_at == at(9, day=2)


def test_nobody_is_offered_earlier_times_who_wants_no_more(alice: Visitor, world: World) -> None:
    open_clinic(world, 8)
    visit = book(world, at(10, day=8))
    alice.post(f"/appointments/{visit.public_id}/earlier", **SUITS)
    page = alice.get(f"/appointments/{visit.public_id}/earlier")
    assert "Offer me no earlier times any more" in words_of(page)
    alice.post(f"/appointments/{visit.public_id}/earlier/stop")
    add_session(world.chen_id, at(9, day=2), at(9, 30, day=2))
    drain()
    assert not offers(visit)
    assert not fresh(visit).wants_earlier


def test_asking_for_an_earlier_time_keeps_with_whom_it_was_to_be(alice: Visitor, world: World) -> None:
    open_clinic(world, 8)
    visit = book(world, at(10, day=8))

    @writing
    def only_the_same(session: Session) -> None:
        session.get_one(Appointment, visit.id).continuity_wish = ContinuityWish.SAME_ONLY

    only_the_same()
    alice.post(f"/appointments/{visit.public_id}/earlier", **SUITS)
    assert fresh(visit).wants_earlier
    assert fresh(visit).continuity_wish is ContinuityWish.SAME_ONLY


def test_a_visit_too_near_to_be_moved_waits_for_nothing_earlier(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(10, day=1))

    @writing
    def cut_off(session: Session) -> None:
        put_setting(session, "move_cutoff_min", 3 * 24 * 60)

    cut_off()
    assert "earlier time" not in words_of(alice.get(f"/appointments/{visit.public_id}"))
    alice.get(f"/appointments/{visit.public_id}/earlier", 409)


# Invitations


def test_what_the_clinic_asks_to_book_is_booked_by_the_patient_or_found_by_us(alice: Visitor, world: World) -> None:
    invitation = invite(
        actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, token="invitation-token",
        due_from=date(2026, 3, 10), due_until=date(2026, 3, 20), message="About your blood test",
    )  # fmt: skip
    page = alice.get("/appointments")
    says = words_of(page)
    assert "Please book an appointment Check-up, on a day from Tuesday 10 March to Friday 20 March" in says
    assert "About your blood test" in says
    open_clinic(world, 8)
    book_link, ask_link = re.findall(r'href="(/(?:book/times|ask)\?[^"]+)"', page.text)
    alice.get(book_link.replace("&amp;", "&"), 303)
    when = alice.get(ask_link.replace("&amp;", "&"), 303)
    while when.status_code == 303:
        when = alice.open(when.headers["Location"])
        if "Do you need any help" in words_of(when):
            when = alice.submit(when, needs="none")
    check = alice.follow(alice.post(when.request.full_path, **SUITS))
    alice.submit(check)
    visit = asked()
    assert (visit.origin.value, visit.wish_from) == ("invitation", date(2026, 3, 10))
    assert db.session().get_one(VisitInvitation, invitation.id).used_by_appointment_id == visit.id
    assert "Please book an appointment" not in words_of(alice.get("/appointments"))
    drain()
    assert fresh(visit).starts_at == at(9, day=8)
    assert alice.submit(check).headers["Location"] == f"/requests/{visit.public_id}", "sent already"
    alice.post(re.sub("&token=[^&]+", "&token=another-token-of-16", check.request.full_path), 404)
