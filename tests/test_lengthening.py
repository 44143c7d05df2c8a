"""A need told after booking makes a visit longer where it is, or is work for the desk; never both, nor twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.doctor.news import changes_for
from clinic_portal.models import (
    Appointment,
    Audience,
    AuditEntry,
    Mode,
    Need,
    Offer,
    PatientAccess,
    Practitioner,
    PractitionerVisitType,
    Recipient,
    Relation,
    Task,
    TaskKind,
)
from clinic_portal.notifications import letters, messages
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling import booking, earlier, holds
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from clinic_portal.todo import finish_task
from tests.asking import drain
from tests.bookings import book, cancel, messages_of, move, open_clinic, told
from tests.invariants import check_invariants
from tests.test_mail_links import last_mail, path_in
from tests.test_modes import PHONE, offer
from tests.test_patient_pages import times_url
from tests.visitor import Visitor, words_of
from tests.world import World, add_session, at

MORE_TIME: dict[Need, str | None] = {Need.LONGER_VISIT: None}
NINE, TEN = at(9, day=1), at(10, day=1)
MINUTE = timedelta(minutes=1)


def say(world: World, needs: dict[Need, str | None] | None = None, actor: Actor | None = None) -> list[bool]:
    """Change what Alice needs; for each visit for which it matters whether it takes longer now."""
    fits = change_needs(
        actor=actor or world.alice, patient_id=world.alice_id, needs=MORE_TIME if needs is None else needs
    )
    return [fit.is_longer for fit in fits]


def fresh(visit: Appointment) -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    return db.session().get_one(Appointment, visit.id)


def asked(visit: Appointment) -> list[tuple[list[str], str | None]]:
    """What the desk was asked about a visit, with what came of it, oldest first."""
    db.session().rollback()
    found = select(Task).filter_by(kind=TaskKind.NEEDS_CHANGED, appointment_id=visit.id).order_by(Task.id)
    return [(task.facts["unmet"], task.outcome) for task in db.session().scalars(found)]


@writing
def do(session: Session, what: Callable[[Session], object]) -> None:
    what(session)


def test_a_visit_takes_longer_where_what_follows_is_free_and_all_are_told_once(any_world: World) -> None:
    open_clinic(any_world)
    visit = book(any_world, NINE)
    assert say(any_world) == [True]
    longer = fresh(visit)
    assert (longer.starts_at, longer.ends_at, longer.blocked_until) == (NINE, NINE + 40 * MINUTE, NINE + 40 * MINUTE)
    assert (longer.extra_minutes, longer.version, longer.sequence) == (10, 2, 1)
    assert asked(visit) == []
    assert told(visit.id)[-2:] == [("lengthened", "patient", "due"), ("lengthened", "practitioner", "due")]
    # The same again changes nothing, and neither does taking the need back.
    assert say(any_world) == []
    assert say(any_world, {}) == []
    assert say(any_world) == []
    assert (fresh(visit).sequence, len(told(visit.id))) == (1, 4)
    actions = db.session().scalars(select(AuditEntry.action).filter_by(subject_type="appointments"))
    assert list(actions) == ["reserve", "lengthen"]
    # Both needs together ask for ten minutes more.
    assert say(any_world, {**MORE_TIME, Need.INTERPRETER: "Polish"}) == [True]
    assert fresh(visit).ends_at == NINE + 50 * MINUTE
    check_invariants(db.session())


def nobody_works(world: World) -> None:
    add_session(world.chen_id, NINE, NINE + 30 * MINUTE)


def somebody_is_booked(world: World) -> None:
    open_clinic(world)
    book(world, NINE + 30 * MINUTE, patient_id=world.bob_id, actor=world.bob)


def somebody_checks_their_answers(world: World) -> None:
    open_clinic(world)
    holds.hold_slot(
        actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=NINE + 30 * MINUTE
    )  # fmt: skip


def only_staff_may_book(world: World) -> None:
    nobody_works(world)
    add_session(world.chen_id, NINE + 30 * MINUTE, TEN, audience=Audience.STAFF)


def it_is_not_released(world: World) -> None:
    nobody_works(world)
    add_session(world.chen_id, NINE + 30 * MINUTE, TEN, bookable_from=at(20))


def she_is_elsewhere(world: World) -> None:
    open_clinic(world)
    add_session(world.diaz_id, NINE + 30 * MINUTE, NINE + 40 * MINUTE)
    # Dr Chen comes first by her number, so let Bob have her for a moment.
    visit = book(world, NINE + 30 * MINUTE, visit_type_id=world.vaccine_id, patient_id=world.bob_id, actor=world.bob)
    book(world, NINE + 30 * MINUTE, visit_type_id=world.vaccine_id)
    cancel(world, visit)


@pytest.mark.parametrize(
    "why",
    [nobody_works, somebody_is_booked, somebody_checks_their_answers, only_staff_may_book, it_is_not_released,
     she_is_elsewhere],
)  # fmt: skip
def test_where_what_follows_cannot_be_booked_the_desk_looks(world: World, why: Callable[[World], None]) -> None:
    why(world)
    visit = book(world, NINE)
    assert False in say(world)
    assert (fresh(visit).ends_at, fresh(visit).sequence) == (NINE + 30 * MINUTE, 0)
    assert asked(visit) == [(["too_short"], None)]
    check_invariants(db.session())


def test_a_hold_that_nobody_cleared_keeps_nothing_from_a_longer_visit_and_buffers_go_along(world: World) -> None:
    def tidy_up_after(session: Session) -> None:
        for skill in session.scalars(select(PractitionerVisitType).filter_by(practitioner_id=world.chen_id)):
            skill.buffer_after_min = 5

    do(tidy_up_after)
    open_clinic(world)
    visit = book(world, NINE)
    holds.hold_slot(actor=world.bob, search=Search(world.check_up_id, world.bob_id), starts_at=NINE + 45 * MINUTE)
    with clock.clock_at(at(8, 30)):
        assert say(world, {**MORE_TIME, Need.SIGN_LANGUAGE: None}) == [True]
        assert (fresh(visit).ends_at, fresh(visit).blocked_until) == (NINE + 50 * MINUTE, NINE + 55 * MINUTE)
        check_invariants(db.session())


def test_a_visit_by_phone_takes_longer_too_and_keeps_the_stretch_that_was_told(world: World) -> None:
    add_session(world.chen_id, NINE, NINE + 30 * MINUTE)
    offer(world.check_up_id, shown_window_min=120)
    # Her next hours are for calls only, which is what it is.
    add_session(world.chen_id, NINE + 30 * MINUTE, TEN, modes=PHONE)
    search = Search(world.check_up_id, world.alice_id, mode=Mode.PHONE)
    visit = booking.reserve_slot(
        actor=world.alice, search=search, starts_at=NINE, token="phone", call_number="07700 900362"
    )
    assert visit.shown_window_min == 120
    assert say(world) == [True]
    assert (fresh(visit).ends_at, fresh(visit).shown_window_min) == (NINE + 40 * MINUTE, 120)


def test_what_was_kept_or_offered_for_a_move_is_too_short_then_and_earlier_times_are_looked_for_anew(
    world: World,
) -> None:
    open_clinic(world, day=5)
    visit = book(world, at(10, day=5))
    add_session(world.chen_id, at(9, day=4), at(9, 30, day=4))
    earlier.ask_for_earlier(actor=world.alice, appointment_id=visit.id, wishes=Wishes(is_ask_first=True))
    drain()
    [offered] = db.session().scalars(select(Offer))
    assert say(world) == [True]
    db.session().refresh(offered)
    assert offered.state == "withdrawn"
    drain()
    assert db.session().scalars(select(Offer).filter_by(state="open")).all() == [], "half an hour is too short now"
    add_session(world.chen_id, at(9, 30, day=4), at(10, day=4))
    drain()
    [offered] = db.session().scalars(select(Offer).filter_by(state="open"))
    assert offered.hold.ends_at - offered.hold.starts_at == 40 * MINUTE
    check_invariants(db.session())


def test_the_desk_is_asked_once_and_what_it_leaves_stays_until_more_is_missing(world: World) -> None:
    somebody_is_booked(world)
    visit = book(world, NINE)
    assert say(world) == [False]
    assert say(world, {**MORE_TIME, Need.HEARING: None}) == [False]
    assert asked(visit) == [(["too_short"], None)]
    [task] = db.session().scalars(select(Task).filter_by(kind=TaskKind.NEEDS_CHANGED))
    finish_task(actor=world.erin, task_id=task.id, outcome="stays")
    assert say(world) == []
    # Dr Chen is a woman.
    assert say(world, {**MORE_TIME, Need.MALE_CLINICIAN: None}) == [False]
    assert asked(visit) == [(["too_short"], "stays"), (["too_short", "clinician"], None)]
    assert say(world, {}) == []
    assert asked(visit)[-1] == (["too_short", "clinician"], "not_needed")


def test_a_visit_that_must_move_for_another_reason_is_not_made_longer_first(world: World) -> None:
    open_clinic(world)
    visit = book(world, NINE)
    assert say(world, {**MORE_TIME, Need.MALE_CLINICIAN: None}) == [False]
    assert fresh(visit).extra_minutes == 0
    # Nothing that the desk had to do with it is left once only time is missing.
    assert say(world) == [True]
    assert asked(visit) == [(["too_short", "clinician"], "not_needed")]


def test_an_interpreter_who_was_found_hears_of_the_new_end(world: World) -> None:
    open_clinic(world, day=2)
    visit = book(world, at(9, day=2))
    say(world, {Need.INTERPRETER: "Polish"})
    [task] = db.session().scalars(select(Task).filter_by(kind=TaskKind.INTERPRETER))
    finish_task(actor=world.erin, task_id=task.id, outcome="done")
    assert say(world, {**MORE_TIME, Need.INTERPRETER: "Polish"}) == [True]
    facts = db.session().scalars(select(Task.facts).filter_by(kind=TaskKind.INTERPRETER, appointment_id=visit.id))
    assert [each["what"] for each in facts] == ["book", "tell_new_time"]


def test_the_doctor_sees_what_takes_longer_among_what_has_changed(world: World) -> None:
    open_clinic(world)
    book(world, NINE)
    say(world)
    doctor = db.session().get_one(Practitioner, world.chen_id)
    assert [(change.what, change.starts_at) for change in changes_for(db.session(), doctor)] == [("Takes longer", NINE)]


def test_the_mail_and_the_calendar_tell_the_new_end_in_each_language(world: World) -> None:
    open_clinic(world)
    visit = book(world, NINE)
    say(world)
    rows = [row for row in messages_of(visit.id) if row.event == "lengthened"]
    mails = {row.recipient: messages.compose(letters.read_letter(db.session(), row.id)) for row in rows}
    plain = {who: mail.get_body(("plain",)).get_content() for who, mail in mails.items()}  # type: ignore[union-attr]
    assert "Your appointment begins as before and takes 40 minutes now." in plain[Recipient.PATIENT]
    assert "begins as before and takes 40 minutes now" in plain[Recipient.PRACTITIONER]
    assert "Alice" not in mails[Recipient.PRACTITIONER].as_string()
    for mail in mails.values():
        entry = mail.get_body(("calendar",)) or next(
            part for part in mail.walk() if part.get_content_type() == "text/calendar"
        )
        assert "DTEND:20260303T094000Z" in entry.get_content()
        assert "SEQUENCE:1" in entry.get_content()
    assert mails[Recipient.PATIENT]["Subject"] == "Your appointment on Tuesday 3 March 2026, 9am takes longer"


def test_the_link_in_an_older_mail_still_cancels_a_visit_that_takes_longer_but_not_one_that_moved(
    app: Flask, world: World
) -> None:
    open_clinic(world)
    visit = book(world, NINE)
    path = path_in(last_mail(app))
    say(world)
    reader = Visitor(app)
    assert "This appointment has a new time" not in words_of(reader.get(path))
    assert path_in(last_mail(app, subject="Your appointment on Tuesday 3 March 2026, 9am takes longer")) != path
    move(world, visit, TEN)
    assert "This appointment has a new time" in words_of(reader.get(path, 410))


def test_what_becomes_of_a_visit_is_said_after_saving_and_nobody_learns_of_a_private_one(
    app: Flask, world: World
) -> None:
    somebody_is_booked(world)
    book(world, NINE)
    later = book(world, at(11, day=1), visit_type_id=world.vaccine_id)
    alice, public_id = Visitor(app, "alice"), times_url(world).split("patient=")[1].split("&")[0]
    form = {"needs": ["longer_visit"], "language": "", "other": ""}
    saved = alice.follow(alice.submit(alice.get(f"/profile/{public_id}/needs"), **form))
    minutes = (fresh(later).ends_at - fresh(later).starts_at) // MINUTE  # type: ignore[operator]
    assert "What you need is saved." in words_of(saved)
    assert "We look at the appointment on Tuesday 3 March, 9am, and call you if it has to change." in words_of(saved)
    assert f"The appointment on Tuesday 3 March, 11am takes {minutes} minutes now." in words_of(saved)
    assert saved.text.count('id="flash-title-') == 2, "what is done, and what is important"
    assert "takes" not in words_of(alice.get("/profile")), "it is said once"

    def hide(session: Session) -> None:
        session.get_one(Appointment, later.id).is_private = True
        session.add(PatientAccess(account_id=world.accounts["bob"], patient_id=world.alice_id,
                                  relation=Relation.PARENT, starts_on=date(2020, 1, 1)))  # fmt: skip

    do(hide)
    bob = Visitor(app, "bob")
    form |= {"needs": ["longer_visit", "sign_language"]}
    saved = bob.follow(bob.submit(bob.get(f"/profile/{public_id}/needs"), **form))
    assert "We look at the appointment on Tuesday 3 March, 9am" in words_of(saved)
    assert "11am" not in words_of(saved)
    assert fresh(later).sequence == 2
    erin = Visitor(app, "erin")
    page = erin.get(f"/backoffice/patient-needs/?id={public_id}")
    saved = erin.follow(erin.submit(page, 303, index=0, **form))
    assert "The needs are saved. The appointment on Tuesday 3 March, 9am does not meet them: see To do." in (
        words_of(saved)
    )


def test_needs_told_while_booking_are_told_of_the_other_visits_too(app: Flask, world: World) -> None:
    open_clinic(world, day=3)
    book(world, at(9, day=3))
    alice = Visitor(app, "alice")
    page = alice.get(times_url(world).replace("/book/times", "/book/help").replace("&needs=none", ""))
    answer = alice.follow(alice.submit(page, needs=["longer_visit"], language="", other=""))
    assert "The appointment on Thursday 5 March, 9am takes 40 minutes now." in words_of(answer)


def test_who_acts_for_a_patient_and_the_desk_are_named_in_the_log(world: World) -> None:
    open_clinic(world)
    book(world, NINE)
    say(world, actor=Actor(ActorKind.PROXY, world.accounts["bob"]))
    entry = db.session().scalars(select(AuditEntry).filter_by(action="lengthen")).one()
    assert (entry.actor_kind, entry.actor_account_id) == (ActorKind.PROXY, world.accounts["bob"])
