"""Reading back the mails that were kept in a folder instead of being sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from clinic_portal.errors import NotFound

# Exactly what MailFolder writes: no dot, no slash, so no way out of the folder.
_ID = re.compile(r"\d{8}T\d{12}-[0-9a-f]{16}", re.ASCII)
NEWEST = 200


@dataclass(frozen=True)
class CapturedHead:
    """A kept mail as a list shows it."""

    id: str
    subject: str
    sender: str
    to: str
    sent_at: datetime


@dataclass(frozen=True)
class CapturedMail(CapturedHead):
    """A kept mail with its parts."""

    plain: str
    html: str | None
    ics: bytes | None
    raw: bytes

    @property
    def has_html(self) -> bool:
        return self.html is not None

    @property
    def has_calendar(self) -> bool:
        return self.ics is not None


def list_captured(mail_dir: Path, newest: int = NEWEST) -> list[CapturedHead]:
    """The mails kept in the folder, newest first."""
    names = sorted((path.stem for path in mail_dir.glob("*.eml") if _ID.fullmatch(path.stem)), reverse=True)
    parser = BytesHeaderParser(policy=default)
    heads = []
    for name in names[:newest]:
        with (mail_dir / f"{name}.eml").open("rb") as file:
            heads.append(_head(name, parser.parse(file)))
    return heads


def read_captured(mail_dir: Path, mail_id: str) -> CapturedMail:
    """One kept mail, taken apart.

    Raises: NotFound when there is no such mail, whatever the id looks like.
    """
    path = mail_dir / f"{mail_id}.eml"
    if not _ID.fullmatch(mail_id) or not path.is_file():
        raise NotFound
    raw = path.read_bytes()
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    parts = {part.get_content_type(): part for part in reversed(list(mail.walk())) if not part.is_multipart()}
    head = _head(mail_id, mail)
    return CapturedMail(
        head.id,
        head.subject,
        head.sender,
        head.to,
        head.sent_at,
        plain=str(parts["text/plain"].get_content()),
        html=str(parts["text/html"].get_content()) if "text/html" in parts else None,
        ics=parts["text/calendar"].get_payload(decode=True) if "text/calendar" in parts else None,
        raw=raw,
    )


def _head(mail_id: str, mail: EmailMessage) -> CapturedHead:
    kept_at = datetime.strptime(mail_id.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return CapturedHead(mail_id, str(mail["Subject"]), str(mail["From"]), str(mail["To"]), kept_at)
