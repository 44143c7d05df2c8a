"""No orphans: a process ends when the one that started it is gone, however that ended."""

from __future__ import annotations

import os
import signal
import threading
import time

# Set by the supervisor for its children; without it (a service manager, a shell) nobody is watched.
PARENT_VARIABLE = "CLINIC_PORTAL_PARENT"
LOOK_S = 0.5
GRACE_S = 8.0


def hold() -> None:
    """End this process in good order when the supervisor that started it is gone."""
    if parent := os.environ.get(PARENT_VARIABLE):
        hold_to(int(parent))


def hold_to(parent_pid: int) -> None:
    """End this process in good order when it is no longer the child of the given one."""
    threading.Thread(target=_watch, args=(parent_pid,), daemon=True, name="lifeline").start()


def _watch(parent_pid: int) -> None:
    # Asking whose child we are works on Linux and macOS, needs no pipe that a grandchild could keep open, and cannot
    # be fooled by a new process that got the old number.
    while os.getppid() == parent_pid:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
