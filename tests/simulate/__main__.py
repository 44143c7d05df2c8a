"""The command line: `python -m tests.simulate [--seeds N] [--days N] [--loads 0.6 0.8 1.0] [--to FILE]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from clinic_portal.settings import BY_NAME
from tests.bench.report import machine, table
from tests.simulate.measures import WORDS, Estimate, together
from tests.simulate.picture import draw
from tests.simulate.runs import WEIGHTS, Run, run_all

SEEDS, DAYS, LOADS = 3, 10, (0.6, 0.8, 1.0)
WEIGHED_AT = 0.8
# What a clinic must not be asked to accept, at the load of WEIGHED_AT.
MOST_SEATABLE, MOST_OVERTAKES = 1.0, 0.0
REACTS = ("wait_median", "wait_p90", "spread", "seatable", "freed_used")


def main() -> None:
    """Simulate, print, draw; an error when somebody was overtaken or refused without need."""
    given = _arguments()
    began = time.monotonic()
    print(f"{machine()}\n{given.seeds} seeds, {given.days} days; load is minutes asked for, of minutes offered\n")
    found = _by_load(given.seeds, given.days, given.loads)
    rows = [[WORDS[name], *(str(found[load][name]) for load in given.loads)] for name in WORDS]
    print(table(("", *(f"load {load}" for load in given.loads)), rows))
    weighed = _by_weight(max(1, given.seeds - 1), max(1, given.days * 3 // 5))
    heads = ("weights at load 0.8", *(WORDS[name] for name in REACTS))
    print("\n" + table(heads, [[name, *(str(each[react]) for react in REACTS)] for name, each in weighed.items()]))
    given.to.parent.mkdir(parents=True, exist_ok=True)
    given.to.write_text(draw(given.loads, found))
    print(f"\nDrawn in {given.to}; {time.monotonic() - began:.0f} s")
    _judge(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--loads", type=float, nargs="+", default=list(LOADS))
    parser.add_argument("--to", type=Path, default=Path(".data/simulation.svg"), help="where to draw [%(default)s]")
    return parser.parse_args()


def _by_load(seeds: int, days: int, loads: Sequence[float]) -> dict[float, dict[str, Estimate]]:
    runs = [Run(seed, load, days) for load in loads for seed in range(1, seeds + 1)]
    found = run_all(runs)
    return {load: together([each for run, each in zip(runs, found, strict=True) if run.load == load]) for load in loads}


def _by_weight(seeds: int, days: int) -> dict[str, dict[str, Estimate]]:
    """How waits and workload react to each weight: as it is, off, and doubled."""
    usual = {name: int(BY_NAME[f"weight_{name}"].default) for name in WEIGHTS}  # type: ignore[call-overload]
    cases: dict[str, tuple[tuple[str, int], ...]] = {"as they are": ()}
    for name, value in usual.items():
        cases |= {f"{name} off": ((name, 0),), f"{name} doubled": ((name, 2 * value),)}
    runs = [(case, Run(seed, WEIGHED_AT, days, weights))
            for case, weights in cases.items() for seed in range(1, seeds + 1)]  # fmt: skip
    found = run_all([run for _case, run in runs])
    return {
        case: together([each for (name, _run), each in zip(runs, found, strict=True) if name == case]) for case in cases
    }


def _judge(found: Mapping[float, Mapping[str, Estimate]]) -> None:
    overtaken = {
        load: each["overtakes"].mean for load, each in found.items() if each["overtakes"].mean > MOST_OVERTAKES
    }
    if overtaken:
        sys.exit(f"Somebody was overtaken: {overtaken}.")
    if WEIGHED_AT in found and found[WEIGHED_AT]["seatable"].mean > MOST_SEATABLE:
        sys.exit(f"More than {MOST_SEATABLE} % were refused though they could be seated.")


if __name__ == "__main__":
    main()
