"""Invitations to book one visit; and booked visits that would be earlier."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.errors import AlreadyAsked, BadTransition, InvalidRequest, NotAllowed, NotForThisPatient, OfferGone
from clinic_portal.models import Appointment, Notification, Origin, Status, VisitInvitation, WhoMayBook
from clinic_portal.notifications import delivery
from clinic_portal.scheduling import earlier, invitations
from clinic_portal.scheduling.invited import count_lapsing, invitations_by
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import ask, drain, fresh, offers, open_tasks, starts, status
from tests.bookings import book, cancel, messages_of, move, open_clinic
from tests.invariants import check_invariants
from tests.test_queue import patients, serve_at
from tests.test_requests import set_up
from tests.world import NOW, World, add_session, at, free_cells

FROM, UNTIL = date(2026, 3, 9), date(2026, 3, 20)


def invite(world: World, token: str = "invite", **values: object) -> VisitInvitation:
    days = {"due_from": FROM, "due_until": UNTIL} | values
    return invitations.invite(
        actor=world.erin,
        patient_id=world.alice_id,
        visit_type_id=world.check_up_id,
        token=token,
        **days,  # type: ignore[arg-type]
    )


def used_by(invitation: VisitInvitation) -> int | None:
    invitations.note_used_invitations()
    session = db.session()
    session.rollback()
    session.expire_all()
    return session.get_one(VisitInvitation, invitation.id).used_by_appointment_id


def open_ones(world: World) -> list[int]:
    session = db.session()
    session.rollback()
    return [each.id for each in invitations.open_invitations(session, [world.alice_id, world.bob_id])]


def test_an_invitation_is_told_and_listed_until_the_patient_books(any_world: World) -> None:
    invitation = invite(any_world, message="Your blood pressure, please")
    assert invite(any_world, message="Your blood pressure, please").id == invitation.id
    assert open_ones(any_world) == [invitation.id]
    add_session(any_world.chen_id, at(9, day=8), at(10, day=8))
    visit = book(any_world, at(9, day=8))
    assert used_by(invitation) == visit.id
    assert open_ones(any_world) == []
    cancel(any_world, visit)
    assert used_by(invitation) is None, "who cancels is invited again"
    assert open_ones(any_world) == [invitation.id]


def test_only_the_clinic_invites_and_only_for_days_to_come(world: World) -> None:
    who = {"patient_id": world.alice_id, "visit_type_id": world.check_up_id, "token": "t"}
    with pytest.raises(NotAllowed):
        invitations.invite(actor=world.alice, due_from=FROM, due_until=UNTIL, **who)  # type: ignore[arg-type]
    for due_from, due_until in ((UNTIL, FROM), (date(2026, 2, 1), date(2026, 3, 1)), (FROM, date(2028, 1, 1))):
        with pytest.raises(InvalidRequest):
            invite(world, due_from=due_from, due_until=due_until)


def test_the_queue_books_it_inside_its_days_when_the_patient_wants(any_world: World) -> None:
    for day in (2, 9, 30):
        open_clinic(any_world, day)
    invitation = invite(any_world)
    search = Search(any_world.check_up_id, any_world.alice_id)
    visit = invitations.let_queue_book(
        actor=any_world.alice, invitation_id=invitation.id, search=search, wishes=Wishes(), token="use"
    )
    assert (visit.origin, visit.target_at) == (Origin.INVITATION, at(0, day=19))
    drain()
    assert starts(visit) == [at(9, day=9)]
    with pytest.raises(BadTransition):
        invitations.let_queue_book(
            actor=any_world.alice, invitation_id=invitation.id, search=search, wishes=Wishes(), token="again"
        )
    check_invariants(db.session())


def test_wishes_stay_within_the_days_of_the_invitation(world: World) -> None:
    invitation, search = invite(world), Search(world.check_up_id, world.alice_id)
    use = {"actor": world.alice, "invitation_id": invitation.id, "search": search}
    with pytest.raises(InvalidRequest):
        invitations.let_queue_book(**use, wishes=Wishes(from_on=date(2026, 3, 21)), token="a")  # type: ignore[arg-type]
    visit = invitations.let_queue_book(**use, wishes=Wishes(from_on=date(2026, 3, 12)), token="b")  # type: ignore[arg-type]
    assert (visit.wish_from, visit.wish_until) == (date(2026, 3, 12), UNTIL)


def test_the_clinic_lets_the_queue_book_a_follow_up_beyond_the_horizon_when_its_days_come(world: World) -> None:
    invitation = invite(world, due_from=date(2026, 6, 1), due_until=date(2026, 6, 12), is_for_queue=True)
    add_session(world.chen_id, at(9, day=92), at(10, day=92))
    [visit_id] = db.session().scalars(select(Appointment.id))
    assert used_by(invitation) == visit_id
    drain()
    assert status(visit_id) == "waitlist"
    serve_at(at(0, 1, day=40))
    assert status(visit_id) == "waitlist"
    serve_at(at(0, 1, day=60))
    assert starts(visit_id) == [at(9, day=92)]


def test_the_queue_has_one_request_for_a_patient_and_a_type_whoever_asks(world: World) -> None:
    ask(world)
    with pytest.raises(AlreadyAsked):
        invite(world, is_for_queue=True)


def test_who_is_invited_may_book_what_is_otherwise_not_for_them(world: World) -> None:
    set_up(world.check_up_id, who_may_book=WhoMayBook.STAFF)
    open_clinic(world, 9)
    with pytest.raises(NotForThisPatient):
        book(world, at(9, day=9))
    invitation = invite(world)
    visit = book(world, at(9, day=9))
    assert used_by(invitation) == visit.id
    with pytest.raises(NotForThisPatient):
        book(world, at(10, day=9))


def listed() -> tuple[list[int], int]:
    """The open invitations as the clinic sees them, and how many lapse soon."""
    session = db.session()
    session.rollback()
    return [each.id for each in invitations_by(session)], count_lapsing(session)


def test_unused_invitations_are_listed_before_they_lapse(world: World) -> None:
    soon, later = invite(world, due_until=date(2026, 3, 9)), invite(world, "later")
    assert listed() == ([soon.id, later.id], 0)
    with clock.clock_at(at(9, day=1)):
        assert listed() == ([soon.id, later.id], 1)
    invitations.withdraw_invitation(actor=world.erin, invitation_id=soon.id)
    with clock.clock_at(at(9, day=13)):
        assert listed() == ([later.id], 1)
    with clock.clock_at(at(9, day=20)):
        assert listed() == ([], 0)
        with pytest.raises(BadTransition):
            invitations.let_queue_book(actor=world.alice, invitation_id=later.id, token="late", wishes=Wishes(),
                                       search=Search(world.check_up_id, world.alice_id))  # fmt: skip


def test_a_withdrawn_invitation_is_not_mailed(world: World) -> None:
    invitation = invite(world)
    invitations.withdraw_invitation(actor=world.erin, invitation_id=invitation.id)
    delivery.deliver_due()
    [row] = db.session().scalars(select(Notification))
    assert (row.event.value, row.delivery.value, row.detail) == ("invitation", "superseded", "answered")


# Earlier times


def booked_late(world: World) -> Appointment:
    """Alice has a visit in ten days, and would come earlier."""
    add_session(world.chen_id, at(9, day=10), at(9, 30, day=10))
    visit = book(world, at(9, day=10))
    return earlier.ask_for_earlier(actor=world.alice, appointment_id=visit.id, wishes=Wishes())


def test_an_earlier_time_is_offered_and_the_old_one_is_freed_with_the_yes(any_world: World) -> None:
    visit = booked_late(any_world)
    old = db.session().get_one(Appointment, visit.id)
    assert old.starts_at == at(9, day=10)
    drain()
    assert offers(visit) == []
    new_id = add_session(any_world.diaz_id, at(9, day=4), at(9, 30, day=4))
    with clock.clock_at(NOW + timedelta(minutes=1)):
        drain()
    [offer] = offers(visit)
    assert (status(visit), starts(visit), offer.starts_at) == ("booked", [at(9, day=10)], at(9, day=4))
    accept_offer(actor=any_world.alice, offer_id=offer.id)
    moved = fresh(visit)
    assert (moved.starts_at, moved.practitioner_id, moved.sequence) == (at(9, day=4), any_world.diaz_id, 1)
    assert (moved.wants_earlier, moved.next_try_at) == (False, None)
    assert free_cells(db.session(), new_id) == 0
    assert [row.event.value for row in messages_of(visit.id)][-3:] == ["moved", "cancelled", "booked"]
    book(any_world, at(9, day=10), patient_id=any_world.bob_id, actor=any_world.bob)
    check_invariants(db.session())


def test_people_without_a_visit_come_first(any_world: World) -> None:
    visit = booked_late(any_world)
    [waiter] = patients(1)
    waiting = ask(any_world, waiter, any_world.erin, min_warning_min=60)
    with clock.clock_at(NOW + timedelta(days=1)):
        drain()
        add_session(any_world.diaz_id, at(9, day=4), at(10, day=4))
        drain()
    assert starts(waiting) == [at(9, day=4)]
    assert [offer.starts_at for offer in offers(visit)] == [at(9, 30, day=4)]


def test_an_earlier_time_must_be_worth_a_move(world: World) -> None:
    visit = booked_late(world)
    add_session(world.diaz_id, at(9, 30, day=9), at(10, day=9))
    drain()
    assert offers(visit) == []
    add_session(world.diaz_id, at(9, day=9), at(9, 30, day=9))
    with clock.clock_at(NOW + timedelta(minutes=1)):
        drain()
    assert [offer.starts_at for offer in offers(visit)] == [at(9, day=9)]


def test_no_keeps_the_visit_and_moving_or_cancelling_it_takes_the_offer_back(any_world: World) -> None:
    visit = booked_late(any_world)
    add_session(any_world.diaz_id, at(9, day=4), at(10, 30, day=4))
    drain()
    decline_offer(actor=any_world.alice, offer_id=offers(visit)[0].id)
    drain()
    assert [offer.state.value for offer in offers(visit)] == ["declined", "open"]
    # Nor is a part of the time that was refused.
    assert offers(visit)[1].starts_at == at(9, 30, day=4)
    move(any_world, visit, at(9, day=4))
    with pytest.raises(OfferGone):
        accept_offer(actor=any_world.alice, offer_id=offers(visit)[1].id)
    drain()
    assert [offer.state.value for offer in offers(visit)] == ["declined", "withdrawn"]
    cancel(any_world, visit)
    assert fresh(visit).wants_earlier is False
    check_invariants(db.session())


def test_three_unanswered_earlier_times_end_the_offers_and_not_the_visit(world: World) -> None:
    visit = booked_late(world)
    for hour in (9, 11, 13):
        add_session(world.diaz_id, at(hour, day=8), at(hour, 30, day=8))
    drain()
    for _ in range(3):
        serve_at(offers(visit)[-1].expires_at)
    assert (status(visit), starts(visit), len(offers(visit))) == ("booked", [at(9, day=10)], 3)
    assert open_tasks(visit) == ["offers_unanswered"]
    check_invariants(db.session())


def test_who_wants_to_keep_the_time_is_left_alone(world: World) -> None:
    visit = booked_late(world)
    session_id = add_session(world.diaz_id, at(9, day=4), at(9, 30, day=4))
    drain()
    earlier.keep_time(actor=world.alice, appointment_id=visit.id)
    assert ([offer.state.value for offer in offers(visit)], free_cells(db.session(), session_id)) == (["withdrawn"], 6)
    drain()
    assert len(offers(visit)) == 1
    with pytest.raises(BadTransition):
        earlier.ask_for_earlier(actor=world.alice, appointment_id=ask(world).id, wishes=Wishes())
    assert fresh(visit).status is Status.BOOKED
    check_invariants(db.session())
