"""What is measured over HTTP: light pages, the page of times, and a reservation from the chosen time to the end."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from clinic_portal.patient.reading import write_instant
from tests.bench.crew import Operation, Station
from tests.bench.http import Client
from tests.bench.visitors import Visitor

OK, BOOKED = "200", "booked"


def reads(station: Station, *, port: int, path: str, visitors: Sequence[Visitor] = ()) -> Operation:
    """The same page again and again, by somebody signed in if there are visitors."""
    client = Client(port, visitors[station.number % len(visitors)].cookie if visitors else "")
    return lambda: str(client.get(path).status)


def bookings(station: Station, *, port: int, visitors: Sequence[Visitor], each: int) -> Operation:
    """Choose a random time, which the portal keeps, and book it: two forms, one after the other.

    Args: each, how many of the visitors belong to one worker.
    """
    clinic, chance, client = station.clinic, station.chance, Client(port)
    own = visitors[station.number * each : (station.number + 1) * each]

    def book() -> str:
        visitor = chance.choice(own)
        client.cookie, form = visitor.cookie, {"csrf_token": visitor.csrf_token}
        url = times_url(clinic.public_ids[clinic.random_type(chance)])
        kept = client.post(url, {**form, "start": write_instant(clinic.random_start(chance))})
        if kept.status != 303 or "/check/" not in kept.location:
            return f"hold {kept.status}"
        done = client.post(kept.location, form)
        return BOOKED if done.status == 303 and done.location.endswith("/booked") else f"book {done.status}"

    return book


def times_url(visit_type: str) -> str:
    """The page of times after all questions have been answered."""
    return f"/book/times?{urlencode({'visit_type': visit_type, 'place': 'any', 'needs': 'none'})}"
