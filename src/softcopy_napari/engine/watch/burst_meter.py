"""Says on the activity board when the writer of a source is at work, from its events. `source_events.c` does the same.

A writer is at work from its first event until its files are closed and nothing has come for a gap that means a pause.
Which gap does, follows from the writer: the largest of 1 to 16 ms that leaves most of its pauses to copying. So one
that writes hundreds of planes a second is copied in pauses of milliseconds, and one that writes in bursts is left alone
until its burst is over. A file that was made keeps it at work until it is closed, but not for long: some stay open for
hours, and what is appended to in many small writes tells by each of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.zarr_layout.file_names import LOCK_LIFE

_MS = 1_000_000
SETTLE = 1 * _MS
"""Time (ns) in which events gather before they are looked at."""
_GAPS = (1 * _MS, 2 * _MS, 4 * _MS, 8 * _MS, 16 * _MS)
_FIRST_GAP = 8 * _MS
_USABLE = 0.6
"""Share of all pauses that the gap has to leave."""
_MEMORY = 1 - 1 / 256
"""What is left of the weight of a gap with each that follows."""
_LONGEST_GAP = 3000 * _MS
"""Longer pauses weigh no more than one of this time (ns)."""
_CAP = 500 * _MS
"""Time (ns) for which a file that is not closed keeps its writer at work."""
_MANY_WRITES = 8
"""Writes from which on a file counts as one that is appended to, and not as one that is written in one go."""
_MAX_OPEN = 128
_LEAST_PAUSE = 2 * _MS
"""A pause that is shorter beyond the gap (ns) is of no use to a copy process, and ends no burst."""
_LONGEST_BURST = 2000 * _MS
"""A burst that takes longer (ns) is none: such a writer does not pause."""
_FIRST_BURST_LIMIT, _LEAST_BURST_LIMIT = 300 * _MS, 100 * _MS
"""Time (ns) for which a burst is waited out before any was seen, and at least."""
_LONG = 0.5
"""Seconds after which a file that is still open tells how long its writer takes."""


class BurstMeter:
    """Measures the bursts of a source's writer.

    Parameters
    ----------
    slot : ActivitySlot
        Where it leaves what it finds.

    Attributes
    ----------
    steady : bool
        Whether the writer has been at work for so long that a pause is not to be expected.
    """

    def __init__(self, slot: ActivitySlot) -> None:
        self._slot = slot
        self._gap, self._burst_limit = _FIRST_GAP, _FIRST_BURST_LIMIT
        self._now = self._last_event = self._burst_began = self.busy_until = 0
        self._longest = 0
        self._pause = 0.0
        self._usable = [0.0] * len(_GAPS)
        self._open: dict[Hashable, tuple[int, int]] = {}
        """When files that are open were made, and how many writes were heard."""
        self._holds: deque[float] = deque(maxlen=256)

    def begin(self, now: int) -> None:
        """Note that something has happened at a time (monotonic, ns); what, is told next."""
        self._now = now
        if now - self._last_event > 1.5 * SETTLE:
            self._end_gap(now)
        self._last_event = now

    def created(self, file: Hashable) -> None:
        """Note that a file was made, whose closing will be reported."""
        self._open.pop(file, None)
        if len(self._open) == _MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[file] = self._now, 0

    def written(self, file: Hashable) -> None:
        """Note that something was written to a file."""
        if file in self._open:
            since, writes = self._open[file]
            self._open[file] = since, writes + 1

    def renamed(self, old: Hashable, new: Hashable) -> None:
        """Note that a file got another name."""
        if old in self._open:
            self._open[new] = self._open.pop(old)

    def closed(self, file: Hashable) -> None:
        """Note that a file was closed by its writer."""
        since, writes = self._open.pop(file, (0, _MANY_WRITES))
        if writes < _MANY_WRITES:
            self._holds.append((self._now - since) / 1e9)

    def removed(self, file: Hashable) -> None:
        """Note that a file was deleted."""
        self._open.pop(file, None)

    def forget(self) -> None:
        """Forget which files are open: events were lost."""
        self._open.clear()

    def end(self) -> None:
        """Say on the board what follows from what was told since `begin`."""
        until = self._last_event + max(self._gap, SETTLE + SETTLE // 4)
        times = [since for since, writes in self._open.values() if writes < _MANY_WRITES]
        self.busy_until = max(until, max(times, default=-_CAP) + _CAP)
        self._slot.set_busy(self.busy_until, self._burst_began + self._burst_limit)

    @property
    def steady(self) -> bool:
        return time.monotonic_ns() > self._burst_began + self._burst_limit

    def pop_hold_times(self) -> list[float]:
        """Return for how long files were open (s): those closed since the last call, and those open for long by now."""
        holds = [self._holds.popleft() for _ in range(len(self._holds))]
        return holds + long_holds(list(self._open.values()))

    def _end_gap(self, now: int) -> None:
        if not self._last_event:
            self._burst_began = now
            return
        if self.busy_until <= self._last_event + max(self._gap, SETTLE + SETTLE // 4):  # no file was open
            self._learn_gap(now - self._last_event)
        if now > self.busy_until + _LEAST_PAUSE:
            self._learn_burst(self._last_event - self._burst_began)
            self._burst_began = now

    def _learn_gap(self, gap: int) -> None:
        gap = min(gap, _LONGEST_GAP)
        self._pause = self._pause * _MEMORY + gap
        for number, candidate in enumerate(_GAPS):
            self._usable[number] = self._usable[number] * _MEMORY + max(0, gap - candidate)
            if number == 0 or self._usable[number] >= _USABLE * self._pause:
                self._gap = candidate

    def _learn_burst(self, burst: int) -> None:
        self._longest = 0 if burst > _LONGEST_BURST else max(burst, self._longest * 9 // 10)
        self._burst_limit = max(2 * self._longest, _LEAST_BURST_LIMIT)


def long_holds(files: list[tuple[int, int]]) -> list[float]:
    """Return for how long files are open that are open for long, by when they were made and how often written."""
    now = time.monotonic_ns()
    times = [(now - since) / 1e9 for since, writes in files if writes < _MANY_WRITES]
    return [held for held in times if _LONG < held < LOCK_LIFE]
