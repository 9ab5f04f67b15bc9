"""Keeps an eye on a target's destination: whether it is there, takes files, and what its clock says.

Part of what hands out work (dispatcher.py), and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from softcopy_napari.engine.fs.destination_problem import DestinationProblem

_TRY_OBSTACLE = 3.0
"""Seconds between looks whether an obstacle is still there."""
_CLOCK, _CLOCK_AT_REST = 10.0, 2.0
"""Seconds between readings of the destination's clock while files are copied, and when all have been."""
_LOOK = 30.0
"""Seconds without anything else after which it is looked whether the destination is still there."""


class DestinationWatch:
    """What is known of a destination as a whole, and when it is to be looked at again.

    Attributes
    ----------
    obstacle : DestinationProblem or None
        Why the destination takes nothing now.
    taken_away : bool
        The destination was there and then was not: what its system had not written down may be lost.
    claimed : bool
        Whether the destination was made and marked by this run.
    look : int
        The task of a look whether the destination is there, while it is not answered; else 0.
    """

    def __init__(self) -> None:
        self.obstacle: DestinationProblem | None = None
        self.taken_away = False
        self.claimed = False
        self.look = 0
        self._next_try = 0.0
        self._trying = False
        self._next_look = 0.0
        self._clock_read = 0.0
        self._came_since_clock = False
        """Whether files have arrived since the destination's clock was read."""

    def look_is_due(self, now: float, copying: bool) -> bool:
        """Whether to look if the destination is still there, and what its clock says when files have come."""
        stale = self._came_since_clock and now - self._clock_read > (_CLOCK if copying else _CLOCK_AT_REST)
        return (now >= self._next_look or stale) and self.claimed and self.obstacle is None and not self.look

    def begin_try(self, now: float) -> bool:
        """Begin to see whether an obstacle is still there; returns whether it is time for that."""
        if self._trying or now < self._next_try:
            return False
        self._trying = True
        return True

    def try_now(self) -> None:
        """See at once whether an obstacle is still there."""
        self._next_try = 0.0

    def meet(self, obstacle: DestinationProblem, now: float) -> None:
        """Note that the destination takes nothing now."""
        self.obstacle = obstacle
        self.taken_away = self.taken_away or (obstacle.away and self.claimed)
        self._trying = False
        self._next_try = now + _TRY_OBSTACLE

    def overcome(self) -> None:
        """Note that nothing stands in the way any more."""
        self.obstacle = None
        self._trying = False

    def reached(self, task: int, obstacle: DestinationProblem | None, now: float) -> bool:
        """Take in the answer to a task that looked at the destination; returns whether that was a look of this one."""
        self._next_look = now + _LOOK
        if obstacle is not None:
            self.meet(obstacle, now)
        else:
            self.claimed = True
            self._clock_read, self._came_since_clock = now, False
            self.overcome()
        own = task == self.look
        if own:
            self.look = 0
        return own

    def note_answer(self, obstacle: DestinationProblem | None, source_found: bool, now: float) -> None:
        """Take in what a worker met that has copied files or read them back."""
        self._next_look = now + _LOOK
        if obstacle is not None:
            self.meet(obstacle, now)
        elif source_found and self.obstacle is not None and self._trying:
            self.overcome()
        self._trying = False

    def note_files(self) -> None:
        """Note that files have arrived."""
        self._came_since_clock = True
