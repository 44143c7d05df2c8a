"""Every address of the portal, with ids of things that are Alice's, and who may open it.

A new page needs one line in `ADDRESSES`. Without it `tests/test_wrong_persons.py` fails; with it the page is tried
with every wrong person, with bad input, by the HTML checker, by keyboard and on the smallest screen.

What stands in braces is an id of one of Alice's things: see `tests/belongings.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from urllib.parse import quote

from flask import Flask
from werkzeug.exceptions import MethodNotAllowed, NotFound

METHODS = ("GET", "POST")
# What an answer may be: a page or a form's own refusal; a way to the sign-in page; or a refusal.
FINE, SIGN_IN, NOT_FOR_YOU, NOT_FOUND, OLD_LINK = "fine", "sign in", "403", "404", "404 or 410"


@dataclass(frozen=True)
class Door:
    """Whom an address lets in, and what all the others get."""

    # Whom it is for: the person with whom its page is looked at.
    owner: str
    nobody: str
    # An account without any right: Mallory, or a proxy whose right has ended.
    account: str
    # Another patient, with a record of their own.
    patient: str
    doctor: str
    desk: str
    # A front desk that works at another place only.
    desk_elsewhere: str
    admin: str
    # A doctor who is not the one of the visit; the same where nothing is said.
    other_doctor: str = ""

    def to(self, column: str) -> str:
        """What those of a column get."""
        return str(getattr(self, column) or self.doctor)


PUBLIC = Door("alice", FINE, FINE, FINE, FINE, FINE, FINE, FINE)
# Whoever has the link; a wrong person has one with another signature.
LINK = Door("alice", *[OLD_LINK] * 7)
# Nothing is behind it.
CLOSED = Door("alice", *[NOT_FOUND] * 7)
# Everybody's own account.
ACCOUNT = Door("alice", SIGN_IN, FINE, FINE, FINE, FINE, FINE, FINE)
# For whoever acts for somebody: it shows their own things only.
PATIENTS = Door("alice", SIGN_IN, NOT_FOR_YOU, FINE, *[NOT_FOR_YOU] * 4)
# The same where the address names the person.
CHOSEN = Door("alice", SIGN_IN, NOT_FOR_YOU, NOT_FOUND, *[NOT_FOR_YOU] * 4)
# For the patient alone, never for a proxy; the others are told nothing.
ONESELF = Door("alice", SIGN_IN, NOT_FOUND, FINE, *[NOT_FOUND] * 4)
# One thing of Alice's.
OWN = Door("alice", SIGN_IN, *[NOT_FOUND] * 6)
DOCTORS = Door("chen", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, FINE, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU)
# One visit of one doctor.
OWN_VISITS = Door("chen", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, FINE, *[NOT_FOR_YOU] * 3, NOT_FOUND)
# Hours: whose they are, and the staff of the places where they work.
EVERYBODYS_HOURS = Door("chen", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, *[FINE] * 4)
HOURS = Door("chen", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, FINE, FINE, NOT_FOUND, FINE, NOT_FOUND)
# A wish for other hours is taken back by whoever asked.
OWN_WISH = Door("chen", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, FINE, NOT_FOR_YOU, NOT_FOUND, NOT_FOR_YOU, NOT_FOUND)
CLOSED_DAYS = Door("erin", SIGN_IN, *[NOT_FOR_YOU] * 3, FINE, NOT_FOR_YOU, FINE)
DESK = Door("erin", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU, FINE, FINE, FINE)
# One record, at one place.
DESK_OF_PLACE = Door("erin", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU, FINE, NOT_FOUND, FINE)
ADMINS = Door("admin", SIGN_IN, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU, NOT_FOR_YOU, FINE)

CHOICE = "patient={person}&visit_type={visit_type}&mode=in_person&place=any&needs=none"
ACUTE = "patient={person}&visit_type={acute}"

WISHES = "weekdays=0&weekdays=3&parts=morning&warning=60&first=ask"
ABSENCE = "clinician={practitioner}&from=2026-03-03&starts=09:00&until=2026-03-03&ends=12:00"
ADDRESSES: dict[str, Door] = {
    "/": PUBLIC,
    "/healthz": PUBLIC,
    "/readyz": PUBLIC,
    "/static/dist/{asset}": PUBLIC,
    "/privacy": PUBLIC,
    "/language": PUBLIC,
    "/start": ACCOUNT,
    # The way in
    "/login": PUBLIC,
    "/logout": PUBLIC,
    "/verify": CLOSED,
    "/register": PUBLIC,
    "/confirm": PUBLIC,
    "/confirm/{confirm_token}": LINK,
    "/sent?what=register": PUBLIC,
    "/sent?what=reset": PUBLIC,
    "/reset": PUBLIC,
    "/reset/{reset_token}": LINK,
    "/account": ACCOUNT,
    "/account/calendar": ACCOUNT,
    "/calendar/{calendar_token}.ics": LINK,
    "/account/password": ACCOUNT,
    "/account/email": ACCOUNT,
    "/account/email/sent": ACCOUNT,
    "/account/code": ACCOUNT,
    "/email/{email_token}": LINK,
    "/login/passkey": PUBLIC,
    "/login/second-step": PUBLIC,
    "/login/recovery-code": PUBLIC,
    "/account/second-step": ACCOUNT,
    "/account/second-step/app": ACCOUNT,
    "/account/second-step/app/remove": ACCOUNT,
    "/account/second-step/codes": ACCOUNT,
    "/account/second-step/passkey": ACCOUNT,
    "/account/second-step/passkeys/{passkey}/remove": OWN,
    "/account/sign-ins": ACCOUNT,
    "/account/sign-ins/{sign_in}/end": OWN,
    "/account/sign-ins/end-others": ACCOUNT,
    # Time-outs
    "/session/time-left": PUBLIC,
    "/session/stay": PUBLIC,
    "/session/typed": PUBLIC,
    "/signed-out": PUBLIC,
    # Links in mails
    "/a/{link_token}": LINK,
    "/a/{link_token}/confirm": LINK,
    "/a/{link_token}/cancel": LINK,
    "/a/{link_token}/done": LINK,
    "/reminders/stop/{stop_token}": LINK,
    # Booking
    "/book/who": PATIENTS,
    "/book/visit-type": PATIENTS,
    "/book/visit-type?patient={person}": CHOSEN,
    f"/book/emergency?{ACUTE}": CHOSEN,
    f"/book/call-now?{ACUTE}": CHOSEN,
    "/book/how?patient={person}&visit_type={visit_type}": CHOSEN,
    "/book/place?patient={person}&visit_type={visit_type}&mode=in_person": CHOSEN,
    "/book/help?patient={person}&visit_type={visit_type}&mode=in_person&place=any": CHOSEN,
    "/book/help?patient={person}&visit_type={visit_type}&mode=in_person&place=any&change=yes": CHOSEN,
    f"/book/times?{CHOICE}": CHOSEN,
    f"/book/times?{CHOICE}&day=2026-03-04": CHOSEN,
    "/check/{hold}": OWN,
    "/check/{call}/number": OWN,
    # Asking
    "/ask": PATIENTS,
    f"/ask/when?{CHOICE}": CHOSEN,
    f"/ask/check?{CHOICE}&{WISHES}": CHOSEN,
    "/requests/{request}": OWN,
    "/requests/{request}/sent": OWN,
    "/requests/{request}/change": OWN,
    "/requests/{request}/withdraw": OWN,
    "/requests/{request}/resume": OWN,
    "/offers/{offer}": OWN,
    "/o/{offer_token}": LINK,
    # Appointments
    "/appointments": PATIENTS,
    "/appointments/waiting": PATIENTS,
    "/appointments/{visit}": OWN,
    "/appointments/{visit}/booked": OWN,
    "/appointments/{visit}/moved": OWN,
    "/appointments/{visit}/calendar.ics": OWN,
    "/appointments/{visit}/move": OWN,
    "/appointments/{visit}/cancel": OWN,
    "/appointments/{visit}/earlier": OWN,
    "/appointments/{visit}/earlier/stop": OWN,
    "/appointments/{cancelled}": OWN,
    "/appointments/{cancelled}/cancelled": OWN,
    # Details
    "/profile": PATIENTS,
    "/profile/{person}": OWN,
    "/profile/{child}": OWN,
    "/profile/{person}/reminders": OWN,
    "/profile/{person}/language": OWN,
    "/profile/{person}/name": OWN,
    "/profile/{person}/needs": OWN,
    "/profile/{child}/needs": OWN,
    "/profile/{person}/contacts/new/email": OWN,
    "/profile/{person}/contacts/new/post": OWN,
    "/profile/{child}/contacts/new/mobile": OWN,
    "/profile/contacts/{contact}/change": OWN,
    "/profile/contacts/{contact}/prefer": OWN,
    "/profile/contacts/{unverified}/ask": OWN,
    "/profile/contacts/{contact}/remove": OWN,
    "/profile/export": ONESELF,
    "/profile/access": ONESELF,
    "/people": PATIENTS,
    "/people/{child}/stop": OWN,
    "/verify-email/{contact_token}": LINK,
    # Doctors
    "/doctor/": DOCTORS,
    "/doctor/?day=2026-03-03": DOCTORS,
    "/doctor/invitations": DOCTORS,
    "/doctor/week": DOCTORS,
    "/doctor/late": DOCTORS,
    "/doctor/seen": DOCTORS,
    "/doctor/visits/{visit}/step": OWN_VISITS,
    "/doctor/visits/{visit}/invite": OWN_VISITS,
    # Hours
    "/hours/": EVERYBODYS_HOURS,
    "/hours/{practitioner}": HOURS,
    "/hours/{practitioner}/add": HOURS,
    "/hours/{practitioner}/copy": HOURS,
    "/hours/{practitioner}/off": HOURS,
    "/hours/{practitioner}/extra": HOURS,
    "/hours/{practitioner}/limits": HOURS,
    "/hours/{practitioner}/blocks/{block}": HOURS,
    "/hours/{practitioner}/blocks/{block}/end": HOURS,
    "/hours/{practitioner}/away/{away}/end": HOURS,
    "/hours/{practitioner}/wishes/{wish}": DESK_OF_PLACE,
    "/hours/{practitioner}/wishes/{wish}/agree": DESK_OF_PLACE,
    "/hours/{practitioner}/wishes/{wish}/refuse": DESK_OF_PLACE,
    "/hours/{practitioner}/wishes/{wish}/take-back": OWN_WISH,
    "/hours/closed": CLOSED_DAYS,
    "/hours/closed/{closure}/end": CLOSED_DAYS,
    "/hours/closed/holidays": CLOSED_DAYS,
    # Back office
    "/backoffice/": DESK,
    "/backoffice/?location=2": DESK,
    "/backoffice/step/?id={visit}": DESK_OF_PLACE,
    "/backoffice/late/": DESK,
    "/backoffice/search/": DESK,
    "/backoffice/walk-in/": DESK,
    "/backoffice/walk-in/?id={person}": DESK,
    "/backoffice/walk-in/visit/?id={walk_in}": DESK_OF_PLACE,
    "/backoffice/calendar/": DESK,
    "/backoffice/calendar/?day=2026-03-03&zoom=15": DESK,
    "/backoffice/calendar/?day=2026-03-03&view=week&c={practitioner}": DESK,
    "/backoffice/calendar/book/?clinician={practitioner}&start=20260303T1100Z": DESK,
    "/backoffice/calendar/book/?clinician={practitioner}&start=20260303T1100Z&patient={person}": DESK,
    "/backoffice/calendar/move/?id={visit}": DESK_OF_PLACE,
    "/backoffice/calendar/move/?id={visit}&clinician={practitioner}&day=2026-03-03&time=11:30": DESK_OF_PLACE,
    "/backoffice/calendar/cancel/?id={visit}": DESK_OF_PLACE,
    "/backoffice/appointments/": DESK,
    "/backoffice/appointments/details/?id={visit}": DESK_OF_PLACE,
    "/backoffice/appointments/private/?id={visit}": DESK_OF_PLACE,
    "/backoffice/requests/": DESK,
    "/backoffice/requests/?show=triage&class=routine": DESK,
    "/backoffice/requests/?show=ended": DESK,
    "/backoffice/requests/details/?id={request}": DESK,
    "/backoffice/requests/times/?id={request}": DESK,
    "/backoffice/requests/details/?id={visit}": DESK_OF_PLACE,
    "/backoffice/invitations/": DESK,
    "/backoffice/patient-ask/?id={person}": DESK,
    "/backoffice/patient-ask/?id={person}&invitation={invitation}": DESK,
    "/backoffice/patient-invite/?id={person}": DESK,
    "/backoffice/sessions/": DESK,
    "/backoffice/away/": DESK,
    f"/backoffice/away/plan/?{ABSENCE}": DESK_OF_PLACE,
    "/backoffice/away/details/?id={absence}": DESK_OF_PLACE,
    "/backoffice/away/undo/?id={absence}": DESK_OF_PLACE,
    "/backoffice/patients/": DESK,
    "/backoffice/patients/details/?id={person}": DESK,
    "/backoffice/patient-needs/?id={person}": DESK,
    "/backoffice/patient-codes/?id={person}": DESK,
    "/backoffice/patient-referrals/?id={person}": DESK,
    "/backoffice/patient-rights/?id={person}": DESK,
    "/backoffice/patient-same/?id={person}": DESK,
    "/backoffice/todo/": DESK,
    "/backoffice/todo/details/?id={task}": DESK_OF_PLACE,
    "/backoffice/todo/try/?id={task}": DESK_OF_PLACE,
    "/backoffice/todo/done/?id={task}": DESK_OF_PLACE,
    "/backoffice/todo/later/?id={task}": DESK_OF_PLACE,
    "/backoffice/messages/": DESK,
    "/backoffice/clinicians/": DESK,
    "/backoffice/visit-types/": DESK,
    "/backoffice/locations/": DESK,
    "/backoffice/settings/": DESK,
    "/backoffice/texts/": DESK,
    "/backoffice/texts/read/?kind=booked&language=en": DESK,
    "/backoffice/texts/version/?kind=booked&language=en&version=0": DESK,
    "/backoffice/texts/mail/?kind=offer&language=de": DESK,
    "/backoffice/text/?kind=moved&language=en": ADMINS,
    "/backoffice/text/?kind=reminder&language=de&neutral=yes": ADMINS,
    "/backoffice/text/mail/?kind=moved&language=en": ADMINS,
    "/backoffice/text/put-back/?kind=moved&language=en&version=0": ADMINS,
    "/backoffice/visit-type/?id={visit_type}": ADMINS,
    "/backoffice/location/?id={location}": ADMINS,
    "/backoffice/setting/?name=clinic_name": ADMINS,
    "/backoffice/audit/": ADMINS,
    "/backoffice/self-check/": ADMINS,
    "/backoffice/accounts/": ADMINS,
    "/backoffice/accounts/details/?id={account}": ADMINS,
    "/backoffice/accounts/reset/?id={account}": ADMINS,
    # Kept mails: they are served in the demo and in tests only, to everybody.
    "/mails/": PUBLIC,
    "/mails/{mail}": PUBLIC,
    "/mails/{mail}/html": PUBLIC,
    "/mails/{mail}/calendar.ics": PUBLIC,
    "/mails/{mail}/raw": PUBLIC,
}

HOW_TO = (
    "Who may open it? Add one line with its address to ADDRESSES in tests/addresses.py, or, for a new kind of id in "
    "it, also one to tests/belongings.py"
)


def filled(address: str, ids: Mapping[str, str | bytes]) -> str:
    """The address with these ids in it."""
    return address.format_map({name: quote(value, safe="/") for name, value in ids.items()})


def names_in(address: str) -> set[str]:
    """Which ids an address needs."""
    return {name for _, name, _, _ in Formatter().parse(address) if name}


def route_of(app: Flask, address: str, method: str) -> str | None:
    """The endpoint that answers there, if there is one."""
    path, _, query = address.partition("?")
    try:
        endpoint, _ = app.url_map.bind("localhost").match(path, method, query_args=query)
    except (NotFound, MethodNotAllowed):
        return None
    return str(endpoint)


def methods_of(app: Flask, address: str) -> list[str]:
    """What can be done at an address: read its page, send its form, or both."""
    return [method for method in METHODS if route_of(app, address, method)]


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every endpoint with each of its methods; Flask answers HEAD and OPTIONS by itself."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, method
