"""Carries out calls that wait for a slow destination in several threads at once, in a copy process.

A share answers each call after a round trip, and many calls as fast as one. How many are under way follows from what
they cost: the time that a call takes, as a multiple of the processor's time that it needs.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.own_files import MOST_LANES

_WORTH_IT = 4.0
"""Calls that take less than so many times the processor's time that they need are made one after the other."""
_SHARE = 0.3
"""Weight of the last calls in the mean of all so far."""
_Result = TypeVar("_Result")


class Lanes:
    """Threads for calls of one kind.

    Attributes
    ----------
    count : int
        How many calls are worth having under way now.
    """

    def __init__(self) -> None:
        self.count = 1
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._ratio = 1.0

    def count_on(self, folder: str) -> int:
        """Return how many calls are worth having under way where a folder lies: a slow disk would only seek more."""
        return self.count if self.count > 1 and identify_file_system(folder).is_share else 1

    def run(self, calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """Make some calls, the first in this thread and each of the others in one of its own; return their results.

        Raises
        ------
        Exception
            What any of the calls raises, when all have ended.
        """
        ended: SimpleQueue[None] = SimpleQueue()
        results: list[_Result | BaseException | None] = [None] * len(calls)
        spent = [(0.0, 0.0)] * len(calls)

        def make(number: int) -> None:
            started, used = time.perf_counter(), time.thread_time()
            try:
                results[number] = calls[number]()
            except BaseException as error:
                results[number] = error
            spent[number] = time.perf_counter() - started, time.thread_time() - used
            ended.put(None)

        for number in range(1, len(calls)):
            if self._threads < len(calls) - 1:
                self._threads += 1
                threading.Thread(target=self._serve, name="lane", daemon=True).start()
            self._waiting.put(lambda number=number: make(number))  # type: ignore[misc]
        make(0)
        for _ in calls:
            ended.get()
        self._learn(sum(one for one, _ in spent), sum(one for _, one in spent))
        found: list[_Result] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            found.append(result)  # type: ignore[arg-type]
        return found

    def _serve(self) -> None:
        while True:
            self._waiting.get()()

    def _learn(self, seconds: float, used: float) -> None:
        """Note what calls took, and how much of that the processor was at work for them."""
        ratio = seconds / max(used, 1e-6)
        self._ratio += _SHARE * (min(ratio, 2.0 * MOST_LANES) - self._ratio)
        self.count = min(round(self._ratio), MOST_LANES) if self._ratio > _WORTH_IT else 1


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """Split a row of things into at most so many parts of about one size; return the first and the count of each."""
    parts = max(1, min(count, parts))
    bounds = [count * part // parts for part in range(parts + 1)]
    return [(first, last - first) for first, last in itertools.pairwise(bounds)]
