"""What can be done with one visit whose clinician is away: with whom, when and where else, best first.

Reads only. What it finds is free now; it is claimed by the same guarded statements as any reservation.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import ActorKind
from clinic_portal.errors import DomainError
from clinic_portal.models import AbsenceAct, Appointment, ContactKind, Mode, Patient, Relation
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.assignment import Candidate, day_of, rank, read_skills
from clinic_portal.scheduling.claims import Piece
from clinic_portal.scheduling.modes import offered_modes
from clinic_portal.scheduling.planning import search_of
from clinic_portal.scheduling.search import OwnVisit, Terms, load_terms, own_visits
from clinic_portal.scheduling.strips import cells_touched, first_cell_from
from clinic_portal.scheduling.times import WorkStretch, offered_starts, read_stretches, without_own_visits

# Another time is looked for so far after the old one.
AHEAD = timedelta(days=14)
# An earlier time on the same day is proposed only so far ahead: nobody may hear of it too late.
WARNED = timedelta(days=1)
SAME_DAY, LATER_DAYS, SAME_TIME = 3, 4, 4
PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)
# By practitioner, the cells that somebody else is given.
Taken = dict[int, list[Piece]]


class Tier(enum.StrEnum):
    """How near a proposal is to what the patient knows."""

    SAME_TIME = "same_time"
    SAME_DAY = "same_day"
    LATER = "later"


@dataclass(frozen=True)
class Choice:
    """What is done with one visit: an act, and where it gives a time, with whom and when."""

    act: AbsenceAct
    practitioner_id: int | None = None
    starts_at: datetime | None = None

    @property
    def takes_time(self) -> bool:
        return self.starts_at is not None


@dataclass(frozen=True)
class Option:
    """One time with one clinician that could be given to a visit."""

    choice: Choice
    tier: Tier
    location_id: int
    starts_at: datetime
    ends_at: datetime
    block: Piece
    # Whether the patient knows this clinician, and whether it is at another place.
    is_known: bool
    is_elsewhere: bool


@dataclass(frozen=True)
class Away:
    """Who is away, and from when until when."""

    practitioner_id: int
    low: datetime
    high: datetime


def visit_terms(session: Session, visit: Appointment, mode: Mode) -> Terms | None:
    """The clinic's terms for giving a visit another time, as the desk may; None where it offers no such visits.

    Args: mode, by which way it is to be from then on.
    """
    search = replace(search_of(visit), by=ActorKind.STAFF)
    try:
        if mode is visit.mode:
            return load_terms(session, search, keeps_mode=True)
        terms = load_terms(session, replace(search, moving_id=None, mode=mode))
    except DomainError:
        return None
    # Its own time does not stand in its way.
    return replace(terms, search=replace(terms.search, moving_id=visit.id))


def number_of(patient: Patient, *, is_private: bool) -> str | None:
    """On which number a patient is called; for a private visit on none of somebody else's."""
    usable = [point for point in patient.contact_points if point.kind in PHONES and point.is_usable]
    own = [point for point in usable if point.whose is Relation.SELF]
    found = own or ([] if is_private else usable)
    return found[0].value if found else None


