"""How a clinic words its messages to patients: every saved text stays, the newest one counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, UTCDateTime
from clinic_portal.models.people import Account

MAX_SUBJECT = 150
MAX_PARAGRAPHS = 2000


class MessageText(Base):
    """One version of the text of one kind of message in one language; neutral ones are for sensitive visits."""

    __tablename__ = "message_texts"
    __table_args__ = (UniqueConstraint("kind", "language", "is_neutral", "version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    # An `Event` whose words a clinic may choose.
    kind: Mapped[str] = mapped_column(String(24))
    language: Mapped[str] = mapped_column(String(8))
    is_neutral: Mapped[bool]
    version: Mapped[int]
    # False where the clinic went back to the portal's own text; then the words are empty.
    is_own: Mapped[bool]
    subject: Mapped[str] = mapped_column(String(MAX_SUBJECT))
    before: Mapped[str] = mapped_column(String(MAX_PARAGRAPHS))
    after: Mapped[str] = mapped_column(String(MAX_PARAGRAPHS))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    # When a mail could first not be made with it, and left in the portal's own words.
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    account: Mapped[Account | None] = relationship()
