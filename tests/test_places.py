"""What is said about places: changed by administrators, one at a time, and read by patients in their language."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotAllowed
from clinic_portal.models import AuditEntry, Location
from clinic_portal.place_texts import place_text_of
from clinic_portal.scheduling.places import change_location
from tests.belongings import Belongings
from tests.bookings import book, open_clinic
from tests.visitor import Visitor, words_of
from tests.world import World, at


def location(world: World) -> Location:
    db.session().rollback()
    db.session().expire_all()
    return db.session().get_one(Location, world.location_id)


def test_what_is_said_about_a_place_is_changed_and_read_in_each_language(any_world: World) -> None:
    world = any_world
    values = {"entrance_note": "Ring twice", "entrance_note_de": "Zweimal klingeln", "is_step_free": False}
    change_location(actor=world.erin, location_id=world.location_id, values=dict(values), expected_version=1)
    assert place_text_of(db.session(), world.location_id).entrance_note == "Ring twice"
    (entry,) = db.session().scalars(select(AuditEntry).where(AuditEntry.subject_type == "locations"))
    assert entry.values is not None
    assert entry.values.after == values
    assert location(world).version == 2
    change_location(actor=world.erin, location_id=world.location_id, values=dict(values), expected_version=2)
    assert location(world).version == 2, "nothing changed"


def test_patients_read_it_in_their_language_and_in_english_where_it_is_not_translated(app: Flask, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    values: dict[str, str | bool] = {"entrance_note": "Ring twice", "parking_note": "Behind the house",
                                     "entrance_note_de": "Zweimal klingeln"}  # fmt: skip
    change_location(actor=world.erin, location_id=world.location_id, values=values, expected_version=1)
    alice = Visitor(app, "alice")
    english = words_of(alice.get(f"/appointments/{visit.public_id}"))
    german = words_of(alice.get(f"/appointments/{visit.public_id}", Accept_Language="de"))
    assert "Ring twice" in english
    assert "Parking: Behind the house" in english
    assert "Zweimal klingeln" in german
    assert "Parken: Behind the house" in german


@pytest.mark.parametrize(
    ("name", "value"), [("name", ""), ("entrance_note", "x" * 301), ("parking_note_de", "x" * 301)]
)
def test_what_is_too_long_or_missing_is_refused_by_name(world: World, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        change_location(actor=world.erin, location_id=world.location_id, values={name: value}, expected_version=1)
    assert refused.value.facts["field"] == name


def test_only_the_clinic_changes_it(world: World) -> None:
    with pytest.raises(NotAllowed):
        change_location(actor=world.alice, location_id=world.location_id, values={"name": "x"}, expected_version=1)


def test_an_administrator_edits_it_on_its_page_and_the_second_of_two_is_told(
    app: Flask, belongings: Belongings
) -> None:
    admin, path = Visitor(app, "admin"), f"/backoffice/location/?id={belongings.ids['location']}"
    assert f"/backoffice/location/?id={belongings.ids['location']}" in admin.get("/backoffice/locations/").text
    page = admin.get(path)
    refused = admin.submit(page, 422, name="")
    assert "Use 1 to 120 characters" in words_of(refused)
    admin.submit(page, entrance_note="Push the door", entrance_note_de="Tür drücken")
    assert location(belongings.world).entrance_note == "Push the door"
    second = admin.submit(page, 409, entrance_note="Pull the door")
    assert "Somebody else changed this in the meantime" in words_of(second)
    assert "How one gets in: Push the door" in words_of(second)
    assert "Pull the door" in second.text
    admin.submit(second, entrance_note="Pull the door")
    assert location(belongings.world).entrance_note == "Pull the door"
    assert "/backoffice/location/" not in Visitor(app, "erin").get("/backoffice/locations/").text
