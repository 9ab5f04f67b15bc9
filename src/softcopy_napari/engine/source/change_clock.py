"""When a source changed last, and the longest pause between two changes.

Part of what is known of a target's source (source_tracker.py), and called from its job's thread alone.
"""

from __future__ import annotations

import time

_MOMENT = 15.0
"""Seconds after a change for which a source counts as being written to: more than pass between two walks."""


class ChangeClock:
    """Keeps the times of a source's changes.

    Attributes
    ----------
    live : bool
        Whether anything was seen to change since the start.
    longest_pause : float
        Longest time between two changes, as far as it was seen, s.
    """

    def __init__(self) -> None:
        self.live = False
        self.longest_pause = 0.0
        self._last = time.monotonic()
        self._ahead = time.time() - self._last
        """By how much the system's clock was ahead of the one that never jumps when it all began, s."""
        self._newest = 0

    def note_change(self, now: float) -> None:
        """Note that something has changed."""
        self.longest_pause = max(self.longest_pause, now - self._last)
        self._last = now
        self.live = True

    def note_time(self, newest: int) -> None:
        """Note the latest modification time (ns) that a walk has found."""
        self._newest = max(self._newest, newest)

    def since_change(self, now: float) -> float | None:
        """Return the seconds since the last change that was seen; None where none was."""
        return now - self._last if self.live else None

    def writing(self, now: float) -> bool:
        """Whether the source is written to, or was a moment ago."""
        return self.live and now - self._last < _MOMENT

    def quiet(self, now: float) -> float:
        """Return for how long nothing has changed, s: by the files' own times where no change was seen."""
        quiet = now - self._last
        if not self.live:
            # An old dataset never waits. A clock that is set meanwhile is no quiet time.
            quiet = max(quiet, now + self._ahead - self._newest / 1e9)
        return quiet
