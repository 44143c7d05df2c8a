"""Choose a day and time: parts of the day, the same person as last time, and what stands at the top of every page."""

from __future__ import annotations

import pytest
from flask import Flask

from clinic_portal.models import ContinuityWish, Need
from clinic_portal.patient.reading import write_instant
from clinic_portal.scheduling import booking
from clinic_portal.scheduling.search import Search
from tests.bookings import book, open_clinic
from tests.test_continuity import seen_by, without_continuity_score
from tests.test_patient_pages import starts_on, times_url, visits
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, add_session, at

ANYBODY, PREFERRED, ONLY = (wish.value for wish in ContinuityWish)


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def headings_of(page) -> list[str]:  # type: ignore[no-untyped-def]
    """The words of the second level, in order."""
    return [part.split(">", 1)[1].split("<")[0] for part in page.text.split("<h2")[1:]]


def test_the_times_of_a_day_stand_under_the_parts_of_the_day_that_have_some(alice: Visitor, world: World) -> None:
    add_session(world.chen_id, at(11, 30, day=1), at(12, 30, day=1))
    add_session(world.chen_id, at(17, day=1), at(18, day=1))
    page = alice.get(times_url(world))
    assert [one for one in headings_of(page) if one in ("Morning", "Afternoon", "Evening")] == [
        "Morning", "Afternoon", "Evening",
    ]  # fmt: skip
    assert "12 midday" in words_of(page)
    assert "Morning" not in headings_of(alice.get(times_url(world) + "&part=evening"))


def test_one_part_of_the_day_shows_its_times_and_says_where_there_are_others(alice: Visitor, world: World) -> None:
    open_clinic(world, day=1)
    add_session(world.chen_id, at(17, day=2), at(19, day=2))
    book(world, at(17, day=2), patient_id=world.bob_id, actor=world.bob)
    page = alice.get(times_url(world) + "&part=evening")
    says = words_of(page)
    assert "Tuesday 3 March, No evenings" in says
    assert "Wednesday 4 March, Free" in says
    assert starts_on(page)[0] == write_instant(at(17, 30, day=2))
    assert 'href="/book/times' in page.text
    assert page.text.count('aria-current="true"') == 1
    other_day = alice.get(times_url(world) + "&part=evening&day=2026-03-04")
    assert set(starts_on(other_day)) == set(starts_on(page))
    check = alice.follow(alice.submit(page, start=starts_on(page)[0]))
    assert "Wednesday 4 March, 5:30pm" in words_of(check)


def test_who_asks_for_evenings_sees_the_first_weeks_that_have_one(alice: Visitor, world: World) -> None:
    open_clinic(world, day=1)
    add_session(world.chen_id, at(17, day=30), at(18, day=30))
    page = alice.get(times_url(world) + "&part=evening")
    assert "Days from Monday 30 March" in words_of(page)
    assert starts_on(page)[0] == write_instant(at(17, day=30))
    assert "First free day" in words_of(page)


def test_who_asks_for_a_part_that_has_nothing_sees_everything_and_is_told(alice: Visitor, world: World) -> None:
    open_clinic(world, day=1)
    page = alice.get(times_url(world) + "&part=evening")
    assert "There are no free evenings in the time that can be booked" in words_of(page)
    assert starts_on(page)
    assert "part=evening&amp;day" not in page.text


@pytest.mark.parametrize("part", ["night", "Morning", "\x00", "morning "])
def test_a_part_of_the_day_that_is_none_is_not_found(alice: Visitor, world: World, part: str) -> None:
    alice.get(times_url(world) + f"&part={part}", 404)


def test_a_mistake_keeps_the_part_of_the_day(alice: Visitor, world: World) -> None:
    open_clinic(world, day=1)
    add_session(world.chen_id, at(17, day=1), at(18, day=1))
    again = alice.submit(alice.get(times_url(world) + "&part=evening"), 422)
    assert {start[9:11] for start in starts_on(again)} == {"17"}


# The same person as last time


@pytest.fixture
def regular(world: World) -> World:
    """Dr Diaz saw Alice last week and has one time; Dr Chen has many, and scores better."""
    without_continuity_score()
    seen_by(world, world.diaz_id, 7)
    add_session(world.diaz_id, at(9, day=1), at(9, 30, day=1))
    open_clinic(world, day=1)
    return world


def wish_form(page):  # type: ignore[no-untyped-def]
    return next(form for form in forms_of(page) if "same" in form.choices)


