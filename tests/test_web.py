"""What all pages share: who may open what, refusals, faults, headers, forgery, and what gets into the log."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, request
from sqlalchemy import text
from sqlalchemy.orm import Session

from clinic_portal import clock, create_app, errors
from clinic_portal.audit import SYSTEM
from clinic_portal.config import load_config
from clinic_portal.database import db, writing
from clinic_portal.models import AuditEntry, Lease
from clinic_portal.notifications import delivery
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import change_setting, missing_settings
from clinic_portal.web.errors import status_of
from tests.addresses import ADDRESSES, filled
from tests.belongings import Belongings
from tests.bookings import book, open_clinic
from tests.conftest import opened, portal_config, replace_database
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, at


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """A visit and a hold of Alice's, for addresses that name one."""
    open_clinic(world)
    visit = book(world, at(9, day=1))
    hold = hold_slot(actor=world.alice, search=Search(world.check_up_id, world.alice_id, account_id=1),
                     starts_at=at(10, day=1))  # fmt: skip
    return {"visit": visit.public_id, "hold": hold.public_id}


def test_the_page_about_a_form_without_token_leads_back_to_where_it_was(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    answer = alice.open("/book/visit-type?patient=abc", "POST")
    assert "We could not read what you sent" in words_of(answer)
    assert 'class="nhsuk-back-link" href="/book/visit-type?patient=abc"' in answer.text


def test_who_was_signed_out_meanwhile_signs_in_and_goes_on_where_they_were(app: Flask, world: World) -> None:
    answer = Visitor(app).open("/book/visit-type?patient=abc", "POST")
    assert answer.headers["Location"] == "/login?next=/book/visit-type?patient%3Dabc"


@pytest.mark.parametrize(
    "header",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_right_token(
    app: Flask, world: World, header: dict[str, str]
) -> None:
    alice = Visitor(app, "alice")
    fields = {"csrf_token": alice.csrf_token(), "visit_type": "x"}
    assert alice.open("/book/visit-type", "POST", data=fields, headers=header).status_code == 400
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert alice.open("/book/visit-type", "POST", data=fields, headers=own).status_code == 404


# Headers


def test_every_answer_has_the_headers_that_protect_its_reader(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    for path in ("/", "/appointments", "/nothing", "/healthz", "/login", "/appointments/x"):
        headers = alice.open(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "geolocation=()" in headers["Permissions-Policy"]
        assert len(headers["X-Request-ID"]) == 12


def test_no_page_of_somebody_signed_in_is_kept_by_the_browser(app: Flask, belongings: Belongings) -> None:
    alice = Visitor(app, "alice")
    for address in [*ADDRESSES, "/nothing"]:
        if not address.startswith("/static/"):
            assert alice.open(filled(address, belongings.ids)).headers["Cache-Control"] == "no-store", address
    assert Visitor(app).get("/").headers["Cache-Control"] == "private, no-cache"


def test_pages_bring_no_inline_script_style_or_handler(app: Flask, belongings: Belongings) -> None:
    for address, door in ADDRESSES.items():
        answer = Visitor(app, door.owner).open(filled(address, belongings.ids))
        # A mail may bring styles: it is an answer of its own, with a policy of its own.
        if answer.mimetype == "text/html" and not re.search("^/mails/|/texts?/mail/", address):
            found = [tag for tag in ("<style", " style=", "<script>", "javascript:") if tag in answer.text]
            assert found == [], address
            assert re.search(r"<[^>]* on[a-z]+=", answer.text) is None, address


def test_styles_and_scripts_are_kept_for_good_and_sent_compressed(app: Flask, world: World) -> None:
    page = Visitor(app).get("/").text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = Visitor(app).get(path, Accept_Encoding="gzip")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"portal" in gzip.decompress(answer.data)
    assert "Set-Cookie" not in answer.headers


def test_over_https_cookies_and_the_address_stay_on_https(data_dir: Path) -> None:
    env = portal_config(data_dir, BASE_URL="https://portal.clinic.example")
    app = create_app(load_config(env))
    with app.app_context():
        answer = Visitor(app).get("/login")
        db.engine.dispose()
    assert "max-age=" in answer.headers["Strict-Transport-Security"]
    cookie = answer.headers["Set-Cookie"]
    assert all(flag in cookie for flag in ("Secure", "HttpOnly", "SameSite=Lax"))


# Refusals and faults


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.NotFound(), 404),
        (errors.NotAllowed(), 403),
        (errors.InvalidRequest(), 422),
        (errors.TooSoon(), 422),
        (errors.OutsideHorizon(), 422),
        (errors.SlotTaken(), 409),
        (errors.PatientBusy(), 409),
        (errors.Overlap(), 409),
        (errors.BadTransition(), 409),
        (errors.TooLateToMove(), 409),
        (errors.VersionConflict(), 409),
        (errors.SubmissionConflict(), 409),
        (errors.LinkExpired(), 410),
        (errors.TooManyTries(), 429),
        (errors.Busy(), 503),
    ],
)
def test_each_refusal_has_its_status(refusal: errors.DomainError, status: int) -> None:
    assert status_of(refusal) == status


def test_there_is_a_status_for_every_refusal_of_the_domain() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)]
    assert all(400 <= status_of(kind()) < 600 for kind in kinds)


