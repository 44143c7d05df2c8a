"""Who works at the demo clinic, when, where, and what they do there; as plain as a rota on the wall.

Hours lie on half hours of the wall clock, so that they fit every length of a schedule cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clinic_portal.models import (
    ALL_MODES,
    Audience,
    Gender,
    Mode,
    Modes,
    PractitionerKind,
    ReleasePolicy,
    RuleKind,
    WhoMayBook,
)

ZONE = "Europe/London"
HARBOUR, MILL = "Harbour Street", "Mill Lane"
LOCATIONS: tuple[dict[str, Any], ...] = (
    {"name": HARBOUR, "address": "12 Harbour Street, London SE1", "phone": "020 7946 0000", "is_step_free": True,
     "entrance_note": "The doors open by themselves; everything is on the ground floor.",
     "parking_note": "Two places for disabled people in front of the door."},
    {"name": MILL, "address": "3 Mill Lane, London SE16", "phone": "020 7946 0001", "is_step_free": False,
     "entrance_note": "Ring the bell. The rooms are on the first floor, up 18 stairs; there is no lift."},
)  # fmt: skip

CHECK_UP, LONG, VACCINE, SEXUAL_HEALTH, PHYSIO, PROCEDURE = (
    "Check-up", "Long check-up", "Vaccination", "Sexual health check", "Physiotherapy", "Minor procedure",
)  # fmt: skip
# Prepared texts are what patients read on the confirmation.
VISIT_TYPES: tuple[dict[str, Any], ...] = (
    {"name": CHECK_UP, "start_step_min": 15, "may_be_acute": True, "modes": frozenset({Mode.IN_PERSON, Mode.PHONE}),
     "hint": "For a new problem, or one you have had for a while."},
    {"name": LONG, "start_step_min": 15, "modes": ALL_MODES, "hint": "For more than one problem, or a yearly review.",
     "how_to_prepare": "Think about what you want to talk about most.",
     "what_to_bring": "A list of the medicines you take."},
    {"name": VACCINE, "start_step_min": 10, "hint": "For flu, travel and childhood vaccinations.",
     "how_to_prepare": "Wear sleeves that roll up easily.",
     "what_to_bring": "Your or your child's vaccination record."},
    {"name": SEXUAL_HEALTH, "start_step_min": 20, "is_sensitive": True, "min_age": 13, "neutral_name": "Appointment",
     "hint": "For tests, contraception and advice. Messages about it only say “Appointment”."},
    {"name": PHYSIO, "start_step_min": 30, "arrive_early_min": 10, "min_age": 8,
     "who_may_book": WhoMayBook.REFERRED, "hint": "For painful or stiff muscles and joints, with a referral.",
     "how_to_prepare": "Wear clothes you can move in."},
    {"name": PROCEDURE, "start_step_min": 30, "arrive_early_min": 15, "min_age": 18,
     "who_may_book": WhoMayBook.KNOWN_PATIENT, "needs_triage": True,
     "hint": "For having a mole, cyst or ingrown nail removed, if a doctor has told you to book it.",
     "how_to_prepare": "Eat as usual. Tell us before the day if you take medicine that thins the blood."},
)  # fmt: skip
# Minutes kept free after each visit: for notes, and to clear the room.
BUFFER_AFTER_MIN = {CHECK_UP: 0, LONG: 5, VACCINE: 0, SEXUAL_HEALTH: 5, PHYSIO: 5, PROCEDURE: 10}

CLINIC_SETTINGS: dict[str, Any] = {
    # Everybody should get in with the passwords on the page; a second step can be tried all the same.
    "second_factor": "off",
    "clinic_name": "Harbour Street Clinic",
    "clinic_phone": "020 7946 0000",
    "opening_hours": "Monday to Friday, 8am to 6pm",
    "emergency_number": "999",
    "urgent_advice": "If it is urgent but no emergency, call 111, day or night.",
    "video_rooms": "https://video.harbour.example/{room}",
    "emergency_signs": "\n".join(
        (
            "chest pain or pressure that does not go away",
            "sudden weakness in the face, an arm or a leg, or trouble speaking",
            "great difficulty breathing, or lips turning blue",
            "heavy bleeding that does not stop",
            "a sudden swelling of the lips, mouth or throat",
            "thoughts of ending your life, or of hurting somebody",
        )
    ),
}
VISIT_TYPE_SETTINGS: tuple[tuple[str, str, int], ...] = (
    ("minimum_notice_min", PHYSIO, 24 * 60),
    ("minimum_notice_min", PROCEDURE, 48 * 60),
    ("move_cutoff_min", PROCEDURE, 24 * 60),
    ("late_cancel_min", PROCEDURE, 48 * 60),
    ("horizon_days", PROCEDURE, 84),
    ("horizon_days", VACCINE, 28),
    # Whoever books a check-up in the demo can book one more.
    ("max_open_per_patient", CHECK_UP, 2),
    ("min_days_since_same", LONG, 28),
)

MON, TUE, WED, THU, FRI, SAT = range(6)


@dataclass(frozen=True)
class Block:
    """Hours that come back on some weekdays; `week` 0 or 1 of a fortnight, or None for every week."""

    days: tuple[int, ...]
    starts: str
    ends: str
    place: str = HARBOUR
    week: int | None = None
    kind: RuleKind = RuleKind.CLINIC
    audience: Audience = Audience.PUBLIC
    release: tuple[ReleasePolicy, int, str] = (ReleasePolicy.AT_ONCE, 0, "00:00")
    modes: Modes = ALL_MODES
    # The only kinds of visits they are for, by name; none for all.
    only: tuple[str, ...] = ()


def minutes(clock_time: str) -> int:
    """Minutes after midnight of a wall-clock time such as 13:30."""
    hours, rest = clock_time.split(":")
    return int(hours) * 60 + int(rest)


BY_PHONE: Modes = frozenset({Mode.PHONE})
SAME_DAY = (ReleasePolicy.DAYS_BEFORE, 0, "07:00")
TWO_DAYS_BEFORE = (ReleasePolicy.DAYS_BEFORE, 2, "07:00")


@dataclass(frozen=True)
class Clinician:
    """One person of the rota; `does` maps a visit type to its minutes for known and for new patients."""

    name: str
    email: str
    kind: PractitionerKind
    gender: Gender
    does: dict[str, tuple[int, int]]
    blocks: tuple[Block, ...] = field(default=())


def _break(days: tuple[int, ...], starts: str, ends: str, place: str = HARBOUR) -> Block:
    return Block(days, starts, ends, place, kind=RuleKind.BREAK)


CLINICIANS = (
    Clinician(
        "Dr Amara Okafor", "amara.okafor@example.org", PractitionerKind.DOCTOR, Gender.FEMALE,
        {CHECK_UP: (15, 30), LONG: (30, 45), SEXUAL_HEALTH: (20, 30)},
        (Block((MON, TUE, THU, FRI), "08:30", "12:30"), Block((MON, THU), "13:30", "16:30"),
         Block((WED,), "09:00", "11:00", modes=BY_PHONE), Block((TUE, FRI), "13:30", "15:30", release=SAME_DAY),
         Block((THU,), "16:30", "17:30", audience=Audience.STAFF, release=(ReleasePolicy.NEVER, 0, "00:00"))),
    ),
    Clinician(
        "Dr Samuel Brandt", "samuel.brandt@example.org", PractitionerKind.DOCTOR, Gender.MALE,
        {CHECK_UP: (15, 15), LONG: (30, 40), PROCEDURE: (60, 60)},
        (Block((MON, TUE, WED), "09:00", "17:00"), _break((MON, TUE, WED), "12:30", "13:30"),
         Block((FRI,), "09:00", "12:00"), Block((THU,), "13:30", "16:00", only=(PROCEDURE,))),
    ),
    Clinician(
        "Dr Leila Haddad", "leila.haddad@example.org", PractitionerKind.DOCTOR, Gender.FEMALE,
        {CHECK_UP: (20, 30), LONG: (30, 45), SEXUAL_HEALTH: (20, 30)},
        (Block((TUE, THU), "14:00", "20:00"), _break((TUE, THU), "17:00", "17:30"),
         Block((WED,), "09:00", "12:00", release=TWO_DAYS_BEFORE)),
    ),
    Clinician(
        "Dr Kwame Mensah", "kwame.mensah@example.org", PractitionerKind.DOCTOR, Gender.MALE,
        {CHECK_UP: (15, 20), LONG: (30, 30), PROCEDURE: (60, 60)},
        (Block((MON, WED), "08:00", "12:30"), Block((WED,), "13:30", "17:00", MILL),
         Block((THU, FRI), "09:00", "13:00", MILL), _break((THU, FRI), "10:30", "11:00", MILL)),
    ),
    Clinician(
        "Dr Ingrid Solberg", "ingrid.solberg@example.org", PractitionerKind.DOCTOR, Gender.FEMALE,
        {CHECK_UP: (15, 30), LONG: (45, 60), SEXUAL_HEALTH: (30, 30)},
        (Block((MON, TUE, WED), "09:00", "12:30", MILL, week=0), Block((MON, WED), "13:30", "16:00", MILL, week=0),
         Block((THU,), "09:00", "13:00", MILL, week=1)),
    ),
    Clinician(
        "Dr Arjun Nair", "arjun.nair@example.org", PractitionerKind.DOCTOR, Gender.MALE,
        {CHECK_UP: (15, 15), LONG: (30, 45), PROCEDURE: (45, 60)},
        (Block((WED,), "15:00", "20:00"), _break((WED,), "17:30", "18:00"), Block((FRI,), "09:00", "13:00"),
         Block((FRI,), "14:00", "16:00", release=SAME_DAY), Block((SAT,), "09:00", "13:00", week=0)),
    ),
    Clinician(
        "Nurse Grace Adeyemi", "grace.adeyemi@example.org", PractitionerKind.NURSE, Gender.FEMALE,
        {VACCINE: (10, 10), SEXUAL_HEALTH: (20, 20), CHECK_UP: (20, 30)},
        (Block((MON, TUE, WED, THU), "08:00", "12:00"), _break((MON, TUE, WED, THU), "10:00", "10:30")),
    ),
    Clinician(
        "Nurse Tomasz Mazur", "tomasz.mazur@example.org", PractitionerKind.NURSE, Gender.MALE,
        {VACCINE: (10, 10), CHECK_UP: (20, 30)},
        (Block((TUE, THU), "12:00", "18:00", MILL), _break((TUE, THU), "15:00", "15:30", MILL)),
    ),
    Clinician(
        "Nurse Mei-Ling Tan", "meiling.tan@example.org", PractitionerKind.NURSE, Gender.FEMALE,
        {VACCINE: (10, 15), SEXUAL_HEALTH: (30, 30)},
        (Block((MON,), "16:00", "19:30"), Block((FRI,), "13:00", "17:00"), Block((SAT,), "09:00", "13:00", week=1)),
    ),
    Clinician(
        "Sofia Marques", "sofia.marques@example.org", PractitionerKind.PHYSIO, Gender.FEMALE,
        {PHYSIO: (45, 60)},
        (Block((MON, THU), "08:30", "12:30"), Block((MON, WED), "13:30", "17:30")),
    ),
    Clinician(
        "Daniel Levy", "daniel.levy@example.org", PractitionerKind.PHYSIO, Gender.MALE,
        {PHYSIO: (45, 45)},
        (Block((TUE, FRI), "09:00", "16:30", MILL), _break((TUE, FRI), "12:30", "13:00", MILL),
         Block((SAT,), "09:00", "12:00", MILL, week=1)),
    ),
    Clinician(
        "Dr Hannah Frost", "hannah.frost@example.org", PractitionerKind.TRAINEE, Gender.FEMALE,
        {CHECK_UP: (30, 40), LONG: (45, 60)},
        (Block((MON, TUE, THU), "09:00", "12:30"), Block((WED,), "13:30", "16:00")),
    ),
)  # fmt: skip
