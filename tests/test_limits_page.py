"""Administrators set what the clinic lets patients book, and its settings: checked, noted, never over a colleague."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.backoffice.setting_words import SETTING
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, ModeNotOffered, NotAllowed, NotFound, VersionConflict
from clinic_portal.models import AuditEntry, Mode, Role, RoleGrant, RoleName, VisitType, WhoMayBook
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.visit_types import COLUMNS, OWN_SETTINGS, change_visit_type, values_of
from clinic_portal.settings import BY_NAME, DEFINITIONS, change_setting, load_settings
from tests.test_backoffice import make_admin
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World


@pytest.fixture
def admin(app: Flask, world: World) -> Visitor:
    make_admin(world.accounts["erin"])
    return Visitor(app, "erin")


def check_up(world: World) -> VisitType:
    db.session().rollback()
    db.session().expire_all()
    return db.session().get_one(VisitType, world.check_up_id)


def now(world: World) -> dict[str, object]:
    return values_of(check_up(world), load_settings(db.session()))


def path_of(world: World) -> str:
    return f"/backoffice/visit-type/?id={check_up(world).public_id}"


def change(world: World, version: int = 1, **values: object) -> None:
    change_visit_type(actor=world.erin, visit_type_id=world.check_up_id, values=values, expected_version=version)


# Visit types


def test_an_administrator_sets_the_limits_of_a_visit_type_and_they_count_at_once(admin: Visitor, world: World) -> None:
    fields = {"who_may_book": "referred", "min_age": "18", "max_age": "", "is_sensitive": "yes", "may_be_acute": "yes",
              "minimum_notice_min": "240", "max_open_per_patient": "3", "emergency_signs": "chest pain\r\nfits",
              "how_to_prepare": "Eat nothing.\r\nDrink water."}  # fmt: skip
    answer = admin.submit(admin.get(path_of(world)), **fields)
    assert "Check-up is saved." in words_of(admin.follow(answer))
    kept = now(world)
    assert (kept["who_may_book"], kept["min_age"], kept["max_age"]) == (WhoMayBook.REFERRED, 18, None)
    assert (kept["is_sensitive"], kept["may_be_acute"], kept["is_active"]) == (True, True, True)
    assert (kept["minimum_notice_min"], kept["max_open_per_patient"], kept["horizon_days"]) == (240, 3, None)
    assert (kept["emergency_signs"], kept["how_to_prepare"]) == ("chest pain\nfits", "Eat nothing.\nDrink water.")
    assert load_terms(db.session(), Search(world.check_up_id, world.alice_id)).notice.total_seconds() == 240 * 60
    assert load_terms(db.session(), Search(world.vaccine_id, world.alice_id)).notice.total_seconds() == 120 * 60


def test_everything_that_is_shown_is_kept_when_nothing_is_changed(admin: Visitor, world: World) -> None:
    change(world, minimum_notice_min=30, who_may_book=WhoMayBook.STAFF, may_be_acute=True, hint="Of <all> kinds")
    before = now(world)
    page = admin.get(path_of(world))
    # A list and a box of lines send what they show, which the reader of forms does not know.
    admin.submit(page, who_may_book="staff", how_to_prepare="", emergency_signs="")
    assert now(world) == before
    assert check_up(world).version == 2


def test_an_administrator_sets_how_patients_are_seen_and_which_requests_are_looked_at_first(
    admin: Visitor, world: World
) -> None:
    page = admin.get(path_of(world))
    assert "By video is offered only when the clinic has set its video rooms." in words_of(page)
    none = admin.open(path_of(world), "POST", data={**forms_of(page)[0].fields, "who_may_book": "anyone", "modes": []})
    assert none.status_code == 422
    assert "Choose at least one way in which patients are seen." in words_of(none)
    assert "Choose from the list." in words_of(admin.submit(page, 422, who_may_book="anyone", modes="home"))
    admin.submit(page, who_may_book="anyone", modes=["phone", "video"], needs_triage="yes")
    kept = check_up(world)
    assert (kept.modes, kept.needs_triage) == (frozenset({Mode.PHONE, Mode.VIDEO}), True)
    with pytest.raises(ModeNotOffered):
        load_terms(db.session(), Search(world.check_up_id, world.alice_id))
    (entry,) = db.session().scalars(select(AuditEntry).filter_by(subject_type="visit_types")).all()
    assert (entry.values.before["modes"], entry.values.after["modes"]) == (["in_person"], ["phone", "video"])
    late = admin.submit(page, 409, who_may_book="anyone", modes="in_person")
    assert "Modes: by phone, by video" in words_of(late)


def test_every_setting_of_a_visit_type_is_called_something_that_people_say(admin: Visitor, world: World) -> None:
    assert [name for name in OWN_SETTINGS if BY_NAME[name].translates is None and name not in SETTING] == []
    says = words_of(admin.get(path_of(world)))
    assert "Shortest time, by phone or video" in says
    assert "Calls are told as a stretch of" in says
    assert " min the same" not in says


def test_an_own_value_taken_away_lets_the_clinics_count_again(admin: Visitor, world: World) -> None:
    change(world, minimum_notice_min=30)
    page = admin.get(path_of(world))
    admin.submit(page, who_may_book="anyone", minimum_notice_min="")
    assert now(world)["minimum_notice_min"] is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"neutral_name": ""}, "neutral_name"),
        ({"who_may_book": None}, "who_may_book"),
        ({"modes": frozenset()}, "modes"),
        ({"modes": frozenset({Mode.HOME})}, "modes"),
        ({"min_age": 131}, "min_age"),
        ({"min_age": 18, "max_age": 16}, "max_age"),
        ({"start_step_min": 0}, "start_step_min"),
        ({"start_step_min": 7}, "start_step_min"),
        ({"start_step_min": None}, "start_step_min"),
        ({"arrive_early_min": 500}, "arrive_early_min"),
        ({"horizon_days": 401}, "horizon_days"),
        ({"max_open_per_patient": 0}, "max_open_per_patient"),
        ({"emergency_signs": " "}, "emergency_signs"),
    ],
)
def test_what_is_not_possible_is_refused_at_its_field_and_changes_nothing(
    world: World, values: dict[str, object], field: str
) -> None:
    before = now(world)
    with pytest.raises(InvalidRequest) as refused:
        change(world, **values)
    assert refused.value.facts["field"] == field
    assert now(world) == before


def test_what_was_typed_stays_when_something_is_wrong(admin: Visitor, world: World) -> None:
    page = admin.get(path_of(world))
    for typed in ("x", "-1", "1e3", "9" * 30, "١٢"):
        wrong = admin.submit(page, 422, who_may_book="anyone", horizon_days=typed, name="Examination")
        assert "Enter a whole number." in words_of(wrong)
        assert 'value="Examination"' in wrong.text
        assert 'href="#horizon_days"' in wrong.text
    assert "Choose who may book it." in words_of(admin.submit(page, 422, who_may_book="nobody"))
    assert check_up(world).name == "Check-up"


def test_of_two_who_change_it_at_once_the_second_is_told_and_may_send_it_again(admin: Visitor, world: World) -> None:
    page = admin.get(path_of(world))
    change(world, min_age=21)
    late = admin.submit(page, 409, who_may_book="anyone", min_age="30")
    assert "Somebody else changed this in the meantime." in words_of(late)
    assert "Min age: 21" in words_of(late)
    assert 'value="30"' in late.text
    assert now(world)["min_age"] == 21
    admin.submit(late, who_may_book="anyone")
    assert now(world)["min_age"] == 30
    with pytest.raises(VersionConflict):
        change(world, version=1, min_age=5)


def test_changes_are_noted_with_what_differs_only(world: World) -> None:
    change(world, min_age=21, max_age=None, minimum_notice_min=30)
    change(world, version=2, min_age=21)
    (entry,) = db.session().scalars(select(AuditEntry).filter_by(subject_type="visit_types")).all()
    assert (entry.action, entry.values.before, entry.values.after) == (
        "change", {"min_age": None, "minimum_notice_min": None}, {"min_age": 21, "minimum_notice_min": 30}
    )  # fmt: skip


def test_only_the_clinic_changes_and_only_what_there_is(world: World) -> None:
    with pytest.raises(NotAllowed):
        change_visit_type(actor=world.alice, visit_type_id=world.check_up_id, values={}, expected_version=1)
    with pytest.raises(NotFound):
        change_visit_type(actor=world.erin, visit_type_id=99, values={}, expected_version=1)
    with pytest.raises(InvalidRequest, match="nothing to set"):
        change(world, public_id="x")


def test_the_form_has_every_limit_that_a_visit_type_can_have(admin: Visitor, world: World) -> None:
    page = admin.get(path_of(world)).text
    for name in (*COLUMNS, *OWN_SETTINGS):
        assert f'name="{name}"' in page, name


# Who may


def test_the_desk_reads_and_administrators_of_one_place_change_nothing(app: Flask, world: World) -> None:
    erin = Visitor(app, "erin")
    for path in (path_of(world), "/backoffice/setting/?name=clinic_name"):
        erin.get(path, 403)
    assert "visit-type/?id" not in erin.get("/backoffice/visit-types/").text
    assert "setting/?name" not in erin.get("/backoffice/settings/").text

    @writing
    def at_mill_lane(session: Session) -> None:
        role = session.scalars(select(Role).filter_by(name=RoleName.ADMIN)).one()
        session.add(RoleGrant(account_id=world.accounts["erin"], role_id=role.id, location_id=world.second_location_id))

    at_mill_lane()
    erin.get(path_of(world), 403)
    assert "visit-type/?id" not in erin.get("/backoffice/visit-types/").text


# Settings


def test_an_administrator_changes_a_setting_and_it_is_noted(admin: Visitor, world: World) -> None:
    assert "name=checkout_hold_min" in admin.get("/backoffice/settings/").text
    page = admin.get("/backoffice/setting/?name=checkout_hold_min")
    assert "Checkout hold min is saved." in words_of(admin.follow(admin.submit(page, value="20")))
    db.session().rollback()
    assert load_settings(db.session()).number("checkout_hold_min") == 20
    (entry,) = db.session().scalars(select(AuditEntry).filter_by(subject_type="settings")).all()
    assert (entry.actor_account_id, entry.values.after) == (world.erin.account_id, {"checkout_hold_min": 20})


@pytest.mark.parametrize("typed", ["", "0", "61", "x", "5 minutes", "9" * 40])
def test_a_value_that_is_not_possible_stays_in_the_field(admin: Visitor, world: World, typed: str) -> None:
    page = admin.get("/backoffice/setting/?name=checkout_hold_min")
    wrong = admin.submit(page, 422, value=typed)
    assert "This value is not possible." in words_of(wrong)
    assert f'value="{typed}"' in wrong.text


def test_a_setting_that_a_colleague_has_changed_is_told(admin: Visitor, world: World) -> None:
    page = admin.get("/backoffice/setting/?name=clinic_name")
    change_setting(actor=world.erin, name="clinic_name", value="Harbour Clinic")
    late = admin.submit(page, 409, value="Street Clinic")
    assert "Now it is: Harbour Clinic." in words_of(late)
    admin.submit(late)
    db.session().rollback()
    assert load_settings(db.session()).value("clinic_name") == "Street Clinic"


@pytest.mark.parametrize("name", ["", "x", "grid_min", "\x00"])
def test_what_cannot_be_set_has_no_page(admin: Visitor, name: str) -> None:
    assert admin.open("/backoffice/setting/", query_string={"name": name}).status_code == 404
    assert admin.open("/backoffice/visit-type/", query_string={"id": name}).status_code == 404


def test_every_setting_but_the_grid_has_a_form_that_keeps_it(admin: Visitor, world: World) -> None:
    for definition in DEFINITIONS:
        if definition.name == "grid_min":
            continue
        page = admin.get(f"/backoffice/setting/?name={definition.name}")
        before = load_settings(db.session()).value(definition.name)
        admin.submit(page, value=str(before))
        db.session().rollback()
        assert load_settings(db.session()).value(definition.name) == before
