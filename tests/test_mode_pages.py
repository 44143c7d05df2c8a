"""How would you like your appointment? Asked where there is a choice; places, numbers and links as the answer needs."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import (
    ContactKind,
    ContactPoint,
    Hold,
    Location,
    Mode,
    Modes,
    Patient,
    Relation,
    VisitType,
)
from clinic_portal.patient.reading import write_instant
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from tests.test_modes import IN_PERSON, NUMBER, PHONE, VIDEO, by, offer, reserve
from tests.test_patient_pages import starts_on, visits
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, add_patient, add_session, at


@pytest.fixture
def clinic(world: World) -> World:
    """Check-ups in every way, at two places, calls to the minute."""
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.second_location_id)
    return world


@pytest.fixture
def alice(app: Flask, clinic: World) -> Visitor:
    return Visitor(app, "alice")


@writing
def add_phone(session: Session, world: World, value: str = NUMBER, **more: object) -> None:
    session.add(ContactPoint(patient_id=world.alice_id, kind=ContactKind.MOBILE, value=value, whose=Relation.SELF,
                             preferred_rank=2, **more))  # fmt: skip


def choose(alice: Visitor, mode: Mode, place: str = "any"):  # type: ignore[no-untyped-def]
    """Go through the questions to the times."""
    page = alice.get("/book/visit-type")
    page = alice.follow(alice.submit(page, visit_type=forms_of(page)[0].choices["visit_type"][0]))
    page = alice.follow(alice.submit(page, mode=mode.value))
    if mode is Mode.IN_PERSON:
        page = alice.follow(alice.submit(page, place=place))
    return alice.follow(alice.submit(page, needs="none"))


def times_of(world: World, mode: Mode) -> str:
    patient = db.session().get_one(Patient, world.alice_id).public_id
    visit_type = db.session().get_one(VisitType, world.check_up_id).public_id
    return f"/book/times?patient={patient}&visit_type={visit_type}&mode={mode.value}&needs=none"


def kept() -> Hold:
    db.session().rollback()
    db.session().expire_all()
    return db.session().scalars(select(Hold).order_by(Hold.id.desc())).first()  # type: ignore[return-value]


# The question


def test_how_is_asked_with_what_each_way_means_and_nothing_chosen(alice: Visitor, clinic: World) -> None:
    page = alice.get("/book/visit-type")
    page = alice.follow(alice.submit(page, visit_type=forms_of(page)[0].choices["visit_type"][0]))
    says = words_of(page)
    assert "How would you like your appointment?" in says
    assert "We call you. You do not have to go anywhere." in says
    form = forms_of(page)[0]
    assert form.choices["mode"] == ["in_person", "phone", "video"]
    assert "mode" not in form.fields
    assert "Error: Choose how you would like your appointment" in words_of(alice.submit(page, 422))


@pytest.mark.parametrize(("modes", "rooms"), [(IN_PERSON, "x"), (PHONE, "x"), (IN_PERSON | VIDEO, "")])
def test_where_there_is_one_way_only_nobody_is_asked(alice: Visitor, clinic: World, modes: Modes, rooms: str) -> None:
    offer(clinic.check_up_id, modes, video_rooms=rooms and "https://video.example/{room}")
    page = alice.get("/book/visit-type")
    sent = alice.submit(page, visit_type=forms_of(page)[0].choices["visit_type"][0])
    assert "/book/how" not in sent.headers["Location"]
    url = sent.headers["Location"].replace("/book/place", "/book/how").replace("/book/help", "/book/how")
    assert "/book/how" not in alice.get(url, 303).headers["Location"]


def test_ways_for_which_nobody_works_are_not_offered(alice: Visitor, clinic: World) -> None:
    offer(clinic.check_up_id, IN_PERSON | PHONE)

    @writing
    def only_in_person(session: Session) -> None:
        session.execute(db.update(db.metadata.tables["sessions"]).values(modes=IN_PERSON))

    only_in_person()
    page = alice.get("/book/visit-type")
    assert (
        "/book/how" not in alice.submit(page, visit_type=forms_of(page)[0].choices["visit_type"][0]).headers["Location"]
    )


def test_a_way_that_is_not_offered_is_refused_with_what_to_do(alice: Visitor, clinic: World) -> None:
    offer(clinic.check_up_id, IN_PERSON)
    refused = alice.get(times_of(clinic, Mode.VIDEO), 409)
    assert "not offered in this way" in words_of(refused)
    assert "020 7946 0000" in words_of(refused)
    for wrong in ("home", "nonsense", "\x00"):
        alice.get(times_of(clinic, Mode.VIDEO).replace("mode=video", f"mode={wrong}"), 404)


@pytest.mark.parametrize("mode", [Mode.PHONE, Mode.VIDEO])
def test_by_phone_and_video_no_place_is_asked_or_told(alice: Visitor, clinic: World, mode: Mode) -> None:
    times = choose(alice, mode)
    assert f"Check-up, by {mode.value}, 30 minutes." in words_of(times)
    assert "place=" not in times.request.full_path
    assert not any(place in words_of(times) for place in ("our places", "Mill Lane", "12 Harbour"))


def test_who_thinks_again_after_a_call_is_asked_for_the_place(alice: Visitor, clinic: World) -> None:
    add_phone(clinic)
    check = alice.follow(alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1))))
    how = alice.follow(alice.submit(check, change="how"))
    asked = alice.follow(alice.submit(how, mode="in_person"))
    assert "Where would you like to go?" in words_of(asked)
    again = alice.follow(alice.submit(asked, place=db.session().get_one(Location, clinic.location_id).public_id))
    says = words_of(again)
    assert "Check your answers" in says
    assert "Where Harbour Street" in says
    assert "Number we will call" not in says
    assert kept().mode is Mode.IN_PERSON


# The number of a call


def test_the_number_that_we_have_is_shown_to_be_checked_and_kept_with_the_visit(alice: Visitor, clinic: World) -> None:
    add_phone(clinic)
    check = alice.follow(alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1))))
    assert f"Number we will call {NUMBER} We will try twice." in words_of(check)
    done = alice.submit(check)
    assert "7700" not in done.headers["Location"]
    says = words_of(alice.follow(done))
    assert f"By phone: we will call {NUMBER}" in says
    assert "Harbour Street, London" not in says
    assert "Arrive by" not in says
    (visit,) = visits()
    assert (visit.mode, visit.call_number) == (Mode.PHONE, NUMBER)
    assert "7700" not in alice.get(f"/appointments/{visit.public_id}/calendar.ics").text


def test_whose_number_we_do_not_have_is_asked_before_anything_is_booked(
    alice: Visitor, clinic: World, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1)))
    asked = alice.follow(alice.get(sent.headers["Location"], 303))
    assert "Which number should we call?" in words_of(asked)
    assert not forms_of(asked)[0].choices
    for typed in ("", "ring me", "12"):
        again = alice.submit(asked, 422, number=typed)
        assert "<title>Error: " in again.text
        assert 'href="#number"' in again.text
        assert f'value="{typed}"' in again.text
    check = alice.follow(alice.submit(asked, number="07700 900 111"))
    assert "07700 900 111" in words_of(check)
    alice.submit(check)
    assert visits()[0].call_number == "07700 900 111"
    assert kept().call_number is None
    assert "900 111" not in "".join(capfd.readouterr())
    points = db.session().scalars(select(ContactPoint.value).where(ContactPoint.patient_id == clinic.alice_id))
    assert "07700 900 111" not in list(points), "it is for this visit only"


def test_another_number_is_chosen_or_typed_and_the_check_page_shows_it(alice: Visitor, clinic: World) -> None:
    add_phone(clinic)
    add_phone(clinic, "020 7946 0123")
    check = alice.follow(alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1))))
    asked = alice.follow(alice.submit(check, change="number"))
    first, second, other = forms_of(asked)[0].choices["which"]
    assert (forms_of(asked)[0].fields["which"], other) == (first, "other")
    check = alice.follow(alice.submit(asked, which=second))
    assert "020 7946 0123" in words_of(check)
    asked = alice.follow(alice.submit(check, change="number"))
    assert forms_of(asked)[0].fields["which"] == second
    assert "Enter a phone number" in words_of(alice.submit(asked, 422, which="other", number="x"))
    assert "Choose which number" in words_of(alice.submit(asked, 422, which="nonsense"))
    check = alice.follow(alice.submit(asked, which="other", number="07700 900 222"))
    alice.submit(check)
    assert visits()[0].call_number == "07700 900 222"


def test_a_number_that_is_no_longer_used_or_failed_is_not_offered(alice: Visitor, clinic: World) -> None:
    add_phone(clinic, "020 7946 0999", ended_at=at(7))
    add_phone(clinic, "020 7946 0998", failed_at=at(7))
    sent = alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1)))
    assert sent.headers["Location"] + "/number" == alice.get(sent.headers["Location"], 303).headers["Location"]


def test_the_page_of_the_number_is_there_for_calls_only(alice: Visitor, clinic: World) -> None:
    alice.submit(choose(alice, Mode.VIDEO), start=write_instant(at(9, day=1)))
    alice.get(f"/check/{kept().public_id}/number", 404)
    alice.post(f"/check/{kept().public_id}/number", 404, number=NUMBER)


def test_a_form_that_was_sent_twice_calls_once(alice: Visitor, clinic: World) -> None:
    add_phone(clinic)
    check = alice.follow(alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1))))
    first, second = alice.submit(check), alice.submit(check)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(visits()) == 1


def test_a_number_typed_before_the_time_was_lost_need_not_be_typed_again(alice: Visitor, clinic: World) -> None:
    sent = alice.submit(choose(alice, Mode.PHONE), start=write_instant(at(9, day=1)))
    check = alice.follow(alice.submit(alice.follow(alice.get(sent.headers["Location"], 303)), number="07700 900 111"))
    with clock.clock_at(at(8, 11)):
        for patient_id in (clinic.bob_id, add_carol()):
            booking.reserve_slot(actor=clinic.erin, search=Search(clinic.check_up_id, patient_id),
                                 starts_at=at(9, day=1), token=f"of {patient_id}")  # fmt: skip
        lost = alice.submit(check, 409)
        again = alice.follow(alice.submit(lost, start=forms_of(lost)[0].choices["start"][0]))
    assert "07700 900 111" in words_of(again)
    assert "900" not in again.request.full_path


@writing
def add_carol(session: Session) -> int:
    return add_patient(session, "Carol", "Cook").id


# A stretch of the day


def test_a_call_is_chosen_and_told_as_a_stretch_of_the_day_everywhere(alice: Visitor, clinic: World) -> None:
    offer(clinic.check_up_id, shown_window_min=120)
    add_phone(clinic)
    times = choose(alice, Mode.PHONE)
    assert starts_on(times) == [write_instant(at(9, day=1)), write_instant(at(10, day=1))]
    assert "10am to 12 midday" in words_of(times)
    check = alice.follow(alice.submit(times, start=write_instant(at(10, day=1))))
    told = "Tuesday 3 March, between 10am and 12 midday"
    assert told in words_of(check)
    assert told in words_of(alice.follow(alice.submit(check)))
    (visit,) = visits()
    assert visit.starts_at == at(10, day=1)
    for path in ("/appointments", f"/appointments/{visit.public_id}", f"/appointments/{visit.public_id}/cancel"):
        assert told in words_of(alice.get(path)), path
    move = alice.get(f"/appointments/{visit.public_id}/move")
    assert f"You keep {told} until you confirm" in words_of(move)
    assert starts_on(move) == [write_instant(at(9, day=1))], "the same stretch is no other time"
    assert "This is the time you have" in words_of(alice.submit(move, 422, start=write_instant(at(11, day=1))))
    calendar = alice.get(f"/appointments/{visit.public_id}/calendar.ics").text
    assert "DTSTART:20260303T100000Z" in calendar
    assert "DTEND:20260303T120000Z" in calendar


def test_the_doctor_and_the_desk_read_the_exact_time_the_number_and_the_link(
    app: Flask, alice: Visitor, clinic: World
) -> None:
    offer(clinic.check_up_id, shown_window_min=120)
    call = reserve(clinic, by(Mode.PHONE, clinic), at(10, 45, day=1), "one", call_number=NUMBER)
    video = reserve(clinic, by(Mode.VIDEO, clinic), at(9, day=1), "two")
    days = [words_of(Visitor(app, who).get("/doctor/?day=2026-03-03")) for who in ("chen", "diaz")]
    assert any("10:45am to 11:15am" in day and NUMBER in day for day in days)
    assert any("video" in day.lower() for day in days)
    desk = Visitor(app, "erin")
    told = words_of(desk.get(f"/backoffice/appointments/details/?id={call.public_id}"))
    assert "10:45am" in told
    assert NUMBER in told
    assert "by phone" in told.lower()
    assert video.join_url
    assert video.join_url in desk.get(f"/backoffice/appointments/details/?id={video.public_id}").text


# The way into a video room


@pytest.mark.parametrize(
    ("hour", "minute", "is_open"), [(8, 44, False), (8, 45, True), (9, 0, True), (9, 29, True), (9, 30, False)]
)
def test_the_way_in_is_on_the_page_shortly_before_the_start_and_until_the_end(
    alice: Visitor, clinic: World, hour: int, minute: int, is_open: bool
) -> None:
    visit = reserve(clinic, by(Mode.VIDEO, clinic), at(9, day=1))
    assert visit.join_url
    with clock.clock_at(at(hour, minute, day=1)):
        page = alice.get(f"/appointments/{visit.public_id}")
    assert page.text.count(visit.join_url) == is_open
    if not is_open and hour < 9:
        assert "The way in is here, on this page, from 15 minutes before the start" in words_of(page)


def test_the_way_in_is_for_the_patient_and_ends_with_a_cancel(app: Flask, alice: Visitor, clinic: World) -> None:
    visit = reserve(clinic, by(Mode.VIDEO, clinic), at(9, day=1))
    assert visit.join_url
    alice.submit(alice.get(f"/appointments/{visit.public_id}/cancel"))
    with clock.clock_at(at(8, 50, day=1)):
        assert visit.join_url not in alice.get(f"/appointments/{visit.public_id}").text
        Visitor(app, "bob").get(f"/appointments/{visit.public_id}", 404)


def test_a_moved_video_visit_keeps_its_room(alice: Visitor, clinic: World) -> None:
    visit = reserve(clinic, by(Mode.VIDEO, clinic), at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    check = alice.follow(alice.submit(page, start=write_instant(at(11, day=1))))
    assert "How By video" in words_of(check)
    alice.submit(check)
    (moved,) = visits()
    assert (moved.starts_at, moved.mode, moved.join_url) == (at(11, day=1), Mode.VIDEO, visit.join_url)


def test_what_one_takes_along_is_told_only_to_who_comes(alice: Visitor, clinic: World) -> None:
    @writing
    def bring(session: Session) -> None:
        visit_type = session.get_one(VisitType, clinic.check_up_id)
        visit_type.how_to_prepare, visit_type.what_to_bring = "Eat as usual.", "Bring your glasses."
        session.get_one(Location, clinic.location_id).parking_note = "Two places in the yard."
        session.get_one(Location, clinic.second_location_id).parking_note = "Two places in the yard."

    bring()
    here = reserve(clinic, by(Mode.IN_PERSON, clinic), at(9, day=1), "one")
    there = reserve(clinic, by(Mode.VIDEO, clinic), at(10, day=1), "two")
    says = words_of(alice.get(f"/appointments/{here.public_id}/booked"))
    assert "How to prepare Eat as usual." in says
    assert "What to bring Bring your glasses." in says
    assert "Parking: Two places in the yard." in says
    remote = words_of(alice.get(f"/appointments/{there.public_id}/booked"))
    assert "Eat as usual." in remote
    assert "glasses" not in remote
    assert "yard" not in remote
