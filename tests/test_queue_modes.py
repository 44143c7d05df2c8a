"""Requests by phone and video, and what becomes of them: hours, numbers, rooms, the stretch told, and reminders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import ModeNotOffered, NumberMissing
from clinic_portal.models import Appointment, ContinuityWish, Mode, Modes, VisitType
from clinic_portal.scheduling import handling, invitations
from clinic_portal.scheduling.earlier import ask_for_earlier
from clinic_portal.scheduling.offers import accept_offer
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import ask, attempts, change, drain, fresh, offers, open_tasks, starts, status
from tests.bookings import book, reminders_of
from tests.invariants import check_invariants
from tests.test_modes import IN_PERSON, NUMBER, PHONE, ROOMS, VIDEO, by, offer
from tests.test_queue import patients, setting
from tests.test_request_messages import sent
from tests.world import NOW, World, add_session, at


def ask_by(mode: Mode, world: World, **more: Any) -> Appointment:
    return ask(world, search=by(mode, world), call_number=NUMBER if mode is Mode.PHONE else None, **more)


@writing
def offer_only(session: Session, visit_type_id: int, modes: Modes) -> None:
    session.get_one(VisitType, visit_type_id).modes = modes


def hours(world: World, hour: int, modes: Modes, *, practitioner_id: int = 0, day: int = 1, minutes: int = 30) -> None:
    starts_at = at(hour, day=day)
    add_session(practitioner_id or world.chen_id, starts_at, starts_at + timedelta(minutes=minutes), modes=modes)


def test_a_request_gets_time_in_hours_that_are_for_its_mode(any_world: World) -> None:
    offer(any_world.check_up_id)
    for hour, modes in ((9, IN_PERSON), (10, PHONE), (11, VIDEO)):
        hours(any_world, hour, modes)
    [bob, carol] = patients(2)
    call = ask_by(Mode.PHONE, any_world)
    video = ask(any_world, actor=any_world.erin, search=Search(any_world.check_up_id, bob, mode=Mode.VIDEO))
    visit = ask(any_world, carol, any_world.erin)
    drain()
    assert starts(visit, call, video) == [at(9, day=1), at(10, day=1), at(11, day=1)]
    assert [fresh(each).mode for each in (visit, call, video)] == [Mode.IN_PERSON, Mode.PHONE, Mode.VIDEO]
    check_invariants(db.session())


def test_without_hours_for_its_mode_a_request_waits(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 9, IN_PERSON | VIDEO)
    call = ask_by(Mode.PHONE, world)
    drain()
    assert (status(call), attempts(call)) == ("waitlist", [(None, "nothing_fits")])
    hours(world, 12, PHONE)
    drain()
    assert starts(call) == [at(12, day=1)]


def test_the_same_time_in_hours_for_two_modes_is_given_once(any_world: World) -> None:
    """From ten on only calls: for these the doctor's hours reach further, and are the same hours before."""
    offer(any_world.check_up_id)
    hours(any_world, 9, IN_PERSON | PHONE, minutes=60)
    hours(any_world, 10, PHONE, minutes=60)
    visits = []
    for number, id_ in enumerate(patients(6)):
        mode = Mode.IN_PERSON if number % 2 else Mode.PHONE
        search = Search(any_world.check_up_id, id_, mode=mode)
        visits.append(ask(any_world, actor=any_world.erin, search=search, call_number=NUMBER))
    drain()
    calls, others = starts(*visits[::2]), starts(*visits[1::2])
    assert calls == [at(9, day=1), at(10, day=1), at(10, 30, day=1)]
    assert others == [at(9, 30, day=1), None, None]
    check_invariants(db.session())


def test_a_call_keeps_its_number_and_the_stretch_that_is_told(any_world: World) -> None:
    offer(any_world.check_up_id, shown_window_min=120)
    hours(any_world, 9, PHONE)
    call = ask_by(Mode.PHONE, any_world)
    assert fresh(call).call_number == NUMBER
    assert "By phone: we will call" in sent()[-1][1]
    drain()
    assert (fresh(call).call_number, fresh(call).shown_window_min) == (NUMBER, 120)
    assert "between 8am and 10am" in sent()[-1][1]


