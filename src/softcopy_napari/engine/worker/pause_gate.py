"""Has a copy process stand still while a writer is at work, as the activity board tells, or work a share of the time.

How much it may do is one number, the effort: 1 is to work in all pauses and at no other time, 2 to work all the time.
Below 1 it works a share of the pauses only, above 1 a share of the bursts, too. Where a writer does not pause for
longer than its bursts ever took, there is nothing to wait for, and it takes a share as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from softcopy_napari.engine.activity_board import ActivityBoard

IN_PAUSES, ALL_THE_TIME = 1.0, 2.0
_STEADY = 0.5
"""Share of the time, with an effort of 1, beside a writer that does not pause."""
_LEAST = 0.02
"""Share of the time that is worked in the end, whatever the writer does."""
_LONGEST_WAIT = 1_000_000_000
"""Time (ns) for which nothing at all may be done."""
_LOOK = 0.0007
"""Seconds between two looks at the board: a pause, or a stop, is seen after that."""
_SIGN_OF_LIFE = 100_000_000


class PauseGate:
    """Lets work pass when there is a pause.

    Parameters
    ----------
    board : str
        The path of the activity board; empty where there is none.
    effort : float
        As below.
    stopped : callable
        Whether to stop at once.
    alive : callable
        Called now and then while it waits, so that the engine sees that the worker is alive.
    heed : callable
        Called with the address of the board when work that begins is to end early should a writer begin to work, and
        with 0 when it is not.

    Attributes
    ----------
    board : ActivityBoard
    effort : float
        See above; may be changed by another thread at any time.
    waited : float
        Seconds that were waited in all.
    """

    def __init__(
        self,
        board: str,
        effort: float,
        stopped: Callable[[], bool],
        alive: Callable[[], None],
        heed: Callable[[int], None] = lambda address: None,
    ) -> None:
        self.effort = effort
        self.waited = 0.0
        try:
            self.board = ActivityBoard(board)
        except OSError:  # the state folder has gone, say: better without it than not at all
            self.board = ActivityBoard("")
        self._stopped = stopped
        self._alive = alive
        self._heed = heed
        self._heeds = self._busy = False
        self._resumed = 0
        """When the work under way began, monotonic, ns; 0 where there is none."""
        self._ended = 0
        self._worked = 0
        """When the last work ended, and how long it took."""

    def end_work(self) -> None:
        """Note that nothing is done until the next `wait`."""
        if self._resumed:
            self._ended = time.monotonic_ns()
            self._worked = self._ended - self._resumed
            self._resumed = 0

    def wait(self) -> None:
        """Wait until a file, or a block of one, may be begun."""
        self.end_work()
        began = now = alive = time.monotonic_ns()
        while not self._may_begin(now, began) and not self._stopped():
            time.sleep(_LOOK)
            now = time.monotonic_ns()
            if now - alive > _SIGN_OF_LIFE:
                self._alive()
                alive = now
        self.waited += (now - began) / 1e9
        self._resumed = now
        if self._heeds != (heeds := self.effort < ALL_THE_TIME and not self._busy):
            self._heeds = heeds
            self._heed(self.board.address if heeds else 0)

    def _may_begin(self, now: int, began: int) -> bool:
        busy, firm = self.board.held_until()
        self._busy = busy > 0
        effort = self.effort
        share = min(effort, 1.0) if not busy else max(effort - 1, 0.0)
        if busy and now > firm:
            share = max(share, min(_STEADY * effort, 1.0))
        if now - began > _LONGEST_WAIT:
            share = max(share, _LEAST)
        return share >= 1 or (share > 0 and now - self._ended >= self._worked * (1 / share - 1))
