"""When and where practitioners work: places, visit types, weekly rules, exceptions, closures, sessions from them."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.modes import ALL_MODES, MODE_BIT, Mode, Modes, ModeSet
from clinic_portal.models.people import Practitioner
from clinic_portal.models.visit_type_sets import ALL_VISIT_TYPES, VisitTypeIds, VisitTypeSet

# A mask is a signed 64-bit integer on both databases; 60 cells leave its sign alone: five hours on the 5-minute grid.
MAX_CELLS = 60
# At least one mode, and none that is no mode.
SOME_MODES = f"modes BETWEEN 1 AND {sum(MODE_BIT.values())}"


class Audience(enum.StrEnum):
    """For whom the time of a session is."""

    PUBLIC = "public"
    INVITED = "invited"
    STAFF = "staff"


class ReleasePolicy(enum.StrEnum):
    """When protected time appears: at once, some days before at a wall-clock time, some hours before, or never."""

    AT_ONCE = "at_once"
    DAYS_BEFORE = "days_before"
    HOURS_BEFORE = "hours_before"
    NEVER = "never"


class WhoMayBook(enum.StrEnum):
    """Who may book a kind of visit online; `known_patient` is somebody the clinic has seen or whose identity it knows,
    `referred` somebody with a referral that the desk has entered.

    The desk may book anything for anybody.
    """

    ANYONE = "anyone"
    KNOWN_PATIENT = "known_patient"
    REFERRED = "referred"
    STAFF = "staff"


class RuleKind(enum.StrEnum):
    """`clinic` makes time; `break` takes it away from every other rule of that practitioner."""

    CLINIC = "clinic"
    BREAK = "break"


class ExceptionKind(enum.StrEnum):
    OFF = "off"
    EXTRA = "extra"


class ExceptionStatus(enum.StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"


class SessionStatus(enum.StrEnum):
    PLANNED = "planned"
    CANCELLED = "cancelled"


class Location(Base):
    __tablename__ = "locations"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    name: Mapped[str] = mapped_column(String(120))
    address: Mapped[str] = mapped_column(String(200))
    zone: Mapped[str] = mapped_column(String(64))
    phone: Mapped[str] = mapped_column(String(40))
    entrance_note: Mapped[str] = mapped_column(String(300), default="")
    parking_note: Mapped[str] = mapped_column(String(300), default="", server_default="")
    is_step_free: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    # Raised with every edit: of two people who edit it at once the second is told.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    texts: Mapped[list[LocationText]] = relationship()


class LocationText(Base):
    """What patients read about a place in one language; an empty text is not translated."""

    __tablename__ = "location_texts"
    __table_args__ = (UniqueConstraint("location_id", "language"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    language: Mapped[str] = mapped_column(String(12))
    entrance_note: Mapped[str] = mapped_column(String(300), default="")
    parking_note: Mapped[str] = mapped_column(String(300), default="")


class VisitType(Base):
    """A kind of visit (FHIR HealthcareService): how long it takes and what patients read about it."""

    __tablename__ = "visit_types"
    __table_args__ = (
        CheckConstraint("min_age <= max_age", name="ages"),
        CheckConstraint(SOME_MODES, name="modes"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    name: Mapped[str] = mapped_column(String(80))
    # What messages and calendars say instead when the visit type is sensitive.
    neutral_name: Mapped[str] = mapped_column(String(80), default="Appointment")
    is_sensitive: Mapped[bool] = mapped_column(default=False)
    hint: Mapped[str] = mapped_column(String(200), default="")
    how_to_prepare: Mapped[str] = mapped_column(String(500), default="")
    what_to_bring: Mapped[str] = mapped_column(String(500), default="", server_default="")
    # How patients may be seen.
    modes: Mapped[Modes] = mapped_column(ModeSet, default=frozenset({Mode.IN_PERSON}), server_default="1")
    start_step_min: Mapped[int]
    arrive_early_min: Mapped[int] = mapped_column(default=5)
    sort_order: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    who_may_book: Mapped[WhoMayBook] = mapped_column(
        one_of(WhoMayBook, "who_may_book"), default=WhoMayBook.ANYONE, server_default=WhoMayBook.ANYONE.value
    )
    # Whole years on the day of the visit, both included; None where there is no limit.
    min_age: Mapped[int | None]
    max_age: Mapped[int | None]
    # Whether patients are first asked to check that it is no emergency.
    may_be_acute: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether a person looks at each request before the queue places it.
    needs_triage: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Raised with every edit: of two people who edit it at once the second is told.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    texts: Mapped[list[VisitTypeText]] = relationship()

    @property
    def message_name(self) -> str:
        return self.neutral_name if self.is_sensitive else self.name


class VisitTypeText(Base):
    """What patients read about a kind of visit in one language; an empty text is not translated."""

    __tablename__ = "visit_type_texts"
    __table_args__ = (UniqueConstraint("visit_type_id", "language"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    language: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(80), default="")
    hint: Mapped[str] = mapped_column(String(200), default="")
    how_to_prepare: Mapped[str] = mapped_column(String(500), default="")
    what_to_bring: Mapped[str] = mapped_column(String(500), default="")


class PractitionerVisitType(Base):
    """That a practitioner does a visit type, and how long it takes with this one."""

    __tablename__ = "practitioner_visit_types"
    __table_args__ = (
        UniqueConstraint("visit_type_id", "practitioner_id"),
        CheckConstraint("duration_min > 0 AND duration_new_patient_min > 0", name="duration_positive"),
        CheckConstraint("buffer_before_min >= 0 AND buffer_after_min >= 0", name="buffer_not_negative"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    visit_type_id: Mapped[int] = mapped_column(ForeignKey("visit_types.id"))
    duration_min: Mapped[int]
    duration_new_patient_min: Mapped[int]
    buffer_before_min: Mapped[int] = mapped_column(default=0)
    buffer_after_min: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    practitioner: Mapped[Practitioner] = relationship()
    visit_type: Mapped[VisitType] = relationship()


class AvailabilityRule(Base):
    """A block of a practitioner's week on the wall clock of its location; `ends_min` beyond 1440 runs past midnight."""

    __tablename__ = "availability_rules"
    __table_args__ = (
        Index("ix_availability_rules_practitioner_id", "practitioner_id"),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts_min"),
        CheckConstraint("ends_min > starts_min AND ends_min <= starts_min + 1440", name="ends_min"),
        CheckConstraint("every_n_weeks >= 1", name="every_n_weeks"),
        CheckConstraint("every_n_weeks = 1 OR anchor_on IS NOT NULL", name="anchor_on"),
        CheckConstraint(SOME_MODES, name="modes"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    kind: Mapped[RuleKind] = mapped_column(one_of(RuleKind, "kind"), default=RuleKind.CLINIC)
    # Monday is 0.
    weekday: Mapped[int]
    starts_min: Mapped[int]
    ends_min: Mapped[int]
    valid_from: Mapped[date]
    # Last day on which a block may start.
    valid_until: Mapped[date | None]
    every_n_weeks: Mapped[int] = mapped_column(default=1)
    # Any day of a week in which the block takes place; weeks are counted from it, never by ISO number.
    anchor_on: Mapped[date | None]
    # 1 to 5: only the n-th such weekday of the month.
    nth_of_month: Mapped[int | None]
    audience: Mapped[Audience] = mapped_column(one_of(Audience, "audience"), default=Audience.PUBLIC)
    release_policy: Mapped[ReleasePolicy] = mapped_column(
        one_of(ReleasePolicy, "release_policy"), default=ReleasePolicy.AT_ONCE
    )
    # Days or hours before the block, by the policy; and the wall-clock minute of the day for days.
    release_before: Mapped[int] = mapped_column(default=0)
    release_at_min: Mapped[int] = mapped_column(default=0)
    # For which kinds of seeing somebody the time is.
    modes: Mapped[Modes] = mapped_column(ModeSet, default=ALL_MODES, server_default="7")
    # For which kinds of visits; none for all.
    visit_type_ids: Mapped[VisitTypeIds] = mapped_column(VisitTypeSet, default=ALL_VISIT_TYPES, server_default="")
    location: Mapped[Location] = relationship()


class AvailabilityException(Base):
    """Hours off or extra hours that differ from the weekly rules, on the wall clock of `zone`."""

    __tablename__ = "availability_exceptions"
    __table_args__ = (
        Index("ix_availability_exceptions_practitioner_id", "practitioner_id", "starts_on"),
        CheckConstraint("kind <> 'extra' OR location_id IS NOT NULL", name="extra_has_location"),
        CheckConstraint(SOME_MODES, name="modes"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    kind: Mapped[ExceptionKind] = mapped_column(one_of(ExceptionKind, "kind"))
    status: Mapped[ExceptionStatus] = mapped_column(one_of(ExceptionStatus, "status"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    zone: Mapped[str] = mapped_column(String(64))
    starts_on: Mapped[date]
    starts_min: Mapped[int]
    ends_on: Mapped[date]
    ends_min: Mapped[int]
    # Only staff read it.
    reason: Mapped[str] = mapped_column(String(200), default="")
    # For what extra hours are.
    modes: Mapped[Modes] = mapped_column(ModeSet, default=ALL_MODES, server_default="7")
    visit_type_ids: Mapped[VisitTypeIds] = mapped_column(VisitTypeSet, default=ALL_VISIT_TYPES, server_default="")
    location: Mapped[Location | None] = relationship()


class Closure(Base):
    """Whole days on which one location, or every location, is shut."""

    __tablename__ = "closures"
    __table_args__ = (CheckConstraint("last_on >= first_on", name="days"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    first_on: Mapped[date]
    last_on: Mapped[date]
    name: Mapped[str] = mapped_column(String(120))
    location: Mapped[Location | None] = relationship()


class ClinicSession(Base):
    """A stretch of work of one practitioner at one place; `free` has one bit per grid cell, set where nobody is booked.

    `first_cell` and `cell_count` say the same as `starts_at` and `ends_at` in whole cells since the epoch, so that the
    hot queries do integer arithmetic only. Lanes above 0 are squeeze-ins, made by a named person.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_first_cell", "first_cell", "practitioner_id"),
        Index("ix_sessions_practitioner_id", "practitioner_id", "first_cell"),
        Index("ix_sessions_opened_at", "opened_at"),
        CheckConstraint(f"cell_count BETWEEN 1 AND {MAX_CELLS}", name="cell_count"),
        CheckConstraint("free >= 0", name="free"),
        CheckConstraint("lane >= 0", name="lane"),
        CheckConstraint(SOME_MODES, name="modes"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("availability_rules.id"))
    exception_id: Mapped[int | None] = mapped_column(ForeignKey("availability_exceptions.id"))
    lane: Mapped[int] = mapped_column(default=0)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_cell: Mapped[int] = mapped_column(BigInteger)
    cell_count: Mapped[int]
    free: Mapped[int] = mapped_column(BigInteger)
    audience: Mapped[Audience] = mapped_column(one_of(Audience, "audience"), default=Audience.PUBLIC)
    bookable_from: Mapped[datetime] = mapped_column(UTCDateTime)
    # When it last got time that somebody may be waiting for: made, given back, or released by the clock (then ahead).
    opened_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=lambda context: context.get_current_parameters()["bookable_from"]
    )
    modes: Mapped[Modes] = mapped_column(ModeSet, default=ALL_MODES, server_default="7")
    visit_type_ids: Mapped[VisitTypeIds] = mapped_column(VisitTypeSet, default=ALL_VISIT_TYPES, server_default="")
    status: Mapped[SessionStatus] = mapped_column(one_of(SessionStatus, "status"), default=SessionStatus.PLANNED)
    # How late its practitioner runs, in minutes, as they say themselves.
    late_min: Mapped[int] = mapped_column(default=0, server_default="0")
    # When those who are still to come were last told so.
    late_told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    practitioner: Mapped[Practitioner] = relationship()
    location: Mapped[Location] = relationship()
