"""People: accounts that sign in, patients who are seen, practitioners who see them, and who may act for whom.

A patient is not an account: many patients have none, and families share an e-mail address. So nothing about a contact
is unique, except the address that an account signs in with.
"""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, object_session, relationship, validates

from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.names import fold, reversed_digits

MAX_EVIDENCE = 200
LONGEST_WORD = 80


class RoleName(enum.StrEnum):
    """What an account may do; staff roles can be limited to one location."""

    PATIENT = "patient"
    PRACTITIONER = "practitioner"
    FRONT_DESK = "front_desk"
    ADMIN = "admin"


class Relation(enum.StrEnum):
    """Why an account may act for a patient."""

    SELF = "self"
    PARENT = "parent"
    CARER = "carer"
    POWER_OF_ATTORNEY = "power_of_attorney"
    OTHER = "other"


class ContactKind(enum.StrEnum):
    EMAIL = "email"
    MOBILE = "mobile"
    LANDLINE = "landline"
    POST = "post"


_PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)


class IdentityStatus(enum.StrEnum):
    """How sure the clinic is that the record is this person's."""

    SELF_DECLARED = "self_declared"
    MATCHED = "matched"
    CHECKED_AT_DESK = "checked_at_desk"


class Gender(enum.StrEnum):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


class PractitionerKind(enum.StrEnum):
    DOCTOR = "doctor"
    NURSE = "nurse"
    PHYSIO = "physio"
    TRAINEE = "trainee"


class PreferenceKind(enum.StrEnum):
    """A standing rule between a patient and a practitioner; `never` decides before any score."""

    NEVER = "never"
    USUAL = "usual"


class Role(Base, RoleMixin):
    __tablename__ = "roles"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


class Account(Base, UserMixin):
    """Somebody who signs in."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    # When somebody showed that they read the mails of this address; nobody signs in before.
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The address that was asked for and is not yet shown to be theirs, and the one before the last change.
    pending_email: Mapped[str | None] = mapped_column(String(255))
    former_email: Mapped[str | None] = mapped_column(String(255))
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # The privacy notice that was shown and accepted last.
    privacy_notice_version: Mapped[str | None] = mapped_column(String(20))
    # In which language its owner reads, once they have chosen one.
    language: Mapped[str | None] = mapped_column(String(12))
    # Flask-Security reads the roles here; they are given as grants.
    roles: Mapped[list[Role]] = relationship(  # type: ignore[assignment]
        secondary="role_grants", lazy="selectin", viewonly=True
    )
    grants: Mapped[list[RoleGrant]] = relationship(back_populates="account")

    @property
    def is_active(self) -> bool:
        """Whether one may sign in: asked by Flask-Security once the password was found right."""
        return self.active and self.confirmed_at is not None

    def has_role_name(self, *names: RoleName) -> bool:
        return any(role.name in names for role in self.roles)


class RoleGrant(Base):
    """A role of an account, everywhere or at one location."""

    __tablename__ = "role_grants"
    # Two indexes, because NULLs never clash in one.
    __table_args__ = (
        Index("uq_role_grants_everywhere", "account_id", "role_id", unique=True,
              sqlite_where=text("location_id IS NULL"), postgresql_where=text("location_id IS NULL")),
        UniqueConstraint("account_id", "role_id", "location_id"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    account: Mapped[Account] = relationship(back_populates="grants")
    role: Mapped[Role] = relationship()


def years_between(birth_on: date, day: date) -> int:
    """Whole years of age on a day; somebody born on 29 February turns older on 1 March in other years."""
    had_birthday = (day.month, day.day) >= (birth_on.month, birth_on.day)
    return day.year - birth_on.year - (not had_birthday)


class Patient(Base):
    """A person who is seen at the clinic, with or without an account."""

    __tablename__ = "patients"
    __table_args__ = (
        # The operator class lets Postgres find a beginning whatever the language of the database.
        Index("ix_patients_search_name", "search_name", postgresql_ops={"search_name": "varchar_pattern_ops"}),
        Index("ix_patients_birth_on", "birth_on"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    given_name: Mapped[str] = mapped_column(String(80))
    family_name: Mapped[str] = mapped_column(String(80))
    called_name: Mapped[str] = mapped_column(String(80))
    # "family given" as `fold` writes it; searched by its beginning.
    search_name: Mapped[str] = mapped_column(String(170))
    birth_on: Mapped[date | None]
    gender: Mapped[Gender | None] = mapped_column(one_of(Gender, "gender"))
    preferred_language: Mapped[str] = mapped_column(String(12), default="en")
    identity_status: Mapped[IdentityStatus] = mapped_column(one_of(IdentityStatus, "identity_status"))
    home_location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    registered_on: Mapped[date]
    deceased_on: Mapped[date | None]
    # Since when no reminders are wanted. Changes are told all the same.
    reminders_stopped_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    contact_points: Mapped[list[ContactPoint]] = relationship(
        back_populates="patient", order_by="ContactPoint.preferred_rank, ContactPoint.id"
    )
    words: Mapped[list[PatientWord]] = relationship(cascade="all, delete-orphan")

    @validates("search_name", "called_name")
    def _keep_words(self, name: str, value: str) -> str:
        """Whoever writes a name writes its parts."""
        texts = {"search_name": self.search_name, "called_name": self.called_name} | {name: value}
        wanted = {word[:LONGEST_WORD] for text in texts.values() for word in fold(text or "").split()}
        session = object_session(self)
        if session is None:
            self._set_words(wanted)
        else:
            with session.no_autoflush:
                self._set_words(wanted)
        return value

    def _set_words(self, wanted: set[str]) -> None:
        for kept in [kept for kept in self.words if kept.word not in wanted]:
            self.words.remove(kept)
        known = {kept.word for kept in self.words}
        self.words.extend(PatientWord(word=word) for word in sorted(wanted - known))

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    def age_on(self, day: date) -> int | None:
        """Whole years on that day, or None when the birth date is not known."""
        return None if self.birth_on is None else years_between(self.birth_on, day)


class PatientWord(Base):
    """One part of a patient's names, as `fold` writes it; searched by its beginning."""

    __tablename__ = "patient_words"
    __table_args__ = (
        Index("ix_patient_words_word", "word", "patient_id", postgresql_ops={"word": "varchar_pattern_ops"}),
    )
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(String(LONGEST_WORD), primary_key=True)


