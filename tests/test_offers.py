"""Offers: a time kept for one patient until an instant; answered, declined, lapsed, and then the next person's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound, OfferGone, PatientBusy, SlotTaken
from clinic_portal.models import (
    AnsweredVia,
    Appointment,
    ClinicSession,
    ContactPoint,
    Offer,
    OfferState,
)
from clinic_portal.scheduling import booking, handling
from clinic_portal.scheduling.offer_times import STEPS, keep_until, step_for
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import load_settings
from tests.asking import ask, attempts, change, drain, fresh, offers, open_tasks, starts, status, withdraw
from tests.bookings import book, cancel, messages_of
from tests.invariants import check_invariants
from tests.test_queue import patients, serve_at, setting
from tests.world import NOW, ZONE, World, add_session, at, free_cells

DAY_3 = at(9, day=3)


def ask_first(world: World, patient_id: int = 0, **wishes: object) -> Appointment:
    return ask(world, patient_id or world.alice_id, world.erin if patient_id else world.alice, is_ask_first=True,
               **wishes)  # fmt: skip


def one_time(world: World, starts_at: datetime = DAY_3) -> int:
    """Room for exactly one check-up."""
    return add_session(world.chen_id, starts_at, starts_at + timedelta(minutes=30))


def the_offer(visit: Appointment) -> Offer:
    return offers(visit)[-1]


def states(visit: Appointment) -> list[str]:
    return [offer.state.value for offer in offers(visit)]


# How long (pure)


@pytest.mark.parametrize(
    ("left", "keep", "rounds"),
    [
        (timedelta(days=8), timedelta(hours=24), 2),
        (timedelta(days=7), timedelta(hours=24), 2),
        (timedelta(days=6, hours=23), timedelta(hours=4), 3),
        (timedelta(days=2), timedelta(hours=4), 3),
        (timedelta(hours=47), timedelta(minutes=60), 3),
        (timedelta(hours=23), timedelta(minutes=20), 3),
        (timedelta(hours=6), timedelta(minutes=20), 3),
    ],
)
def test_an_offer_is_kept_by_the_time_left(left: timedelta, keep: timedelta, rounds: int) -> None:
    step = step_for(NOW + left, NOW)
    assert step is not None
    assert (step.keep, step.rounds) == (keep, rounds)


def test_nothing_is_offered_in_the_last_six_hours() -> None:
    assert step_for(NOW + timedelta(hours=5, minutes=59), NOW) is None


@pytest.mark.parametrize(
    ("now", "starts_at", "until"),
    [
        # Ten in the morning, four hours.
        (at(10), at(10, day=3), at(14)),
        # Six in the evening: two hours until eight, two more from eight in the morning.
        (at(18), at(10, day=4), at(10, day=1)),
        # At night nobody is expected to answer before eight.
        (at(23), at(12, day=4), at(12, day=1)),
        # A day's worth of waking hours is two days; a quarter of the time left is less.
        (at(10), at(10, day=20), at(10, day=2)),
        (at(10), at(10, day=7), at(4, day=2)),
    ],
)  # fmt: skip
def test_quiet_hours_are_not_counted_and_never_more_than_a_quarter_of_the_time_left_is_kept(
    world: World, now: datetime, starts_at: datetime, until: datetime
) -> None:
    step = step_for(starts_at, now)
    assert step is not None
    found = keep_until(step, starts_at, now, ZONE, load_settings(db.session()))
    assert found == until
    assert found - now <= (starts_at - now) / 4


def test_the_hours_around_a_change_of_the_clock_are_counted_as_they_pass(world: World) -> None:
    """On 29 March the clock goes forward: from six in the evening before, two hours and then two more from eight."""
    now = datetime(2026, 3, 28, 18, tzinfo=NOW.tzinfo)
    until = keep_until(STEPS[1], now + timedelta(days=5), now, ZONE, load_settings(db.session()))
    assert clock.local(until, ZONE).isoformat() == "2026-03-29T10:00:00+01:00"


# Made


def test_who_wants_to_be_asked_is_offered_the_earliest_time_and_it_is_kept(any_world: World) -> None:
    one_time(any_world)
    visit = ask_first(any_world)
    drain()
    offer = the_offer(visit)
    assert (status(visit), offer.starts_at, offer.round_no) == ("pending", DAY_3, 1)
    assert offer.expires_at == at(12)
    assert [row.event.value for row in messages_of(visit.id)] == ["request_received", "offer"]
    with pytest.raises(SlotTaken):
        book(any_world, DAY_3, patient_id=any_world.bob_id, actor=any_world.bob)
    check_invariants(db.session())


def test_a_time_that_is_offered_is_shown_to_nobody_signed_in_or_not(any_world: World) -> None:
    one_time(any_world)
    ask_first(any_world)
    day = DAY_3.date()
    searches = [
        Search(any_world.check_up_id, account_id=account_id) for account_id in (None, any_world.accounts["bob"])
    ]
    assert [len(find_free_times(db.session(), search, day, 1)[day]) for search in searches] == [1, 1]
    drain()
    for _ in ("read", "kept"):
        assert [find_free_times(db.session(), search, day, 1)[day] for search in searches] == [[], []]


def test_without_quiet_hours_every_hour_counts_and_a_pause_at_noon_does_not(world: World) -> None:
    now, starts_at = at(11), at(11, day=4)
    setting("quiet_hours", "none")
    assert keep_until(STEPS[1], starts_at, at(23), ZONE, load_settings(db.session())) == at(3, day=1)
    setting("quiet_hours", "12:00-13:00")
    assert keep_until(STEPS[1], starts_at, now, ZONE, load_settings(db.session())) == at(16)


def test_a_time_in_the_past_or_within_six_hours_is_never_offered(world: World) -> None:
    one_time(world, at(13))
    one_time(world, at(7, 30))
    visit = ask_first(world)
    drain()
    assert (status(visit), states(visit)) == ("waitlist", [])


def test_near_times_go_first_to_those_who_want_to_be_booked(world: World) -> None:
    one_time(world, at(17))
    asked, booked = patients(2)
    first = ask_first(world, asked)
    second = ask(world, booked, world.erin)
    drain()
    assert (status(first), starts(second)) == ("waitlist", [at(17)])
    one_time(world, at(9, day=2))
    third = ask(world, world.bob_id, world.bob)
    drain()
    assert (status(first), status(third)) == ("pending", "waitlist")


def test_one_offer_at_once_and_three_a_week_for_one_person(world: World) -> None:
    for number in range(6):
        one_time(world, at(9 + number, day=8))
    visit = ask_first(world)
    other = ask(world, visit_type_id=world.vaccine_id, is_ask_first=True)
    drain()
    assert (status(visit), status(other)) == ("pending", "waitlist")
    assert fresh(other).not_placed_because == "offer_open"
    moment = NOW
    for _ in range(3):
        decline_offer(actor=world.alice, offer_id=the_offer(visit).id)
        moment += timedelta(minutes=1)
        with clock.clock_at(moment):
            drain()
    # The other request got the offers in between, or this one did: three in all.
    sent = db.session().scalars(select(Offer).where(Offer.patient_id == world.alice_id)).all()
    assert len(sent) == 3
    assert fresh(visit).not_placed_because in ("offers_this_week", "nothing_fits", None)
    check_invariants(db.session())


# Answered


def test_yes_makes_the_request_a_visit_with_that_time(any_world: World) -> None:
    session_id = one_time(any_world)
    visit = ask_first(any_world)
    drain()
    offer = the_offer(visit)
    with clock.clock_at(at(11, 59)):
        accept_offer(actor=any_world.alice, offer_id=offer.id, via=AnsweredVia.LINK)
        again = accept_offer(actor=any_world.alice, offer_id=offer.id)
    assert again.id == visit.id
    assert (status(visit), starts(visit), attempts(visit)) == ("booked", [DAY_3], [(any_world.chen_id, None)])
    [offer] = offers(visit)
    assert (offer.state, offer.answered_via, offer.answered_at) == (OfferState.ACCEPTED, AnsweredVia.LINK, at(11, 59))
    assert free_cells(db.session(), session_id) == 0
    assert [row.event.value for row in messages_of(visit.id)][-2:] == ["booked", "booked"]
    check_invariants(db.session())


def test_an_offer_ends_at_its_instant_though_nobody_cleared_it(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    offer = the_offer(visit)
    with clock.clock_at(offer.expires_at):
        for answer in (accept_offer, decline_offer):
            with pytest.raises(OfferGone):
                answer(actor=world.alice, offer_id=offer.id)
        # Nor does it keep the time from anybody else.
        book(world, DAY_3, patient_id=world.bob_id, actor=world.bob)
    assert status(visit) == "pending"
    with clock.clock_at(offer.expires_at):
        drain()
    assert (status(visit), states(visit)) == ("waitlist", ["expired"])
    check_invariants(db.session())


def test_no_leaves_the_place_in_line_and_the_next_person_is_asked(any_world: World) -> None:
    one_time(any_world)
    first_id, second_id = patients(2)
    first, second = ask_first(any_world, first_id), ask_first(any_world, second_id)
    drain()
    assert (status(first), status(second)) == ("pending", "waitlist")
    decline_offer(actor=any_world.erin, offer_id=the_offer(first).id, via=AnsweredVia.STAFF)
    drain()
    assert (status(first), states(first)) == ("waitlist", ["declined"])
    assert (status(second), the_offer(second).round_no) == ("pending", 2)
    assert (fresh(first).requested_at, fresh(first).unanswered_offers) == (NOW, 0)
    check_invariants(db.session())


def test_a_declined_time_is_never_offered_again_to_the_same_person(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    decline_offer(actor=world.alice, offer_id=the_offer(visit).id)
    for hours in (1, 5, 20):
        serve_at(NOW + timedelta(hours=hours))
    assert states(visit) == ["declined"]
    one_time(world, at(14, day=4))
    with clock.clock_at(NOW + timedelta(hours=21)):
        change(world, visit, is_ask_first=True)
        drain()
    assert [offer.starts_at for offer in offers(visit)] == [DAY_3, at(14, day=4)]


def test_an_unanswered_offer_goes_to_the_next_and_after_its_rounds_the_time_is_everybodys(any_world: World) -> None:
    """Two to seven days ahead: three people, four hours each, then public."""
    one_time(any_world, at(16, day=3))
    waiting = [ask_first(any_world, patient_id) for patient_id in patients(4)]
    drain()
    for number, visit in enumerate(waiting[:3]):
        assert [status(each) for each in waiting] == [
            "pending" if other == number else "waitlist" for other in range(4)
        ]
        serve_at(the_offer(visit).expires_at)
    assert [status(each) for each in waiting] == ["waitlist"] * 4
    assert [states(each) for each in waiting] == [["expired"]] * 3 + [[]]
    assert [offers(each)[0].round_no for each in waiting[:3]] == [1, 2, 3]
    with clock.clock_at(at(10, day=1)):
        book(any_world, at(16, day=3))
    check_invariants(db.session())


def test_three_unanswered_offers_pause_the_request_with_a_message_and_a_task(any_world: World) -> None:
    setting("offers_a_week", 10)
    for hour in (9, 11, 13, 15):
        one_time(any_world, at(hour, day=9))
    visit = ask_first(any_world)
    drain()
    for _ in range(3):
        serve_at(the_offer(visit).expires_at)
    assert states(visit) == ["expired"] * 3
    assert (status(visit), fresh(visit).unanswered_offers, open_tasks(visit)) == ("waitlist", 3, ["offers_unanswered"])
    assert fresh(visit).paused_at is not None
    events = [row.event.value for row in messages_of(visit.id)]
    assert events[-1] == "request_paused"
    assert events.count("offer_lapsed") == 2
    serve_at(at(10, day=8))
    assert len(offers(visit)) == 3
    with clock.clock_at(at(10, day=6)):
        handling.resume_request(actor=any_world.alice, appointment_id=visit.id)
        drain()
    assert (status(visit), open_tasks(visit)) == ("pending", [])
    check_invariants(db.session())


def test_an_answer_ends_the_count_of_unanswered_offers(world: World) -> None:
    for hour in (9, 11, 13):
        one_time(world, at(hour, day=9))
    visit = ask_first(world)
    drain()
    serve_at(the_offer(visit).expires_at)
    assert fresh(visit).unanswered_offers == 1
    with clock.clock_at(the_offer(visit).sent_at):
        decline_offer(actor=world.alice, offer_id=the_offer(visit).id)
    assert fresh(visit).unanswered_offers == 0


def test_changing_the_wishes_takes_an_offer_back(any_world: World) -> None:
    session_id = one_time(any_world)
    visit = ask_first(any_world)
    drain()
    offer = the_offer(visit)
    change(any_world, visit, from_on=at(0, day=10).date(), is_ask_first=True)
    assert (status(visit), states(visit), free_cells(db.session(), session_id)) == ("proposed", ["withdrawn"], 6)
    with pytest.raises(OfferGone):
        accept_offer(actor=any_world.alice, offer_id=offer.id)
    check_invariants(db.session())


def test_a_waiting_patient_who_took_an_offer_and_later_cancels_is_off_the_list_and_the_place_goes_on(
    any_world: World,
) -> None:
    one_time(any_world)
    first = ask_first(any_world)
    drain()
    accept_offer(actor=any_world.alice, offer_id=the_offer(first).id)
    second = ask(any_world, any_world.bob_id, any_world.bob)
    drain()
    assert status(second) == "waitlist"
    cancel(any_world, first)
    serve_at(NOW + timedelta(seconds=5))
    assert (status(first), starts(second)) == ("cancelled", [DAY_3])
    check_invariants(db.session())


def test_an_offer_that_would_meet_another_visit_of_the_patient_is_refused(world: World) -> None:
    one_time(world)
    add_session(world.diaz_id, DAY_3, DAY_3 + timedelta(hours=1))
    visit = ask_first(world)
    drain()
    book(world, DAY_3, visit_type_id=world.vaccine_id)
    with pytest.raises(PatientBusy):
        accept_offer(actor=world.alice, offer_id=the_offer(visit).id)
    assert status(visit) == "pending"


def test_the_queue_books_nobody_at_the_time_that_it_offers_them(any_world: World) -> None:
    one_time(any_world)
    add_session(any_world.diaz_id, DAY_3, DAY_3 + timedelta(minutes=40))
    asked = ask_first(any_world)
    other = ask(any_world, visit_type_id=any_world.vaccine_id)
    drain()
    assert starts(other) == [DAY_3 + timedelta(minutes=30)]
    third = ask(any_world, visit_type_id=any_world.check_up_id, patient_id=any_world.bob_id, actor=any_world.bob)
    drain()
    accept_offer(actor=any_world.alice, offer_id=the_offer(asked).id)
    assert (status(asked), status(third)) == ("booked", "booked")
    check_invariants(db.session())


def test_who_waits_for_the_answer_to_another_offer_first_is_told_later_that_nothing_fits(world: World) -> None:
    one_time(world, at(9, day=8))
    one_time(world, at(11, day=8))
    first, second = ask_first(world), ask(world, visit_type_id=world.vaccine_id, is_ask_first=True)
    drain()
    assert (status(first), fresh(second).not_placed_because) == ("pending", "offer_open")
    version = fresh(second).version
    one_time(world, at(13, day=8))
    drain()
    assert fresh(second).version == version
    accept_offer(actor=world.alice, offer_id=the_offer(first).id)
    for hour in (11, 13):
        book(world, at(hour, day=8), patient_id=world.bob_id, actor=world.bob)
    serve_at(the_offer(first).expires_at)
    assert [row.event.value for row in messages_of(second.id)] == ["request_received", "waitlisted"]
    serve_at(at(0, day=6))
    assert [row.event.value for row in messages_of(second.id)].count("waitlisted") == 1


def test_nobody_is_booked_by_an_offer_into_hours_that_have_gone(world: World) -> None:
    session_id = one_time(world)
    visit = ask_first(world)
    drain()

    @writing
    def go(session: Session) -> None:
        session.delete(session.get_one(ClinicSession, session_id))

    go()
    with pytest.raises(OfferGone):
        accept_offer(actor=world.alice, offer_id=the_offer(visit).id)


def test_an_offer_for_a_request_that_was_withdrawn_or_cancelled_is_gone(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    offer = the_offer(visit)
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="c")
    with pytest.raises(OfferGone):
        accept_offer(actor=world.alice, offer_id=offer.id)
    drain()
    assert states(visit) == ["withdrawn"]
    with pytest.raises(NotFound):
        accept_offer(actor=world.alice, offer_id=999)
    check_invariants(db.session())


def test_deferring_takes_an_offer_back(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    handling.defer(actor=world.erin, appointment_id=visit.id, until=at(9, day=1))
    assert (status(visit), states(visit)) == ("waitlist", ["withdrawn"])
    withdraw(world, visit)
    check_invariants(db.session())


def test_a_patient_without_a_mailbox_is_called_about_an_offer_while_it_stands(world: World) -> None:
    @writing
    def forget_mail(session: Session) -> None:
        session.execute(update(ContactPoint).values(ended_at=NOW))

    forget_mail()
    one_time(world)
    visit = ask_first(world)
    drain()
    assert [(row.event.value, row.delivery.value) for row in messages_of(visit.id)] == [("offer", "to_call")]
    serve_at(the_offer(visit).expires_at)
    assert [(row.event.value, row.delivery.value) for row in messages_of(visit.id)] == [
        ("offer", "superseded"), ("offer_lapsed", "to_call"),
    ]  # fmt: skip


def test_offers_of_two_practitioners_at_one_time_are_two_times(world: World) -> None:
    one_time(world)
    add_session(world.diaz_id, DAY_3, DAY_3 + timedelta(minutes=30))
    first, second = (ask_first(world, patient_id) for patient_id in patients(2))
    drain()
    assert {the_offer(first).practitioner_id, the_offer(second).practitioner_id} == {world.chen_id, world.diaz_id}
    assert {status(first), status(second)} == {"pending"}
