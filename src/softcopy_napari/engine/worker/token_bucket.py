"""Holds a copy worker back: a rate, and a pause after each file, both changeable amid a file.

Runs in the copy workers and must import nothing heavy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_SLICE = 0.1
"""Seconds slept at a time at most: a new pace, and the order to stop, are heeded after that."""
_GRAIN = 0.005
"""Seconds that are worth sleeping: sleeps have an overhead, and a file of a few kB takes less."""
_LONG = 1.0
"""Seconds after which a task's rest goes back to the engine, which then hands out less at a time."""


class TokenBucket:
    """A bucket of bytes that fills at the rate that is allowed; what is copied is taken out, on credit.

    Parameters
    ----------
    rate : float
        Bytes a second; inf where there is no limit, and then it costs nothing.
    sleep_time : float
        Seconds to sleep after each file.
    stopped : callable
        Whether to end at once.
    alive : callable
        Called between slices of sleep, so that the engine does not take it for hung.
    clock, sleep : callable
        Seconds, and a sleep of some.
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
        """Bytes; below 0 what is left in the bucket."""
        self._counted = 0
        """Bytes of the present file that were paid for as blocks."""
        self._settled = self._began = clock()
        self.set_pace(rate, sleep_time)

    def set_pace(self, rate: float, sleep_time: float) -> None:
        """Change the pace; from the thread that hears of it, while the other one may be asleep."""
        self.rate = rate
        self.sleep_time = sleep_time

    @property
    def is_limiting(self) -> bool:
        """Whether `pay_for_file` has anything to do."""
        return self.rate < math.inf or self.sleep_time > 0 or self._counted > 0

    @property
    def is_overdue(self) -> bool:
        """Whether a task that is held back has taken so long that its rest had better go back."""
        return (self.rate < math.inf or self.sleep_time > 0) and self._clock() - self._began > _LONG

    def begin_task(self) -> None:
        """A task begins."""
        self._began = self._clock()
        self._counted = 0

    def pay_for_block(self, size: int) -> None:
        """A block of a large file was copied: wait until it is paid for."""
        self._counted += size
        self.pay(size)

    def pay_for_file(self, size: int) -> bool:
        """A file was copied: wait until all of it is paid for.

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
        """Let the bucket fill, for the time since this was done last; it holds no more than a moment's worth."""
        now, rate = self._clock(), self.rate
        if rate == math.inf:
            self._debt = 0.0
        else:
            self._debt = max(self._debt - (now - self._settled) * rate, -rate * _GRAIN)
        self._settled = now
