"""Codes of the database in the words of patients."""

from __future__ import annotations

from clinic_portal.models import Need

NEED_WORDS = {
    Need.INTERPRETER: "An interpreter",
    Need.SIGN_LANGUAGE: "A sign language interpreter",
    Need.STEP_FREE: "Step-free access",
    Need.FEMALE_CLINICIAN: "To see a woman",
    Need.MALE_CLINICIAN: "To see a man",
    Need.LONGER_VISIT: "More time",
    Need.HEARING: "Help because of hearing loss",
    Need.VISION: "Help because of sight loss",
    Need.CARER_PRESENT: "Someone is coming with me",
    Need.EASY_READ: "Easy-to-read information",
    Need.LARGE_PRINT: "Large print",
    Need.OTHER: "Something else",
}
NEED_HINTS = {
    Need.INTERPRETER: "We book one, so the first times are a few days away.",
    Need.SIGN_LANGUAGE: "We book one, so the first times are a few days away.",
    Need.LONGER_VISIT: "We make the appointment longer.",
}
