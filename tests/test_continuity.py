"""The wish to see the same person as last time: heard by the choice and by what is shown, never with a name."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import SlotTaken
from clinic_portal.models import (
    Appointment,
    ContinuityWish,
    Need,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    Status,
)
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.world import NOW, World, add_session, at

TOMORROW = at(0, day=1).date()


@writing
def seen_by(session: Session, world: World, practitioner_id: int, days_ago: int) -> None:
    """Alice was seen some days ago."""
    starts_at, ends_at = at(9, day=-days_ago), at(9, 30, day=-days_ago)
    session.add(
        Appointment(patient_id=world.alice_id, visit_type_id=world.check_up_id, status=Status.FULFILLED,
                    practitioner_id=practitioner_id, location_id=world.location_id, origin="desk", starts_at=starts_at,
                    ends_at=ends_at, blocked_from=starts_at, blocked_until=ends_at, requested_at=NOW, target_at=NOW)
    )  # fmt: skip


@writing
def rule(session: Session, world: World, practitioner_id: int, kind: PreferenceKind) -> None:
    session.add(PractitionerPreference(patient_id=world.alice_id, practitioner_id=practitioner_id, kind=kind))


@writing
def without_continuity_score(session: Session) -> None:
    put_setting(session, "weight_continuity", 0)


def search(world: World, wish: ContinuityWish = ContinuityWish.NONE, **more: int) -> Search:
    return Search(world.check_up_id, world.alice_id, continuity=wish, account_id=world.accounts["alice"], **more)


def shown(wanted: Search) -> list[str]:
    found = find_free_times(db.session(), wanted, TOMORROW, 1)[TOMORROW]
    return [f"{time.starts_at:%H:%M}" for time in found]


def reserve(world: World, wish: ContinuityWish, token: str = "one") -> Appointment:
    return booking.reserve_slot(actor=world.alice, search=search(world, wish), starts_at=at(9, day=1), token=token)


@pytest.fixture
def clinic(world: World) -> World:
    """Dr Diaz saw Alice last week, works less, and scores worse for everything but that."""
    without_continuity_score()
    seen_by(world, world.chen_id, 30)
    seen_by(world, world.diaz_id, 7)
    add_session(world.chen_id, at(9, day=1), at(12, day=1))
    add_session(world.diaz_id, at(9, day=1), at(9, 30, day=1))
    return world


def test_who_prefers_the_same_person_gets_that_person_before_anybody_who_scores_better(clinic: World) -> None:
    assert shown(search(clinic, ContinuityWish.PREFER_SAME)) == shown(search(clinic))
    visit = reserve(clinic, ContinuityWish.PREFER_SAME)
    assert visit.practitioner_id == clinic.diaz_id
    assert visit.wishes["continuity"] == "prefer_same"


def test_who_only_prefers_the_same_person_is_seen_by_somebody_else_when_that_one_is_taken(clinic: World) -> None:
    bobs = Search(clinic.check_up_id, clinic.bob_id, needs=frozenset({Need.MALE_CLINICIAN}))
    booking.reserve_slot(actor=clinic.bob, search=bobs, starts_at=at(9, day=1), token="b")
    assert reserve(clinic, ContinuityWish.PREFER_SAME).practitioner_id == clinic.chen_id


def test_who_wants_only_the_same_person_sees_only_that_persons_times(clinic: World) -> None:
    assert shown(search(clinic, ContinuityWish.SAME_ONLY)) == ["09:00"]
    assert reserve(clinic, ContinuityWish.SAME_ONLY).practitioner_id == clinic.diaz_id
    assert shown(search(clinic, ContinuityWish.SAME_ONLY)) == []
    with pytest.raises(SlotTaken):
        booking.reserve_slot(actor=clinic.alice, search=search(clinic, ContinuityWish.SAME_ONLY),
                             starts_at=at(10, day=1), token="two")  # fmt: skip


def test_never_decides_before_the_wish(clinic: World) -> None:
    rule(clinic, clinic.diaz_id, PreferenceKind.NEVER)
    assert load_terms(db.session(), search(clinic)).same_id is None
    assert shown(search(clinic, ContinuityWish.SAME_ONLY)) == []
    assert reserve(clinic, ContinuityWish.PREFER_SAME).practitioner_id == clinic.chen_id


def test_the_usual_person_stands_in_where_nobody_was_seen_lately(world: World) -> None:
    rule(world, world.chen_id, PreferenceKind.USUAL)
    assert load_terms(db.session(), search(world)).same_id == world.chen_id
    seen_by(world, world.diaz_id, 7)
    assert load_terms(db.session(), search(world)).same_id == world.diaz_id


def test_somebody_who_does_no_such_visits_any_more_is_nobody_to_wish_for(clinic: World) -> None:
    @writing
    def stops(session: Session) -> None:
        session.query(PractitionerVisitType).filter_by(practitioner_id=clinic.diaz_id).update({"is_active": False})

    stops()
    assert load_terms(db.session(), search(clinic)).same_id is None


def test_moving_a_visit_with_only_the_same_person_stays_with_that_visits_person(clinic: World) -> None:
    visit = reserve(clinic, ContinuityWish.SAME_ONLY)
    seen_by(clinic, clinic.chen_id, 1)
    add_session(clinic.diaz_id, at(14, day=1), at(15, day=1))
    moving = search(clinic, ContinuityWish.SAME_ONLY, moving_id=visit.id)
    assert shown(moving) == ["09:00", "14:00", "14:15", "14:30"]
    moved = booking.move_appointment(actor=clinic.alice, appointment_id=visit.id, search=moving,
                                     starts_at=at(14, day=1), token="m")  # fmt: skip
    assert moved.practitioner_id == clinic.diaz_id
    assert moved.wishes["continuity"] == "same_only"
