"""Is the destination there, does it take files, and when is that to be checked again?

Part of what hands out work (dispatcher.py), and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from softcopy_napari.engine.fs.destination_problem import DestinationProblem

_RETRY = 3.0
"""Seconds between attempts while the destination takes nothing."""
_CLOCK, _CLOCK_AT_REST = 10.0, 2.0
"""Seconds between readings of the destination's clock while files are copied, and when all have been."""
_CHECK = 30.0
"""Seconds without any other answer after which it is checked whether the destination is still there."""


class DestinationAvailability:
    """Keeps what is known of a destination as a whole, and when it is to be checked again.

    Attributes
    ----------
    problem : DestinationProblem or None
        Why the destination takes nothing now.
    taken_away : bool
        The destination was there and then was not: what its system had not written down may be lost.
    claimed : bool
        Whether the destination was made and marked by this run.
    check_task : int
        The task that checks whether the destination is there, while it is not answered; else 0.
    """

    def __init__(self) -> None:
        self.problem: DestinationProblem | None = None
        self.taken_away = False
        self.claimed = False
        self.check_task = 0
        self._next_retry = 0.0
        self._retrying = False
        self._next_check = 0.0
        self._clock_read = 0.0
        self._came_since_clock = False
        """Whether files have arrived since the destination's clock was read."""

    def check_is_due(self, now: float, copying: bool) -> bool:
        """Whether to check that the destination is still there, and what its clock says when files have come."""
        stale = self._came_since_clock and now - self._clock_read > (_CLOCK if copying else _CLOCK_AT_REST)
        return (now >= self._next_check or stale) and self.claimed and self.problem is None and not self.check_task

    def begin_retry(self, now: float) -> bool:
        """Begin to try whether the destination takes files again; returns whether it is time for that."""
        if self._retrying or now < self._next_retry:
            return False
        self._retrying = True
        return True

    def retry_now(self) -> None:
        """Try at once whether the destination takes files again."""
        self._next_retry = 0.0

    def note_problem(self, problem: DestinationProblem, now: float) -> None:
        """Note that the destination takes nothing now."""
        self.problem = problem
        self.taken_away = self.taken_away or (problem.away and self.claimed)
        self._retrying = False
        self._next_retry = now + _RETRY

    def note_available(self) -> None:
        """Note that the destination takes files."""
        self.problem = None
        self._retrying = False

    def add_check(self, task: int, problem: DestinationProblem | None, now: float) -> bool:
        """Note what a task found that checked the destination; returns whether that was `check_task`."""
        self._next_check = now + _CHECK
        if problem is not None:
            self.note_problem(problem, now)
        else:
            self.claimed = True
            self._clock_read, self._came_since_clock = now, False
            self.note_available()
        own = task == self.check_task
        if own:
            self.check_task = 0
        return own

    def note_task(self, problem: DestinationProblem | None, source_found: bool, now: float) -> None:
        """Note what a worker found that has copied files or read them back."""
        self._next_check = now + _CHECK
        if problem is not None:
            self.note_problem(problem, now)
        elif source_found and self.problem is not None and self._retrying:
            self.note_available()
        self._retrying = False

    def note_files(self) -> None:
        """Note that files have arrived."""
        self._came_since_clock = True
