"""`clinic-portal run`: everything the portal needs, started, kept alive and stopped together.

Embedded Valkey (unless REDIS_URL names another), web server, one worker a queue, one sweeper.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping

from clinic_portal import queues
from clinic_portal.config import Config
from clinic_portal.supervisor import lifeline
from clinic_portal.supervisor.children import Child

LOOK_S = 0.2
HEAD_START_S, SLOW_START_S = 2.0, 20.0
STOP_S = 8.0

Say = Callable[[str], None]


class Supervisor:
    """The children of one run."""

    def __init__(self, config: Config, say: Say) -> None:
        self.config, self.say = config, say
        self.stopping = threading.Event()
        self.hurry = False
        self.valkey = self._child("queue", *_valkey_command(config)) if config.redis_url is None else None
        self.web = self._child("web", *_cli("web"))
        self.helpers = [self._child(f"worker-{name}", *_cli("work", name)) for name in queues.QUEUES]
        self.helpers.append(self._child("sweeper", *_cli("sweep")))

    @property
    def children(self) -> list[Child]:
        return [*([self.valkey] if self.valkey else []), self.web, *self.helpers]

    def run(self, when_up: Callable[[], None]) -> None:
        """Start everything, say so when pages are served, restart what dies, stop everything when asked to."""
        self._listen_to_signals()
        try:
            # Pages come first; the others would only compete with them for the processor, and each waits for what it
            # needs.
            self.web.start()
            for child in self.children:
                if child is not self.web:
                    child.start_in(HEAD_START_S)
            self._wait_for_pages(when_up)
            while not self.stopping.wait(LOOK_S):
                self._look_after()
        finally:
            self._stop()

    def _look_after(self) -> None:
        for child in self.children:
            child.look_after()

    def _wait_for_pages(self, when_up: Callable[[], None]) -> None:
        """Say that the portal is up once it is; a start that takes long is told, and still counts."""
        slow_at = time.monotonic() + SLOW_START_S
        while not self.stopping.wait(LOOK_S / 2):
            if _is_served(self.config):
                when_up()
                return
            self._look_after()
            if time.monotonic() > slow_at:
                self.say(f"The web server does not answer yet. Its log: {self.web.log_path}")
                slow_at = float("inf")

    def _listen_to_signals(self) -> None:
        def stop(_number: int, _frame: object) -> None:
            # The second Ctrl-C means: now.
            self.hurry = self.stopping.is_set()
            self.stopping.set()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        # A closed terminal asks too, unless it was told beforehand not to (nohup).
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, stop)

    def _stop(self) -> None:
        """Pages first, so that requests under way end with everything else still there; the queue last."""
        self.say("Stopping ...")
        for group in ([self.web], self.helpers, [self.valkey] if self.valkey else []):
            self._stop_group(group)
        self.say("Stopped.")

    def _stop_group(self, group: list[Child]) -> None:
        for child in group:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_S
        while any(child.is_running() for child in group) and time.monotonic() < deadline and not self.hurry:
            time.sleep(LOOK_S / 4)
        for child in group:
            child.finish()

    def _child(self, name: str, *command: str) -> Child:
        log_path = self.config.data_dir / "logs" / f"{name}.log"
        return Child(name, command, _environment(self.config), log_path, self.say)


def _cli(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "clinic_portal.cli", *arguments)


def _valkey_command(config: Config) -> tuple[str, ...]:
    folder = config.data_dir / "valkey"
    return (sys.executable, "-m", "clinic_portal.supervisor.valkey", str(folder), str(config.valkey_socket))


def _environment(config: Config) -> Mapping[str, str]:
    """What the children are told: the settings as they came, and what was settled here."""
    return {
        **os.environ,
        "DATA_DIR": str(config.data_dir),
        "PORT": str(config.port),
        "REDIS_URL": config.queue_url,
        "PYTHONUNBUFFERED": "1",
        lifeline.PARENT_VARIABLE: str(os.getpid()),
    }


def _is_served(config: Config) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.host, config.host)  # noqa: S104
    try:
        with urllib.request.urlopen(f"http://{host}:{config.port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
