"""Asking for visits, serving the queue, and looking at what came of it, in one line each."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import select

from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.models import Appointment, Attempt, Offer, Task
from clinic_portal.scheduling import queue, requests
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from tests.world import World

_tokens = (f"ask-{number}" for number in count())


def ask(
    world: World, patient_id: int = 0, actor: Actor | None = None, *, visit_type_id: int = 0,
    location_id: int | None = None, token: str = "", search: Search | None = None, note: str | None = None,
    call_number: str | None = None, **wishes: Any,
) -> Appointment:  # fmt: skip
    """Alice asks for a check-up, unless somebody else asks for something else."""
    search = search or Search(visit_type_id or world.check_up_id, patient_id or world.alice_id, location_id)
    return requests.request_appointment(
        actor=actor or world.alice, search=search, wishes=Wishes(**wishes), token=token or next(_tokens), note=note,
        call_number=call_number,
    )  # fmt: skip


def change(
    world: World, visit: Appointment, *, visit_type_id: int = 0, actor: Actor | None = None,
    search: Search | None = None, call_number: str | None = None, **wishes: Any,
) -> Appointment:  # fmt: skip
    """Other wishes for the same request."""
    return requests.change_request(
        actor=actor or world.alice, appointment_id=visit.id, token=next(_tokens),
        search=search or Search(visit_type_id or visit.visit_type_id, visit.patient_id),
        wishes=replace(Wishes(), **wishes), call_number=call_number,
    )  # fmt: skip


def withdraw(world: World, visit: Appointment, actor: Actor | None = None) -> Appointment:
    return requests.withdraw_request(actor=actor or world.alice, appointment_id=visit.id, token=next(_tokens))


def drain() -> None:
    """Serve the queue until nothing is due."""
    assert queue.drain()


def fresh(visit: Appointment | int) -> Appointment:
    """A request or visit as it is now."""
    session = db.session()
    session.rollback()
    session.expire_all()
    return session.get_one(Appointment, visit if isinstance(visit, int) else visit.id)


def status(visit: Appointment | int) -> str:
    return fresh(visit).status.value


def starts(*visits: Appointment | int) -> list[datetime | None]:
    return [fresh(visit).starts_at for visit in visits]


def attempts(visit: Appointment | int) -> list[tuple[int | None, str | None]]:
    """Who took it, or why nobody did, try by try."""
    id_ = visit if isinstance(visit, int) else visit.id
    session = db.session()
    session.rollback()
    rows = session.scalars(select(Attempt).filter_by(appointment_id=id_).order_by(Attempt.id))
    return [(row.practitioner_id, row.reason) for row in rows]


def open_tasks(visit: Appointment | int) -> list[str]:
    id_ = visit if isinstance(visit, int) else visit.id
    session = db.session()
    session.rollback()
    rows = session.scalars(select(Task).filter_by(appointment_id=id_, closed_at=None).order_by(Task.id))
    return [row.kind.value for row in rows]


def offers(visit: Appointment | int) -> list[Offer]:
    """The offers for a request or visit, read afresh, oldest first."""
    id_ = visit if isinstance(visit, int) else visit.id
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Offer).filter_by(appointment_id=id_).order_by(Offer.id)))
