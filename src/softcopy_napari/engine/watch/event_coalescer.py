"""Lets the events of a busy source gather for some milliseconds: to act on each alone would cost the acquisition.

An event that is acted upon at once wakes the job, a copy worker and those who wait for its answer, for one file.
Many files together share that. A source that is not busy is heard at once, always.
"""

from __future__ import annotations

PAUSE = 0.008
"""Seconds in which events gather: their mean delay, half of it, stays well below what a copy may be late."""
_SLOT = 0.1
_SLOTS = 10
"""In one of so many slots of time events are read as they come, though not acted upon."""
_BUSY = 20
"""Events in a slot of time from which a source counts as busy."""


class EventCoalescer:
    """Says how long events may gather. Part of a watcher's thread.

    Attributes
    ----------
    closely : bool
        Whether events are read as they come just now, so that the time of reading is the time of the event.
    """

    def __init__(self) -> None:
        self.closely = True
        self._busy = False
        self._slot = 0
        self._count = 0
        """Events in the slot under way."""
        self._due = 0.0
        """When what gathers is to be acted upon; 0 where nothing does."""

    def count_events(self, events: int, now: float) -> None:
        """Count events that were read.

        Parameters
        ----------
        events : int
            How many were read just now.
        now : float
            Monotonic, s.
        """
        slot = int(now / _SLOT)
        if slot != self._slot:
            self._busy = slot == self._slot + 1 and self._count >= _BUSY
            self.closely = not self._busy or slot % _SLOTS == 0
            self._slot, self._count = slot, 0
        self._count += events

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until what was read is to be acted upon; None where that is now."""
        if not (self._busy and self.closely) or 0 < self._due <= now:
            self._due = 0.0
            return None
        self._due = self._due or now + PAUSE
        return self._due - now
