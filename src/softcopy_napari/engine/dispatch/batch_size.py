"""How many files a task for a worker has: as many as take a moment, by what the last ones took."""

from __future__ import annotations

_WEIGHT = 0.3
"""Of the last task in the mean of all so far."""
_SMALL = 1 << 20
"""Mean size (bytes) of files below which a task has as many as are worth being under way at a time."""


class BatchSize:
    """The size of tasks of one kind.

    Parameters
    ----------
    seconds : float
        Time that a task should take.
    most : int
        Files in a task at most.

    Attributes
    ----------
    seconds : float
        As given; may be changed at any time.
    """

    def __init__(self, seconds: float = 0.04, most: int = 512) -> None:
        self.seconds = seconds
        self._most = most
        self._seconds_a_file = 0.01
        self._at_a_time = 1

    @property
    def files(self) -> int:
        """How many files the next task should have."""
        return max(self._at_a_time, min(int(self.seconds / self._seconds_a_file), self._most))

    def note_task(self, seconds: float, files: int, size: int = 0, at_a_time: int = 1) -> None:
        """Note how long a task took, and of how many files and bytes; and how many are worth being under way at a time.

        On a share that is slow to answer, a task of one file would take as long as one of several.
        """
        self._seconds_a_file += _WEIGHT * (max(seconds / max(1, files), 1e-6) - self._seconds_a_file)
        self._at_a_time = at_a_time if size < files * _SMALL else 1

    def shrink(self) -> None:
        """Make the next tasks small, so that a worker's next death names its file."""
        self._seconds_a_file, self._at_a_time = 1.0, 1
