"""The command line: `python -m tests.bench [race | rush | rota] [--quick] [--sqlite | --postgres]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.bench import measure, race, rota, rush
from tests.bench.databases import POSTGRES, SQLITE


def main() -> None:
    """Measure, print, and leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("all", "race", "rush", "rota"), default="all",
        help="race: 64 clients for one time; rush: 5,000 requests for 4,000 times; rota: hours change meanwhile",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="shorter, for a first look")
    parser.add_argument("--sqlite", action="store_const", const=(SQLITE,), dest="kinds", help="only on SQLite")
    parser.add_argument("--postgres", action="store_const", const=(POSTGRES,), dest="kinds", help="only on Postgres")
    given = parser.parse_args()
    # Whoever ends us politely leaves nothing behind either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kinds = given.kinds or (SQLITE, POSTGRES)
    say = partial(print, flush=True)
    # A socket's path must be short, so not below whatever TMPDIR says on macOS.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        if given.what == "all":
            measure.measure_all(measure.QUICK if given.quick else measure.FULL, Path(name), kinds, say)
        elif given.what == "rush":
            if not rush.rush_all(rush.QUICK if given.quick else rush.FULL, Path(name), kinds, say):
                sys.exit("Not everybody got what they must.")
        elif given.what == "rota":
            if not rota.rota_all(rota.QUICK if given.quick else rota.FULL, Path(name), kinds, say):
                sys.exit("Not everything is as it must be.")
        elif not race.race_all(race.QUICK_ROUNDS if given.quick else race.ROUNDS, Path(name), kinds, say):
            sys.exit("Not every round ended as it must.")


if __name__ == "__main__":
    main()
