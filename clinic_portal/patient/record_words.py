"""What the page of everything that is kept of a patient calls things: sections, labels, and codes of the database."""

from __future__ import annotations

from clinic_portal.languages import N_
from clinic_portal.models import AccessPlace, RoleName
from clinic_portal.patient.words import NEED_WORDS

ROLE_WORDS = {
    RoleName.FRONT_DESK: N_("Reception"),
    RoleName.ADMIN: N_("Administration"),
    RoleName.PRACTITIONER: N_("A clinician"),
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
    "opened_at": N_("When"), "by": N_("Done by"), "action": N_("Action"), "role": N_("Who"), "page": N_("What"),
}  # fmt: skip
WORDS = {
    ("kind", "email"): N_("E-mail"), ("kind", "post"): N_("Letter"), ("channel", "email"): N_("E-mail"),
    ("whose", "self"): N_("Your own"), ("whose", "parent"): N_("A parent’s"), ("whose", "carer"): N_("A carer’s"),
    ("relation", "self"): N_("Yourself"), ("by", "proxy"): N_("Somebody who may act for you"),
    ("by", "staff"): N_("The clinic"), ("by", "system"): N_("The portal"), ("by", "patient"): N_("Yourself"),
    ("event", "verify"): N_("Confirm an address"),
    ("source", "patient"): N_("Yourself"), ("source", "proxy"): N_("Somebody who may act for you"),
    ("source", "staff"): N_("The clinic"),
    **{("need", need.value): words for need, words in NEED_WORDS.items()},
    **{("role", role.value): words for role, words in ROLE_WORDS.items()},
    **{("page", place.value): words for place, words in PLACE_WORDS.items()},
}  # fmt: skip
# Other codes, as they say it themselves.
CODES = {
    **{need.value: words for need, words in NEED_WORDS.items()},
    "female": N_("Female"), "male": N_("Male"), "other": N_("Other"), "self_declared": N_("Self declared"),
    "matched": N_("Matched"), "checked_at_desk": N_("Checked at desk"), "patient_online": N_("Patient online"),
    "proxy_online": N_("Proxy online"), "phone": N_("Phone"), "desk": N_("Desk"), "walk_in": N_("Walk in"),
    "import": N_("Import"), "in_person": N_("In person"), "video": N_("Video"), "home": N_("Home"),
    "patient": N_("Patient"), "proxy": N_("Proxy"), "clinic": N_("Clinic"), "system": N_("System"),
    "feel_better": N_("Feel better"), "cannot_come": N_("Cannot come"), "seen_elsewhere": N_("Seen elsewhere"),
    "left_without_being_seen": N_("Left without being seen"), "proposed": N_("Proposed"), "pending": N_("Pending"),
    "waitlist": N_("Waitlist"), "booked": N_("Booked"), "arrived": N_("Arrived"), "fulfilled": N_("Fulfilled"),
    "cancelled": N_("Cancelled"), "noshow": N_("Noshow"), "entered-in-error": N_("Entered in error"),
    "moved": N_("Moved"), "call": N_("Call"), "due": N_("Due"), "sending": N_("Sending"), "sent": N_("Sent"),
    "failed": N_("Failed"), "superseded": N_("Superseded"), "to_call": N_("To call"), "parent": N_("Parent"),
    "carer": N_("Carer"), "power_of_attorney": N_("Power of attorney"), "mobile": N_("Mobile"),
    "landline": N_("Landline"), "you": N_("You"), "practitioner": N_("Practitioner"), "reserve": N_("Reserve"),
    "move": N_("Move"), "cancel": N_("Cancel"), "reassign": N_("Reassign"), "arrive": N_("Arrive"),
    "fulfil": N_("Fulfil"), "undo": N_("Undo"), "correct": N_("Correct"), "register": N_("Register"),
    "use_code": N_("Use code"), "invite": N_("Invite"), "export": N_("Export"), "change_name": N_("Change name"),
    "change_mail_language": N_("Change mail language"),
    "add_contact": N_("Add contact"), "change_contact": N_("Change contact"), "prefer_contact": N_("Prefer contact"),
    "ask_contact": N_("Ask contact"), "verify_contact": N_("Verify contact"), "end_contact": N_("End contact"),
    "give_up_right": N_("Give up right"), "give_right": N_("Give right"), "end_right": N_("End right"),
    "add_need": N_("Add need"), "end_need": N_("End need"), "enter_referral": N_("Enter referral"),
    "end_referral": N_("End referral"), "merge": N_("Join records"), "make_private": N_("Make private"),
    "make_visible": N_("Make visible"), "close": N_("Close task"), "try": N_("Try to reach"),
    "put_off": N_("Put off"), "wrong_number": N_("Wrong number"), "void": N_("Void code"),
    "lengthened": N_("Takes longer"), "lengthen": N_("Make longer"),
}  # fmt: skip
