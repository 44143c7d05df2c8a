"""What waits, as its patients read it: on their own pages, which look by themselves for some minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Response, make_response, request, url_for

from clinic_portal import clock
from clinic_portal.accounts import appointment_for, open_requests_for, patients_for, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.languages import N_, _
from clinic_portal.models import Account, Appointment
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.cards import Card, card_of, names_of
from clinic_portal.patient.reading import read_public_id
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.waiting import Next, RequestCard, request_card
from clinic_portal.settings import load_settings, shown_window
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import htmx
from clinic_portal.wording import day_and_time, when_told

LOOKS_EVERY_S = 5
LOOKS_FOR = timedelta(minutes=10)
MOST_LOOKED_AT = 20
# What is said of each state; `answer_by` is when the clinic answers at the latest.
NEXT_WORDS = {
    Next.LOOK_AT_IT: N_("Somebody at the clinic reads your request first. We answer by %(answer_by)s."),
    Next.PLACE_BY_HAND: N_("Somebody at the clinic looks for a time for you. We answer by %(answer_by)s."),
    Next.ASK_PATIENT: N_(
        "We offered you times and did not hear from you. We offer you no more until you tell us to go on."
    ),
    Next.ANSWER_OFFER: N_("A time is free for you. Take it, or let it pass."),
    Next.BEING_PLACED: N_("We are looking for a time now. We answer by %(answer_by)s, mostly much sooner."),
    Next.TRIED_AGAIN: N_("It takes longer than usual. We keep trying, and answer by %(answer_by)s."),
    Next.WAITS_FOR_TIME: N_(
        "Nothing that suits you is free at the moment. You are on the waiting list: as soon as a time is freed, we "
        "tell you. You need not do anything."
    ),
    Next.DEFERRED: N_(
        "We have put your request off for some days, and go on by ourselves. Call us if that is too late."
    ),
}

# Of these an answer is promised.
PROMISED = frozenset({Next.LOOK_AT_IT, Next.PLACE_BY_HAND, Next.BEING_PLACED, Next.TRIED_AGAIN})
LATE_WORDS = N_(
    "We wanted to answer by %(answer_by)s, and have not. We are sorry. Somebody at the clinic has been told to look at "
    "your request; you can also call us on %(phone)s."
)


@dataclass(frozen=True)
class WaitingCard:
    """A request on a page, in the reader's words."""

    public_id: str
    visit_name: str
    for_whom: str | None
    what_next: str
    offered: str | None
    offer_id: str | None
    kept_until: str | None
    is_paused: bool


def waiting_card(visit: Appointment, for_whom: str | None) -> WaitingCard:
    """One request as its patient reads it."""
    found = request_card(db.session(), visit)
    offer, window_min = found.offer, shown_window(load_settings(db.session()), visit.mode, visit.visit_type_id)
    return WaitingCard(
        public_id=found.public_id,
        visit_name=found.visit_name,
        for_whom=for_whom,
        what_next=_what_next(found),
        offered=when_told(offer.starts_at, offer.location.zone, window_min) if offer else None,
        offer_id=offer.public_id if offer else None,
        kept_until=day_and_time(offer.expires_at, offer.location.zone) if offer else None,
        is_paused=found.next is Next.ASK_PATIENT,
    )


def _what_next(found: RequestCard) -> str:
    """What happens next; a promise that was not kept is not given again."""
    due, zone = found.answer_by or found.asked_at, clinic_zone(db.session())
    words = LATE_WORDS if found.next in PROMISED and due <= clock.now() else NEXT_WORDS[found.next]
    phone = load_settings(db.session()).value("clinic_phone")
    return _(words, answer_by=day_and_time(due, zone), phone=phone)


def state_of(visit: Appointment) -> str:
    """What has to change for the page to look another way."""
    found = request_card(db.session(), visit)
    return f"{visit.status}.{visit.version}.{found.next}"


def looking_since() -> datetime:
    """Since when the page looks by itself; a made-up instant only ends its looking."""
    text = request.args.get("since", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return clock.now()
    return datetime.fromtimestamp(int(text), UTC)


@dataclass(frozen=True)
class Waiting:
    """All that waits for an account; what has got a time since the page was opened; and where the page looks again."""

    cards: list[WaitingCard]
    found: list[Card]
    # None once the page has stopped looking, or has nothing to look for.
    look_url: str | None
    looks_every_s: int = LOOKS_EVERY_S


def waiting_now(account: Account) -> Waiting:
    """What waits, for a page that is opened now."""
    return _waiting(account, open_requests_for(account), [], clock.now())


@blueprint.get("/appointments/waiting")
@signed_in
def waiting() -> Response:
    """How your requests stand; asked for by pages that look by themselves."""
    if not patients_for(signed_in_account()):
        raise NotAllowed
    if not htmx:
        return see_other(url_for("patient.appointments"))
    account, since, before = signed_in_account(), looking_since(), request.args.get("state", "")
    visits = open_requests_for(account)
    if _state(visits) == before and clock.now() - since < LOOKS_FOR:
        return make_response("", 204)
    found = _waiting(account, visits, _placed(account, before), since)
    return page("patient/_waiting_all.html", "patient/_waiting_all.html", waiting=found)


def _waiting(account: Account, visits: list[Appointment], found: list[Appointment], since: datetime) -> Waiting:
    names = names_of(account)
    looks = bool(visits) and clock.now() - since < LOOKS_FOR
    url = url_for("patient.waiting", state=_state(visits), since=int(since.timestamp()))
    return Waiting(
        [waiting_card(visit, names[visit.patient_id]) for visit in visits],
        [card_of(visit, names[visit.patient_id]) for visit in found],
        url if looks else None,
    )


def _state(visits: list[Appointment]) -> str:
    return ",".join(f"{visit.public_id}.{state_of(visit)}" for visit in visits)


def _placed(account: Account, state: str) -> list[Appointment]:
    """Those of the requests that a page has shown that have got a time since."""
    visits = []
    for public_id in [one.partition(".")[0] for one in state.split(",") if one][:MOST_LOOKED_AT]:
        try:
            visits.append(appointment_for(account, read_public_id(public_id)))
        except NotFound:
            continue
    return [visit for visit in visits if not visit.is_request and visit.starts_at is not None]
