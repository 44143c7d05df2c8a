"""One child process: started in a group of its own, started again when it dies, stopped in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
# After this long a child counts as healthy, and its next death is its first again.
HEALTHY_S = 30.0
LOG_LIMIT_BYTES = 5_000_000


@dataclass
class Child:
    """A process that should run, and how it is doing."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    say: Callable[[str], None]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float | None = None

    def start(self) -> None:
        """Start it. The terminal's Ctrl-C does not reach it: the supervisor decides who stops when."""
        with _log_file(self.log_path) as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at, self.start_again_at = time.monotonic(), None

    def start_in(self, seconds: float) -> None:
        """Have `look_after` start it a little later."""
        self.start_again_at = time.monotonic() + seconds

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look_after(self) -> None:
        """Notice a death, and start again after a pause that grows with each death in a row."""
        if self.is_running():
            return
        if self.start_again_at is None:
            self._mourn()
        elif time.monotonic() >= self.start_again_at:
            self.start()

    def _mourn(self) -> None:
        # What it left behind (a killed web server's processes) must not hold the port against its successor.
        self._signal_group(signal.SIGKILL)
        now = time.monotonic()
        self.deaths = 1 if now - self.started_at > HEALTHY_S else self.deaths + 1
        pause = min(FIRST_PAUSE_S * 2 ** (self.deaths - 1), LONGEST_PAUSE_S)
        self.start_again_at = now + pause
        code = self.process.returncode if self.process else None
        self.say(f"{self.name} ended (code {code}); starting it again in {pause:g} s. Its log: {self.log_path}")

    def ask_to_stop(self) -> None:
        """Ask only its first process: that one knows how to stop the others."""
        if self.is_running() and self.process:
            self.process.terminate()

    def finish(self) -> None:
        """End what is left of it, at once."""
        if self.process is None or self.start_again_at is not None:
            return
        if self.is_running():
            self.say(f"{self.name} did not stop in time and was ended")
        self._signal_group(signal.SIGKILL)
        self.process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody is left; macOS says so with the second error.
            return


def _log_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
