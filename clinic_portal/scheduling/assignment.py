"""Who takes a visit: the eligible are found, scored and tried in order, and the reason is kept.

What a patient must or must not have decides first (see `search.py`). Then four scores from 0 to 1, weighted by
settings: continuity (a practitioner the patient knows), scarcity (keep rare skills free for those whom nobody else can
help), load (even work relative to the time offered that day), gaps (leave no free stretch too short for any visit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import mul
from typing import Any, NamedTuple

from sqlalchemy import Float, bindparam, case, cast, func, select
from sqlalchemy.orm import Session, aliased

from clinic_portal import clock
from clinic_portal.catalogue import Catalogue
from clinic_portal.errors import PatientBusy, SlotTaken
from clinic_portal.models import ContinuityWish, Practitioner, PractitionerVisitType
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.caps import Loads, Taking, have_room, loads_of
from clinic_portal.scheduling.claims import Part, Piece, claim, close_dead_holds, lock_parts, without
from clinic_portal.scheduling.continuity import USUAL
from clinic_portal.scheduling.doers import Doer
from clinic_portal.scheduling.search import OwnVisit, Terms, own_visits
from clinic_portal.scheduling.strips import cells_touched
from clinic_portal.scheduling.times import WorkStretch, noticed_from, offered_starts, read_stretches

SCORES = ("continuity", "scarcity", "load", "gaps")
FAMILIAR_SCORE = {USUAL: 1.0}
SEEN_LAST_SCORE = 0.8
# A start that touches other visits or an end of the session leaves one gap, not two.
TWO_GAPS_SCORE = 0.8
LONGEST_VISIT = timedelta(days=1)


class Candidate(NamedTuple):
    """A practitioner who could take the visit at one place; `block` is the visit with its buffers, in cells.

    `is_kept`: some of the cells are still marked as taken, by a dead hold or the visit to be moved.
    """

    practitioner_id: int
    location_id: int
    parts: tuple[Part, ...]
    visit: Piece
    block: Piece
    gaps: tuple[int, int]
    scores: tuple[float, ...]
    total: float
    is_kept: bool


class Skills(NamedTuple):
    """How much a practitioner is needed for other visits, and the shortest visit of theirs in cells."""

    rarity: float
    shortest_cells: int


@dataclass(frozen=True)
class Placement:
    """Cells that now belong to a visit or a hold, and how it came to them."""

    practitioner_id: int
    location_id: int
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    choice: dict[str, Any]
    candidates: int
    lost_races: int
    extra_minutes: int = 0


def find_candidates(
    session: Session, terms: Terms, starts_at: datetime, dead: list[Any] | None = None
) -> list[Candidate]:
    """Everybody who could take a visit at this instant, best first; the order is the same for the same state.

    Args: dead, the holds that do not bind, if they have just been read.
    Raises: PatientBusy when only the patient's own other visit stands in the way.
    """
    terms.check_start(starts_at)
    cell = masks.to_cell(starts_at, terms.grid_min)
    day = day_of(starts_at, terms)
    stretches = read_stretches(session, terms, *day, dead)
    loads = loads_of(session, terms, starts_at, starts_at)
    fitting = [stretch for stretch in stretches if _fits(stretch, terms, cell, loads)]
    _refuse_overlap_of_patient(session, terms, starts_at, fitting)
    return rank(fitting, terms, cell, read_skills(terms), stretches, day) if fitting else []


def rank(
    fitting: list[WorkStretch],
    terms: Terms,
    cell: int,
    skills: dict[int, Skills],
    around: Iterable[WorkStretch],
    day: Piece,
) -> list[Candidate]:
    """Those who could take a visit that starts at a cell, best first; the order is the same for the same state.

    Args: around, at least all time of these practitioners on the day, which is given by its cells.
    """  # fmt: skip
    offered = _offered(around, day)
    weights = [terms.settings.number(f"weight_{name}") for name in SCORES]
    scored = [_scored(stretch, terms, cell, skills, offered, weights) for stretch in fitting]
    return sorted(scored, key=lambda candidate: _order(candidate, terms))


def _order(candidate: Candidate, terms: Terms) -> tuple[bool, float, int, int]:
    """Best first; whoever wishes to see the same person gets that person before anybody who scores better."""
    is_wished = terms.search.continuity is not ContinuityWish.NONE and candidate.practitioner_id == terms.same_id
    return not is_wished, -candidate.total, candidate.practitioner_id, candidate.location_id


def day_of(starts_at: datetime, terms: Terms) -> Piece:
    """The cells of the local day around an instant, over all places."""
    bounds = [clock.day_bounds(clock.local_date(starts_at, zone), zone) for zone in set(terms.zones.values())]
    return cells_touched(min(low for low, _ in bounds), max(high for _, high in bounds), terms.grid_min)


def _fits(stretch: WorkStretch, terms: Terms, cell: int, loads: Loads) -> bool:
    bit, doer = cell - stretch.cells.first_cell, terms.doers[stretch.practitioner_id]
    if not 0 <= bit < stretch.cells.cell_count or not offered_starts(stretch, doer, terms.step_cells) >> bit & 1:
        return False
    starts_at = masks.to_instant(cell, terms.grid_min)
    if starts_at < noticed_from(terms, doer):
        return False
    day = clock.local_date(starts_at, terms.zones[stretch.location_id])
    return loads.has_room(doer, day, terms.search.visit_type_id)


def _refuse_overlap_of_patient(session: Session, terms: Terms, starts_at: datetime, fitting: list[WorkStretch]) -> None:
    """Drop from `fitting` those whose visit would meet another of the patient's; refuse when that leaves nobody."""
    own = own_visits(session, terms.search, starts_at, starts_at + LONGEST_VISIT)
    # The patient's own visit may be the very reason why nobody is free.
    if not fitting and own and own[0].starts_at <= starts_at:
        raise PatientBusy(appointment_id=own[0].appointment_id)
    if not own or not fitting:
        return
    met = [_met(terms.doers[stretch.practitioner_id], starts_at, own, terms) for stretch in fitting]
    if all(met):
        raise PatientBusy(appointment_id=met[0][0].appointment_id)
    fitting[:] = [stretch for stretch, visits in zip(fitting, met, strict=True) if not visits]


