"""Codes of the database in the words of patients."""

from __future__ import annotations

from clinic_portal.languages import N_
from clinic_portal.models import Need

NEED_WORDS = {
    Need.INTERPRETER: N_("An interpreter"),
    Need.SIGN_LANGUAGE: N_("A sign language interpreter"),
    Need.STEP_FREE: N_("Step-free access"),
    Need.FEMALE_CLINICIAN: N_("To see a woman"),
    Need.MALE_CLINICIAN: N_("To see a man"),
    Need.LONGER_VISIT: N_("More time"),
    Need.HEARING: N_("Help because of hearing loss"),
    Need.VISION: N_("Help because of sight loss"),
    Need.CARER_PRESENT: N_("Someone is coming with me"),
    Need.EASY_READ: N_("Easy-to-read information"),
    Need.LARGE_PRINT: N_("Large print"),
    Need.OTHER: N_("Something else"),
}
NEED_HINTS = {
    Need.INTERPRETER: N_("We book one, so the first times are a few days away."),
    Need.SIGN_LANGUAGE: N_("We book one, so the first times are a few days away."),
    Need.LONGER_VISIT: N_("We make the appointment longer."),
}
