"""A demo clinic of its own for the checkers: on a free port, in a folder that goes away with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S, STOP_S = 180, 20


@contextmanager
def demo_clinic() -> Iterator[str]:
    """Start it as `make run` does, wait until it is ready, give its address, and stop it."""
    with tempfile.TemporaryDirectory(prefix="clinic-") as folder:
        address = f"http://127.0.0.1:{free_port()}"
        env = {**os.environ, "PORTAL_ENV": "demo", "DATA_DIR": folder, "PORT": address.rpartition(":")[2]}
        command = [Path(sys.executable).with_name("clinic-portal"), "run"]
        with (Path(folder) / "run.log").open("w") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            wait_until_ready(process, address, Path(log.name))
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"The demo clinic did not start:\n{log.read_text()[-2000:]}")
