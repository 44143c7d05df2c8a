"""Changes of hours that wait until somebody at the clinic agrees."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id, one_of
from clinic_portal.models.people import Account, Practitioner


class HoursRequestStatus(enum.StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class HoursRequest(Base):
    """What a practitioner wants to change in their hours: kept as it was entered, and carried out as it was agreed."""

    __tablename__ = "hours_requests"
    __table_args__ = (
        Index("ix_hours_requests_asked", "practitioner_id",
              sqlite_where=text("status = 'asked'"), postgresql_where=text("status = 'asked'")),
        CheckConstraint("(status = 'asked') = (decided_at IS NULL)", name="decided"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    asked_by_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    change: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[HoursRequestStatus] = mapped_column(one_of(HoursRequestStatus, "status"))
    decided_by_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    practitioner: Mapped[Practitioner] = relationship()
    asked_by: Mapped[Account] = relationship(foreign_keys=[asked_by_account_id])
