"""What the page of everything that is kept of a patient calls things: sections, labels, and codes that need telling."""

from __future__ import annotations

from clinic_portal.languages import N_
from clinic_portal.models import AccessPlace, Event, RoleName
from clinic_portal.patient.words import NEED_WORDS

ROLE_WORDS = {
    RoleName.FRONT_DESK: N_("Reception"),
    RoleName.ADMIN: N_("Administration"),
    RoleName.PRACTITIONER: N_("A clinician"),
}
EVENT_WORDS = {
    Event.REMINDER: N_("Reminder"),
    Event.REQUEST_RECEIVED: N_("We have your request"),
    Event.WAITLISTED: N_("You are on the waiting list"),
    Event.OFFER: N_("A time is free for you"),
    Event.OFFER_LAPSED: N_("The time we kept is free for others"),
    Event.REQUEST_PAUSED: N_("Your request is resting"),
    Event.REQUEST_DELAYED: N_("It takes longer than we said"),
    Event.REQUEST_CLOSED: N_("Your request has ended"),
    Event.INVITATION: N_("Please book an appointment"),
}
PLACE_WORDS = {AccessPlace.PATIENT: N_("Your details"), AccessPlace.APPOINTMENT: N_("One of your appointments")}
SECTIONS = {
    "details": N_("Your details"),
    "contact_points": N_("How we contact you"),
    "needs": N_("What you need"),
    "referrals": N_("Referrals"),
    "appointments": N_("Appointments"),
    "messages": N_("Messages about them"),
    "who_may_act_for_you": N_("Who may act for you"),
    "changes": N_("What was changed, and by whom"),
    "who_looked": N_("Who has looked at your record"),
}
# What people wrote themselves is shown as they wrote it.
AS_IT_IS = frozenset({"value", "given_name", "family_name", "called_name", "reference", "appointment", "practitioner",
                      "place", "visit_type", "preferred_language", "zone", "in_your_words", "note",
                      "from_whom"})  # fmt: skip
# Where a code does not say it by itself.
LABELS = {
    "kind": N_("By"), "value": N_("Address or number"), "whose": N_("Whose"),
    "given_name": N_("Given name"), "family_name": N_("Family name"), "called_name": N_("Called name"),
    "birth_on": N_("Birth date"), "gender": N_("Gender"), "preferred_language": N_("Preferred language"),
    "identity_status": N_("Identity status"), "registered_on": N_("Registered"), "relation": N_("Relation"),
    "starts_on": N_("Since"), "ends_on": N_("Until"), "revoked_at": N_("Ended"),
    "unverified_since": N_("Not confirmed since"), "failed_at": N_("Does not work since"), "ended_at": N_("Ended"),
    "reference": N_("Reference"), "status": N_("Status"), "starts_at": N_("Starts"), "ends_at": N_("Ends"),
    "mode": N_("Mode"), "origin": N_("Origin"), "requested_at": N_("Asked for"), "booked_at": N_("Booked"),
    "arrived_at": N_("Arrived"), "outcome_code": N_("Outcome"), "cancelled_at": N_("Cancelled"),
    "cancelled_by": N_("Cancelled by"), "cancel_reason": N_("Cancel reason"), "is_late_cancel": N_("Late cancel"),
    "is_private": N_("Private"), "sequence": N_("Times moved"), "visit_type": N_("Visit type"),
    "practitioner": N_("Practitioner"), "place": N_("Place"), "zone": N_("Zone"), "needs": N_("Needs"),
    "appointment": N_("Appointment"), "event": N_("Event"), "channel": N_("Channel"),
    "delivery": N_("Delivery"), "created_at": N_("Written"), "sent_at": N_("Sent"), "made_at": N_("When"),
    "need": N_("Need"), "in_your_words": N_("In your words"), "asked_at": N_("Told"), "source": N_("Told by"),
    "from_whom": N_("From"), "received_on": N_("Received"), "valid_until": N_("Valid until"),
    "visits_allowed": N_("Visits allowed"), "visits_used": N_("Visits used"),
    "extra_minutes": N_("Minutes longer for your needs"), "note": N_("What it is about"),
    "reminders_stopped_at": N_("No reminders since"), "confirmation": N_("Will you come?"),
    "confirmed_at": N_("Said on"), "confirmed_via": N_("Said by"), "due_at": N_("To be sent"),
    "opened_at": N_("When"), "by": N_("Done by"), "action": N_("Action"), "role": N_("Who"), "page": N_("What"),
}  # fmt: skip
WORDS = {
    ("kind", "email"): N_("E-mail"), ("kind", "post"): N_("Letter"), ("channel", "email"): N_("E-mail"),
    ("whose", "self"): N_("Your own"), ("whose", "parent"): N_("A parent’s"), ("whose", "carer"): N_("A carer’s"),
    ("relation", "self"): N_("Yourself"), ("by", "proxy"): N_("Somebody who may act for you"),
    ("by", "staff"): N_("The clinic"), ("by", "system"): N_("The portal"), ("by", "patient"): N_("Yourself"),
    ("event", "verify"): N_("Confirm an address"), ("confirmed_via", "link"): N_("The link in a mail"),
    ("confirmation", "not_asked"): N_("We have not asked"), ("confirmation", "asked"): N_("We have asked"),
    ("confirmation", "confirmed"): N_("You have said that you come"),
    ("outcome_code", "2"): N_("Cancelled by you, or for you"), ("outcome_code", "3"): N_("You did not come"),
    ("outcome_code", "4"): N_("Cancelled by the clinic"), ("outcome_code", "5"): N_("You came on time"),
    ("outcome_code", "6"): N_("You came late and were seen"),
    ("outcome_code", "7"): N_("You came too late to be seen"),
    ("source", "patient"): N_("Yourself"), ("source", "proxy"): N_("Somebody who may act for you"),
    ("source", "staff"): N_("The clinic"),
    **{("need", need.value): words for need, words in NEED_WORDS.items()},
    **{("event", event.value): words for event, words in EVENT_WORDS.items()},
    **{("role", role.value): words for role, words in ROLE_WORDS.items()},
    **{("page", place.value): words for place, words in PLACE_WORDS.items()},
}  # fmt: skip