def _met(doer: Doer, starts_at: datetime, own: list[OwnVisit], terms: Terms) -> list[OwnVisit]:
    """The patient's visits that one with this practitioner would overlap."""
    cell = masks.to_cell(starts_at, terms.grid_min)
    ends_at = masks.to_instant(cell + doer.visit_cells, terms.grid_min)
    return [visit for visit in own if visit.starts_at < ends_at and visit.ends_at > starts_at]


def _offered(stretches: Iterable[WorkStretch], day: Piece) -> dict[int, tuple[int, int]]:
    """For each practitioner how many cells that day are free, of how many."""
    offered: dict[int, tuple[int, int]] = {}
    for practitioner_id, _, (first, count, _), usable, _ in stretches:
        mask = masks.covered(first, count, *day)
        free, cells = offered.get(practitioner_id, (0, 0))
        offered[practitioner_id] = (free + (usable & mask).bit_count(), cells + mask.bit_count())
    return offered


_ACTIVE = (PractitionerVisitType.is_active, Practitioner.is_active)
_HOW_MANY = (
    select(PractitionerVisitType.visit_type_id, func.count().label("doers"))
    .join(Practitioner, Practitioner.id == PractitionerVisitType.practitioner_id)
    .where(*_ACTIVE)
    .group_by(PractitionerVisitType.visit_type_id)
    .subquery()
)
_THIS_TYPE = aliased(PractitionerVisitType)
_SKILLS = (
    select(
        PractitionerVisitType.practitioner_id,
        func.sum(
            case(
                (PractitionerVisitType.visit_type_id == bindparam("visit_type_id"), 0.0),
                else_=1.0 / cast(_HOW_MANY.c.doers, Float),
            )
        ),
        func.min(
            PractitionerVisitType.duration_min
            + PractitionerVisitType.buffer_before_min
            + PractitionerVisitType.buffer_after_min
        ),
    )
    .join(_HOW_MANY, _HOW_MANY.c.visit_type_id == PractitionerVisitType.visit_type_id)
    .where(
        PractitionerVisitType.is_active,
        PractitionerVisitType.practitioner_id.in_(
            select(_THIS_TYPE.practitioner_id).where(_THIS_TYPE.visit_type_id == bindparam("visit_type_id"))
        ),
    )
    .group_by(PractitionerVisitType.practitioner_id)
)


def read_skills(terms: Terms) -> dict[int, Skills]:
    """How much those who do such visits are needed for others."""
    return terms.catalogue.made(_skills, terms.search.visit_type_id, terms.grid_min)


