"""A mail server that speaks real SMTP and misbehaves as told, per recipient."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType

HANG, DROP_AFTER_DATA = "hang", "drop after data"


@dataclass(frozen=True)
class Received:
    """A mail that the server has, whatever it said about it."""

    to: str
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        mail = message_from_bytes(self.raw, policy=default)
        assert isinstance(mail, EmailMessage)
        return mail

    @property
    def plain(self) -> str:
        part = self.mail.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    @property
    def message_id(self) -> str:
        return str(self.mail["Message-ID"])


class SmtpServer:
    """Takes every mail; for an address in `answers` it says that at RCPT, hangs, or drops the line after DATA."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.received: list[Received] = []
        self.hanging = threading.Event()
        self.closing = threading.Event()
        self._server = _Listener(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def to(self, address: str) -> list[Received]:
        return [each for each in self.received if each.to == address]

    def __enter__(self) -> SmtpServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, script: SmtpServer) -> None:
        self.script = script
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    to = ""

    @property
    def script(self) -> SmtpServer:
        assert isinstance(self.server, _Listener)
        return self.server.script

    def handle(self) -> None:
        self.say("220 scripted")
        while line := self.rfile.readline():
            if not self.answer(line.decode().strip()):
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def answer(self, line: str) -> bool:
        """Answer one command; False ends the conversation."""
        verb = line[:4].upper()
        if verb == "RCPT":
            self.to = line.partition("<")[2].partition(">")[0]
            return self.answer_rcpt(self.script.answers.get(self.to, ""))
        if verb == "DATA":
            return self.take_text()
        self.say("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def answer_rcpt(self, wanted: str) -> bool:
        if wanted == HANG:
            self.script.hanging.set()
            self.script.closing.wait(20)
            return False
        self.say(wanted if wanted[:3].isdigit() else "250 ok")
        return True

    def take_text(self) -> bool:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.script.received.append(Received(self.to, b"".join(lines)))
        if self.script.answers.get(self.to) == DROP_AFTER_DATA:
            return False
        self.say("250 taken")
        return True