class PatientAccess(Base):
    """An account's right to act for a patient, from a day until a day."""

    __tablename__ = "patient_access"
    __table_args__ = (
        UniqueConstraint("account_id", "patient_id", "starts_on"),
        Index("ix_patient_access_patient_id", "patient_id"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    relation: Mapped[Relation] = mapped_column(one_of(Relation, "relation"))
    starts_on: Mapped[date]
    # First day without the right.
    ends_on: Mapped[date | None]
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Who at the clinic gave it, and what they saw; nobody for rights that came with an account or a code.
    granted_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    evidence_note: Mapped[str | None] = mapped_column(String(MAX_EVIDENCE))
    # When somebody should look at it again; nothing once they have been asked to.
    review_on: Mapped[date | None]
    patient: Mapped[Patient] = relationship()
    account: Mapped[Account] = relationship(foreign_keys=account_id)
    granted_by: Mapped[Account | None] = relationship(foreign_keys=granted_by_account_id)


def _tail_of(context: Any) -> str | None:
    """What a new phone number is searched by; its value never changes."""
    values = context.get_current_parameters()
    return reversed_digits(values["value"]) if values["kind"] in _PHONES else None


class ContactPoint(Base):
    """One way to reach a patient; ended, never deleted."""

    __tablename__ = "contact_points"
    __table_args__ = (
        Index("ix_contact_points_patient_id", "patient_id"),
        Index("ix_contact_points_phone_tail", "phone_tail", postgresql_ops={"phone_tail": "varchar_pattern_ops"}),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    kind: Mapped[ContactKind] = mapped_column(one_of(ContactKind, "kind"))
    value: Mapped[str] = mapped_column(String(255))
    # The digits of a phone number from its end; searched by its beginning.
    phone_tail: Mapped[str | None] = mapped_column(String(20), default=_tail_of)
    whose: Mapped[Relation] = mapped_column(one_of(Relation, "whose"))
    preferred_rank: Mapped[int] = mapped_column(default=1)
    # Set until somebody shows that mails arrive there: only the mail that asks for it goes to such an address.
    unverified_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The address that goes out of use once this one is verified.
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("contact_points.id"))
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failed_reason: Mapped[str | None] = mapped_column(String(40))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    patient: Mapped[Patient] = relationship(back_populates="contact_points")

    @property
    def is_usable(self) -> bool:
        return self.ended_at is None and self.failed_at is None and self.unverified_since is None


class Practitioner(Base):
    """A clinician who sees patients; shown to patients as the person they will see."""

    __tablename__ = "practitioners"
    __table_args__ = (
        CheckConstraint("max_visits_a_day >= 0", name="max_visits_a_day"),
        CheckConstraint("notice_min >= 0", name="notice_min"),
        CheckConstraint("break_min > 0", name="break_min"),
        CheckConstraint("break_after_min > 0", name="break_after_min"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str | None] = mapped_column(String(255))
    kind: Mapped[PractitionerKind] = mapped_column(one_of(PractitionerKind, "kind"))
    gender: Mapped[Gender | None] = mapped_column(one_of(Gender, "gender"))
    is_active: Mapped[bool] = mapped_column(default=True)
    # How many visits of any kind they have on one day at most; None for as many as fit.
    max_visits_a_day: Mapped[int | None]
    # How long before its start a visit with them must be booked online at least, where the clinic asks for less.
    notice_min: Mapped[int | None]
    # A break of so many minutes after each so many minutes of work; None for no such breaks.
    break_min: Mapped[int | None]
    break_after_min: Mapped[int | None]
    account: Mapped[Account | None] = relationship()


class PractitionerState(Base):
    """What changes often about a practitioner; no columns of theirs: these are kept in memory while nothing changes."""

    __tablename__ = "practitioner_states"
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"), primary_key=True, autoincrement=False)
    # Raised with every change of the hours: of two people who change them at once the second is told.
    hours_version: Mapped[int] = mapped_column(default=0)
    # Until when they know of what has changed for them.
    agenda_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PractitionerPreference(Base):
    """A standing rule: this patient is never seen by, or usually sees, this practitioner."""

    __tablename__ = "patient_practitioner_rules"
    __table_args__ = (UniqueConstraint("patient_id", "practitioner_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    kind: Mapped[PreferenceKind] = mapped_column(one_of(PreferenceKind, "kind"))
