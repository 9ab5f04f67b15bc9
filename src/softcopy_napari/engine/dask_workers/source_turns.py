"""When the machines of a cluster may read a source: in its writer's pauses, and not too many at a time.

They cannot see the activity board, so the engine waits in their place before each task, which is small then. A writer
that begins to work has to bear what was handed out a moment before.
"""

from __future__ import annotations

import threading
import time

from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, PauseGate

_LATELY = 10.0
"""Seconds after a burst for which more of them are expected."""
_POLL = 0.05


class _Readers:
    """Those who read one source, for all targets of this engine."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.under_way = 0
        self.limits: dict[SourceTurns, int] = {}
        """How many tasks each target wants under way at most: the highest counts for all together."""


_all: dict[str, _Readers] = {}
_lock = threading.Lock()


class SourceTurns:
    """Says when tasks of one target may go to a cluster.

    Parameters
    ----------
    source : str
        Targets with the same source share its limit.
    board : str
        The path of the activity board.
    effort : float
        How much may be done while a writer is at work, see pause_gate.py.
    limit : int
        Tasks that are under way at most.
    """

    def __init__(self, source: str, board: str, effort: float, limit: int) -> None:
        self._stopped = False
        self._gate = PauseGate(board, effort, lambda: self._stopped, lambda: None)
        self._own = 0
        self._busy_at = float("-inf")
        self._source = source
        with _lock:
            self._readers = _all.setdefault(source, _Readers())
            self._readers.limits[self] = limit

    @property
    def effort(self) -> float:
        """How much may be done while a writer is at work."""
        return self._gate.effort

    @effort.setter
    def effort(self, effort: float) -> None:
        self._gate.effort = effort

    @property
    def writer_is_at_work(self) -> bool:
        """Whether there is somebody to give way to, now or lately."""
        if self.effort >= ALL_THE_TIME:
            return False
        now = time.monotonic()
        if any(self._gate.board.held_until()):
            self._busy_at = now
        return now - self._busy_at < _LATELY

    def acquire(self) -> bool:
        """Wait until a task may go; return whether it may: not if all is to be stopped. For one thread."""
        readers = self._readers
        while not self._stopped:
            with readers.changed:
                first, at_work = not self._own, self.writer_is_at_work
                # Without a pause, what is under way is to end first: then it is known how much that was.
                may = first or not at_work or self._is_pause()
                if readers.under_way >= max(readers.limits.values(), default=1) or not may:
                    readers.changed.wait(_POLL)
                    continue
                readers.under_way += 1
                self._own += 1
            if first:
                self._gate.wait()
            return not self._stopped
        return False

    def release(self) -> None:
        """Note that a task is over."""
        with self._readers.changed:
            if not self._own:  # it was stopped
                return
            self._readers.under_way -= 1
            self._own -= 1
            if not self._own:
                self._gate.end_work()
            self._readers.changed.notify_all()

    def forget(self) -> None:
        """Forget what is under way: nobody will hear of it again."""
        with self._readers.changed:
            self._readers.under_way -= self._own
            self._own = 0
            self._readers.changed.notify_all()

    def stop(self) -> None:
        """Let nothing pass any more."""
        self._stopped = True
        self.forget()
        with self._readers.changed:
            self._readers.limits.pop(self, None)
        with _lock:
            if not self._readers.limits:
                _all.pop(self._source, None)

    def _is_pause(self) -> bool:
        return self.effort >= 1.0 and not any(self._gate.board.held_until())
