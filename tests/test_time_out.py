"""Who does nothing for a while is signed out, is told so, and finds again what was typed; nobody else ever does."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.accounts import kept_forms, sign_ins
from clinic_portal.accounts.kept_forms import Typed
from clinic_portal.audit import SYSTEM
from clinic_portal.entrance import presence
from clinic_portal.jobs import DUTIES
from clinic_portal.models import Appointment, ContactPoint, KeptForm
from clinic_portal.settings import change_setting
from tests.bookings import book, open_clinic
from tests.signing_in import fresh, sign_in
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, at

LATE = NOW + timedelta(minutes=21)
NUMBER = "07700 900 123"
MOBILE = "/contacts/mobile/new"


def kept() -> list[KeptForm]:
    return list(fresh().scalars(select(KeptForm).order_by(KeptForm.id)))


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice", is_idle=True)


@pytest.fixture
def form_path(alice: Visitor) -> str:
    """A page with a box for a phone number."""
    page = alice.get("/profile")
    return next(part.split('"')[0] for part in page.text.split('href="') if "mobile" in part.split('"')[0])


def send_late(alice: Visitor, path: str, **fields: str) -> str:
    """Open a page, be idle for too long, and send its form; where that leads."""
    page = alice.get(path)
    with clock.clock_at(LATE):
        return alice.submit(page, **fields).headers["Location"]


# When


@pytest.mark.parametrize(
    ("who", "path", "minutes"),
    [("alice", "/appointments", 20), ("chen", "/doctor/", 15), ("erin", "/backoffice/", 15)],
)
def test_nothing_for_a_while_and_one_is_out(app: Flask, world: World, who: str, path: str, minutes: int) -> None:
    visitor = Visitor(app, who, is_idle=True)
    visitor.get(path)
    with clock.clock_at(NOW + timedelta(minutes=minutes, seconds=-2)):
        visitor.get(path)
    with clock.clock_at(NOW + timedelta(minutes=2 * minutes, seconds=-5)):
        visitor.get(path)
    with clock.clock_at(NOW + timedelta(minutes=3 * minutes)):
        answer = visitor.get(path, 303)
        assert answer.headers["Location"] == f"/signed-out?next={path}"
        page = visitor.follow(answer)
        assert f"You did nothing here for {minutes} minutes" in words_of(page)
        assert f'href="/login?next={path}"' in page.text


def test_the_clinic_sets_how_long(app: Flask, alice: Visitor) -> None:
    change_setting(actor=SYSTEM, name="patient_timeout_min", value=60)
    alice.get("/appointments")
    with clock.clock_at(NOW + timedelta(minutes=59)):
        alice.get("/appointments")


@pytest.mark.parametrize(("who", "path", "hours"), [("alice", "/appointments", 24), ("chen", "/doctor/", 12)])
def test_after_a_day_or_a_shift_one_signs_in_again_however_busy(
    app: Flask, world: World, who: str, path: str, hours: int
) -> None:
    visitor = Visitor(app, who, is_idle=True)
    for minutes in range(0, 60 * hours - 12, 13):
        with clock.clock_at(NOW + timedelta(minutes=minutes)):
            visitor.get(path)
    last = NOW + timedelta(hours=hours)
    for minutes in (12, 3):
        with clock.clock_at(last - timedelta(minutes=minutes)):
            assert f'data-seconds="{60 * minutes}"' in visitor.get(path).text
    with clock.clock_at(last):
        page = visitor.follow(visitor.get(path, 303))
        assert "We signed you out so that nobody else sees your details." in words_of(page)
        assert "You did nothing" not in words_of(page)


def test_the_note_in_the_browser_is_exact_and_the_row_may_be_behind(app: Flask, world: World, alice: Visitor) -> None:
    for minutes in (4, 23.9):
        with clock.clock_at(NOW + timedelta(minutes=minutes)):
            alice.get("/appointments")
    assert world


def test_without_that_note_or_with_a_forged_one_the_row_decides(app: Flask, world: World, alice: Visitor) -> None:
    alice.get("/appointments")
    with clock.clock_at(NOW + timedelta(minutes=19)):
        alice.client.set_cookie(presence.COOKIE, "forged")
        alice.get("/appointments")
    bobs = Visitor(app, "bob")
    with clock.clock_at(LATE + timedelta(hours=1)):
        alice.client.set_cookie(presence.COOKIE, presence.seen_cookie(bobs._sign_in or "", clock.now()))
        alice.get("/appointments", 303)


def test_pages_that_ask_by_themselves_keep_nobody_signed_in(app: Flask, alice: Visitor) -> None:
    alice.get("/appointments")
    with clock.clock_at(NOW + timedelta(minutes=15)):
        assert alice.get("/session/time-left").json == {"seconds": 300}
        alice.get("/appointments", X_Unattended="yes")
        assert alice.get("/session/time-left").json == {"seconds": 300}
        assert alice.post("/session/stay", 200).json == {"seconds": 1200}
        assert alice.get("/session/time-left").json == {"seconds": 1200}
    with clock.clock_at(NOW + timedelta(minutes=35)):
        assert alice.get("/session/time-left").json == {"seconds": 0}
        assert alice.post("/session/stay", 200).json == {"seconds": 0}
        alice.get("/appointments", 303)


def test_a_part_of_a_page_sends_the_whole_browser_to_be_told(app: Flask, alice: Visitor) -> None:
    with clock.clock_at(LATE):
        answer = alice.get("/book/times?day=2026-03-03", 401, HX_Request="true")
        assert answer.headers["HX-Redirect"].startswith("/signed-out?next=/book/times?day")


def test_every_page_of_somebody_signed_in_tells_them_and_no_other_page_does(app: Flask, world: World) -> None:
    for who, path in (("alice", "/appointments"), ("erin", "/backoffice/"), ("chen", "/doctor/")):
        page = Visitor(app, who).get(path)
        assert 'data-seconds="' in page.text
        assert "If you do nothing on this page for" in words_of(page)
        assert "time-out" in page.text.partition("</head>")[0]
    assert "time-out" not in Visitor(app).get("/").text


# What was typed


def test_what_was_sent_too_late_is_not_done_and_is_on_its_page_after_signing_in(
    app: Flask, world: World, alice: Visitor, form_path: str
) -> None:
    assert send_late(alice, form_path, value=NUMBER) == "/signed-out"
    assert fresh().scalars(select(ContactPoint).where(ContactPoint.value.contains("900"))).all() == []
    with clock.clock_at(LATE + timedelta(minutes=5)):
        assert "What you typed is kept for an hour" in words_of(alice.get("/signed-out"))
        answer = sign_in(alice, "alice")
        assert answer.headers["Location"] == form_path
        page = alice.follow(answer)
        assert f'value="{NUMBER}"' in page.text
        assert '<div class="nhsuk-inset-text" role="status"><p>What you typed before' in page.text
        assert fresh().scalars(select(ContactPoint).where(ContactPoint.value.contains("900"))).all() == []
        assert f'value="{NUMBER}"' in alice.get(form_path).text
        alice.submit(page)
        assert kept() == []
        assert f'value="{NUMBER}"' not in alice.get(form_path).text
    assert len(fresh().scalars(select(ContactPoint).where(ContactPoint.value.contains("900"))).all()) == 1


def test_another_account_never_sees_it_and_the_owner_still_does(
    app: Flask, world: World, alice: Visitor, form_path: str
) -> None:
    send_late(alice, form_path, value=NUMBER)
    with clock.clock_at(LATE):
        answer = sign_in(alice, "bob")
        assert answer.headers["Location"] == "/start"
        for path in ("/appointments", "/profile", form_path):
            page = alice.open(path)
            assert NUMBER not in page.text
            assert "What you typed before" not in page.text
        elsewhere = Visitor(app)
        assert sign_in(elsewhere, "alice").headers["Location"] == form_path
        assert NUMBER in elsewhere.get(form_path).text


def test_it_is_kept_for_an_hour_sealed_and_named_in_no_address_and_no_log(
    app: Flask, world: World, alice: Visitor, form_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    location = send_late(alice, form_path, value=NUMBER)
    assert location == "/signed-out"
    (row,) = kept()
    assert NUMBER not in row.sealed
    assert form_path not in row.sealed
    assert NUMBER not in "".join(str(record.__dict__) for record in caplog.records)
    with clock.clock_at(LATE + timedelta(hours=1)):
        assert sign_in(alice, "alice").headers["Location"] == "/start"
        assert NUMBER not in alice.get(form_path).text
        next(duty for duty in DUTIES if duty.name == "forget typed forms").run()
    assert kept() == []


def test_the_answers_of_a_booking_and_its_note_come_back(app: Flask, world: World, alice: Visitor) -> None:
    change_setting(actor=SYSTEM, name="checkout_hold_min", value=60)
    open_clinic(world, 1)
    times = alice.get(f"/book/times?{_booking_query(alice)}")
    answer = alice.submit(times, start=at(9, day=1).strftime("%Y%m%dT%H%MZ"))
    check = answer.headers["Location"]
    assert send_late(alice, check, note="A cough & a <rash>") == "/signed-out"
    assert fresh().scalars(select(Appointment)).all() == []
    with clock.clock_at(LATE):
        page = alice.follow(sign_in(alice, "alice"))
        assert "A cough &amp; a &lt;rash&gt;</textarea>" in page.text
        alice.submit(page, note="A cough & a <rash>")
    assert fresh().scalars(select(Appointment.note)).one() == "A cough & a <rash>"


def _booking_query(alice: Visitor) -> str:
    page = alice.follow(alice.get("/book/visit-type", 200) and alice.get("/book/who", 303))
    choice = forms_of(page)[0].choices["visit_type"][0]
    page = alice.follow(alice.submit(page, visit_type=choice))
    while not page.request.path.endswith("/times"):
        form = forms_of(page)[0]
        name = next(iter(form.choices))
        page = alice.follow(alice.submit(page, **{name: "none" if "none" in form.choices[name] else "any"}))
    return page.request.query_string.decode()


def test_a_password_is_never_kept(app: Flask, world: World, alice: Visitor) -> None:
    send_late(alice, "/account/email", email="new@example.org", old_password="my secret password")
    (typed,) = kept_forms.all_kept(fresh(), world.accounts["alice"])
    assert typed.fields == [("email", "new@example.org")]


def test_a_form_that_another_site_sends_is_not_kept(app: Flask, world: World, alice: Visitor, form_path: str) -> None:
    token = alice.csrf_token()
    with clock.clock_at(LATE):
        for headers, sent in (({"Sec-Fetch-Site": "cross-site"}, token), ({}, "forged")):
            fields = {"csrf_token": sent, "value": NUMBER}
            answer = alice.open(form_path, "POST", data=fields, headers=headers)
            assert answer.headers["Location"].startswith("/signed-out")
    assert kept() == []


def test_nothing_is_kept_for_a_session_that_was_ended_on_purpose(
    app: Flask, world: World, alice: Visitor, form_path: str
) -> None:
    page = alice.get(form_path)
    sign_ins.end(public_id=alice._sign_in or "")
    assert alice.submit(page, value=NUMBER).headers["Location"].startswith("/login?next=")
    assert kept() == []


def test_nothing_is_kept_for_whose_time_ran_out_days_ago(app: Flask, alice: Visitor, form_path: str) -> None:
    page = alice.get(form_path)
    with clock.clock_at(LATE + timedelta(days=1)):
        assert alice.submit(page, value=NUMBER).headers["Location"].startswith("/login?next=")
    assert kept() == []


def test_a_stranger_without_any_session_goes_to_the_sign_in_as_before(app: Flask, world: World) -> None:
    stranger = Visitor(app)
    assert stranger.post("/account/email", email="x@example.org").headers["Location"] == "/login?next=/account/email"
    assert stranger.get("/signed-out").status_code == 200
    assert kept() == []


def test_a_form_that_is_sent_to_an_address_without_a_page_comes_back_on_the_page_it_was_on(
    app: Flask, world: World, alice: Visitor
) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    Visitor(app, "alice")
    token = alice.csrf_token()
    target = f"/account/sign-ins/{visit.public_id}/end"
    with clock.clock_at(LATE):
        for referer, page in (("http://localhost/account/sign-ins?x=1", "/account/sign-ins?x=1"),
                              ("http://evil.example/account", None), ("http://localhost//evil.example", None),
                              ("", None)):  # fmt: skip
            alice.open(target, "POST", data={"csrf_token": token}, headers={"Referer": referer})
            found = kept_forms.all_kept(fresh(), world.accounts["alice"])
            assert [typed.page for typed in found] == ([page] if page else [])
            kept_forms.forget(account_id=world.accounts["alice"], action=target)


def test_a_second_tab_of_the_same_person_can_still_send_its_form(
    app: Flask, world: World, alice: Visitor, form_path: str
) -> None:
    page = alice.get(form_path)
    with clock.clock_at(LATE):
        alice.get("/appointments", 303)
        sign_in(alice, "alice")
        alice.submit(page, value=NUMBER)
    assert len(fresh().scalars(select(ContactPoint).where(ContactPoint.value.contains("900"))).all()) == 1


def test_a_second_tab_of_somebody_else_cannot(app: Flask, world: World, alice: Visitor, form_path: str) -> None:
    page = alice.get(form_path)
    with clock.clock_at(LATE):
        sign_in(alice, "bob")
        alice.submit(page, 400, value=NUMBER)


# Handed over by a page whose time ran out


def hand_over(alice: Visitor, path: str, **more: str) -> str:
    fields = {"timed_out_page": path, "timed_out_action": path, "value": NUMBER, **more}
    return alice.post("/session/typed", **fields).headers["Location"]


def test_a_page_hands_over_what_was_typed_in_it(app: Flask, world: World, alice: Visitor, form_path: str) -> None:
    alice.csrf_token()
    with clock.clock_at(LATE):
        assert hand_over(alice, form_path) == "/signed-out"
        assert "What you typed is kept" in words_of(alice.get("/signed-out"))
        page = alice.follow(sign_in(alice, "alice"))
        assert f'value="{NUMBER}"' in page.text
        assert "timed_out" not in page.text


def test_a_page_overtaken_by_another_tab_stays(app: Flask, world: World, alice: Visitor, form_path: str) -> None:
    assert hand_over(alice, form_path) == form_path
    assert f'value="{NUMBER}"' in alice.get(form_path).text


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "", "profile"])
def test_nothing_is_kept_for_another_site(app: Flask, world: World, alice: Visitor, path: str) -> None:
    for page, action in ((path, "/profile"), ("/profile", path)):
        assert hand_over(alice, page, timed_out_action=action) == "/signed-out"
    assert kept() == []
    assert alice.get(f"/signed-out?next={path}", 303).headers["Location"] == "/start"
    answer = Visitor(app).get(f"/signed-out?next={path}", 303 if path else 200)
    assert "evil" not in answer.text + answer.headers.get("Location", "")


def test_of_one_account_the_newest_five_forms_are_kept(any_world: World) -> None:
    account_id = any_world.accounts["alice"]
    for number in (1, 2, 3, 4, 5, 6, 3):
        kept_forms.keep(account_id=account_id, typed=Typed("/page", f"/{number}", [("why", str(number))]))
    assert [typed.action for typed in kept_forms.all_kept(fresh(), account_id)] == ["/3", "/6", "/5", "/4", "/2"]
    assert kept_forms.has_any(fresh(), account_id)
    assert not kept_forms.has_any(fresh(), any_world.accounts["bob"])
    assert kept_forms.forget(account_id=account_id, action="/3")


def test_with_another_secret_what_was_kept_is_gone_and_nothing_breaks(app: Flask, world: World) -> None:
    account_id = world.accounts["alice"]
    kept_forms.keep(account_id=account_id, typed=Typed("/page", "/1", []))
    before = app.config["PORTAL"]
    app.config["PORTAL"] = replace(before, secret_key="another secret of forty characters......")
    assert kept_forms.all_kept(fresh(), account_id) == []
    assert not kept_forms.forget(account_id=account_id, action="/1")
