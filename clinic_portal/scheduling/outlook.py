"""The picture of free time that one drain places from, kept over several batches while it is young."""

from __future__ import annotations

import time

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.scheduling.picture import Picture
from clinic_portal.settings import load_settings

PICTURE_LASTS_S = 1.0


class Outlook:
    """Reading all free time costs as much as placing many requests; so it is read once for many batches."""

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._taken = 0.0
        self._is_under_way = False
        self.is_fresh = False

    def begin(self) -> None:
        """A batch begins. What one that came to no end has noted in the picture never happened."""
        if self._is_under_way or time.monotonic() - self._taken > PICTURE_LASTS_S:
            self._picture = None
        self._is_under_way, self.is_fresh = True, False

    def end(self) -> None:
        """A batch is written as it was planned."""
        self._is_under_way = False

    def picture(self, session: Session) -> Picture:
        """The free time, as it was read not long ago."""
        if self._picture is None:
            settings = load_settings(session)
            days = max(settings.number("horizon_days"), *settings.own_numbers("horizon_days"), 0)
            self._picture = Picture(session, clock.now(), settings.number("grid_min"), days)
            self._taken, self.is_fresh = time.monotonic(), True
        return self._picture

    def renewed(self, session: Session) -> Picture:
        """The free time, read anew."""
        self._picture = None
        return self.picture(session)
