"""Says when to walk over the folders of a source again: events miss some changes, and walks cost its disk time."""

from __future__ import annotations

import time

_WALK_INTERVAL = 10.0
"""Seconds between walks over folders whose time has changed, at least."""
_LONGEST_INTERVAL = 320.0
"""Seconds between walks that find nothing, at most, where all folders are watched and nothing was heard either."""
_BLIND_INTERVAL = 2.0
"""Seconds between walks, at least, where not all folders can be watched."""
_WALK_SHARE = 20
"""Walks take at most one part in this many of the time."""


class WalkSchedule:
    """Says when the next light walk over a source is due."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._next = 0.0
        self._interval = self._least = _WALK_INTERVAL

    def note_start(self, now: float) -> None:
        """Note that a walk begins."""
        self._started = now

    def note_events(self, now: float) -> None:
        """Note that events were heard: walk soon."""
        self._interval = _WALK_INTERVAL
        self._next = min(self._next, now + self._least)

    def note_end(self, now: float, blind: bool, in_vain: bool) -> None:
        """Note that a walk has ended; where it found nothing that events had not told, the next may come later."""
        share = (now - self._started) * _WALK_SHARE
        self._least = max(share, _BLIND_INTERVAL if blind else _WALK_INTERVAL)
        self._next = now + max(self._least, 0.0 if blind else self._interval)
        if in_vain:
            self._interval = min(2 * self._interval, _LONGEST_INTERVAL)

    def is_due(self, now: float) -> bool:
        """Whether to walk again."""
        return now >= self._next
