"""The tables: one file per area, nothing but columns, constraints and predicates over one row."""

from clinic_portal.models.absence import Absence, AbsenceAct, AbsenceReason, AbsenceVisit
from clinic_portal.models.appointments import (
    ACTIVE,
    ACTIVE_SQL,
    ALL_PARTS,
    MAX_NOTE,
    MAX_NUMBER,
    WAITING,
    WAITING_SQL,
    Appointment,
    Attempt,
    CancelledBy,
    CancelReason,
    Confirmation,
    ConfirmedVia,
    ContinuityWish,
    Hold,
    HoldEnd,
    HoldKind,
    Origin,
    Outcome,
    PriorityClass,
    Status,
    TriageStatus,
    id_from_reference,
)
from clinic_portal.models.base import Base, UTCDateTime, columns_of, new_public_id
from clinic_portal.models.entrance import AccountInvitation, Throttle
from clinic_portal.models.feeds import CalendarFeed, FeedKind
from clinic_portal.models.hours import HoursRequest, HoursRequestStatus
from clinic_portal.models.modes import ALL_MODES, MODE_BIT, REMOTE, Mode, Modes
from clinic_portal.models.names import fold
from clinic_portal.models.needs import MAX_NEED_DETAIL, Need, NeedSource, PatientNeed
from clinic_portal.models.people import (
    MAX_EVIDENCE,
    Account,
    ContactKind,
    ContactPoint,
    Gender,
    IdentityStatus,
    Patient,
    PatientAccess,
    Practitioner,
    PractitionerKind,
    PractitionerPreference,
    PractitionerState,
    PreferenceKind,
    Relation,
    Role,
    RoleGrant,
    RoleName,
    years_between,
)
from clinic_portal.models.records import (
    AccessEntry,
    AccessPlace,
    AuditEntry,
    AuditSeal,
    AuditValues,
    CatalogueStamp,
    Channel,
    Delivery,
    Event,
    Lease,
    Notification,
    Recipient,
    Setting,
    Submission,
)
from clinic_portal.models.referrals import MAX_FROM_WHOM, Referral
from clinic_portal.models.requests import AnsweredVia, Offer, OfferState, ServedList, VisitInvitation
from clinic_portal.models.schedule import (
    MAX_CELLS,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Location,
    LocationText,
    PractitionerVisitType,
    ReleasePolicy,
    RuleKind,
    SessionStatus,
    VisitType,
    VisitTypeText,
    WhoMayBook,
)
from clinic_portal.models.sign_in import AuthenticatorApp, KeptForm, Passkey, RecoveryCode, RequestDraft, SignIn
from clinic_portal.models.tasks import Task, TaskAttempt, TaskKind, TryOutcome
from clinic_portal.models.visit_type_sets import ALL_VISIT_TYPES, VisitTypeIds, let_in, lets_in

__all__ = [
    "ACTIVE", "ACTIVE_SQL", "ALL_MODES", "ALL_PARTS", "ALL_VISIT_TYPES", "MAX_CELLS", "MAX_EVIDENCE", "MAX_FROM_WHOM",
    "MAX_NEED_DETAIL", "MAX_NOTE", "MAX_NUMBER", "MODE_BIT", "REMOTE", "WAITING", "WAITING_SQL", "Absence",
    "AbsenceAct", "AbsenceReason", "AbsenceVisit", "AccessEntry", "AccessPlace", "Account", "AccountInvitation",
    "AnsweredVia", "Appointment", "Attempt", "Audience", "AuditEntry", "AuditSeal", "AuditValues", "AuthenticatorApp",
    "AvailabilityException", "AvailabilityRule", "Base", "CalendarFeed", "CancelReason", "CancelledBy",
    "CatalogueStamp", "Channel", "ClinicSession", "Closure", "Confirmation", "ConfirmedVia", "ContactKind",
    "ContactPoint", "ContinuityWish", "Delivery", "Event", "ExceptionKind", "ExceptionStatus", "FeedKind", "Gender",
    "Hold", "HoldEnd", "HoldKind", "HoursRequest", "HoursRequestStatus", "IdentityStatus", "KeptForm", "Lease",
    "Location", "LocationText", "Mode", "Modes", "Need", "NeedSource", "Notification", "Offer", "OfferState", "Origin",
    "Outcome", "Passkey", "Patient", "PatientAccess", "PatientNeed", "Practitioner", "PractitionerKind",
    "PractitionerPreference", "PractitionerState", "PractitionerVisitType", "PreferenceKind", "PriorityClass",
    "Recipient", "RecoveryCode", "Referral", "Relation", "ReleasePolicy", "RequestDraft", "Role", "RoleGrant",
    "RoleName", "RuleKind", "ServedList", "SessionStatus", "Setting", "SignIn", "Status", "Submission", "Task",
    "TaskAttempt", "TaskKind", "Throttle", "TriageStatus", "TryOutcome", "UTCDateTime", "VisitInvitation", "VisitType",
    "VisitTypeIds", "VisitTypeText", "WhoMayBook", "columns_of", "fold", "id_from_reference", "let_in", "lets_in",
    "new_public_id", "years_between",
]  # fmt: skip
