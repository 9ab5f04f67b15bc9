"""The ledger files of one target: made, replaced when an array has another shape, and removed a moment later."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from softcopy_napari.engine.inventory.ledger import Ledger, StateCounts, remove_ledger
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

_LINGER = 2.0
"""Seconds that a replaced ledger stays: a front end may only now be about to map the one it was told of last, and
an array that grows several times a second would always be ahead of it."""


class LedgerFiles:
    """Makes ledgers in one folder.

    Attributes
    ----------
    sums : StateCounts
        Counts of all ledgers that have not been replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.sums = StateCounts()
        self._folder = folder
        self._made = 0
        self._replaced: deque[tuple[float, Path]] = deque()

    def make_ledger(self, grid: tuple[int, ...]) -> Ledger:
        """Make a ledger, all ABSENT."""
        self._remove(time.monotonic() - _LINGER)
        self._made += 1
        try:
            return Ledger(self._folder / f"{self._made}.npy", grid, self.sums)
        except OSError:
            self.close()
            raise

    def retire_ledger(self, ledger: Ledger) -> None:
        """Have a ledger removed soon: another has taken its place."""
        ledger.end_counting()
        self._replaced.append((time.monotonic(), ledger.path))

    def no_room(self, error: OSError) -> Reason:
        """Return why an array's chunk files cannot be kept track of."""
        return make_reason(ReasonCode.NO_LEDGER, folder=str(self._folder), problem=error.strerror)

    def close(self) -> None:
        """Remove all retired ledgers."""
        self._remove(time.monotonic())

    def _remove(self, before: float) -> None:
        while self._replaced and self._replaced[0][0] <= before:
            remove_ledger(self._replaced.popleft()[1])
