"""The web server of the portal, started the way the supervisor starts it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from tests.bench.databases import START_S, Env, child
from tests.bench.http import Client


@contextmanager
def portal(env: Env, processes: int) -> Iterator[int]:
    """The portal in this many processes of one thread each; the port it answers on."""
    port, log = free_port(), Path(env["DATA_DIR"]) / "web.log"
    told = {**env, "HOST": "127.0.0.1", "PORT": str(port), "WEB_PROCESSES": str(processes)}
    with child(["-m", "clinic_portal.cli", "web"], told, log) as process:
        _wait_for_page(port, "/healthz", process, log)
        yield port


@contextmanager
def bare_flask(folder: Path) -> Iterator[int]:
    """A page of Flask and nothing else, in as many processes as the portal has by default."""
    port, log = free_port(), folder / "bare.log"
    with child(["-m", "tests.bench.bare", str(port)], {}, log) as process:
        _wait_for_page(port, "/", process, log)
        yield port


def faults(env: Env) -> list[str]:
    """What the portal logged as its own faults."""
    lines = (Path(env["DATA_DIR"]) / "web.log").read_text().splitlines()
    return [line for line in lines if '"event": "fault"' in line]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_page(port: int, path: str, process: Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with Client(port) as client:
                if client.get(path).status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the web server did not start: {log.read_text()[-2000:]}")
