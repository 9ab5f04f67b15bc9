"""One array of a target: its layout, its ledger, and which of its chunk files are to be copied next.

The ledger is the queue. A short memory of what was settled last keeps latency low; sweeps over the ledger
find everything else that is PENDING, however much that is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat

_FRESH = 1 << 16
"""Recently settled chunk files remembered one by one."""
_BLOCK = 1 << 20
"""Cells looked at together."""


@dataclass(eq=False, slots=True)
class TrackedArray:
    """One array and the states of its chunk files."""

    layout: ArrayLayout
    ledger: Ledger
    first_digest: int
    """Place of the first chunk file's digest in the target's `DigestStore`."""
    fresh: deque[int] = field(default_factory=lambda: deque(maxlen=_FRESH))
    """Cells that became PENDING lately, oldest first; may hold some that no longer are."""
    sweep: bool = False
    """Whether there may be PENDING cells that `fresh` does not hold."""
    swept: int = 0
    """Cells before this one were looked at by the sweep under way."""
    found: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """What the sweep found and nobody took yet."""
    left: npt.NDArray[np.bool_] | None = None
    """Chunk files that were seen at the source, and left it before they were copied, by cell; those that came back
    are not ABSENT any more. None while there are none."""

    @property
    def prefix(self) -> str:
        """What stands before a chunk key in a path relative to the source."""
        return self.layout.path + "/" if self.layout.path else ""

    def paths(self, cells: npt.NDArray[np.int64]) -> list[str]:
        """Paths of chunk files, relative to the source."""
        return self.layout.paths(cells)

    def remember(self, cell: int) -> None:
        """Have a cell that became PENDING taken soon."""
        if len(self.fresh) == _FRESH:
            self.sweep_from(self.fresh[0])
        self.fresh.append(cell)

    def sweep_from(self, cell: int) -> None:
        """See to it that this cell, and with it all that follow, are swept some time."""
        self.swept = min(self.swept, cell) if self.sweep else cell
        self.sweep = True

    def sweep_anew(self) -> None:
        """Forget what was to be taken: sweeps will find it."""
        self.fresh.clear()
        self.found = np.zeros(0, np.int64)
        self.sweep, self.swept = True, 0

    def note_left(self, cells: npt.NDArray[np.int64], left: bool = True) -> None:
        """Note that chunk files left the source before they were copied; or, that their writer deleted them."""
        if self.left is None and left:
            self.left = np.zeros(len(self.ledger.flat), bool)
        if self.left is not None:
            self.left[cells] = left

    def lost(self) -> npt.NDArray[np.int64]:
        """All cells whose chunk files left the source before they were copied, and have not come back."""
        if self.left is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.left & (self.ledger.flat == ChunkState.ABSENT))

    @property
    def waits_for_sweep(self) -> bool:
        """Whether there may be PENDING cells that `fresh` does not hold."""
        return self.sweep or len(self.found) > 0

    def take_fresh(self, limit: int) -> npt.NDArray[np.int64]:
        """The longest waiting of the freshly settled cells, each once."""
        taken: dict[int, None] = {}
        while self.fresh and len(taken) < limit:
            cell = self.fresh.popleft()
            if self.ledger.get(cell) == ChunkState.PENDING:
                taken[cell] = None
        return np.fromiter(taken, np.int64, len(taken))

    def take_found(self, limit: int) -> npt.NDArray[np.int64]:
        """The next PENDING cells that a sweep over the ledger finds."""
        cells = np.zeros(0, np.int64)
        while not len(cells) and (self.sweep or len(self.found)):
            if not len(self.found):
                start = self.swept
                self.swept += _BLOCK
                self.sweep = self.swept < len(self.ledger.flat)
                self.found = self.ledger.find(ChunkState.PENDING, start, self.swept)
            cells, self.found = self.found[:limit], self.found[limit:]
            cells = cells[self.ledger.flat[cells] == ChunkState.PENDING]
        return cells

    def all_in(self, state: ChunkState) -> npt.NDArray[np.int64]:
        """All cells in a state."""
        if not self.ledger.counts[state]:
            return np.zeros(0, np.int64)
        blocks = range(0, len(self.ledger.flat), _BLOCK)
        return np.concatenate([self.ledger.find(state, start, start + _BLOCK) for start in blocks])


@dataclass(frozen=True, slots=True)
class Batch:
    """Files for one worker, all of one array, or all no chunks."""

    array: TrackedArray | None
    cells: npt.NDArray[np.int64]
    paths: list[str]
    ledger: Ledger | None
    """The array's ledger when the batch was made: after a resize the cells are others."""
    chunk_format: ChunkFormat | None = None
    """How the files are known to be whole, if they are chunk files and something tells."""
    before: bytes = b""
    """Digests of the versions that these replace, zeros where none is known; empty for files that are no chunks."""
