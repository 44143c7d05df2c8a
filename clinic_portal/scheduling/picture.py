"""The clinic's free time as the queue sees it: read once, and kept up to date in memory while requests are placed.

A picture decides nothing. What it finds is claimed by the same guarded statements as any reservation; a picture that
was overtaken makes a claim fail, and a new one is taken. Pure, but for reading itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from clinic_portal.models import Mode, Need
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.assignment import Candidate, Skills, day_of, rank, read_skills
from clinic_portal.scheduling.caps import Loads, Taking, read_loads
from clinic_portal.scheduling.claims import Piece
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.strips import cell_of
from clinic_portal.scheduling.times import WorkStretch, full_cells, offered_starts, read_stretches

DAY_MIN = 24 * 60


class Track:
    """One stretch of work, with what is left of it."""

    __slots__ = ("stretch",)

    def __init__(self, stretch: WorkStretch) -> None:
        self.stretch = stretch

    @property
    def span(self) -> Piece:
        return self.stretch.cells.first_cell, self.stretch.cells.end_cell

    def take(self, block: Piece) -> None:
        """Note that cells are somebody's now."""
        cells = self.stretch.cells
        left = ~masks.covered(cells.first_cell, cells.cell_count, *block)
        self.stretch = self.stretch._replace(
            cells=cells._replace(free=cells.free & left), usable=self.stretch.usable & left
        )


class KindKey(NamedTuple):
    """What makes two requests alike to the clinic's hours: lengths of visits, places, people, and which hours."""

    visit_type_id: int
    mode: Mode
    needs: frozenset[Need]
    is_new: bool
    # A visit that is booked keeps its mode, whatever is offered since.
    keeps_mode: bool = False


@dataclass
class Kind:
    """Everything that is alike for requests of one kind, and the starts that are free for them by place."""

    terms: Terms
    skills: dict[int, Skills]
    tracks: list[Track]
    starts: dict[Track, int] = field(default_factory=dict)
    by_place: dict[int, int] = field(default_factory=dict)
    by_day: dict[tuple[int, int], list[Track]] = field(default_factory=dict)