class Board:
    """The free time around one visit, in one way of meeting."""

    def __init__(self, session: Session, visit: Appointment, away: Away, mode: Mode, terms: Terms) -> None:
        assert visit.starts_at is not None
        assert visit.location is not None
        self.visit, self.away, self.terms = visit, away, terms
        self.starts_at, self.zone, self.grid_min = visit.starts_at, visit.location.zone, terms.grid_min
        self.is_other_mode = mode is not visit.mode
        self.cell = masks.to_cell(visit.starts_at, self.grid_min)
        self._day = clock.local_date(visit.starts_at, self.zone)
        last_day = max(min(self._day + AHEAD, terms.day_range()[1]), self._day)
        start, end = clock.day_bounds(self._day, self.zone)[0], clock.day_bounds(last_day, self.zone)[1]
        self._low = first_cell_from(max(start, terms.earliest_at), self.grid_min)
        self._high = first_cell_from(end, self.grid_min)
        self._stretches = read_stretches(session, terms, self._low, self._high)
        self._own = own_visits(session, terms.search, start, end + timedelta(days=1))
        self._skills = read_skills(terms)

    def options(self, taken: Taken, own: Iterable[OwnVisit] = ()) -> list[Option]:
        """What is free, best first: the same time, then the nearest the same day, then later days; its place first.

        Args: taken, what others are given; own, when the same patient is given other times.
        """
        free = list(self._free(taken))
        by_cell: dict[int, list[WorkStretch]] = defaultdict(list)
        for stretch, starts in free:
            for bit in masks.bits(starts):
                cell = stretch.cells.first_cell + bit
                if self._low <= cell < self._high:
                    by_cell[cell].append(stretch)
        around = [stretch for stretch, _ in free]
        busy = list(own)
        here = self._chosen(by_cell, around, busy, is_elsewhere=False)
        there = self._chosen(by_cell, around, busy, is_elsewhere=True)
        # What is the same day elsewhere comes before what is later here: the patient said that any place will do.
        return sorted([*here, *there], key=lambda one: one.tier is Tier.LATER)

    def at(self, choice: Choice, taken: Taken, own: Iterable[OwnVisit] = ()) -> Option | None:
        """One choice, if it can be had."""
        if choice.starts_at is None:
            return None
        cell = first_cell_from(choice.starts_at, self.grid_min)
        free = list(self._free(taken))
        fitting = [
            stretch
            for stretch, starts in free
            if stretch.practitioner_id == choice.practitioner_id
            and self._low <= cell < self._high
            and cell >= stretch.cells.first_cell
            and starts >> cell - stretch.cells.first_cell & 1
        ]
        found = self._ranked(cell, fitting, [stretch for stretch, _ in free], list(own))
        return found[0] if found and found[0].starts_at == choice.starts_at else None

    def _free(self, taken: Taken) -> Iterator[tuple[WorkStretch, int]]:
        """Each stretch of work less what is given away, and where a visit may start in it."""
        away = cells_touched(self.away.low, self.away.high, self.grid_min)
        for stretch in self._stretches:
            first, count, _ = stretch.cells
            gone = [*taken.get(stretch.practitioner_id, ())]
            gone += [away] if stretch.practitioner_id == self.away.practitioner_id else []
            usable = stretch.usable
            for piece in gone:
                usable &= ~masks.covered(first, count, *piece)
            left = stretch._replace(usable=usable)
            doer = self.terms.doers[stretch.practitioner_id]
            starts = offered_starts(left, doer, self.terms.step_cells)
            yield left, without_own_visits(starts, first, doer, self._own, self.grid_min)

    def _chosen(self, by_cell: dict[int, list[WorkStretch]], around: list[WorkStretch], busy: list[OwnVisit],
                *, is_elsewhere: bool) -> Iterator[Option]:  # fmt: skip
        """The same time with some, the nearest of the day, and of each later day the one nearest to the old hour."""

        def at(cell: int) -> list[Option]:
            fitting = [each for each in by_cell.get(cell, ()) if self._is_elsewhere(each.location_id) == is_elsewhere]
            return self._ranked(cell, fitting, around, busy) if fitting else []

        yield from at(self.cell)[:SAME_TIME]
        by_day: dict[date, list[int]] = defaultdict(list)
        for cell in by_cell:
            if cell != self.cell and self._is_told_in_time(cell):
                by_day[clock.local_date(masks.to_instant(cell, self.grid_min), self.zone)].append(cell)
        for day in sorted(by_day)[: LATER_DAYS + 1]:
            found = 0
            wanted = self._hour_on(day)
            # Of two that are as near, the later one: whoever planned to come then can come then.
            for cell in sorted(by_day[day], key=lambda each: (abs(each - wanted), -each)):
                if options := at(cell):
                    yield options[0]
                    found += 1
                if found == (SAME_DAY if day == self._day else 1):
                    break

    def _hour_on(self, day: date) -> int:
        """The cell of the visit's hour on another day."""
        local = clock.local(self.starts_at, self.zone)
        return first_cell_from(clock.wall_to_instant(day, local.hour * 60 + local.minute, self.zone), self.grid_min)

    def _is_told_in_time(self, cell: int) -> bool:
        return cell > self.cell or masks.to_instant(cell, self.grid_min) >= self.terms.now + WARNED

    def _is_elsewhere(self, location_id: int) -> bool:
        return not self.is_remote and location_id != self.visit.location_id

    @property
    def is_remote(self) -> bool:
        """Whether it is of no importance to the patient where the clinician sits."""
        return self.terms.search.mode in (Mode.PHONE, Mode.VIDEO)

    def _ranked(
        self, cell: int, fitting: list[WorkStretch], around: list[WorkStretch], busy: list[OwnVisit]
    ) -> list[Option]:
        if not fitting:
            return []
        day = day_of(masks.to_instant(cell, self.grid_min), self.terms)
        options = [self._option(one) for one in rank(fitting, self.terms, cell, self._skills, around, day)]
        return [
            one for one in options if not any(each.starts_at < one.ends_at and each.ends_at > one.starts_at
                                              for each in busy)
        ]  # fmt: skip

    def _option(self, found: Candidate) -> Option:
        starts_at, ends_at = (masks.to_instant(cell, self.grid_min) for cell in found.visit)
        tier = Tier.SAME_TIME
        if starts_at != self.starts_at:
            is_same_day = clock.local_date(starts_at, self.zone) == self._day
            tier = Tier.SAME_DAY if is_same_day else Tier.LATER
        act = AbsenceAct.SAME_TIME if tier is Tier.SAME_TIME else AbsenceAct.OTHER_TIME
        return Option(
            choice=Choice(AbsenceAct.PHONE if self.is_other_mode else act, found.practitioner_id, starts_at),
            tier=tier,
            location_id=found.location_id,
            starts_at=starts_at,
            ends_at=ends_at,
            block=found.block,
            is_known=found.practitioner_id in self.terms.familiar,
            is_elsewhere=self._is_elsewhere(found.location_id),
        )


def boards_for(session: Session, visit: Appointment, away: Away) -> list[Board]:
    """The free time for a visit as it is, and by phone where that can be instead."""
    found = []
    for mode in _ways(session, visit):
        terms = visit_terms(session, visit, mode)
        if terms is not None:
            found.append(Board(session, visit, away, mode, terms))
    return found


def _ways(session: Session, visit: Appointment) -> list[Mode]:
    if visit.mode is not Mode.IN_PERSON or number_of(visit.patient, is_private=visit.is_private) is None:
        return [visit.mode]
    terms = visit_terms(session, visit, visit.mode)
    settings = None if terms is None else terms.settings
    by_phone = settings is not None and Mode.PHONE in offered_modes(visit.visit_type.modes, settings)
    return [visit.mode, Mode.PHONE] if by_phone else [visit.mode]
