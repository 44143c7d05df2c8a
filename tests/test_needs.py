"""What patients need: where it changes a search, what it asks of the desk, and that it is asked only once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, TooSoon
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    Closure,
    Need,
    NeedSource,
    PatientAccess,
    PatientNeed,
    PractitionerVisitType,
    Relation,
    Task,
    TaskKind,
)
from clinic_portal.notifications import letters, messages
from clinic_portal.patient.reading import write_instant
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.needs import needs_of, notice_for_interpreter
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from clinic_portal.tasks import close_tasks
from tests.asking import ask, drain, fresh, offers
from tests.bookings import book, cancel, messages_of, open_clinic
from tests.test_patient_pages import times_url, visits
from tests.visitor import Visitor, words_of
from tests.world import NOW, ZONE, World, add_session, at

INTERPRETER, LONGER = frozenset({Need.INTERPRETER}), frozenset({Need.LONGER_VISIT})
# Monday at eight and two working days are Wednesday at eight.
FIRST = at(8, day=2)


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def open_wednesday(world: World) -> None:
    add_session(world.chen_id, at(8, day=2), at(9, day=2))


def starts(world: World, needs: frozenset[Need], day: int = 2) -> list[str]:
    on = (NOW + timedelta(days=day)).date()
    found = find_free_times(db.session(), Search(world.check_up_id, world.alice_id, needs=needs), on, 1)
    return [f"{time.starts_at:%H:%M}" for time in found[on]]


def reserve(world: World, needs: frozenset[Need], starts_at: datetime, token: str = "a-token") -> Appointment:
    search = Search(world.check_up_id, world.alice_id, needs=needs)
    return booking.reserve_slot(actor=world.alice, search=search, starts_at=starts_at, token=token)


def move_to(world: World, visit: Appointment, starts_at: datetime, token: str = "move") -> None:
    needs = frozenset(Need(need) for need in visit.wishes["needs"])
    search = Search(visit.visit_type_id, visit.patient_id, needs=needs, moving_id=visit.id)
    booking.move_appointment(
        actor=world.alice, appointment_id=visit.id, search=search, starts_at=starts_at, token=token
    )


def known(world: World) -> dict[Need, str | None]:
    """What the record says that Alice needs, read afresh."""
    db.session().rollback()
    return needs_of(db.session(), world.alice_id)


def minutes_of(visit: Appointment) -> int:
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    return int((visit.ends_at - visit.starts_at).total_seconds()) // 60


@writing
def set_value(session: Session, name: str, value: int) -> None:
    put_setting(session, name, value)


def tasks() -> list[tuple[str, bool]]:
    """What is asked of the desk about interpreters, and whether it is still open; oldest first."""
    db.session().rollback()
    found = db.session().scalars(select(Task).filter_by(kind=TaskKind.INTERPRETER).order_by(Task.id))
    return [(task.facts["what"], task.closed_at is None) for task in found]


@writing
def do_task(session: Session, actor: Actor, visit_id: int) -> None:
    assert close_tasks(session, actor, TaskKind.INTERPRETER, "done", appointment_id=visit_id) == 1


# The search


def test_an_interpreter_makes_the_visit_longer_with_every_clinician(world: World) -> None:
    open_wednesday(world)
    add_session(world.diaz_id, at(8, day=2), at(8, 40, day=2))

    @writing
    def slow_down(session: Session) -> None:
        skill = session.scalars(select(PractitionerVisitType).filter_by(practitioner_id=world.diaz_id)).first()
        assert skill is not None
        skill.duration_min = skill.duration_new_patient_min = 40

    slow_down()
    terms = load_terms(db.session(), Search(world.check_up_id, world.alice_id, needs=INTERPRETER))
    assert {who: doer.visit_cells * 5 for who, doer in terms.doers.items()} == {world.chen_id: 40, world.diaz_id: 50}
    assert starts(world, frozenset()) == ["08:00", "08:15", "08:30"]
    assert starts(world, INTERPRETER) == ["08:00", "08:15", "08:20"]


def test_an_interpreter_of_two_kinds_adds_once_and_more_time_adds_to_it(world: World) -> None:
    both = INTERPRETER | {Need.SIGN_LANGUAGE}
    for needs, extra in ((both, 10), (both | LONGER, 20), (frozenset({Need.HEARING, Need.OTHER}), 0)):
        assert load_terms(db.session(), Search(world.check_up_id, needs=needs)).extra_minutes == extra


def test_the_added_minutes_fill_whole_cells(world: World) -> None:
    set_value("interpreter_extra_min", 12)
    assert load_terms(db.session(), Search(world.check_up_id, needs=INTERPRETER)).extra_minutes == 15


def test_the_visit_keeps_what_was_added_through_hold_and_move_whatever_is_set_later(world: World) -> None:
    open_wednesday(world)
    search = Search(world.check_up_id, world.alice_id, needs=INTERPRETER)
    hold = holds.hold_slot(actor=world.alice, search=search, starts_at=FIRST)
    set_value("interpreter_extra_min", 0)
    visit = booking.reserve_slot(actor=world.alice, search=search, starts_at=FIRST, token="a-token", hold_id=hold.id)
    assert (visit.extra_minutes, minutes_of(visit)) == (10, 40)
    move_to(world, visit, at(8, 15, day=2))
    (moved,) = visits()
    assert (moved.extra_minutes, minutes_of(moved), moved.starts_at) == (10, 40, at(8, 15, day=2))


def test_an_interpreter_needs_two_working_days_and_the_desk_none(world: World) -> None:
    add_session(world.chen_id, at(7, day=2), at(9, day=2))
    assert starts(world, frozenset())[0] == "07:00"
    assert starts(world, INTERPRETER)[0] == "08:00"
    with pytest.raises(TooSoon):
        reserve(world, INTERPRETER, at(7, day=2))
    search = Search(world.check_up_id, world.alice_id, needs=INTERPRETER)
    booking.reserve_slot(actor=world.erin, search=search, starts_at=at(7, day=2), token="by-the-desk")


FRIDAY = datetime(2026, 3, 6, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (FRIDAY, datetime(2026, 3, 10, 10, tzinfo=UTC)),
        # Nothing is arranged on a Saturday: two whole days from Monday on.
        (FRIDAY + timedelta(days=1), datetime(2026, 3, 11, tzinfo=UTC)),
        # Over the clock change on Sunday 29 March the clock on the wall counts.
        (datetime(2026, 3, 27, 10, tzinfo=UTC), datetime(2026, 3, 31, 9, tzinfo=UTC)),
    ],
)
def test_working_days_leave_out_weekends(world: World, now: datetime, until: datetime) -> None:
    assert now + notice_for_interpreter(db.session(), now, 2, ZONE) == until


def test_working_days_leave_out_days_on_which_everything_is_closed(world: World) -> None:
    monday = date(2026, 3, 9)

    @writing
    def close(session: Session) -> None:
        session.add(Closure(location_id=None, first_on=monday, last_on=monday, name="Holiday"))
        # One place that is closed keeps nobody else from working.
        tuesday = monday + timedelta(days=1)
        session.add(Closure(location_id=world.location_id, first_on=tuesday, last_on=tuesday, name="Training"))

    close()
    assert FRIDAY + notice_for_interpreter(db.session(), FRIDAY, 2, ZONE) == FRIDAY + timedelta(days=5)


# The task


def test_a_visit_with_an_interpreter_asks_the_desk_to_book_one_and_others_do_not(world: World) -> None:
    open_wednesday(world)
    visit = reserve(world, INTERPRETER, FIRST)
    # Longer visits need nobody else.
    add_session(world.diaz_id, at(14, day=2), at(16, day=2))
    reserve(world, LONGER, at(14, day=2), "other")
    (task,) = db.session().scalars(select(Task)).all()
    assert (task.appointment_id, task.patient_id, task.facts) == (visit.id, world.alice_id, {"what": "book"})
    assert task.due_at == NOW + timedelta(days=1)


def test_an_interpreter_who_was_found_hears_of_a_new_time_and_of_the_end(world: World) -> None:
    open_wednesday(world)
    visit = reserve(world, INTERPRETER, FIRST)
    move_to(world, visit, at(8, 15, day=2))
    # Nobody was asked yet: one task, about the visit as it is now.
    assert tasks() == [("book", True)]
    do_task(world.erin, visit.id)
    move_to(world, visit, FIRST, "back")
    assert tasks() == [("book", False), ("tell_new_time", True)]
    do_task(world.erin, visit.id)
    cancel(world, visit)
    assert tasks()[-1] == ("call_off", True)


def test_a_cancelled_visit_for_which_nobody_was_found_needs_nobody(world: World) -> None:
    open_wednesday(world)
    cancel(world, reserve(world, INTERPRETER, FIRST))
    assert tasks() == [("book", False)]


def test_a_need_that_is_told_later_reaches_the_visits_that_are_booked(world: World) -> None:
    open_wednesday(world)
    visit = reserve(world, frozenset(), FIRST)
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.INTERPRETER: "Polish"})
    assert tasks() == [("book", True)]
    assert (visit.extra_minutes, minutes_of(visits()[0])) == (10, 40)
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={})
    assert tasks() == [("book", False)]


# What is kept


def unmet(world: World) -> list[tuple[int | None, list[str]]]:
    """The open tasks about visits that do not meet what Alice needs."""
    db.session().rollback()
    open_ones = select(Task).filter_by(kind=TaskKind.NEEDS_CHANGED, patient_id=world.alice_id, closed_at=None)
    return [(task.appointment_id, task.facts["unmet"]) for task in db.session().scalars(open_ones.order_by(Task.id))]


def test_a_visit_that_does_not_meet_a_need_told_later_is_work_for_the_desk_until_it_does(
    app: Flask, alice: Visitor, world: World
) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    # Nothing is free after it.
    book(world, at(9, 30, day=1), patient_id=world.bob_id, actor=world.bob)
    # Dr Chen is a woman and the house has no steps.
    needs: dict[Need, str | None] = {Need.LONGER_VISIT: None, Need.MALE_CLINICIAN: None, Need.STEP_FREE: None}
    assert change_needs(actor=world.alice, patient_id=world.alice_id, needs=needs)
    assert unmet(world) == [(visit.id, ["too_short", "clinician"])]
    assert change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.LONGER_VISIT: None})
    assert unmet(world) == [(visit.id, ["too_short"])]
    erin = Visitor(app, "erin")
    task = db.session().scalars(select(Task).filter_by(kind=TaskKind.NEEDS_CHANGED, closed_at=None)).one()
    page = erin.get(f"/backoffice/todo/details/?id={task.id}")
    assert "It is shorter than the needs ask for." in words_of(page)
    # Whoever moves it gets the time that is needed.
    times = alice.get(f"/appointments/{visit.public_id}/move")
    check = alice.follow(alice.post(times.request.full_path, start=write_instant(at(10, day=1))))
    alice.submit(check)
    db.session().rollback()
    moved = db.session().get_one(Appointment, visit.id)
    assert (moved.starts_at, moved.ends_at) == (at(10, day=1), at(10, day=1) + timedelta(minutes=40)), "30 and 10 more"
    assert unmet(world) == []


def test_nobody_looks_at_a_visit_that_was_cancelled_or_whose_need_has_gone(world: World) -> None:
    open_clinic(world)
    visit, later = book(world, at(9, day=1)), book(world, at(11, day=1), visit_type_id=world.vaccine_id)
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.MALE_CLINICIAN: None})
    assert [visit_id for visit_id, _ in unmet(world)] == [visit.id, later.id]
    cancel(world, visit)
    assert [visit_id for visit_id, _ in unmet(world)] == [later.id]
    assert not change_needs(actor=world.alice, patient_id=world.alice_id, needs={})
    assert unmet(world) == []


def test_what_waits_is_looked_for_with_what_is_needed_now(world: World) -> None:
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    visit = ask(world, is_ask_first=True)
    drain()
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.LONGER_VISIT: None})
    assert [offer.state for offer in offers(visit)] == ["withdrawn"], "half an hour is too short now"
    drain()
    assert fresh(visit).status.value == "waitlist"
    add_session(world.chen_id, at(11, day=3), at(12, day=3))
    drain()
    assert [offer.starts_at for offer in offers(visit)][-1] == at(11, day=3)


def test_needs_are_ended_and_never_deleted(world: World) -> None:
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.INTERPRETER: " Polish ", Need.VISION: None})
    change_needs(actor=world.erin, patient_id=world.alice_id, needs={Need.INTERPRETER: "Arabic"})
    change_needs(actor=world.erin, patient_id=world.alice_id, needs={Need.INTERPRETER: "Arabic"})
    rows = db.session().scalars(select(PatientNeed).order_by(PatientNeed.id)).all()
    assert [(row.kind, row.detail, row.source, row.ended_at is None) for row in rows] == [
        (Need.INTERPRETER, "Polish", NeedSource.PATIENT, False),
        (Need.VISION, None, NeedSource.PATIENT, False),
        (Need.INTERPRETER, "Arabic", NeedSource.STAFF, True),
    ]
    actions = db.session().scalars(select(AuditEntry.action).filter_by(subject_type="patient_needs"))
    assert sorted(actions) == ["add_need", "add_need", "add_need", "end_need", "end_need"]


@pytest.mark.parametrize(
    "needs",
    [
        {Need.INTERPRETER: ""},
        {Need.INTERPRETER: "  3 "},
        {Need.OTHER: None},
        {Need.OTHER: "x" * 121},
        {Need.FEMALE_CLINICIAN: None, Need.MALE_CLINICIAN: None},
    ],
)
def test_what_makes_no_sense_is_refused(world: World, needs: dict[Need, str | None]) -> None:
    with pytest.raises(InvalidRequest):
        change_needs(actor=world.alice, patient_id=world.alice_id, needs=needs)
    assert known(world) == {}


# The pages


def help_url(world: World) -> str:
    return times_url(world).replace("/book/times", "/book/help").replace("&needs=none", "")


def test_the_question_is_asked_once_and_then_only_shown(alice: Visitor, world: World) -> None:
    open_wednesday(world)
    page = alice.get(help_url(world))
    answer = alice.submit(page, needs=["interpreter", "hearing"], language="Polish", other="")
    assert known(world) == {Need.INTERPRETER: "Polish", Need.HEARING: None}
    times = alice.follow(answer)
    assert "8am" in words_of(times)
    again = alice.get(help_url(world))
    assert "You told us before that you need: Your needs An interpreter: Polish Help because of hearing loss" in (
        words_of(again)
    )
    assert alice.submit(again).headers["Location"] == answer.headers["Location"]
    check = alice.follow(alice.submit(times, start=write_instant(FIRST)))
    assert "An interpreter: Polish Help because of hearing loss" in words_of(check)
    booked = alice.follow(alice.submit(check))
    assert "Check-up, 40 minutes" in words_of(booked)
    assert "The appointment is 10 minutes longer." in words_of(booked)
    assert visits()[0].wishes["needs"] == ["hearing", "interpreter"]


def test_change_opens_the_question_with_what_was_said(alice: Visitor, world: World) -> None:
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.OTHER: "A quiet room"})
    page = alice.get(f"{help_url(world)}&change=yes")
    assert 'value="A quiet room"' in page.text
    alice.submit(page, needs="none", other="")
    assert known(world) == {}


def test_needs_are_changed_while_the_answers_are_checked_and_the_time_stays(alice: Visitor, world: World) -> None:
    open_wednesday(world)
    check = alice.follow(alice.submit(alice.get(times_url(world)), start=write_instant(FIRST)))
    question = alice.follow(alice.submit(check, change="help"))
    again = alice.follow(alice.submit(question, needs="vision"))
    assert "Check your answers" in words_of(again)
    assert "Help because of sight loss" in words_of(again)
    known_already = alice.follow(alice.submit(again, change="help"))
    alice.submit(alice.follow(alice.submit(known_already, needs="longer_visit")))
    (visit,) = visits()
    assert (visit.starts_at, visit.wishes["needs"], visit.extra_minutes) == (FIRST, ["longer_visit"], 10)


def test_a_need_for_which_the_time_is_too_soon_asks_for_another_time(alice: Visitor, world: World) -> None:
    open_clinic(world)
    check = alice.follow(alice.submit(alice.get(times_url(world)), start=write_instant(at(9, day=1))))
    question = alice.follow(alice.submit(check, change="help"))
    times = alice.follow(alice.submit(question, needs="interpreter", language="Polish"))
    assert "does not go with this answer. Choose another time." in words_of(times)
    assert known(world) == {Need.INTERPRETER: "Polish"}


def test_what_was_typed_stays_when_something_is_missing(alice: Visitor, world: World) -> None:
    page = alice.submit(alice.get(help_url(world)), 422, needs=["interpreter", "other"], language="", other="Ramp")
    assert "Enter the language" in words_of(page)
    assert 'href="#language"' in page.text
    assert 'value="Ramp"' in page.text
    assert known(world) == {}


def test_what_one_person_needs_is_not_asked_for_another(app: Flask, world: World) -> None:
    @writing
    def let_alice_act(session: Session) -> None:
        session.add(PatientAccess(account_id=world.accounts["alice"], patient_id=world.bob_id,
                                  relation=Relation.CARER, starts_on=date(2020, 1, 1)))  # fmt: skip

    let_alice_act()
    alice = Visitor(app, "alice")
    who = times_url(world).replace("/book/times", "/book/who").replace("needs=none", "needs=vision")
    same, other = (
        times_url(world, patient_id).split("patient=")[1][:16] for patient_id in (world.alice_id, world.bob_id)
    )
    assert "needs=vision" in alice.submit(alice.get(who), patient=same).headers["Location"]
    assert "needs" not in alice.submit(alice.get(who), patient=other).headers["Location"].split("/book/help")[1]


def test_the_profile_shows_and_changes_needs_and_says_who_told(app: Flask, alice: Visitor, world: World) -> None:
    profile = alice.get("/profile")
    assert "Your needs None" in words_of(profile)
    link = profile.text.split("/needs")[0].rpartition('"')[2] + "/needs"
    answer = alice.submit(alice.get(link), needs=["step_free"], language="", other="")
    assert "Your needs Step-free access" in words_of(alice.follow(answer))
    assert "Step-free access" in words_of(alice.submit(alice.get("/profile/export"), 200))
    proxy = Actor(ActorKind.PROXY, world.accounts["bob"])
    change_needs(actor=proxy, patient_id=world.alice_id, needs={Need.VISION: None})
    assert db.session().scalars(select(PatientNeed.source).filter_by(kind=Need.VISION)).one() == NeedSource.PROXY
    Visitor(app, "mallory").get(link, 404)


def test_the_people_at_the_clinic_read_what_is_needed_in_words(app: Flask, world: World) -> None:
    open_wednesday(world)
    visit = reserve(world, INTERPRETER | {Need.FEMALE_CLINICIAN}, FIRST)
    change_needs(
        actor=world.alice, patient_id=world.alice_id, needs={Need.INTERPRETER: "Polish", Need.LARGE_PRINT: None}
    )
    day = words_of(Visitor(app, "chen").get("/doctor/?day=2026-03-04"))
    assert "Interpreter: Polish Large print 10 minutes longer" in day
    assert "female" not in day
    erin = Visitor(app, "erin")
    listed = erin.get("/backoffice/appointments/?from=2026-03-04")
    assert "Interpreter: Polish; A female clinician; Large print; 10 minutes longer" in words_of(listed)
    shown = words_of(erin.get(f"/backoffice/appointments/details/?id={visit.public_id}"))
    assert "Needs Interpreter: Polish A female clinician Large print 10 minutes longer" in shown


def test_the_desk_notes_what_somebody_needs(app: Flask, world: World) -> None:
    erin, public_id = Visitor(app, "erin"), public_id_of(world)
    page = erin.get(f"/backoffice/patient-needs/?id={public_id}")
    wrong = erin.submit(page, 422, index=0, needs=["interpreter"], language="", other="")
    assert "Enter the language" in words_of(wrong)
    answer = erin.submit(page, 303, index=0, needs=["interpreter"], language="Polish", other="")
    assert "Interpreter Polish" in words_of(erin.follow(answer))
    db.session().rollback()
    assert db.session().scalars(select(PatientNeed.source)).one() == NeedSource.STAFF


def public_id_of(world: World, patient_id: int | None = None) -> str:
    return times_url(world, patient_id).split("patient=")[1].split("&")[0]


def test_needs_are_in_no_mail(app: Flask, world: World) -> None:
    open_wednesday(world)
    change_needs(actor=world.alice, patient_id=world.alice_id, needs={Need.INTERPRETER: "Polish"})
    visit = reserve(world, INTERPRETER, FIRST)
    for row in messages_of(visit.id):
        mail = messages.compose(letters.read_letter(db.session(), row.id)).as_string()  # type: ignore[arg-type]
        assert not any(word in mail for word in ("nterpreter", "Polish"))


def test_a_clock_that_goes_on_does_not_shorten_the_notice(world: World) -> None:
    open_wednesday(world)
    with clock.clock_at(NOW + timedelta(minutes=1)):
        assert starts(world, INTERPRETER)[0] == "08:15"
