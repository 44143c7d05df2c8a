"""What the back office understands of what is typed, and how it says what the database knows."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask

from clinic_portal import clock
from clinic_portal.backoffice import changes, find, why, words
from clinic_portal.models import AuditEntry, AuditValues, fold
from tests.world import NOW


@pytest.mark.parametrize(
    ("typed", "folded"),
    [("Müller-Østby", "muller ostby"), ("O’Brien", "obrien"), ("  ŁUKASZ  Straße ", "lukasz strasse"), ("李", "李")],
)
def test_names_are_folded_to_plain_letters(typed: str, folded: str) -> None:
    assert fold(typed) == folded


@pytest.mark.parametrize("typed", ["4/5/1980", "04.05.1980", "1980-05-04", "4 May 1980", "04051980", " 4  5 1980 "])
def test_birth_dates_are_read_day_first(typed: str) -> None:
    assert find.birth_date(typed) == date(1980, 5, 4)


@pytest.mark.parametrize("typed", ["", "archer", "31/2/1980", "4/5", "X7K2P9"])
def test_other_words_are_no_birth_date(typed: str) -> None:
    assert find.birth_date(typed) is None


def test_every_code_has_words() -> None:
    tables = (words.STATUS, words.DELIVERY, words.DELIVERY_COLOUR, words.EVENT, words.CHANNEL, words.RECIPIENT,
              words.PRACTITIONER_KIND, words.AUDIENCE, words.SESSION_STATUS, words.ORIGIN, words.MODE, words.PRIORITY,
              words.OUTCOME, words.CANCELLED_BY, words.CANCEL_REASON, words.CONTACT_KIND)  # fmt: skip
    for table in tables:
        assert set(table) == set(type(next(iter(table))))


def test_the_desk_and_the_patients_read_the_same_words_for_a_status(app: Flask) -> None:
    with app.test_request_context():
        macros = app.jinja_env.get_template("shared/_macros.html").module
        assert {status.value: text for status, text in words.STATUS.items()} == {
            key: value[0]
            for key, value in macros.status_words.items()  # type: ignore[attr-defined]
        }


def test_a_choice_is_explained_and_a_missing_one_is_not_invented() -> None:
    choice = {"continuity": 1.0, "scarcity": 0.25, "load": 0.625, "gaps": 0.4, "familiar": "usual", "candidates": 3}
    told = [reason.finding for reason in why.reasons(choice, "Dr Chen")]
    assert told == [
        "Dr Chen is the patient’s usual clinician.",
        "Dr Chen is also needed for visit types that few colleagues can do.",
        "62% of Dr Chen’s time that day was still free.",
        "Leaves free time too short for another visit.",
    ]
    assert why.field_of(choice, "Dr Chen") == "3 clinicians could take this time."
    assert why.reasons({}, "Dr Chen") == []
    assert why.reasons({"continuity": 1}, "Dr Chen") == []


def test_changes_are_said_in_names_and_local_times() -> None:
    entry = AuditEntry(values=AuditValues(
        before={"status": "proposed", "practitioner_id": 1, "same": 1},
        after={"status": "booked", "practitioner_id": 2, "same": 1, "starts_at": "2026-07-01T09:00:00+00:00"},
    ))  # fmt: skip
    with clock.clock_at(NOW):
        told = changes.changes(entry, "Europe/London", {"practitioners": {1: "Dr Chen", 2: "Dr Diaz"}})
    assert told == ["Status: Booked, was Asked for", "Practitioner: Dr Diaz, was Dr Chen", "Starts: Wed 1 Jul, 10am"]
