"""In person, by phone, by video: what patients read about each."""

from __future__ import annotations

from clinic_portal.languages import N_, _
from clinic_portal.models import Mode

# The answers to the question how.
MODE_WORDS = {
    Mode.IN_PERSON: N_("In person"),
    Mode.PHONE: N_("By phone"),
    Mode.VIDEO: N_("By video"),
    Mode.HOME: N_("At your home"),
}
HINTS = {
    Mode.IN_PERSON: N_("You come to us."),
    Mode.PHONE: N_("We call you. You do not have to go anywhere."),
    Mode.VIDEO: N_("We send you a link. You need a device with a camera, and a quiet place."),
    Mode.HOME: N_("We come to you."),
}


def how_told(mode: Mode) -> str:
    """What happens then, in one sentence."""
    words = {
        Mode.IN_PERSON: N_("You come to us."),
        Mode.PHONE: N_("We will try twice."),
        Mode.VIDEO: N_("The link is on the page of the appointment shortly before it starts."),
        Mode.HOME: N_("We come to you."),
    }
    return _(words[mode])
