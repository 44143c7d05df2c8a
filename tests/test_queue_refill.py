"""A whole day that is cancelled, or released at seven in the morning, fills again from the list, in its order."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import Event, Mode, Offer, OfferState
from clinic_portal.scheduling.earlier import ask_for_earlier
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import ask, drain, fresh, offers, starts, status
from tests.bookings import book, cancel, messages_of
from tests.invariants import check_invariants
from tests.queue_rules import broken_queue_rules, line, overtaken, unserved
from tests.test_modes import IN_PERSON, PHONE, by, offer
from tests.test_offers import ask_first
from tests.test_queue import ask_all, patients, serve_at
from tests.test_queue_modes import NUMBER, offer_only
from tests.world import NOW, World, add_session, at

SEVEN = at(7, day=1)


def check(now: datetime) -> None:
    check_invariants(db.session())
    assert broken_queue_rules(db.session()) == []
    assert unserved(db.session(), now) == []


def open_offers() -> list[Offer]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Offer).where(Offer.state == OfferState.OPEN).order_by(Offer.expires_at)))


def half_hours(hour: int, how_many: int, day: int) -> list[datetime]:
    return [at(hour, day=day) + timedelta(minutes=30 * number) for number in range(how_many)]


def test_a_cancelled_day_goes_to_the_list_in_order_and_each_offer_that_ends_to_the_next(any_world: World) -> None:
    """Six half-hours of one doctor; behind them wait three who want to be booked and seven who want to be asked."""
    add_session(any_world.chen_id, at(9, day=3), at(12, day=3))
    day = [
        book(any_world, starts_at, patient_id=patient_id, actor=any_world.erin)
        for starts_at, patient_id in zip(half_hours(9, 6, 3), patients(6), strict=True)
    ]
    people = patients(10)
    waiting = [
        ask_first(any_world, patient_id) if number % 3 else ask(any_world, patient_id, any_world.erin)
        for number, patient_id in enumerate(people)
    ]
    drain()
    assert {status(visit) for visit in waiting} == {"waitlist"}
    for visit in reversed(day):
        cancel(any_world, visit)
    now = NOW + timedelta(seconds=5)
    serve_at(now)
    assert starts(waiting[0], waiting[3]) == [at(9, day=3), at(10, 30, day=3)]
    kept = [each.starts_at for number in (1, 2, 4, 5) for each in offers(waiting[number])]
    assert kept == [starts_at for number, starts_at in enumerate(half_hours(9, 6, 3)) if number % 3]
    assert [status(visit) for visit in waiting[6:]] == ["waitlist"] * 4
    check(now)
    # One says yes, one no, and the others nothing: each time goes on to the next in line, until three were asked.
    accept_offer(actor=any_world.erin, offer_id=offers(waiting[1])[0].id)
    decline_offer(actor=any_world.erin, offer_id=offers(waiting[2])[0].id)
    serve_at(now)
    # Waiting since before the others, and to be booked at once.
    assert starts(waiting[6]) == [at(10, day=3)]
    turns = 0
    while open_ones := open_offers():
        now, turns = open_ones[0].expires_at, turns + 1
        assert turns < 20
        with clock.clock_at(now - timedelta(seconds=1)):
            drain()
            assert {each.id for each in open_offers()} == {each.id for each in open_ones}, "ended before its time"
        serve_at(now)
        times = [(each.practitioner_id, each.starts_at) for each in open_offers()]
        assert len(times) == len(set(times)), "two offers for one time"
        with clock.clock_at(now):
            check(now)
    lapsed = [row.event for visit in waiting for row in messages_of(visit.id) if row.event is Event.OFFER_LAPSED]
    every = [each for visit in waiting for each in offers(visit)]
    assert len(lapsed) == sum(each.state is OfferState.EXPIRED for each in every) >= 2
    assert status(waiting[9]) == "booked", "stood last, and wanted no offer"


def test_time_released_at_seven_is_served_in_order_and_no_second_before(any_world: World) -> None:
    for doctor_id in (any_world.chen_id, any_world.diaz_id):
        add_session(doctor_id, at(11, day=1), at(13, day=1), bookable_from=SEVEN)
    waiting = ask_all(any_world, patients(10))
    drain()
    before = line(db.session(), SEVEN)
    serve_at(SEVEN - timedelta(seconds=1))
    assert {status(visit) for visit in waiting} == {"waitlist"}
    serve_at(SEVEN + timedelta(seconds=4))
    expected = sorted(half_hours(11, 4, 1) * 2)
    assert starts(*waiting) == [*expected, None, None]
    assert overtaken(db.session(), before) == []
    check(SEVEN + timedelta(seconds=4))


def test_a_visit_of_a_kind_that_is_offered_no_more_is_still_offered_earlier_times_as_it_can_be_moved(
    world: World,
) -> None:
    """Its patient may move it: so the queue may offer what a page of times shows."""
    offer(world.check_up_id)
    add_session(world.chen_id, at(9, day=9), at(9, 30, day=9), modes=PHONE)
    call = ask(world, search=by(Mode.PHONE, world), call_number=NUMBER)
    drain()
    ask_for_earlier(actor=world.alice, appointment_id=call.id, wishes=Wishes())
    offer_only(world.check_up_id, IN_PERSON)
    add_session(world.chen_id, at(9, day=5), at(9, 30, day=5), modes=PHONE)
    drain()
    [offered] = offers(call)
    offer_only(world.check_up_id, IN_PERSON)
    accept_offer(actor=world.alice, offer_id=offered.id)
    assert (starts(call), fresh(call).call_number) == ([at(9, day=5)], NUMBER)
    check_invariants(db.session())
