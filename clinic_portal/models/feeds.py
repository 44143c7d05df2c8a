"""Calendars that somebody's own calendar program reads by itself."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime, one_of
from clinic_portal.models.people import Account


class FeedKind(enum.StrEnum):
    """Whose visits a feed shows: those that somebody works, or those of the people an account acts for."""

    PRACTITIONER = "practitioner"
    PATIENT = "patient"


class CalendarFeed(Base):
    """An address from which a calendar program reads; the address itself is kept only as a hash."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        Index("uq_calendar_feeds_live", "account_id", "kind", unique=True,
              sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[FeedKind] = mapped_column(one_of(FeedKind, "kind"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    account: Mapped[Account] = relationship()
