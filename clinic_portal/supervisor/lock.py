"""One portal a data folder: a lock file that also says where the running one is."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clinic_portal.config import Config


class AlreadyRunning(Exception):
    """Another supervisor holds this data folder; the text says where it answers."""


@dataclass
class Claim:
    """The held lock. `left_behind` is the port of a run that ended abruptly, whose processes may still be leaving."""

    handle: int
    left_behind: int | None = None

    def tell(self, url: str, port: int) -> None:
        """Note for a second start where this one answers."""
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, json.dumps({"url": url, "port": port, "pid": os.getpid()}).encode(), 0)


@contextmanager
def claim(config: Config) -> Iterator[Claim]:
    """Hold the data folder for this process; the kernel lets go of it however the process ends.

    Raises: AlreadyRunning.
    """
    config.data_dir.mkdir(parents=True, exist_ok=True)
    path = config.data_dir / "supervisor.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        told = _read(path)
        raise AlreadyRunning(
            f"Already running at {told.get('url', 'an address not yet known')} (process {told.get('pid', 'unknown')})."
        ) from None
    try:
        yield Claim(handle, _read(path).get("port"))
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, int]:
    try:
        content: dict[str, int] = json.loads(path.read_text())
    except ValueError:
        return {}
    return content