def test_a_room_is_made_when_a_video_visit_gets_its_time(any_world: World) -> None:
    offer(any_world.check_up_id)
    video = ask_by(Mode.VIDEO, any_world)
    assert fresh(video).join_url is None
    hours(any_world, 9, VIDEO)
    drain()
    before, after = ROOMS.split("{room}")
    url = fresh(video).join_url or ""
    assert url.startswith(before)
    assert url.endswith(after)
    assert len(url) > len(before + after) + 10
    assert fresh(video).shown_window_min == 0


def test_a_call_without_a_number_and_what_is_not_offered_are_refused_at_once(world: World) -> None:
    with pytest.raises(ModeNotOffered):
        ask_by(Mode.PHONE, world)
    offer(world.check_up_id)
    with pytest.raises(NumberMissing):
        ask(world, search=by(Mode.PHONE, world))
    call = ask_by(Mode.PHONE, world)
    with pytest.raises(NumberMissing):
        change(world, call, search=by(Mode.PHONE, world))


def test_a_changed_request_is_of_its_new_mode(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 9, IN_PERSON)
    call = ask_by(Mode.PHONE, world)
    drain()
    assert status(call) == "waitlist"
    change(world, call)
    drain()
    assert (status(call), fresh(call).mode, fresh(call).call_number) == ("booked", Mode.IN_PERSON, None)
    check_invariants(db.session())


def test_what_is_not_offered_any_more_becomes_a_task(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 9, PHONE)
    call = ask_by(Mode.PHONE, world)
    offer_only(world.check_up_id, IN_PERSON)
    drain()
    assert (status(call), fresh(call).not_placed_because) == ("waitlist", "mode_not_offered")
    assert open_tasks(call) == ["cannot_place"]


def test_a_call_that_is_offered_is_told_as_a_stretch_and_becomes_that_call(any_world: World) -> None:
    offer(any_world.check_up_id, shown_window_min=120)
    hours(any_world, 9, PHONE, day=3)
    call = ask_by(Mode.PHONE, any_world, is_ask_first=True)
    drain()
    [offered] = offers(call)
    assert (offered.hold.mode, offered.hold.call_number) == (Mode.PHONE, NUMBER)
    text = sent()[-1][1]
    assert "Thursday 5 March, between 8am and 10am\r\n" in text
    assert "By phone: we will call" in text
    assert "Harbour Street, " not in text
    accept_offer(actor=any_world.alice, offer_id=offered.id)
    assert (status(call), fresh(call).shown_window_min) == ("booked", 120)
    check_invariants(db.session())


def test_a_video_visit_that_is_offered_gets_its_room_with_the_yes(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 9, VIDEO, day=3)
    video = ask_by(Mode.VIDEO, world, is_ask_first=True)
    drain()
    accept_offer(actor=world.alice, offer_id=offers(video)[0].id)
    assert "video.example/rooms/" in (fresh(video).join_url or "")


def test_the_desk_places_a_call_as_one(world: World) -> None:
    offer(world.check_up_id, shown_window_min=60)
    call = ask_by(Mode.PHONE, world, continuity=ContinuityWish.SAME_ONLY)
    hours(world, 10, PHONE)
    handling.place_by_hand(actor=world.erin, appointment_id=call.id, starts_at=at(10, day=1), token="place")
    assert (status(call), fresh(call).shown_window_min) == ("booked", 60)


def test_an_invited_call_is_one(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 10, PHONE, day=2)
    day = NOW.date()
    invited = invitations.invite(
        actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, due_from=day,
        due_until=day + timedelta(days=7), token="invite",
    )  # fmt: skip
    use = {"actor": world.alice, "invitation_id": invited.id, "search": by(Mode.PHONE, world), "wishes": Wishes()}
    with pytest.raises(NumberMissing):
        invitations.let_queue_book(**use, token="without")
    call = invitations.let_queue_book(**use, token="with", call_number=NUMBER)
    drain()
    assert starts(call) == [at(10, day=2)]


