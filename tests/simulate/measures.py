"""What came of a run, in numbers; and several runs together, with the interval in which the true mean should lie."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.models import Appointment, Offer, OfferState, Status
from tests.simulate.clinic import AFTERNOON, CELL, DOCTORS, FIRST_DAY, MORNING, PROTECTED, Clinic, wall, works
from tests.simulate.days import Story
from tests.simulate.watching import covered
from tests.world import GRID

HELD = (Status.BOOKED, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW)
# Two-sided 95 % of Student's t, by degrees of freedom; beyond them it hardly changes.
T95 = (math.nan, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


@dataclass(frozen=True)
class Measures:
    """One run. Waits are in days from asking to the visit; shares are in percent."""

    asked: float
    wait_median: float
    wait_p90: float
    wait_soon_median: float
    placed: float
    listed: float
    offers_taken: float
    lost_under_hold_min: float
    freed_used: float
    overtakes: float
    spread: float
    seatable: float


WORDS = {
    "asked": "people who came",
    "wait_median": "days from asking to the visit, median",
    "wait_p90": "the same, 9 of 10 at most",
    "wait_soon_median": "the same, class soon, median",
    "placed": "requests placed by nobody, %",
    "listed": "requests put on the waiting list first, %",
    "offers_taken": "offers taken, %",
    "lost_under_hold_min": "minutes offered to no use, each 1,000 offered by the clinic",
    "freed_used": "freed time used again, %",
    "overtakes": "overtakes",
    "spread": "workload between clinicians, standard deviation in points of %",
    "seatable": "put on the list though seatable, % of all who came",
}


def measure(session: Session, clinic: Clinic, story: Story, days: int) -> Measures:
    """Read from the rows, once the days are over."""
    visits = list(session.scalars(select(Appointment)))
    seen = [visit for visit in visits if visit.status in HELD and visit.starts_at is not None]
    requests = [visit for visit in visits if visit.answer_by is not None]
    placed = [visit for visit in requests if visit.starts_at is not None]
    waits = sorted(_days_of(visit) for visit in placed)
    soon = [_days_of(visit) for visit in placed if visit.priority_class.value == "soon"]
    offered, until = _offered_minutes(days), wall(FIRST_DAY + timedelta(days=days), 0)
    return Measures(
        asked=story.asked,
        wait_median=statistics.median(waits) if waits else math.nan,
        wait_p90=waits[int(len(waits) * 0.9)] if waits else math.nan,
        wait_soon_median=statistics.median(soon) if soon else math.nan,
        placed=_percent(len(placed), len(requests)),
        listed=_percent(story.refused, len(requests)),
        offers_taken=_offers_taken(session),
        lost_under_hold_min=_lost_under_hold(session, seen, until) * 1000 / sum(offered),
        freed_used=_freed_used(story, seen, until),
        overtakes=story.overtakes,
        spread=statistics.pstdev(_load_of(clinic, seen, offered, until)),
        seatable=_percent(story.seatable, story.asked),
    )


def _days_of(visit: Appointment) -> float:
    assert visit.starts_at is not None
    return (visit.starts_at - visit.requested_at) / timedelta(days=1)


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else math.nan


def _offers_taken(session: Session) -> float:
    ended = session.scalars(select(Offer.state).where(Offer.state != OfferState.OPEN)).all()
    return _percent(sum(state is OfferState.ACCEPTED for state in ended), len(ended))


def _lost_under_hold(session: Session, seen: Sequence[Appointment], until: datetime) -> float:
    """Minutes that were kept for people who did not take them, and in which nobody was seen in the end."""
    left = select(Offer).where(Offer.state.in_((OfferState.DECLINED, OfferState.EXPIRED)), Offer.starts_at < until)
    kept: dict[int, set[datetime]] = {}
    for offer in session.scalars(left):
        hold = offer.hold
        cells = range(round((hold.ends_at - hold.starts_at) / CELL))
        kept.setdefault(offer.practitioner_id, set()).update(hold.starts_at + CELL * number for number in cells)
    return sum(
        GRID - covered(cell, cell + CELL, times)
        for doctor_id, cells in kept.items()
        for times in [_times_of(seen, doctor_id)]
        for cell in cells
    )


def _times_of(seen: Sequence[Appointment], practitioner_id: int | None) -> list[tuple]:  # type: ignore[type-arg]
    return [(visit.starts_at, visit.ends_at) for visit in seen if visit.practitioner_id == practitioner_id]


def _freed_used(story: Story, seen: Sequence[Appointment], until: datetime) -> float:
    used = whole = 0
    for doctor_id, start, end in story.freed:
        if start >= until:
            continue
        whole += round((end - start).total_seconds() / 60)
        used += covered(start, end, _times_of(seen, doctor_id))
    return _percent(used, whole)


def _offered_minutes(days: int) -> list[int]:
    """By clinician."""
    each = sum(last - first for first, last in (MORNING, PROTECTED, AFTERNOON))
    dates = [FIRST_DAY + timedelta(days=number) for number in range(days)]
    return [each * sum(works(number, day) for day in dates) for number in range(DOCTORS)]


def _load_of(clinic: Clinic, seen: Sequence[Appointment], offered: Sequence[int], until: datetime) -> list[float]:
    """Which share of their time each of them works, in the days that were simulated."""
    minutes = [
        sum((end - start).total_seconds() / 60 for start, end in _times_of(seen, doctor_id) if start < until)
        for doctor_id in clinic.doctors
    ]
    return [_percent(worked, whole) for worked, whole in zip(minutes, offered, strict=True)]


@dataclass(frozen=True)
class Estimate:
    """A mean over several seeds, and half of the interval around it that has the true one in 95 of 100 cases."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if math.isnan(self.half) else f"{self.mean:.1f} ± {self.half:.1f}"


def together(runs: Sequence[Measures]) -> dict[str, Estimate]:
    """Each measure over all runs."""
    return {field.name: _estimate([getattr(run, field.name) for run in runs]) for field in fields(Measures)}


def _estimate(values: Sequence[float]) -> Estimate:
    values = [value for value in values if not math.isnan(value)]
    if len(values) < 2:
        return Estimate(values[0] if values else math.nan, math.nan)
    t = T95[min(len(values) - 1, len(T95) - 1)]
    return Estimate(statistics.mean(values), t * statistics.stdev(values) / math.sqrt(len(values)))
