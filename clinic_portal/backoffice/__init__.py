"""The back office: what people at the desk look at, under /backoffice/, on Flask-Admin."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Theme

from clinic_portal.accounts import STAFF
from clinic_portal.backoffice.absence import AwayPage
from clinic_portal.backoffice.accounts import AccountList
from clinic_portal.backoffice.appointments import AppointmentList
from clinic_portal.backoffice.asking import AskPage
from clinic_portal.backoffice.calendar import CalendarPage
from clinic_portal.backoffice.codes import CodesPage
from clinic_portal.backoffice.inviting import InvitationsPage, InvitePage
from clinic_portal.backoffice.limits import SettingPage, VisitTypePage
from clinic_portal.backoffice.location import LocationPage
from clinic_portal.backoffice.message_texts import TextPage, TextsPage
from clinic_portal.backoffice.needs import NeedsPage
from clinic_portal.backoffice.people import PatientList, PractitionerList
from clinic_portal.backoffice.records import AuditLog, MessageList, SettingsPage
from clinic_portal.backoffice.referrals import ReferralsPage
from clinic_portal.backoffice.requests import RequestsPage, count_for_person
from clinic_portal.backoffice.rights import RightsPage
from clinic_portal.backoffice.same_person import SamePersonPage
from clinic_portal.backoffice.schedule import LocationList, SessionList, VisitTypeList
from clinic_portal.backoffice.search import SearchPage
from clinic_portal.backoffice.self_check import SelfCheckPage
from clinic_portal.backoffice.today import Today
from clinic_portal.backoffice.todo import TodoList, count_due
from clinic_portal.backoffice.walk_in import WalkInPage
from clinic_portal.database import db
from clinic_portal.models import (
    Account,
    Appointment,
    AuditEntry,
    ClinicSession,
    Location,
    Notification,
    Patient,
    Practitioner,
    Task,
    VisitType,
)
from clinic_portal.notifications.message_texts import count_failed

URL = "/backoffice"
DESK, CLINIC, TODO, REQUESTS, TEXTS = "Desk", "Clinic", "To do", "Requests", "Texts of messages"


def install(app: Flask) -> None:
    """Mount the back office's pages on the portal."""
    # Its own templates and styles only: the library's pages would bring scripts and styles that our policy blocks.
    theme = Theme(folder="none", base_template="backoffice/base.html")
    today = Today(name="Today", endpoint="backoffice", url=URL, category=DESK)
    admin = Admin(app, name="Back office", url=URL, endpoint="backoffice", index_view=today, theme=theme)
    # Beside an entry of the menu: how much waits there.
    app.jinja_env.globals["menu_counts"] = lambda: {
        TODO: (count_due(STAFF), "due today"),
        REQUESTS: (count_for_person(), "need a person"),
        TEXTS: (count_failed(db.session()), "cannot be used"),
    }
    admin.add_views(
        CalendarPage(name="Calendar", endpoint="backoffice_calendar", url="calendar", category=DESK),
        AppointmentList(Appointment, "Appointments", "appointments", DESK),
        RequestsPage(name=REQUESTS, endpoint="backoffice_requests", url="requests", category=DESK),
        InvitationsPage(name="Invitations", endpoint="backoffice_invitations", url="invitations", category=DESK),
        SessionList(ClinicSession, "Sessions", "sessions", DESK),
        AwayPage(name="A doctor is away", endpoint="backoffice_away", url="away", category=DESK),
        PatientList(Patient, "Patients", "patients", DESK),
        TodoList(Task, TODO, "todo", DESK),
        MessageList(Notification, "Messages", "messages", DESK),
        PractitionerList(Practitioner, "Clinicians", "clinicians", CLINIC),
        VisitTypeList(VisitType, "Visit types", "visit-types", CLINIC),
        LocationList(Location, "Locations", "locations", CLINIC),
        AccountList(Account, "Accounts", "accounts", CLINIC),
        TextsPage(name=TEXTS, endpoint="backoffice_texts", url="texts", category=CLINIC),
        SettingsPage(name="Settings", endpoint="backoffice_settings", url="settings", category=CLINIC),
        AuditLog(AuditEntry, "Audit log", "audit", CLINIC),
        SelfCheckPage(name="Self-check", endpoint="backoffice_self_check", url="self-check", category=CLINIC),
        VisitTypePage("Visit types", "visit_type", "visit-type"),
        LocationPage("Locations", "location", "location"),
        SettingPage("Settings", "setting", "setting"),
        TextPage(TEXTS, "text", "text"),
        NeedsPage("patient_needs", "patient-needs"),
        CodesPage("patient_codes", "patient-codes"),
        ReferralsPage("patient_referrals", "patient-referrals"),
        RightsPage("patient_rights", "patient-rights"),
        AskPage("patient_ask", "patient-ask"),
        InvitePage("patient_invite", "patient-invite"),
        SamePersonPage("patient_same", "patient-same"),
        SearchPage(),
        WalkInPage(),
    )
