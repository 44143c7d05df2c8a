"""One run: every figure beside the limit that was measured minutes before on the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clinic_portal import create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from tests.bench import pages, report, server, work
from tests.bench.clinic import Clinic, Size
from tests.bench.crew import Crew, Outcome
from tests.bench.databases import POSTGRES, SQLITE, Env, build_clinic, database_env
from tests.bench.visitors import Visitor, sign_in_all

WEB_PROCESSES = 2
VISITORS_EACH = 40


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    size: Size
    at_once: tuple[int, ...]
    seconds: float


FULL = Plan(Size(200, 50, 90, 14, 5000, 100), (1, 4, 16), 3.0)
QUICK = Plan(Size(60, 15, 45, 14, 1600, 100), (1, 4), 0.5)

Rows = list[list[str]]
Say = Callable[[str], None]


class Run:
    """Everything measured on one database."""

    def __init__(self, kind: str, plan: Plan, env: Env, say: Say) -> None:
        self.kind, self.plan, self.env, self.say = kind, plan, env, say
        self.best: dict[str, float] = {}
        self.p50: dict[str, float] = {}

    def measure(self) -> None:
        """Build the clinic and measure, from the bare commit up to the reservation in the browser."""
        began = time.monotonic()
        clinic = build_clinic(self.env, self.plan.size)
        _make_table(self.env)
        visitors = self._visitors(clinic)
        self.say(f"\n{self.kind}: clinic built in {time.monotonic() - began:.0f} s")
        with Crew(self.env, clinic, max(self.plan.at_once)) as crew:
            self._without_http(crew)
            self._over_http(crew, clinic, visitors)
        self._ratios()

    def _visitors(self, clinic: Clinic) -> list[Visitor]:
        """Those who have no visit yet first, then VISITORS_EACH for each client."""
        empty = [clinic.patient_without_visits(number) for number in range(max(self.plan.at_once))]
        booking = range(1, VISITORS_EACH * max(self.plan.at_once) + 1)
        found = {visitor.account_id: visitor for visitor in sign_in_all(self.env, [*empty, *booking])}
        return [found[account_id] for account_id in [*empty, *booking]]

    def _without_http(self, crew: Crew) -> None:
        special, all_do = partial(work.reservations, special=True), partial(work.reservations, special=False)
        rows: Rows = []
        for name, prepare, word in (
            ("commit of one row, driver alone", work.driver_commits, work.DONE),
            ("commit of one row, @writing", work.portal_commits, work.DONE),
            (f"reserve_slot, {self.plan.size.specialists} doctors do it", special, work.BOOKED),
            (f"reserve_slot, {self.plan.size.practitioners} doctors do it", all_do, work.BOOKED),
        ):
            rows += [self._line(crew, name, prepare, workers, word) for workers in self.plan.at_once]
        for doctors, is_special in ((self.plan.size.specialists, True), (self.plan.size.practitioners, False)):
            for days, words in ((1, "1 day"), (14, "14 days")):
                search = partial(work.searches, special=is_special, days=days)
                rows.append(self._line(crew, f"free times, {doctors} doctors, {words}", search, 1, work.DONE))
        self.say(f"\n{self.kind}, without HTTP\n{report.table(report.HEAD, rows)}")

    def _over_http(self, crew: Crew, clinic: Clinic, visitors: list[Visitor]) -> None:
        rows: Rows = []
        with server.bare_flask(Path(self.env["DATA_DIR"])) as port:
            rows += self._pages(crew, "bare Flask page", port, "/")
        count = max(self.plan.at_once)
        empty, booking = visitors[:count], visitors[count:]
        special, check_up = clinic.public_ids[clinic.special_id], clinic.public_ids[clinic.check_up_id]
        with server.portal(self.env, WEB_PROCESSES) as port:
            rows += self._pages(crew, "/healthz", port, "/healthz")
            rows += self._pages(crew, "signed-in empty page (/account)", port, "/account", empty)
            size = self.plan.size
            for doctors, public_id in ((size.specialists, special), (size.practitioners, check_up)):
                url = pages.times_url(public_id)
                rows += self._pages(crew, f"times page, 14 days, {doctors} doctors", port, url, empty)
            book = partial(pages.bookings, port=port, visitors=booking, each=VISITORS_EACH)
            name = f"reservation, {size.practitioners} doctors (2 forms)"
            rows += [self._line(crew, name, book, workers, pages.BOOKED) for workers in self.plan.at_once]
        head = f"{self.kind}, over HTTP, {WEB_PROCESSES} processes of 1 thread; clients share the cores"
        self.say(f"\n{head}\n{report.table(report.HEAD, rows)}")
        for line in server.faults(self.env)[:3]:
            self.say(f"FAULT: {line}")

    def _pages(self, crew: Crew, name: str, port: int, path: str, visitors: list[Visitor] | None = None) -> Rows:
        read = partial(pages.reads, port=port, path=path, visitors=visitors or ())
        return [self._line(crew, name, read, workers, pages.OK) for workers in self.plan.at_once]

    def _line(
        self, crew: Crew, name: str, prepare: Callable[..., Callable[[], str]], workers: int, word: str
    ) -> list[str]:
        outcome: Outcome = crew.run(prepare, workers, self.plan.seconds)
        self.best[name] = max(self.best.get(name, 0.0), outcome.per_second(word))
        return report.row(name, outcome, word)

    def _ratios(self) -> None:
        """Best rates, one over the other: the closer to 1, the less is left to win there."""
        size = self.plan.size
        driver, writing = "commit of one row, driver alone", "commit of one row, @writing"
        core, core_all = (f"reserve_slot, {n} doctors do it" for n in (size.specialists, size.practitioners))
        empty, page = "signed-in empty page (/account)", f"times page, 14 days, {size.specialists} doctors"
        page_all, over_http = (
            f"times page, 14 days, {size.practitioners} doctors",
            f"reservation, {size.practitioners} doctors (2 forms)",
        )
        pairs = (
            (writing, driver), (core, writing), (core_all, writing), (empty, "bare Flask page"), (empty, "/healthz"),
            (page, empty), (page_all, empty), (over_http, core_all), (over_http, empty),
        )  # fmt: skip
        rows = [[f"{part} / {whole}", report.ratio(self.best[part], self.best[whole])] for part, whole in pairs]
        self.say(f"\n{self.kind}, best rate over best rate\n{report.table(('', 'ratio'), rows)}")


def _make_table(env: Env) -> None:
    with create_app(load_config(env)).app_context():
        work.make_table()
        db.session.remove()
        db.engine.dispose()


def measure_all(plan: Plan, folder: Path, kinds: tuple[str, ...] = (SQLITE, POSTGRES), say: Say = print) -> None:
    """Measure on each database, one after the other."""
    began = time.monotonic()
    say(report.machine())
    for kind in kinds:
        with database_env(kind, folder / kind.lower()) as env:
            Run(kind, plan, env, say).measure()
    say(f"\nTook {time.monotonic() - began:.0f} s.")
