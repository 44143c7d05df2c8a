"""The plan of an absence: for each visit in it one proposal, all of which can be carried out together.

Whoever cannot be told in time chooses first. Everybody who can keep their time keeps it, as far as the others can make
room for it; then each in turn gets the nearest time that is left. What somebody has chosen by hand stays.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload, selectinload

from clinic_portal import clock
from clinic_portal.models import (
    AbsenceAct,
    Appointment,
    ContactKind,
    Need,
    Patient,
    PriorityClass,
    Relation,
    Status,
)
from clinic_portal.scheduling.absence_options import PHONES, Away, Board, Choice, Option, Taken, Tier, boards_for
from clinic_portal.scheduling.search import OwnVisit

# Whose visit begins sooner may not read a mail in time.
SOON = timedelta(hours=3)
Choices = Mapping[int, Choice]
NO_CHOICES: Choices = {}


class Reach(enum.StrEnum):
    """How a patient can be told."""

    MAIL_AND_PHONE = "mail_and_phone"
    MAIL = "mail"
    MOBILE = "mobile"
    LANDLINE = "landline"
    NOBODY = "nobody"


@dataclass
class Planned:
    """One visit of the plan, with what is done with it and what else could be."""

    visit: Appointment
    reach: Reach
    # It begins soon, and its patient has neither a mobile nor a mailbox.
    is_call_first: bool
    chosen: Choice
    option: Option | None = None
    options: list[Option] = field(default_factory=list)
    # Chosen by hand.
    is_pinned: bool = False
    # Chosen by hand, and not to be had any more.
    is_lost: bool = False

    @property
    def needs(self) -> list[Need]:
        return [Need(code) for code in (self.visit.wishes or {}).get("needs") or ()]


@dataclass(frozen=True)
class Plan:
    """All visits of an absence, first those about which somebody has to phone at once."""

    visits: list[Planned]
    # Who is at the clinic already and waits for the one who is away.
    here: list[Appointment]


def concerned(session: Session, away: Away) -> list[Appointment]:
    """The visits ahead that lie in an absence, in order; of whatever lane, in or out of hours."""
    found = select(Appointment).where(
        Appointment.practitioner_id == away.practitioner_id,
        Appointment.status == Status.BOOKED,
        Appointment.starts_at > clock.now(),
        *_within(away),
    )
    return list(session.scalars(found.order_by(Appointment.starts_at, Appointment.id)))


def _within(away: Away) -> tuple[ColumnElement[bool], ...]:
    # No visit is longer than a day: that bounds the search in the index.
    return (
        Appointment.starts_at < away.high,
        Appointment.ends_at > away.low,
        Appointment.blocked_from > away.low - timedelta(days=2),
    )


def make_plan(session: Session, away: Away, pins: Choices = NO_CHOICES) -> Plan:
    """Propose something for every visit of an absence.

    Args: pins, what somebody has chosen by hand, by visit; it stays where it can be had.
    Source: UC7.3; clinic.md 11, absence screen.
    """
    loads = (
        joinedload(Appointment.patient).options(selectinload(Patient.contact_points)),
        joinedload(Appointment.location),
        joinedload(Appointment.visit_type),
    )
    ids = [visit.id for visit in concerned(session, away)]
    visits = session.scalars(select(Appointment).where(Appointment.id.in_(ids)).options(*loads)).all()
    planner = _Planner(session, away, sorted((_judged(visit) for visit in visits), key=_order))
    planner.pin(pins)
    planner.keep_times()
    planner.give_the_rest()
    return Plan(planner.all, _here(session, away))


def _here(session: Session, away: Away) -> list[Appointment]:
    arrived = select(Appointment).where(
        Appointment.practitioner_id == away.practitioner_id, Appointment.status == Status.ARRIVED, *_within(away)
    )
    eager = joinedload(Appointment.patient), joinedload(Appointment.location)
    return list(session.scalars(arrived.options(*eager).order_by(Appointment.starts_at, Appointment.id)))


def _judged(visit: Appointment) -> Planned:
    assert visit.starts_at is not None
    points = [
        point
        for point in visit.patient.contact_points
        if point.is_usable and not (visit.is_private and point.whose is not Relation.SELF)
    ]
    kinds = {point.kind for point in points}
    has_mail, has_mobile = ContactKind.EMAIL in kinds, ContactKind.MOBILE in kinds
    if has_mail:
        reach = Reach.MAIL_AND_PHONE if kinds & set(PHONES) else Reach.MAIL
    else:
        by_phone = Reach.LANDLINE if ContactKind.LANDLINE in kinds else Reach.NOBODY
        reach = Reach.MOBILE if has_mobile else by_phone
    is_soon = visit.starts_at - clock.now() < SOON
    return Planned(visit, reach, is_soon and not has_mail and not has_mobile, Choice(AbsenceAct.WAITING_LIST))


def _order(one: Planned) -> tuple[object, ...]:
    """First whom a message may not reach in time, then what is urgent, then by time."""
    is_not_urgent = one.visit.priority_class is not PriorityClass.URGENT
    return not one.is_call_first, is_not_urgent, one.visit.starts_at, one.visit.id


class _Planner:
    """A picture of what is given to whom, while the plan is made."""

    def __init__(self, session: Session, away: Away, visits: list[Planned]) -> None:
        self.all = visits
        self.boards: dict[int, list[Board]] = {
            one.visit.id: [] if one.visit.patient.deceased_on else boards_for(session, one.visit, away)
            for one in visits
        }
        self.given: dict[int, Option] = {}
        self.decided: set[int] = set()

    def pin(self, pins: Choices) -> None:
        """Do as somebody chose, in the order of the plan."""
        for one in self.all:
            pinned = pins.get(one.visit.id)
            if pinned is None:
                continue
            option = self._at(one, pinned) if pinned.takes_time else None
            if pinned.takes_time and option is None:
                one.is_lost = True
                continue
            one.is_pinned = True
            self._decide(one, pinned, option)
        by_hand = [self.given[one.visit.id] for one in self.all if one.visit.id in self.given]
        for one in self.all:
            own = self.given.get(one.visit.id)
            taken = _taken(each for each in by_hand if each is not own)
            one.options = self._options(one, taken, self._own(one))

    def keep_times(self) -> None:
        """Give everybody their own time who can have it, with somebody else; some make room for others."""
        for one in self.all:
            if one.visit.id not in self.decided:
                self._keep_time(one, {one.visit.id})

    def _keep_time(self, one: Planned, asked: set[int]) -> bool:
        """One more who keeps the time; who is in the way is asked whether they find somebody else (Kuhn, 1955)."""
        for option in one.options:
            if option.tier is not Tier.SAME_TIME or option.choice.act is AbsenceAct.PHONE or option.is_elsewhere:
                continue
            in_the_way = self._in_the_way(option)
            if not in_the_way and self._is_still_free(one, option):
                self._decide(one, option.choice, option)
                return True
            if len(in_the_way) != 1 or in_the_way[0].is_pinned or in_the_way[0].visit.id in asked:
                continue
            other = in_the_way[0]
            asked.add(other.visit.id)
            before = self.given.pop(other.visit.id)
            if self._is_still_free(one, option):
                # From here on it is in the way of the other.
                self.given[one.visit.id] = option
                if self._keep_time(other, asked):
                    self._decide(one, option.choice, option)
                    return True
                del self.given[one.visit.id]
            self.given[other.visit.id] = before
        return False

    def _in_the_way(self, option: Option) -> list[Planned]:
        return [
            one
            for one in self.all
            if (own := self.given.get(one.visit.id)) is not None
            and own.choice.practitioner_id == option.choice.practitioner_id
            and own.block[0] < option.block[1]
            and own.block[1] > option.block[0]
        ]

    def _is_still_free(self, one: Planned, option: Option) -> bool:
        """Whether the patient has no other time in this plan then."""
        own = self._own(one)
        return not any(each.starts_at < option.ends_at and each.ends_at > option.starts_at for each in own)

    def give_the_rest(self) -> None:
        """Each in turn gets the best of what is left."""
        for one in self.all:
            if one.visit.id in self.decided:
                continue
            if one.visit.patient.deceased_on is not None:
                self._decide(one, Choice(AbsenceAct.CANCEL), None)
                continue
            best = next(iter(self._options(one, _taken(self.given.values()), self._own(one))), None)
            self._decide(one, Choice(AbsenceAct.WAITING_LIST) if best is None else best.choice, best)

    def _decide(self, one: Planned, choice: Choice, option: Option | None) -> None:
        one.chosen, one.option = choice, option
        self.decided.add(one.visit.id)
        if option is not None:
            self.given[one.visit.id] = option
            if option.choice not in [each.choice for each in one.options]:
                one.options.append(option)

    def _at(self, one: Planned, choice: Choice) -> Option | None:
        for board in self.boards[one.visit.id]:
            if board.is_other_mode == (choice.act is AbsenceAct.PHONE):
                return board.at(choice, _taken(self.given.values()), self._own(one))
        return None

    def _options(self, one: Planned, taken: Taken, own: list[OwnVisit]) -> list[Option]:
        """In person as it was, then by phone: of that only the best two."""
        found: list[Option] = []
        for board in self.boards[one.visit.id]:
            options = board.options(taken, own)
            found += options[:2] if board.is_other_mode else options
        return found

    def _own(self, one: Planned) -> list[OwnVisit]:
        """The other times that this plan gives to the same patient."""
        return [
            OwnVisit(each.visit.id, given.starts_at, given.ends_at)
            for each in self.all
            if each is not one
            and each.visit.patient_id == one.visit.patient_id
            and (given := self.given.get(each.visit.id)) is not None
        ]


def _taken(options: Iterable[Option]) -> Taken:
    found: Taken = defaultdict(list)
    for option in options:
        if option.choice.practitioner_id is not None:
            found[option.choice.practitioner_id].append(option.block)
    return found
