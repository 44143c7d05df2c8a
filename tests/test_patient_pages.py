"""The patients' pages: booking, moving and cancelling as a browser without scripts does it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    CancelReason,
    Hold,
    Location,
    Notification,
    Origin,
    Patient,
    PatientAccess,
    PractitionerVisitType,
    Relation,
    Status,
    VisitType,
)
from clinic_portal.patient.days import window_of
from clinic_portal.patient.reading import write_instant
from tests.bookings import book, cancel, open_clinic
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, add_patient, add_session, at

# To the patient, to the practitioner, and the reminder a day before.
MESSAGES = 3
TIMES = "/book/times?patient={patient}&visit_type={type}&place=any&needs=none"


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


@pytest.fixture
def bob(app: Flask, world: World) -> Visitor:
    return Visitor(app, "bob")


def times_url(world: World, patient_id: int | None = None, visit_type_id: int | None = None) -> str:
    patient = db.session().get_one(Patient, patient_id or world.alice_id)
    visit_type = db.session().get_one(VisitType, visit_type_id or world.check_up_id)
    return TIMES.format(patient=patient.public_id, type=visit_type.public_id)


def visits() -> list[Appointment]:
    """All visits as they are in the database now."""
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Appointment).order_by(Appointment.id)))


def hold_of(visitor: Visitor, world: World, starts_at: datetime, patient_id: int | None = None) -> TestResponse:
    """Choose a time; the answer sends on to the check page."""
    page = visitor.get(times_url(world, patient_id))
    return visitor.submit(page, start=write_instant(starts_at))


def starts_on(page: TestResponse) -> list[str]:
    return [start for form in forms_of(page) for start in form.choices.get("start", [])]


# Booking


def test_a_patient_books_from_the_first_page_to_the_confirmation(alice: Visitor, world: World) -> None:
    open_clinic(world)
    page = alice.follow(alice.get("/book/who", 303))
    check_up = forms_of(page)[0].choices["visit_type"][0]
    page = alice.follow(alice.submit(page, visit_type=check_up))
    assert "Do you need any help" in words_of(page)
    page = alice.follow(alice.submit(page, needs="none"))
    assert "Check-up, 30 minutes, at any of our places" in words_of(page)
    page = alice.follow(alice.submit(page, start=write_instant(at(9, day=1))))
    assert "We are keeping this time for you until 8:10am" in words_of(page)
    page = alice.follow(alice.submit(page))
    says = words_of(page)
    assert "Appointment booked" in says
    assert "Tuesday 3 March, 9am" in says
    assert "Arrive by 8:55am" in says
    assert "Dr Chen" in says
    (visit,) = visits()
    assert (visit.status, visit.starts_at, visit.origin) == (Status.BOOKED, at(9, day=1), Origin.PATIENT_ONLINE)
    assert db.session().scalar(select(func.count(Notification.id))) == MESSAGES


def test_no_page_names_a_doctor_before_the_visit_is_booked(alice: Visitor, world: World) -> None:
    open_clinic(world)
    pages = [alice.get("/book/visit-type"), alice.get(times_url(world))]
    pages.append(alice.follow(hold_of(alice, world, at(9, day=1))))
    assert not any(name in page.text for page in pages for name in ("Chen", "Diaz", "Dr "))


def test_the_same_form_sent_twice_makes_one_visit_and_leads_to_the_same_page(alice: Visitor, world: World) -> None:
    open_clinic(world)
    page = alice.follow(hold_of(alice, world, at(9, day=1)))
    first, second = alice.submit(page), alice.submit(page)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(visits()) == 1
    assert db.session().scalar(select(func.count(Notification.id))) == MESSAGES


def test_going_back_to_the_check_page_after_booking_shows_the_visit(alice: Visitor, world: World) -> None:
    open_clinic(world)
    page = alice.follow(hold_of(alice, world, at(9, day=1)))
    booked = alice.submit(page).headers["Location"]
    assert alice.get(page.request.path, 303).headers["Location"] == booked


def test_an_own_hold_does_not_hide_the_time_and_others_do_not_see_it(
    alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    hold_of(alice, world, at(9, day=1))
    assert write_instant(at(9, day=1)) in starts_on(alice.get(times_url(world)))
    assert write_instant(at(9, day=1)) not in starts_on(bob.get(times_url(world, world.bob_id)))


def test_who_loses_the_race_gets_409_with_alternatives_and_goes_on_with_the_answers_kept(
    alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    open_clinic(world, day=2)
    page = alice.get(times_url(world))
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    lost = alice.submit(page, 409, start=write_instant(at(9, day=1)))
    says = words_of(lost)
    assert "Someone else has just taken that time" in says
    assert "Same day" in says
    assert "Same time, another day Wednesday 4 March, 9am" in says
    near = forms_of(lost)[0]
    assert near.choices["start"] == [write_instant(at(9, 30, day=1)), write_instant(at(9, 45, day=1)),
                                     write_instant(at(9, day=2))]  # fmt: skip
    check = alice.follow(alice.submit(lost, start=near.choices["start"][0]))
    alice.submit(check)
    assert [visit.starts_at for visit in visits()] == [at(9, day=1), at(9, 30, day=1)]


def test_who_comes_after_a_time_is_known_to_be_gone_is_told_without_waiting_for_a_turn_to_write(
    alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    wanted = write_instant(at(9, day=1))
    page = alice.get(times_url(world))
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    first = alice.submit(page, 409, start=wanted)
    with Path(f"{db.engine.url.database}.lock").open("a") as turn:
        flock(turn, LOCK_EX)
        second = alice.submit(page, 409, start=wanted)
    assert words_of(first) == words_of(second)
    # What stands in the way is said all the same.
    own = book(world, at(10, day=1))
    db.session.rollback()
    assert own.public_id in alice.submit(page, 409, start=write_instant(at(10, day=1))).text


def test_an_expired_hold_books_all_the_same_while_its_time_is_free(alice: Visitor, world: World) -> None:
    open_clinic(world)
    page = alice.follow(hold_of(alice, world, at(9, day=1)))
    with clock.clock_at(NOW + timedelta(minutes=11)):
        late = alice.get(page.request.path)
        assert "We are no longer keeping this time" in words_of(late)
        alice.submit(late)
    assert [visit.starts_at for visit in visits()] == [at(9, day=1)]


def test_an_expired_hold_whose_time_was_taken_ends_on_the_page_with_other_times(
    alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    page = alice.follow(hold_of(alice, world, at(9, day=1)))
    with clock.clock_at(NOW + timedelta(minutes=11)):
        book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
        lost = alice.submit(page, 409)
    assert "Someone else has just taken that time" in words_of(lost)
    assert starts_on(lost)
    assert [visit.patient_id for visit in visits()] == [world.bob_id]


def test_a_time_that_overlaps_an_own_visit_is_refused_and_the_visit_named(alice: Visitor, world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    page = alice.get(times_url(world))
    own = book(world, at(9, day=1))
    refused = alice.submit(page, 409, start=write_instant(at(9, 15, day=1)))
    assert "Tuesday 3 March, 9am" in words_of(refused)
    assert f"/appointments/{own.public_id}" in refused.text
    assert len(visits()) == 1


def test_no_time_chosen_is_said_at_the_top_and_at_the_question(alice: Visitor, world: World) -> None:
    open_clinic(world)
    page = alice.submit(alice.get(times_url(world)), 422)
    assert "<title>Error: " in page.text
    assert 'href="#start"' in page.text
    assert 'id="start-error"' in page.text


@pytest.mark.parametrize(
    ("starts_at", "says"),
    [
        (at(9), "too close"),
        (at(9, day=-1), "too close"),
        (at(9, day=60), "further ahead"),
        (at(9, 1, day=1), "one of the times"),
    ],
)
def test_a_start_that_the_page_would_not_show_is_refused_with_the_reason(
    alice: Visitor, world: World, starts_at: datetime, says: str
) -> None:
    open_clinic(world)
    page = alice.submit(alice.get(times_url(world)), 422, start=write_instant(starts_at))
    assert says in words_of(page)


def test_questions_that_were_not_answered_are_asked_again_with_an_error(alice: Visitor, world: World) -> None:
    open_clinic(world)
    asked = alice.submit(alice.get("/book/visit-type"), 422)
    assert "Error: Choose what you need" in words_of(asked)
    help_url = alice.submit(asked, visit_type=forms_of(asked)[0].choices["visit_type"][0]).headers["Location"]
    assert "Choose what you need, or" in words_of(alice.submit(alice.get(help_url), 422))
    both = alice.submit(alice.get(help_url), 422, needs=["none", "step_free"])
    assert "but not both" in words_of(both)


def test_a_step_opened_too_early_leads_to_the_first_open_question(alice: Visitor, world: World) -> None:
    open_clinic(world)
    assert "/book/visit-type" in alice.get("/book/times", 303).headers["Location"]
    assert "/book/visit-type" in alice.get("/book/help", 303).headers["Location"]


def test_only_visit_types_that_somebody_does_are_offered(alice: Visitor, world: World) -> None:
    @writing
    def change(session: Session) -> None:
        session.add(VisitType(name="Acupuncture", start_step_min=15))
        session.execute(
            update(PractitionerVisitType)
            .where(PractitionerVisitType.visit_type_id == world.vaccine_id)
            .values(is_active=False)
        )

    change()
    says = words_of(alice.get("/book/visit-type"))
    assert "Check-up" in says
    assert "Acupuncture" not in says
    assert "Vaccine" not in says


def test_the_place_is_asked_only_when_there_are_several(alice: Visitor, world: World) -> None:
    open_clinic(world)
    asked = alice.get("/book/visit-type")
    check_up = forms_of(asked)[0].choices["visit_type"][0]
    assert "/book/help" in alice.submit(asked, visit_type=check_up).headers["Location"]
    add_session(world.chen_id, at(13, day=1), at(15, day=1), world.second_location_id)
    place = alice.follow(alice.submit(asked, visit_type=check_up))
    assert "12 Harbour Street. Step-free access." in words_of(place)
    mill = db.session().get_one(Location, world.second_location_id).public_id
    help_page = alice.follow(alice.submit(place, place=mill))
    times = alice.follow(alice.submit(help_page, needs="none"))
    assert "Mill Lane" in words_of(times)
    assert starts_on(times)[0] == write_instant(at(13, day=1))


def test_needs_narrow_the_times_and_are_kept_on_the_visit(alice: Visitor, world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(13, day=1), at(15, day=1))
    url = times_url(world).replace("needs=none", "needs=male_clinician")
    page = alice.get(url)
    assert starts_on(page)[0] == write_instant(at(13, day=1))
    check = alice.follow(alice.submit(page, start=write_instant(at(13, day=1))))
    assert "To see a man" in words_of(check)
    alice.submit(check)
    assert visits()[0].practitioner_id == world.diaz_id
    assert visits()[0].wishes["needs"] == ["male_clinician"]


def test_when_nothing_is_free_the_page_says_so_and_whom_to_call(alice: Visitor, world: World) -> None:
    says = words_of(alice.get(times_url(world)))
    assert "There are no times online" in says
    assert "020 7946 0000" in says


def test_a_place_that_cannot_give_what_is_needed_has_no_times_and_no_error(alice: Visitor, world: World) -> None:
    add_session(world.chen_id, at(13, day=1), at(15, day=1), world.second_location_id)
    mill = db.session().get_one(Location, world.second_location_id).public_id
    url = times_url(world).replace("needs=none", "needs=step_free").replace("place=any", f"place={mill}")
    assert "There are no times online" in words_of(alice.get(url))


def test_the_list_starts_with_the_two_weeks_that_have_the_first_free_day(alice: Visitor, world: World) -> None:
    open_clinic(world, day=20)
    says = words_of(alice.get(times_url(world)))
    assert "Days from Monday 16 March" in says
    assert "Sunday 22 March" in says


def test_a_day_is_free_full_or_closed(alice: Visitor, world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=2), at(9, 30, day=2))
    book(world, at(9, day=2), patient_id=world.bob_id, actor=world.bob)
    says = words_of(alice.get(times_url(world)))
    assert "Tuesday 3 March, Free" in says
    assert "Wednesday 4 March, Full" in says
    assert "Closed from Thursday 5 March to Sunday 15 March" in says


def test_shut_days_are_said_in_words(alice: Visitor, world: World) -> None:
    for day in (1, 2, 4, 7, 8):
        open_clinic(world, day=day)
    says = words_of(alice.get(times_url(world)))
    assert "Friday 6 March, Free Closed at the weekend Mon 9 Mar" in says
    assert "Thursday 5 March, Closed" in says
    assert "Closed from Wednesday 11 March to Sunday 15 March" in says


def test_later_and_earlier_dates_are_plain_links_within_what_can_be_booked(alice: Visitor, world: World) -> None:
    for day in (1, 15, 35):
        open_clinic(world, day=day)
    page = alice.get(times_url(world))
    assert "Earlier dates" not in page.text
    page = alice.get(times_url(world) + "&from=2026-03-16")
    assert "Days from Monday 16 March" in words_of(page)
    assert "Earlier dates" in page.text
    last = alice.get(times_url(world) + "&from=2026-04-10")
    assert "Later dates" not in last.text
    far = alice.get(times_url(world) + "&from=2031-01-01&day=2031-01-01")
    assert "Days from Monday 30 March" in words_of(far)


@pytest.mark.parametrize(("day", "first", "days"), [(2, 2, 14), (15, 2, 14), (16, 16, 14), (30, 30, 15), (99, 30, 15)])
def test_days_are_cut_into_windows_without_a_short_rest(day: int, first: int, days: int) -> None:
    low = date(2026, 3, 2)
    window = window_of(low + timedelta(days=day - 2), low, low + timedelta(days=42))
    assert (window.first - low).days + 2 == first
    assert window.days == days


def test_on_a_clock_change_day_the_skipped_hour_is_not_shown_and_a_direct_post_gets_a_clear_error(
    alice: Visitor, world: World
) -> None:
    # 00:00 to 04:00 on the wall on 29 March: three hours long, without the hour from 1am.
    add_session(world.chen_id, datetime(2026, 3, 29, 0, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC))
    page = alice.get(times_url(world) + "&day=2026-03-29")
    says = words_of(page)
    assert "12:30am" in says
    assert "2am" in says
    assert "1:30am" not in says
    refused = alice.submit(page, 422, start="2026-03-29T01:30")
    assert "Choose one of the times on the page." in words_of(refused)
    check = alice.follow(alice.submit(page, start="20260329T0100Z"))
    assert "Sunday 29 March, 2am" in words_of(check)


def test_the_page_names_the_clock_for_readers_elsewhere(alice: Visitor, world: World) -> None:
    open_clinic(world)
    assert 'data-zone="Europe/London" hidden>Times are London time.' in alice.get(times_url(world)).text


def test_htmx_gets_the_part_and_everybody_else_the_page(alice: Visitor, world: World) -> None:
    open_clinic(world)
    whole = alice.get(times_url(world))
    part = alice.get(times_url(world), HX_Request="true")
    back = alice.get(times_url(world), HX_Request="true", HX_History_Restore_Request="true")
    assert whole.text.lstrip().startswith("<!DOCTYPE html>")
    assert part.text.lstrip().startswith('<div id="times">')
    assert back.text.lstrip().startswith("<!DOCTYPE html>")
    assert all("HX-Request" in answer.headers["Vary"] for answer in (whole, part, back))


def test_htmx_is_sent_to_a_whole_page_when_there_is_no_part(alice: Visitor, world: World) -> None:
    url = times_url(world)
    assert alice.get(url, HX_Request="true").headers["HX-Redirect"] == url
    assert alice.get(url + "&day=nonsense", 422, HX_Request="true").headers["HX-Redirect"] == url + "&day=nonsense"


# People who act for others


@writing
def grant(session: Session, account_id: int, patient_id: int, **more: object) -> None:
    right = {"relation": Relation.PARENT, "starts_on": date(2020, 1, 1), **more}
    session.add(PatientAccess(account_id=account_id, patient_id=patient_id, **right))


@writing
def add_child(session: Session) -> int:
    return add_patient(session, "Cleo", "Archer", email=False).id


@writing
def make_private(session: Session, appointment_id: int) -> None:
    session.get_one(Appointment, appointment_id).is_private = True


def test_a_mother_books_for_her_child_and_both_are_recorded(alice: Visitor, world: World) -> None:
    open_clinic(world)
    child_id = add_child()
    grant(world.accounts["alice"], child_id)
    who = alice.get("/book/who")
    assert "Me, Alice Archer" in words_of(who)
    child = db.session().get_one(Patient, child_id).public_id
    alice.follow(alice.submit(who, patient=child))
    check = alice.follow(hold_of(alice, world, at(9, day=1), child_id))
    assert "For Cleo Archer" in words_of(check)
    alice.submit(check)
    (visit,) = visits()
    assert (visit.patient_id, visit.booked_by_account_id, visit.origin) == (
        child_id, world.accounts["alice"], Origin.PROXY_ONLINE,
    )  # fmt: skip
    assert "for Cleo" in words_of(alice.get("/appointments"))


def test_a_private_visit_does_not_exist_for_a_parent_and_does_for_the_patient(
    app: Flask, alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    grant(world.accounts["bob"], world.alice_id)
    assert "for Alice" in words_of(bob.get("/appointments"))
    make_private(visit.id)
    assert "for Alice" not in words_of(bob.get("/appointments"))
    for page in ("", "/booked", "/move", "/cancel", "/calendar.ics"):
        bob.get(f"/appointments/{visit.public_id}{page}", 404)
    alice.get(f"/appointments/{visit.public_id}")


def test_a_private_visit_that_is_in_the_way_is_not_named_to_a_parent(
    alice: Visitor, bob: Visitor, world: World
) -> None:
    open_clinic(world)
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    grant(world.accounts["bob"], world.alice_id)
    page = bob.get(times_url(world))
    visit = book(world, at(9, day=1))
    make_private(visit.id)
    refused = bob.submit(page, 409, start=write_instant(at(9, 15, day=1)))
    assert "Someone else has just taken that time" in words_of(refused)
    assert "another appointment" not in words_of(refused)
    assert visit.public_id not in refused.text


@pytest.mark.parametrize(
    "right",
    [
        {"starts_on": date(2026, 3, 3)},
        {"ends_on": date(2026, 3, 2)},
        {"revoked_at": NOW - timedelta(minutes=1)},
    ],
)
def test_a_right_that_has_not_begun_or_has_ended_opens_nothing(
    bob: Visitor, world: World, right: dict[str, object]
) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    grant(world.accounts["bob"], world.alice_id, **right)
    bob.get(f"/appointments/{visit.public_id}", 404)
    bob.get(times_url(world), 404)


def test_an_account_that_acts_for_nobody_is_told_so(app: Flask, world: World) -> None:
    mallory = Visitor(app, "mallory")
    for path in ("/appointments", "/book/who", "/book/visit-type"):
        assert "This page is not for you" in words_of(mallory.get(path, 403))


# Moving


def test_a_visit_is_moved_and_the_old_time_kept_until_then(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    assert "You keep Tuesday 3 March, 9am until you confirm the new time" in words_of(page)
    assert write_instant(at(9, day=1)) not in starts_on(page)
    check = alice.follow(alice.submit(page, start=write_instant(at(11, day=1))))
    assert visits()[0].starts_at == at(9, day=1)
    done = alice.follow(alice.submit(check))
    assert "Appointment moved" in words_of(done)
    alice.submit(check)
    (moved,) = visits()
    assert (moved.starts_at, moved.sequence) == (at(11, day=1), 1)


def test_a_move_that_loses_the_race_leaves_the_old_time(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    book(world, at(11, day=1), patient_id=world.bob_id, actor=world.bob)
    lost = alice.submit(page, 409, start=write_instant(at(11, day=1)))
    assert "Someone else has just taken that time" in words_of(lost)
    assert f'action="/appointments/{visit.public_id}/move?day=2026-03-03"' in lost.text
    assert visits()[0].starts_at == at(9, day=1)


def test_moving_to_the_time_one_has_is_refused_with_words(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    refused = alice.submit(page, 422, start=write_instant(at(9, day=1)))
    assert "This is the time you have" in words_of(refused)


def test_after_the_cut_off_a_visit_cannot_be_moved_but_still_be_cancelled(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    with clock.clock_at(at(7, 30, day=1)):
        page = alice.get(f"/appointments/{visit.public_id}")
        assert "It is too late to change the time here" in words_of(page)
        assert "too late" in words_of(alice.get(f"/appointments/{visit.public_id}/move", 409))
        alice.submit(alice.get(f"/appointments/{visit.public_id}/cancel"))
    assert visits()[0].status == Status.CANCELLED
    assert visits()[0].is_late_cancel


# Cancelling


def test_a_visit_is_cancelled_by_a_form_and_only_by_a_form(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/cancel")
    assert visits()[0].status == Status.BOOKED
    first = alice.submit(page, reason="feel_better")
    again = alice.submit(page, reason="feel_better")
    assert first.headers["Location"] == again.headers["Location"]
    assert "Appointment cancelled" in words_of(alice.follow(first))
    (cancelled,) = visits()
    assert (cancelled.status, cancelled.cancel_reason) == (Status.CANCELLED, CancelReason.FEEL_BETTER)
    assert write_instant(at(9, day=1)) in starts_on(alice.get(times_url(world)))


def test_pages_of_a_cancelled_visit_say_how_it_stands(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    path = f"/appointments/{visit.public_id}"
    assert alice.get(f"{path}/cancelled", 303).headers["Location"] == path
    cancel(world, visit)
    for page in ("booked", "moved", "cancel"):
        assert alice.get(f"{path}/{page}", 303).headers["Location"] == path
    assert "Cancelled" in words_of(alice.get(path))
    alice.get(f"{path}/move", 409)
    alice.post(f"{path}/cancel", 409, token="another-token-of-a-form")


def test_a_late_cancel_is_welcome_and_said_to_be_late(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/cancel")
    assert "less than 24 hours away" not in words_of(page)
    with clock.clock_at(at(10)):
        page = alice.get(f"/appointments/{visit.public_id}/cancel")
    assert "less than 24 hours away" in words_of(page)


@pytest.mark.parametrize("fields", [{"reason": "clinic_closed"}, {"reason": "left_without_being_seen"}])
def test_a_reason_that_is_no_patients_is_refused(alice: Visitor, world: World, fields: dict[str, str]) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/cancel")
    assert "Choose one of the reasons" in words_of(alice.submit(page, 422, **fields))
    assert visits()[0].status == Status.BOOKED


def test_a_visit_that_has_started_is_not_cancelled_here(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/cancel")
    with clock.clock_at(at(9, 1, day=1)):
        alice.submit(page, 409)
    assert visits()[0].status == Status.BOOKED


# Seeing


def test_the_list_has_the_next_visit_first_then_later_then_past(alice: Visitor, world: World) -> None:
    open_clinic(world)
    open_clinic(world, day=2)
    cancel(world, book(world, at(11, day=1)))
    book(world, at(9, day=2))
    book(world, at(9, day=1))
    says = words_of(alice.get("/appointments"))
    order = ["Your next appointment", "Tuesday 3 March, 9am", "Later", "Wednesday 4 March, 9am", "Past and cancelled",
             "Tuesday 3 March, 11am"]  # fmt: skip
    assert [says.index(part) for part in order] == sorted(says.index(part) for part in order)


def test_a_page_without_visits_says_so(alice: Visitor, world: World) -> None:
    assert "You have no appointments ahead" in words_of(alice.get("/appointments"))


def test_the_calendar_file_is_a_download_with_the_visits_own_id(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    answer = alice.get(f"/appointments/{visit.public_id}/calendar.ics")
    assert answer.mimetype == "text/calendar"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert visit.public_id in answer.text


def test_who_has_no_address_is_asked_to_note_the_visit_down(alice: Visitor, world: World) -> None:
    open_clinic(world)
    child_id = add_child()
    grant(world.accounts["alice"], child_id)
    done = alice.follow(alice.submit(alice.follow(hold_of(alice, world, at(9, day=1), child_id))))
    assert "please note this down" in words_of(done)


# Wrong input


def test_what_is_somebody_elses_is_not_found(bob: Visitor, alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    check = alice.follow(hold_of(alice, world, at(10, day=1))).request.path
    for page in ("", "/booked", "/moved", "/move", "/cancel", "/cancelled", "/calendar.ics"):
        bob.get(f"/appointments/{visit.public_id}{page}", 404)
    bob.post(f"/appointments/{visit.public_id}/cancel", 404, token="0123456789abcdef")
    bob.post(f"/appointments/{visit.public_id}/move", 404, start="20260303T1000Z")
    bob.get(check, 404)
    bob.post(check, 404)
    bob.get(times_url(world), 404)
    assert visits()[0].status == Status.BOOKED


def test_opening_pages_changes_nothing(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    check = alice.follow(hold_of(alice, world, at(10, day=1))).request.path
    before = _every_row()
    for path in ("/", "/book/who", "/book/visit-type", times_url(world), check, "/appointments", "/start", "/login"):
        alice.open(path)
        alice.open(path, "HEAD")
    for page in ("", "/booked", "/moved", "/move", "/cancel", "/cancelled", "/calendar.ics"):
        alice.open(f"/appointments/{visit.public_id}{page}")
    assert _every_row() == before


def _every_row() -> dict[str, list[tuple[object, ...]]]:
    db.session().rollback()
    return {
        table.name: [tuple(row) for row in db.session().execute(select(table).order_by(*table.primary_key))]
        for table in db.metadata.sorted_tables
    }


def test_a_hold_of_a_patient_one_may_no_longer_act_for_is_closed_to_one(alice: Visitor, world: World) -> None:
    open_clinic(world)
    check = alice.follow(hold_of(alice, world, at(10, day=1))).request.path

    @writing
    def revoke(session: Session) -> None:
        session.execute(update(PatientAccess).values(revoked_at=NOW))

    revoke()
    alice.get(check, 404)
    assert db.session().scalar(select(func.count(Hold.id))) == 1