def test_an_earlier_time_for_a_call_is_another_call(world: World) -> None:
    """Its patient said that they would come at the old time; the new one is told, and reminded of."""
    offer(world.check_up_id, shown_window_min=120)
    hours(world, 9, PHONE, day=9)
    call = ask_by(Mode.PHONE, world)
    drain()
    old = [row.due_at for row in reminders_of(call.id)]
    hours(world, 9, IN_PERSON, day=5)
    hours(world, 13, PHONE, day=6)
    ask_for_earlier(actor=world.alice, appointment_id=call.id, wishes=Wishes())
    drain()
    accept_offer(actor=world.alice, offer_id=offers(call)[0].id)
    assert starts(call) == [at(13, day=6)]
    assert fresh(call).confirmation.value == "not_asked"
    [text] = [text for subject, text in sent()[-2:] if "with you" not in text]
    assert "between 12 midday and 2pm" in text
    assert "between 8am and 10am" in text
    assert {row.delivery.value for row in reminders_of(call.id) if row.due_at in old} == {"superseded"}
    assert [row.due_at for row in reminders_of(call.id) if row.delivery.value == "due"] != []
    check_invariants(db.session())


# Reminders of what the queue books


def test_a_batch_plans_the_reminders_of_each_of_its_patients(any_world: World) -> None:
    ids = patients(4)
    visits = [ask(any_world, id_, any_world.erin) for id_ in ids]
    hours(any_world, 9, IN_PERSON, day=6, minutes=120)
    drain()
    for visit in visits:
        due = [(row.facts["before"], row.due_at, row.sequence, row.patient_id) for row in reminders_of(visit.id)]
        starts_at = fresh(visit).starts_at
        assert starts_at is not None
        assert due == [
            ("3d", starts_at - timedelta(days=3), 0, visit.patient_id),
            ("1d", starts_at - timedelta(days=1), 0, visit.patient_id),
        ]
        assert fresh(visit).reminder_rules == "3d 1d; quiet 20:00-08:00"


def test_two_visits_on_one_day_share_their_reminders_whoever_booked_them(world: World) -> None:
    add_session(world.chen_id, at(9, day=6), at(12, day=6))
    first = book(world, at(9, day=6))
    visit = ask(world, visit_type_id=world.vaccine_id)
    drain()
    assert [row.detail for row in reminders_of(first.id)] == [None, None]
    assert [row.detail for row in reminders_of(visit.id)] == ["shared", "shared"]


# Seeing the same person


def test_the_wish_to_see_the_same_person_is_kept_once(world: World) -> None:
    visit = ask(world, continuity=ContinuityWish.SAME_ONLY)
    assert fresh(visit).wishes["continuity"] == fresh(visit).continuity_wish == ContinuityWish.SAME_ONLY
    change(world, visit)
    assert fresh(visit).wishes["continuity"] == fresh(visit).continuity_wish == ContinuityWish.NONE


def test_longer_told_stretches_change_nothing_for_those_who_come(world: World) -> None:
    setting("shown_window_min", 240)
    hours(world, 9, IN_PERSON)
    visit = ask(world)
    drain()
    assert fresh(visit).shown_window_min == 0


def test_where_there_are_no_rooms_any_more_an_offered_video_visit_is_refused(world: World) -> None:
    offer(world.check_up_id)
    hours(world, 9, VIDEO, day=3)
    video = ask_by(Mode.VIDEO, world, is_ask_first=True)
    drain()
    setting("video_rooms", "")
    with pytest.raises(ModeNotOffered):
        accept_offer(actor=world.alice, offer_id=offers(video)[0].id)
    assert (status(video), offers(video)[0].state.value) == ("pending", "open")