class Picture:
    """All free public time in the cells [low, high), as it was read at `taken_at`."""

    def __init__(self, session: Session, now: datetime, grid_min: int, days: int) -> None:
        self._session = session
        self.taken_at, self.grid_min = now, grid_min
        self._day = DAY_MIN // grid_min
        # From midnight on: what is worked out for a day is good for all pictures of it.
        self.low = cell_of(now, grid_min) // self._day * self._day
        self.high = self.low + (days + 2) * self._day
        self._tracks: dict[tuple[int, Piece], Track] = {}
        self._by_practitioner: dict[int, list[Track]] = {}
        # What was noted as taken, by practitioner: the database may not know of it yet.
        self._blocks: dict[int, list[Piece]] = {}
        self._kinds: dict[KindKey, Kind] = {}
        # How many visits those have on each day who have a limit, as far as it was looked at.
        self._loads = Loads()
        self._counted: set[int] = set()

    def kind(self, key: KindKey) -> Kind:
        """Everything about requests of one kind.

        Raises: NotFound when the visit type is not offered, or no place fits the needs; ModeNotOffered.
        """
        if key not in self._kinds:
            self._kinds[key] = self._made(key)
        return self._kinds[key]

    def _made(self, key: KindKey) -> Kind:
        search = Search(key.visit_type_id, needs=key.needs, mode=key.mode)
        terms = load_terms(self._session, search, as_new=key.is_new, keeps_mode=key.keeps_mode)
        tracks = [
            track
            for track in self._tracks_of(terms)
            if track.stretch.practitioner_id in terms.doers and track.stretch.location_id in terms.zones
        ]
        kind = Kind(terms, read_skills(terms), tracks)
        self._count(terms)
        for track in tracks:
            for day in self._days(track.span):
                kind.by_day.setdefault((track.stretch.location_id, day), []).append(track)
            self._note_starts(kind, track)
        return kind

    def _count(self, terms: Terms) -> None:
        """Count the visits of all who have a limit for such visits, once."""
        capped = [id_ for id_, doer in terms.doers.items() if doer.is_capped and id_ not in self._counted]
        low, high = (masks.to_instant(cell, self.grid_min) for cell in (self.low, self.high))
        self._loads.visits.update(read_loads(self._session, terms, capped, low, high).visits)
        self._counted.update(capped)

    def _tracks_of(self, terms: Terms) -> list[Track]:
        """The time of all who do such visits; what two kinds share is one and the same in both.

        Hours for one mode may reach further than those for another: then the same time lies in two tracks.
        """
        return [
            self._track(stretch, Track(stretch).span)
            for stretch in read_stretches(self._session, terms, self.low, self.high)
        ]

    def _track(self, stretch: WorkStretch, span: Piece) -> Track:
        key = (stretch.practitioner_id, span)
        if key not in self._tracks:
            track = self._tracks[key] = Track(stretch)
            self._by_practitioner.setdefault(stretch.practitioner_id, []).append(track)
            for block in self._blocks.get(stretch.practitioner_id, ()):
                track.take(block)
        return self._tracks[key]

    def _days(self, span: Piece) -> range:
        return range(span[0] // self._day, -(-span[1] // self._day))

    def _note_starts(self, kind: Kind, track: Track) -> None:
        stretch, place = track.stretch, track.stretch.location_id
        starts = kind.starts[track] = self._starts(kind, track)
        kind.by_place[place] = kind.by_place.get(place, 0) | self._shifted(starts, stretch.cells.first_cell)

    def _starts(self, kind: Kind, track: Track) -> int:
        stretch, terms = track.stretch, kind.terms
        full = full_cells(stretch, terms, self._loads)
        return offered_starts(stretch, terms.doers[stretch.practitioner_id], terms.step_cells, full)

    def _shifted(self, starts: int, first_cell: int) -> int:
        """Starts of one stretch as bits of the picture."""
        shift = first_cell - self.low
        shifted = starts << shift if shift >= 0 else starts >> -shift
        return shifted & masks.run(self.high - self.low)

    def tracks_at(self, kind: Kind, place: int, cell: int) -> Iterator[Track]:
        """Those who are free for a visit of this kind that starts at a cell."""
        for track in kind.by_day.get((place, cell // self._day), ()):
            bit = cell - track.stretch.cells.first_cell
            if bit >= 0 and kind.starts[track] >> bit & 1:
                yield track

    def starts_of(self, kind: Kind, place: int, doers: Iterable[int] | None = None) -> int:
        """The free starts at a place, of everybody or of some practitioners only; bit 0 is the picture's first cell."""
        if doers is None:
            return kind.by_place.get(place, 0)
        wanted, found = set(doers), 0
        for track in kind.tracks:
            stretch = track.stretch
            if stretch.location_id == place and stretch.practitioner_id in wanted and kind.starts[track]:
                found |= self._shifted(kind.starts[track], stretch.cells.first_cell)
        return found

    def rank(self, kind: Kind, terms: Terms, fitting: list[Track], cell: int) -> list[Candidate]:
        """Those who could take a visit at a cell, best first, by the very scores of a reservation."""
        day = day_of(masks.to_instant(cell, self.grid_min), terms)
        who = {track.stretch.practitioner_id for track in fitting}
        around = [
            track.stretch
            for place in terms.zones
            for track in self._on(kind, place, day)
            if track.stretch.practitioner_id in who
        ]
        return rank([track.stretch for track in fitting], terms, cell, kind.skills, around, day)

    def _on(self, kind: Kind, place: int, day: Piece) -> set[Track]:
        return {track for number in self._days(day) for track in kind.by_day.get((place, number), ())}

    def take(self, candidate: Candidate, taking: Taking) -> None:
        """Note that a visit or a hold has the candidate's cells, in everything that is known of them."""
        first, end = candidate.block
        self._blocks.setdefault(candidate.practitioner_id, []).append(candidate.block)
        is_counted = candidate.practitioner_id in self._counted
        if is_counted:
            self._loads.add(candidate.practitioner_id, taking.day, taking.visit_type_id)
        for track in self._by_practitioner[candidate.practitioner_id]:
            low, high = track.span
            is_met = low < end and high > first
            if is_met:
                track.take(candidate.block)
            # The day may be full now, so also hours that it does not lie in.
            if is_met or (is_counted and low < end + self._day and high > first - self._day):
                for kind in self._kinds.values():
                    if track in kind.starts:
                        self._renew(kind, track)

    def _renew(self, kind: Kind, track: Track) -> None:
        """Work out anew which starts are free where this stretch lies."""
        place, span = track.stretch.location_id, track.span
        around = self._days(span)
        there = masks.covered(self.low, self.high - self.low, around[0] * self._day, (around[-1] + 1) * self._day)
        kind.starts[track] = self._starts(kind, track)
        found = 0
        for other in {each for day in around for each in kind.by_day[place, day]}:
            found |= self._shifted(kind.starts[other], other.stretch.cells.first_cell)
        kind.by_place[place] = kind.by_place[place] & ~there | found & there
