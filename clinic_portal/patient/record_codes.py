"""Codes of the database that say themselves what they mean, in words, for the page of everything that is kept."""

from __future__ import annotations

from clinic_portal.languages import N_
from clinic_portal.patient.words import NEED_WORDS

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
    "lengthened": N_("Takes longer"), "lengthen": N_("Make longer"), "invitation": N_("Invitation"),
    "request": N_("Ask for a time"), "request_for": N_("Ask for a time"), "choose_time": N_("Choose time"),
    "change_request": N_("Change request"), "note_needs": N_("Look with the new needs"),
    "withdraw": N_("Withdraw request"), "redirect": N_("Answer request"), "triage": N_("Look at request"),
    "reclassify": N_("Say how urgent"), "defer": N_("Let request rest"), "resume": N_("Go on with request"),
    "place": N_("Place by itself"), "place_by_hand": N_("Place by hand"), "offer": N_("Offer a time"),
    "offer_lapsed": N_("Offer ended"), "accept": N_("Take an offer"), "accept_earlier": N_("Take an earlier time"),
    "decline": N_("Turn an offer down"), "ask_earlier": N_("Ask for an earlier time"),
    "keep_time": N_("Keep the time"), "confirm": N_("Say that you come"), "no_show": N_("Did not come"),
    "move_with_hours": N_("Move with changed hours"), "cancel_with_hours": N_("Cancel with changed hours"),
    "request_again": N_("Ask for a time again"), "put_back": N_("Put back as it was"),
    "enter_in_error": N_("Take back a wrong entry"), "running_late": N_("Running late"),
    "missed": N_("Asked whether it is still needed"),
}  # fmt: skip
