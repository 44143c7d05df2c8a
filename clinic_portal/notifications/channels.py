"""How a mail leaves: through the clinic's mail server, or into a folder while there is none.

Whatever goes wrong becomes one of three answers: refused for good, later perhaps, or nobody answers at all. Their codes
go into the ledger and the log, so they carry no address and no text of the server, which often repeats the address.
"""

from __future__ import annotations

import hashlib
import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from clinic_portal import clock
from clinic_portal.config import Config

# For each step of the conversation; a server that hangs must not hold up the mails behind it for long.
TIMEOUT_S = 10.0


class Undelivered(Exception):
    """A mail did not leave; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(Undelivered):
    """The server will never take this mail; `is_bad_address` when the reader's address is the reason."""

    def __init__(self, code: str, *, is_bad_address: bool = False) -> None:
        super().__init__(code)
        self.is_bad_address = is_bad_address


class TryLater(Undelivered):
    """The server did not take this mail now."""


class Unreachable(TryLater):
    """There is no server to talk to, so no other mail will leave either."""


class Mailer(Protocol):
    """Something that takes mails for a while and is then closed."""

    def send(self, mail: EmailMessage, address: str) -> None: ...

    def close(self) -> None: ...


def open_mailer(config: Config) -> Mailer:
    """The way mails leave here. Nothing is opened before the first mail."""
    return MailFolder(config.mail_dir) if config.captures_mail else MailServer(config)


class MailFolder:
    """Keeps mails as files, for a clinic that only looks around; each appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage, address: str) -> None:
        """Keep one mail.

        Raises: Unreachable when the folder cannot be written.
        """
        mark = hashlib.sha256(f"{mail['Message-ID']} {address}".encode()).hexdigest()[:16]
        name = f"{clock.now():%Y%m%dT%H%M%S%f}-{mark}"
        unfinished = self._folder / f".{name}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(mail.as_bytes())
            unfinished.replace(self._folder / f"{name}.eml")
        except OSError as error:
            raise Unreachable("mail_folder") from error

    def close(self) -> None:
        """Nothing stays open."""


class NoServer:
    """Stands in for a server that does not answer, so that the mails behind the first need not wait for it too."""

    def __init__(self, code: str) -> None:
        self._code = code

    def send(self, mail: EmailMessage, address: str) -> None:
        """Keep the mail for later.

        Raises: TryLater, always.
        """
        raise TryLater(self._code)

    def close(self) -> None:
        """Nothing is open."""


class MailServer:
    """A conversation with the clinic's mail server: one connection for as many mails as it takes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._line: smtplib.SMTP | None = None

    def send(self, mail: EmailMessage, address: str) -> None:
        """Hand one mail over.

        Raises: Refused, TryLater, Unreachable.
        """
        line = self._line = self._line or self._connect()
        try:
            line.send_message(mail, self._config.mail_from, [address])
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            # Whatever state the conversation is in now, the next mail starts a new one.
            self.close()
            raise _judge(error) from error

    def close(self) -> None:
        """End the conversation."""
        line, self._line = self._line, None
        if line is not None:
            try:
                line.quit()
            except (smtplib.SMTPException, OSError):
                line.close()

    def _connect(self) -> smtplib.SMTP:
        try:
            return self._signed_in(self._dialled())
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"no_mail_server {type(error).__name__}") from error

    def _dialled(self) -> smtplib.SMTP:
        config = self._config
        if config.smtp_security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(config.smtp_host, config.smtp_port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=TIMEOUT_S)

    def _signed_in(self, line: smtplib.SMTP) -> smtplib.SMTP:
        try:
            if self._config.smtp_security == "starttls":
                line.starttls(context=ssl.create_default_context())
            if self._config.smtp_user:
                line.login(self._config.smtp_user, self._config.smtp_password)
        except BaseException:
            line.close()
            raise
        return line


def _judge(error: Exception) -> Undelivered:
    """What a failed conversation means for the mail (RFC 5321 4.2: 4xx is for now, 5xx for good)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return _judge_recipient(code, text)
    if isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500:
        return Refused(f"smtp {error.smtp_code} data")
    if isinstance(error, smtplib.SMTPResponseException):
        # A sender that is refused is the clinic's mistake, and can be put right before we give up.
        return TryLater(f"smtp {error.smtp_code}")
    if isinstance(error, smtplib.SMTPNotSupportedError | UnicodeError):
        return Refused("address_not_supported", is_bad_address=True)
    return TryLater("connection_lost")


def _judge_recipient(code: int, text: bytes) -> Undelivered:
    # "x.7.y" is about policy, such as a server that does not relay for us: not the reader's fault (RFC 3463 3.8).
    if code < 500 or text.startswith(b"5.7."):
        return TryLater(f"smtp {code} recipient")
    return Refused(f"smtp {code} recipient", is_bad_address=True)
