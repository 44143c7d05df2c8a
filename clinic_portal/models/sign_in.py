"""Being signed in: where and since when, what is shown beside the password, and what was typed as a session ran out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.base import Base, BigId, UTCDateTime, new_public_id
from clinic_portal.models.people import Account


class SignIn(Base):
    """One browser in which somebody has signed in. Its random id lies in that browser's signed cookie."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index("ix_sign_ins_account_id", "account_id", "ended_at"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # At most five minutes behind; the browser's own signed note is exact.
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # By names that its owner knows: "Firefox, Windows"; empty when it is not known.
    browser: Mapped[str] = mapped_column(String(60))
    is_two_factor: Mapped[bool] = mapped_column(default=False)
    # Signed out here or from elsewhere. One that ran out has no end of its own: that is judged when it is read.
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    account: Mapped[Account] = relationship()


class AuthenticatorApp(Base):
    """The app whose codes an account shows beside the password; its key is kept sealed."""

    __tablename__ = "authenticator_apps"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), unique=True)
    sealed_key: Mapped[str] = mapped_column(Text)
    # The thirty seconds of the last code that was taken: neither it nor an older one is taken again.
    last_counter: Mapped[int] = mapped_column(BigId)
    added_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Passkey(Base):
    """The public half of a key that a phone, a computer or a security key keeps for an account."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("ix_passkeys_account_id", "account_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True, default=new_public_id)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    # At most 1023 bytes by the standard, as text.
    credential_id: Mapped[str] = mapped_column(String(1400), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigId)
    name: Mapped[str] = mapped_column(String(60))
    added_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # A challenge from before it is not answered again.
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    account: Mapped[Account] = relationship()


class RecoveryCode(Base):
    """A code for somebody who has lost what they show beside the password: works once. Only its hash is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("ix_recovery_codes_account_id", "account_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class KeptForm(Base):
    """What somebody sent after their time had run out: sealed, for this account only, and for a short time."""

    __tablename__ = "kept_forms"
    __table_args__ = (Index("ix_kept_forms_account_id", "account_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    sealed: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(UTCDateTime)


class RequestDraft(Base):
    """What is written so far on the form of a request, while another answer is changed: sealed, for a short time."""

    __tablename__ = "request_drafts"
    __table_args__ = (UniqueConstraint("account_id", "token"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    token: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(UTCDateTime)
