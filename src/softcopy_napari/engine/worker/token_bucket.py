"""Limits a copy worker to a rate, with a pause after each file; both can change during a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_SLICE = 0.1
"""Most seconds slept at a time: a new pace, or a stop, takes effect after that."""
_GRAIN = 0.005
"""Least seconds worth sleeping: a sleep has an overhead, and a file of a few kB takes less."""
_LONG = 1.0
"""Seconds after which the rest of a task goes back to the engine, which then hands out less at a time."""


class TokenBucket:
    """A bucket that fills with bytes at the allowed rate; copying takes them out, and may go into debt.

    Parameters
    ----------
    rate : float
        Bytes a second; inf for no limit, which then costs no time.
    sleep_time : float
        Seconds to sleep after each file.
    stopped : callable
        Whether to stop at once.
    alive : callable
        Called between slices of sleep, so that the engine sees that the worker is alive.
    clock, sleep : callable
        Replacements of `time.monotonic` and `time.sleep`.
    """

    def __init__(
        self,
        rate: float,
        sleep_time: float,
        stopped: Callable[[], bool],
        alive: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stopped = stopped
        self._alive = alive
        self._clock = clock
        self._sleep = sleep
        self._debt = 0.0
        """Bytes owed; below 0, bytes left in the bucket."""
        self._counted = 0
        """Bytes of the current file that were paid for as blocks."""
        self._settled = self._began = clock()
        self.set_pace(rate, sleep_time)

    def set_pace(self, rate: float, sleep_time: float) -> None:
        """Change the pace; called from another thread, even during a sleep."""
        self.rate = rate
        self.sleep_time = sleep_time

    @property
    def is_limiting(self) -> bool:
        """Whether `pay_for_file` has anything to do."""
        return self.rate < math.inf or self.sleep_time > 0 or self._counted > 0

    @property
    def is_overdue(self) -> bool:
        """Whether a limited task has taken so long that its rest should go back to the engine."""
        return (self.rate < math.inf or self.sleep_time > 0) and self._clock() - self._began > _LONG

    def begin_task(self) -> None:
        """Note that a task begins."""
        self._began = self._clock()
        self._counted = 0

    def pay_for_block(self, size: int) -> None:
        """Wait until a copied block of a large file is paid for."""
        self._counted += size
        self.pay(size)

    def pay_for_file(self, size: int) -> bool:
        """Wait until all of a copied file is paid for.

        Returns
        -------
        bool
            Whether the task is `is_overdue`.
        """
        rest = max(0, size - self._counted)
        self._counted = 0
        self.pay(rest)
        copied = self._clock()
        while not self._stopped() and (left := copied + self.sleep_time - self._clock()) > 0:
            self._sleep(min(left, _SLICE))
            self._alive()
        return self.is_overdue

    def pay(self, size: int) -> None:
        """Wait until so many bytes are paid for."""
        if self.rate == math.inf:
            self._debt = 0.0
            return
        self._settle()
        self._debt += size
        while not self._stopped() and self._debt > (rate := self.rate) * _GRAIN:
            self._sleep(min(self._debt / rate, _SLICE))
            self._alive()
            self._settle()

    def _settle(self) -> None:
        """Fill the bucket for the time since the last call; it holds no more than a moment's worth."""
        now, rate = self._clock(), self.rate
        if rate == math.inf:
            self._debt = 0.0
        else:
            self._debt = max(self._debt - (now - self._settled) * rate, -rate * _GRAIN)
        self._settled = now