@pytest.fixture
def broken(data_dir: Path, furnished: tuple[Path, World], now: None) -> Iterator[Flask]:
    """A portal with pages that fail in every way; what they say of people must not get out."""
    replace_database(furnished[0], data_dir)
    with opened(portal_config(data_dir)) as app:
        yield _with_failing_pages(app)


def _with_failing_pages(app: Flask) -> Flask:
    @app.get("/fails/fault")
    def fault() -> str:
        raise ZeroDivisionError("Alice Archer has a rash")

    @app.get("/fails/busy")
    def busy() -> str:
        raise errors.Busy

    @app.get("/fails/database")
    def database() -> str:
        db.session().execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "Alice Archer"})
        return ""

    @app.post("/fails/long")
    def long() -> str:
        return str(len(request.form))

    return app


def test_a_fault_shows_a_number_and_the_log_has_it_without_what_was_typed(
    broken: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Visitor(broken, "alice").get("/fails/fault", 500)
    number = answer.headers["X-Request-ID"]
    assert number in words_of(answer)
    facts = next(record.facts for record in caplog.records if record.getMessage() == "fault")  # type: ignore[attr-defined]
    assert (facts["request_id"], facts["kind"]) == (number, "ZeroDivisionError")
    assert "Alice" not in caplog.text
    assert "rash" not in json.dumps(facts) + answer.text


def test_a_busy_portal_says_when_to_try_again(broken: Flask) -> None:
    answer = Visitor(broken, "alice").get("/fails/busy", 503)
    assert answer.headers["Retry-After"] == "5"
    assert "Try again in a few minutes" in words_of(answer)


def test_a_database_that_refuses_gives_503_and_nobodys_name_in_the_log(
    broken: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Visitor(broken, "alice").get("/fails/database", 503)
    assert answer.headers["X-Request-ID"] in words_of(answer)
    assert "Alice" not in caplog.text


def test_without_any_database_there_is_still_a_page(tmp_path: Path) -> None:
    app = create_app(load_config(portal_config(tmp_path / "empty")))
    with app.app_context():
        for path in ("/appointments", "/mails/", "/nothing", "/login"):
            assert Visitor(app, "alice").open(path).status_code in (503, 404, 200, 303)
        answer = Visitor(app, "alice").get("/start", 503)
        db.engine.dispose()
    assert "we are busy or being updated" in words_of(answer)


def test_a_form_that_is_too_long_is_refused_with_a_page(broken: Flask) -> None:
    visitor = Visitor(broken, "alice")
    answer = visitor.open("/fails/long", "POST", data={"csrf_token": visitor.csrf_token(), "text": "a" * 300_000})
    assert answer.status_code == 413
    assert "too much to send at once" in words_of(answer)


def test_a_wrong_method_and_a_wrong_address_get_pages(app: Flask, world: World) -> None:
    alice = Visitor(app, "alice")
    assert "Page not found" in words_of(alice.get("/nothing", 404))
    answer = alice.open("/healthz", "POST", data={"csrf_token": alice.csrf_token()})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert "This cannot be done here" in words_of(answer)


def test_the_log_has_routes_and_no_addresses(app: Flask, ids: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Visitor(app, "alice").get(f"/appointments/{ids['visit']}?from=alice@example.com")
    (facts,) = (record.facts for record in caplog.records if record.getMessage() == "request")  # type: ignore[attr-defined]
    assert facts["route"] == "/appointments/<public_id>"
    assert facts["status"] == 200
    assert ids["visit"] not in json.dumps(facts)
    assert "alice" not in json.dumps(facts)


def test_a_change_made_by_a_page_carries_the_requests_id_into_the_audit_log(app: Flask, ids: dict[str, str]) -> None:
    alice = Visitor(app, "alice")
    page = alice.get(f"/appointments/{ids['visit']}/cancel")
    answer = alice.submit(page)
    db.session().rollback()
    entry = db.session().query(AuditEntry).filter_by(action="cancel").one()
    assert entry.request_id == answer.headers["X-Request-ID"]


# Kept mails


def test_kept_mails_can_be_read_and_nothing_in_them_can_run(app: Flask, ids: dict[str, str]) -> None:
    delivery.deliver_due()
    stranger = Visitor(app)
    listed = stranger.get("/mails/")
    assert "alice@example.com" in words_of(listed)
    path = next(part.split('"')[0] for part in listed.text.split('href="') if part.startswith("/mails/2"))
    shown = stranger.get(path)
    assert "Tuesday 3 March" in words_of(shown)
    layout = stranger.get(f"{path}/html")
    policy = layout.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;")
    assert "script-src" not in policy
    assert "BEGIN:VCALENDAR" in stranger.get(f"{path}/calendar.ics").text
    assert stranger.get(f"{path}/raw").mimetype == "text/plain"


def test_a_mail_that_is_not_there_is_not_found_wherever_its_name_points(app: Flask, world: World) -> None:
    for name in ("x", "..%2Fclinic", "..", "%00"):
        assert Visitor(app).open(f"/mails/{name}").status_code in (308, 404)


def test_there_are_no_mail_pages_in_production_nor_with_a_mail_server(data_dir: Path) -> None:
    production = {"PORTAL_ENV": "production", "SECRET_KEY": "k" * 40, "PASSWORD_SALT": "s" * 40,
                  "BASE_URL": "https://portal.clinic.example", "SMTP_HOST": "mail.clinic.example",
                  "MAIL_FROM": "desk@clinic.example"}  # fmt: skip
    for env in (production, {"SMTP_HOST": "mail.clinic.example"}):
        app = create_app(load_config({**portal_config(data_dir), **env}))
        with app.app_context():
            for name in missing_settings(db.session()):
                change_setting(actor=SYSTEM, name=name, value="999")
            assert Visitor(app).open("/mails/").status_code == 404
            db.engine.dispose()


# Health


def test_alive_means_the_process_answers(tmp_path: Path) -> None:
    app = create_app(load_config(portal_config(tmp_path / "empty")))
    assert Visitor(app).get("/healthz").json == {"status": "alive"}


def test_ready_tells_how_late_messages_and_the_sweeper_are(app: Flask, ids: dict[str, str]) -> None:
    facts = Visitor(app).get("/readyz").json
    assert facts == {"status": "ready", "database": "answers", "oldest_unsent_message_s": 0,
                     "oldest_unserved_request_s": 0, "sweeper": "never seen", "swept_s_ago": None}  # fmt: skip

    @writing
    def sweep(session: Session) -> None:
        session.add(Lease(name="deliver", holder="", expires_at=NOW, done_at=NOW))

    sweep()
    with clock.clock_at(at(8, 2)):
        late = Visitor(app).get("/readyz").json
    assert late is not None
    assert late["oldest_unsent_message_s"] == 120


def test_not_ready_without_a_database(tmp_path: Path) -> None:
    app = create_app(load_config(portal_config(tmp_path / "empty")))
    with app.app_context():
        answer = Visitor(app).get("/readyz", 503)
        db.engine.dispose()
    assert answer.json == {"status": "not ready", "database": "no answer"}


def test_each_request_has_an_id_of_its_own(app: Flask, world: World) -> None:
    seen = {Visitor(app).get("/").headers["X-Request-ID"] for _ in range(3)}
    assert len(seen) == 3