def _skills(found: Catalogue, visit_type_id: int, grid_min: int) -> dict[int, Skills]:
    """A practitioner's rarity is the sum, over their other visit types, of one divided by how many do that type."""
    rows = found.rows(_SKILLS, visit_type_id=visit_type_id)
    return {whose: Skills(float(rarity), max(1, minutes // grid_min)) for whose, rarity, minutes in rows}


def _scored(
    stretch: WorkStretch,
    terms: Terms,
    cell: int,
    skills: dict[int, Skills],
    offered: dict[int, tuple[int, int]],
    weights: list[int],
) -> Candidate:
    doer = terms.doers[stretch.practitioner_id]
    block = (cell - doer.before_cells, cell + doer.visit_cells + doer.after_cells)
    first, count, free_now = stretch.cells
    gaps = masks.free_run_around(stretch.usable, block[0] - first, block[1] - first)
    skill, (free, cells) = skills[stretch.practitioner_id], offered[stretch.practitioner_id]
    familiar = terms.familiar.get(stretch.practitioner_id)
    # In the order of SCORES.
    scores = (
        FAMILIAR_SCORE.get(familiar, SEEN_LAST_SCORE) if familiar else 0.0,
        1 / (1 + skill.rarity),
        free / cells if cells else 0.0,
        _gaps_score(gaps, skill.shortest_cells),
    )
    total = sum(map(mul, weights, scores))
    return Candidate(
        stretch.practitioner_id,
        stretch.location_id,
        stretch.parts,
        (cell, cell + doer.visit_cells),
        block,
        gaps,
        scores,
        round(total, 3),
        is_kept=bool(masks.covered(first, count, *block) & ~free_now),
    )


def _gaps_score(gaps: tuple[int, int], shortest: int) -> float:
    """1 when nothing is wasted and the visit touches something; less, the more of the gaps no visit fits into."""
    before, after = gaps
    wasted = (before if before < shortest else 0) + (after if after < shortest else 0)
    tidy = 1.0 if 0 in gaps else TWO_GAPS_SCORE
    return tidy * (1 - wasted / (2 * shortest))


@dataclass(frozen=True, slots=True)
class OldTime:
    """Where a visit to be moved is now: who has it, its cells in lane 0, and the sessions that will get them back."""

    practitioner_id: int
    piece: Piece | None
    parts: tuple[Part, ...] = ()


def place(
    session: Session, terms: Terms, starts_at: datetime, old: OldTime | None = None, dead: list[Any] | None = None
) -> Placement:
    """Claim the best candidate's cells inside the caller's transaction; the next one's when somebody was faster.

    Args: old, the time of the visit being moved: its practitioner is tried first, its own cells are not claimed again.
    dead, the holds that do not bind, if they have just been read.
    Raises: SlotTaken when nobody is left, PatientBusy, TooSoon, OutsideHorizon, InvalidRequest.
    Source: UC5.
    """
    candidates = find_candidates(session, terms, starts_at, dead)
    if old is not None:
        candidates.sort(key=lambda candidate: candidate.practitioner_id != old.practitioner_id)
    for lost, candidate in enumerate(candidates):
        if candidate.is_kept:
            low, high = (masks.to_instant(cell, terms.grid_min) for cell in candidate.block)
            close_dead_holds(session, candidate.practitioner_id, low, high, terms.now, terms.grid_min)
        if old is not None and old.parts:
            lock_parts(session, [*old.parts, *candidate.parts])
        if claim(session, candidate.parts, _to_claim(candidate, old), _guard(session, candidate, terms)):
            return placement_of(candidate, terms, len(candidates), lost)
    raise SlotTaken


def _guard(session: Session, candidate: Candidate, terms: Terms) -> Callable[[], bool] | None:
    """Whether the practitioner's limits of the day leave room, asked with the cells claimed; None where they have none.

    Since the candidates were found, somebody else may have got the last visit of the day at another time.
    """
    taking, search = taking_of(candidate, terms), terms.search
    if not taking.doer.is_capped:
        return None
    moving = () if search.moving_id is None else (search.moving_id,)
    return lambda: have_room(session, terms, [taking], moving)


def taking_of(candidate: Candidate, terms: Terms) -> Taking:
    """On whose day a visit would count, and as what."""
    starts_at = masks.to_instant(candidate.visit[0], terms.grid_min)
    day = clock.local_date(starts_at, terms.zones[candidate.location_id])
    return Taking(terms.doers[candidate.practitioner_id], terms.search.visit_type_id, day)


def _to_claim(candidate: Candidate, old: OldTime | None) -> list[Piece]:
    own = old.piece if old is not None and old.practitioner_id == candidate.practitioner_id else None
    return without(candidate.block, own)


def placement_of(candidate: Candidate, terms: Terms, candidates: int, lost: int) -> Placement:
    """What a candidate means for the visit, once its cells are claimed."""
    starts_at, ends_at = (masks.to_instant(cell, terms.grid_min) for cell in candidate.visit)
    blocked_from, blocked_until = (masks.to_instant(cell, terms.grid_min) for cell in candidate.block)
    choice = {
        **{name: round(score, 3) for name, score in zip(SCORES, candidate.scores, strict=True)},
        "total": candidate.total,
        "candidates": candidates,
        "familiar": terms.familiar.get(candidate.practitioner_id),
    }
    return Placement(
        candidate.practitioner_id, candidate.location_id, starts_at, ends_at, blocked_from, blocked_until,
        choice, candidates, lost, terms.extra_minutes,
    )  # fmt: skip
