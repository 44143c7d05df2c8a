"""Which time a request gets: the earliest that its wishes, the clinic's terms and the patient's other visits leave.

Pure: it looks at a picture of the free time, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clinic_portal import clock
from clinic_portal.audit import ActorKind
from clinic_portal.errors import DomainError, ModeNotOffered
from clinic_portal.models import ContinuityWish, Need, Origin, Status
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.askers import ASKED_BY, Asker, terms_for
from clinic_portal.scheduling.assignment import Candidate, Placement, placement_of
from clinic_portal.scheduling.picture import Kind, KindKey, Picture, Track
from clinic_portal.scheduling.search import OwnVisit, Search, Terms, days_between
from clinic_portal.scheduling.strips import first_cell_from
from clinic_portal.scheduling.times import noticed_from
from clinic_portal.scheduling.wishes import suiting_starts

NOTHING_FITS, WINDOW_PAST, PATIENT_GONE = "nothing_fits", "window_past", "patient_gone"
OFFER_OPEN, OFFERS_THIS_WEEK = "offer_open", "offers_this_week"
# Passes by itself: the patient hears nothing of it, and so not yet that nothing fits.
PASSING = (OFFER_OPEN, OFFERS_THIS_WEEK)
ALTERNATIVES = 3
# How many starts are looked at for them: some may meet the patient's other visits.
LOOKS = 20


@dataclass(frozen=True)
class Found:
    """The best candidate for a request, all who could take it then, and the terms under which."""

    candidate: Candidate
    ranked: list[Candidate]
    terms: Terms

    def placement(self, lost_races: int = 0) -> Placement:
        """What it means for the visit, once its cells are claimed."""
        return placement_of(self.candidate, self.terms, len(self.ranked), lost_races)


@dataclass(frozen=True)
class Nothing:
    """Why a request gets no time now, as a code, the nearest starts outside its wishes, and when to look again."""

    reason: str
    alternatives: tuple[tuple[datetime, int], ...] = ()
    again_at: datetime | None = None


def is_unheard(row: Any) -> bool:
    """Whether a patient has not yet been told that a request waits for a time."""
    return row.status is not Status.WAITLIST or row.not_placed_because in (None, *PASSING)


def search_of(row: Any) -> Search:
    """The search behind a kept request."""
    wishes = row.wishes or {}
    return Search(
        row.visit_type_id,
        row.patient_id,
        wishes.get("location_id"),
        frozenset(Need(need) for need in wishes.get("needs") or ()),
        mode=row.mode,
        continuity=row.continuity_wish,
        # A booked visit that would be earlier is moved.
        moving_id=row.id if row.starts_at is not None else None,
        by=ASKED_BY.get(Origin(row.origin), ActorKind.STAFF),
    )


def plan(
    picture: Picture, row: Any, asker: Asker, now: datetime, *, not_before: datetime | None = None,
    not_at: Iterable[datetime] = (), not_during: Iterable[tuple[datetime, datetime]] = (),
) -> Found | Nothing:  # fmt: skip
    """The earliest time for a request, and who takes it.

    Args: row, the request with its wishes; not_at, starts to be passed over; not_during, times to be kept clear of.
    Source: UC1.2: earliest fit inside the wishes, never overlapping the patient's other visits.
    """
    if asker.is_gone:
        return Nothing(PATIENT_GONE)
    try:
        search = search_of(row)
        kind = _kind_of(picture, search, is_new=asker.seen_as_told(search.by) is None)
        terms = terms_for(kind, search, asker, now, None if search.moving_id is None else row.practitioner_id)
    except DomainError as refusal:
        return Nothing(refusal.code)
    if refused := terms.limits.refusal():
        return Nothing(refused.code)
    clear_of = asker.own_visits(now, row.id) + [OwnVisit(0, low, high) for low, high in not_during]
    return _Look(picture, kind, terms, clear_of, row, not_before, frozenset(not_at)).found()


def _kind_of(picture: Picture, search: Search, *, is_new: bool) -> Kind:
    key = KindKey(search.visit_type_id, search.mode, search.needs, is_new)
    try:
        return picture.kind(key)
    except ModeNotOffered:
        if search.moving_id is None:
            raise
        # As its patient may move it to another time.
        return picture.kind(key._replace(keeps_mode=True))


class _Look:
    """One request's look at the picture."""

    def __init__(self, picture: Picture, kind: Kind, terms: Terms, own: list[OwnVisit], row: Any,
                 not_before: datetime | None, not_at: frozenset[datetime]) -> None:  # fmt: skip
        self.picture, self.kind, self.terms, self.own, self.row = picture, kind, terms, own, row
        warned = terms.now + timedelta(minutes=row.min_warning_min)
        earliest = max(terms.earliest_at, warned, not_before or warned)
        self.first_cell = first_cell_from(earliest, terms.grid_min)
        self.last_cell = None if row.starts_at is None else self._latest(row.starts_at)
        self.not_at = {masks.to_cell(instant, terms.grid_min) for instant in not_at}

    def _latest(self, starts_at: datetime) -> int:
        """Up to which start an earlier time is worth a move."""
        least = timedelta(hours=self.terms.settings.number("earlier_by_h", self.row.visit_type_id))
        return first_cell_from(starts_at - least, self.terms.grid_min)

    def found(self) -> Found | Nothing:
        is_restricted = len(self.terms.doers) != len(self.kind.terms.doers)
        anybody = set(self.terms.doers) if is_restricted else None
        best = self._earliest(anybody)
        if self.terms.search.continuity is ContinuityWish.PREFER_SAME and self.terms.same_id is not None:
            best = self._rather_the_same(best, self.terms.same_id)
        if best is None:
            return Nothing(self._reason(), self._alternatives(anybody) if is_unheard(self.row) else ())
        cell, fitting = best
        ranked = self.picture.rank(self.kind, self.terms, fitting, cell)
        return Found(ranked[0], ranked, self.terms)

    def _rather_the_same(self, best: tuple[int, list[Track]] | None, same_id: int) -> tuple[int, list[Track]] | None:
        """The same person's time, if it is not too much later. Source: clinic.md 10, continuity tolerance."""
        known = self._earliest({same_id})
        if best is None or known is None:
            return best or known
        days = self.terms.settings.number("continuity_tolerance_days", self.row.visit_type_id)
        tolerance = timedelta(days=days) // timedelta(minutes=self.terms.grid_min)
        return known if known[0] <= best[0] + tolerance else best

    def _earliest(self, doers: set[int] | None) -> tuple[int, list[Track]] | None:
        """The first cell within the wishes at which somebody fits, and who does."""
        places = {
            place: starts
            for place, zone in self.terms.zones.items()
            if (starts := self._allowed(place, zone, doers) & self._suiting(zone))
        }
        return self._first_fit(places, doers)

    def _first_fit(self, places: dict[int, int], doers: set[int] | None) -> tuple[int, list[Track]] | None:
        every = 0
        for starts in places.values():
            every |= starts
        while every:
            bit = (every & -every).bit_length() - 1
            every &= every - 1
            cell = self.picture.low + bit
            fitting = [
                track
                for place, starts in places.items()
                if starts >> bit & 1
                for track in self.picture.tracks_at(self.kind, place, cell)
                if (doers is None or track.stretch.practitioner_id in doers)
                and self._is_told_in_time(track, cell)
                and not self._is_busy(track, cell)
            ]
            if fitting and cell not in self.not_at:
                return cell, fitting
        return None

    def _allowed(self, place: int, zone: str, doers: set[int] | None) -> int:
        """The starts that the clinic's terms leave: notice, horizon, limits that depend on the day."""
        starts = self.picture.starts_of(self.kind, place, doers)
        starts &= -1 << max(self.first_cell - self.picture.low, 0)
        last_day = clock.local_date(self.terms.now, zone) + self._horizon()
        end = first_cell_from(clock.day_bounds(last_day, zone)[1], self.terms.grid_min)
        if self.last_cell is not None:
            end = min(end, self.last_cell + 1)
        starts &= masks.run(max(end - self.picture.low, 0))
        return starts & ~self._refused_days(zone) if self.terms.limits.rules.depend_on_day else starts

    def _horizon(self) -> timedelta:
        return timedelta(days=self.terms.settings.number("horizon_days", self.row.visit_type_id))

    def _refused_days(self, zone: str) -> int:
        today = clock.local_date(self.terms.now, zone)
        found = 0
        for day in days_between(today, today + self._horizon()):
            if self.terms.limits.refusal_on(day) is not None:
                low, high = (first_cell_from(bound, self.terms.grid_min) for bound in clock.day_bounds(day, zone))
                found |= masks.covered(self.picture.low, self.picture.high - self.picture.low, low, high)
        return found

    def _suiting(self, zone: str) -> int:
        return suiting_starts(self.row, zone, self.picture.low, self.picture.high, self.terms.grid_min)

    def _is_told_in_time(self, track: Track, cell: int) -> bool:
        """Whether the practitioner's own notice allows it; the desk needs none."""
        doer = self.terms.doers[track.stretch.practitioner_id]
        if not doer.notice_min or self.terms.search.is_by_clinic:
            return True
        return masks.to_instant(cell, self.terms.grid_min) >= noticed_from(self.terms, doer)

    def _is_busy(self, track: Track, cell: int) -> bool:
        """Whether the patient would be in two places."""
        if not self.own:
            return False
        starts_at = masks.to_instant(cell, self.terms.grid_min)
        cells = self.terms.doers[track.stretch.practitioner_id].visit_cells
        ends_at = masks.to_instant(cell + cells, self.terms.grid_min)
        return any(visit.starts_at < ends_at and visit.ends_at > starts_at for visit in self.own)

    def _reason(self) -> str:
        until = self.row.wish_until
        zones = self.terms.zones.values()
        is_past = until is not None and all(clock.local_date(self.terms.now, zone) > until for zone in zones)
        return WINDOW_PAST if is_past else NOTHING_FITS

    def _alternatives(self, doers: set[int] | None) -> tuple[tuple[datetime, int], ...]:
        """Up to three free starts outside the wishes on different days, nearest to the first wished day, in order."""
        low = self.first_cell - self.picture.low
        if self.row.wish_from is not None:
            zone = next(iter(self.terms.zones.values()))
            wished = first_cell_from(clock.day_bounds(self.row.wish_from, zone)[0], self.terms.grid_min)
            low = max(low, wished - self.picture.low)
        places = {place: self._allowed(place, zone, doers) for place, zone in self.terms.zones.items()}
        found: list[tuple[datetime, int]] = []
        for _ in range(LOOKS):
            nearest = _nearest(places, low)
            if not nearest or len(found) == ALTERNATIVES:
                break
            passed = nearest
            if first := self._first_fit({place: starts & nearest for place, starts in places.items()}, doers):
                starts_at, place = masks.to_instant(first[0], self.terms.grid_min), first[1][0].stretch.location_id
                found.append((starts_at, place))
                passed = self._day_around(starts_at, self.terms.zones[place])
            places = {place: starts & ~passed for place, starts in places.items()}
        return tuple(sorted(found))

    def _day_around(self, instant: datetime, zone: str) -> int:
        low, high = (
            first_cell_from(bound, self.terms.grid_min)
            for bound in clock.day_bounds(clock.local_date(instant, zone), zone)
        )
        return masks.covered(self.picture.low, self.picture.high - self.picture.low, low, high)


def _nearest(places: dict[int, int], low: int) -> int:
    """The start nearest to a bit, as a mask: the next from it on, or the last before it; 0 when there is none."""
    every, low = 0, max(low, 0)
    for starts in places.values():
        every |= starts
    after, before = every >> low, every & masks.run(low)
    picks = [low + (after & -after).bit_length() - 1] if after else []
    picks += [before.bit_length() - 1] if before else []
    return 1 << min(picks, key=lambda bit: abs(bit - low)) if picks else 0
