"""In person, by phone, by video: what patients read about each."""

from __future__ import annotations

from clinic_portal.languages import N_
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
}
VIDEO_WAY_IN = N_("The link is on the page of the appointment shortly before it starts.")
