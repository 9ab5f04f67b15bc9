"""Times how long writers hold their locks, from `X.__lock` created to `X` renamed, as soon as that is heard.

Told by the watcher's thread, asked by the job's: the job's steps take milliseconds, which would be taken for waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from softcopy_napari.engine.zarr_layout.file_names import LOCK_LIFE, file_of_lock

_MOST = 1024
"""Times, and locks, that are kept in mind."""
_LONG = 0.5
"""Seconds after which a lock that is still held tells something."""
_ROUGHLY = 0.1
"""Seconds from which the time is near enough, though events are not read as they come."""


class LockTimer:
    """How long locks were held.

    Parameters
    ----------
    clock : callable
        Seconds.

    Attributes
    ----------
    closely : bool
        Whether it hears of events as they happen, and not a few milliseconds later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.closely = True
        self._clock = clock
        self._taken: dict[str, float] = {}
        self._held: deque[float] = deque(maxlen=_MOST)

    def note_taken(self, lock: str) -> None:
        """Note that a lock was created."""
        if not self.closely:
            return
        file = file_of_lock(lock)
        self._taken.pop(file, None)  # to the end of the row
        self._taken[file] = self._clock()
        if len(self._taken) > _MOST:
            self._taken.pop(next(iter(self._taken)), None)

    def note_deleted(self, lock: str) -> None:
        """Note that a lock was deleted: nothing was written under it, so its time means nothing."""
        self._taken.pop(file_of_lock(lock), None)

    def note_renamed(self, path: str) -> None:
        """Note that a file got its final name, which ends its lock."""
        taken = self._taken.pop(path, None)
        if taken is None:
            return
        held = self._clock() - taken
        if self.closely or held > _ROUGHLY:
            self._held.append(held)

    def forget(self) -> None:
        """Forget the locks under way, because events were lost."""
        self._taken.clear()

    def pop_hold_times(self) -> list[float]:
        """Return how long locks were held, in s: those released since the last call, and those held for long by now."""
        holds = [self._held.popleft() for _ in range(len(self._held))]
        now = self._clock()
        return holds + [now - taken for taken in list(self._taken.values()) if _LONG < now - taken < LOCK_LIFE]
