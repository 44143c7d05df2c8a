"""The smallest HTTP client that keeps its connection: what it costs is taken from the server, both share the cores."""

from __future__ import annotations

import gzip
import socket
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlencode

AGENT = "bench"
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server said; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        plain = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return plain.decode()

    @property
    def location(self) -> str:
        return self.headers.get("location", "")


class Client:
    """One connection to a server on this machine; connects when it is first used."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self.cookie = cookie
        self._port = port
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> Answer:
        return self._ask(f"GET {path} HTTP/1.1\r\n{self._headers()}\r\n".encode())

    def post(self, path: str, form: dict[str, str]) -> Answer:
        body = urlencode(form).encode()
        kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        return self._ask(f"POST {path} HTTP/1.1\r\n{self._headers()}{kind}\r\n".encode() + body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _headers(self) -> str:
        cookie = f"Cookie: {self.cookie}\r\n" if self.cookie else ""
        return f"Host: 127.0.0.1:{self._port}\r\nUser-Agent: {AGENT}\r\nAccept-Encoding: gzip\r\n{cookie}"

    def _ask(self, request: bytes) -> Answer:
        if self._socket is None:
            self.connect()
        assert self._socket is not None
        self._socket.sendall(request)
        head, _, body = self._receive(lambda got: b"\r\n\r\n" in got, b"").partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        return Answer(int(first.split(" ", 2)[1]), headers, self._receive(lambda got: len(got) >= length, body))

    def _receive(self, is_enough: object, got: bytes) -> bytes:
        assert callable(is_enough)
        assert self._socket is not None
        while not is_enough(got):
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            got += more
        return got

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
