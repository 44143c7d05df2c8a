"""Why a message does not leave."""

from __future__ import annotations

from datetime import datetime


class Overtaken(Exception):
    """The message is no longer true or no longer of use; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotNow(Exception):
    """The message would disturb its reader; `until` says when it may leave."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until.isoformat())
        self.until = until


class NoAddress(Exception):
    """There is no address any more that the message could go to."""
