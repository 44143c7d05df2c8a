"""Ways into an account: codes for patients whom the clinic knows, and how often somebody has tried."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime
from clinic_portal.models.people import Account, Patient


class AccountInvitation(Base):
    """A code that links whoever knows it, and the birth date, to a patient's record. Only its hash is kept."""

    __tablename__ = "account_invitations"
    __table_args__ = (Index("ix_account_invitations_patient_id", "patient_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # None when it was made on the command line.
    made_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    patient: Mapped[Patient] = relationship()
    made_by: Mapped[Account | None] = relationship(foreign_keys=made_by_account_id)

    def is_open(self, at: datetime) -> bool:
        """Whether somebody can still use it."""
        return self.used_at is None and self.expires_at > at


class Throttle(Base):
    """How often something was tried lately under one name, and until when it is refused."""

    __tablename__ = "throttles"
    # What was tried, and a keyed hash of the address or the network: the table tells nobody who it was.
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    tries: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    refused_until: Mapped[datetime] = mapped_column(UTCDateTime)