def with_wish(alice: Visitor, world: World, wish: str):  # type: ignore[no-untyped-def]
    """The times after the wish was chosen in its form, as a browser sends it."""
    form = wish_form(alice.get(times_url(world)))
    assert form.method == "get"
    return alice.open(form.action, query_string={**form.fields, "same": wish})


def test_only_who_was_seen_before_is_asked_whether_it_should_be_the_same_person(
    app: Flask, alice: Visitor, regular: World
) -> None:
    page = alice.get(times_url(regular))
    assert "Seeing the same person as last time may mean waiting longer." in words_of(page)
    assert wish_form(page).choices["same"] == [ANYBODY, PREFERRED, ONLY]
    assert "Diaz" not in page.text
    stranger = Visitor(app, "bob").get(times_url(regular, regular.bob_id))
    assert "same person as last time" not in words_of(stranger)


def test_who_wants_only_the_same_person_sees_only_those_times_and_it_is_kept(alice: Visitor, regular: World) -> None:
    page = with_wish(alice, regular, ONLY)
    assert starts_on(page) == [write_instant(at(9, day=1))]
    assert "Only the same person as last time" in words_of(page)
    check = alice.follow(alice.submit(page, start=write_instant(at(9, day=1)), index=1))
    assert "Who with Only the same person as last time" in words_of(check)
    alice.submit(check)
    visit = visits()[-1]
    assert (visit.practitioner_id, visit.wishes["continuity"]) == (regular.diaz_id, ONLY)


def test_who_prefers_the_same_person_sees_all_times_and_gets_that_person_where_it_can_be(
    alice: Visitor, regular: World
) -> None:
    page = with_wish(alice, regular, PREFERRED)
    assert len(starts_on(page)) > 5
    alice.submit(alice.follow(alice.submit(page, start=write_instant(at(9, day=1)), index=1)))
    assert visits()[-1].practitioner_id == regular.diaz_id


def test_when_that_person_has_no_time_everybody_elses_are_a_link_away(alice: Visitor, regular: World) -> None:
    bobs = Search(regular.check_up_id, regular.bob_id, needs=frozenset({Need.MALE_CLINICIAN}))
    booking.reserve_slot(actor=regular.bob, search=bobs, starts_at=at(9, day=1), token="b")
    page = alice.get(times_url(regular) + f"&same={ONLY}")
    assert "There are no times online" in words_of(page)
    link = page.text.split('<p><a href="')[1].split('"')[0].replace("&amp;", "&")
    assert "same=" not in link
    assert starts_on(alice.get(link))


@pytest.mark.parametrize("wish", ["always", "\x00", "PREFER_SAME"])
def test_a_wish_that_is_none_is_not_found(alice: Visitor, regular: World, wish: str) -> None:
    alice.get(times_url(regular) + f"&same={wish}", 404)


# What stands at the top and at the bottom


def test_patients_have_four_entries_and_find_their_account_under_every_page(alice: Visitor, world: World) -> None:
    page = alice.get("/profile")
    menu = page.text.split('<nav aria-label="Main">')[1].split("</nav>")[0]
    entries = [part.split("<")[0] for part in menu.split(">") if part.split("<")[0].strip()]
    assert entries == ["Book", "Appointments", "Profile", "Sign out"]
    assert page.text.count('href="/account"') == 2
    assert 'href="/account"' in alice.get("/").text


def test_who_works_here_has_the_account_in_the_menu(app: Flask, world: World) -> None:
    menu = Visitor(app, "chen").get("/doctor/").text.split('<nav aria-label="Main">')[1].split("</nav>")[0]
    assert 'href="/account"' in menu
    refused = Visitor(app, "chen").get("/profile", 403)
    assert 'href="/appointments"' not in refused.text, "there is nothing of theirs"
    stranger = Visitor(app).get("/nothing", 404)
    assert 'href="/account"' not in stranger.text
    assert 'href="/appointments"' in stranger.text


def test_a_refusal_says_what_was_wrong_and_what_to_do(alice: Visitor, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    path = f"/appointments/{visit.public_id}/cancel"
    alice.post(path, token="one-token-of-a-form", reason="feel_better")
    refused = words_of(alice.post(path, 409, token="one-token-of-a-form", reason="other"))
    assert "This form was already sent with other answers." in refused
    assert "Nothing new was saved. Go back, or look at your appointments" in refused
    assert "020 7946 0000" in refused
