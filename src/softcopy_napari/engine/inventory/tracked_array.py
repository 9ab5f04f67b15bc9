"""One array of a target: its layout, its ledger, and which of its chunk files are to be copied next.

The ledger is the queue. A short memory of what was settled last keeps latency low; sweeps over the ledger
find everything else that is PENDING, however much that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.inventory.tracked_files import TrackedFiles
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat

_FRESH = 1 << 16
"""Recently settled chunk files remembered one by one."""
_BLOCK = 1 << 20
"""Cells looked at together."""
_BLOCK_OUT = 1 << 16
"""Cells looked at together for somebody else: of more, digests and indices would take more memory than the ledger."""
_NO_CELLS: npt.NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(eq=False, slots=True)
class TrackedArray(TrackedFiles):
    """One array and the states of its chunk files; the id of each is its cell, the flat index in the chunk grid."""

    layout: ArrayLayout
    ledger: Ledger
    forgotten: bool = False
    epoch: int = 0
    fresh: deque[int] = field(default_factory=lambda: deque(maxlen=_FRESH))
    sweep: bool = False
    """Whether there may be PENDING cells that `fresh` does not hold."""
    swept: int = 0
    """Cells before this one were looked at by the sweep under way."""
    found: npt.NDArray[np.int64] = field(default_factory=lambda: _NO_CELLS)
    """What the sweep found and nobody took yet."""
    before: list[OldArray] = field(default_factory=list)
    """What it was before: it was made smaller since, or is another array now."""
    left: npt.NDArray[np.bool_] | None = None
    """Chunk files that were seen at the source, and left it before they were copied, by cell; those that came back
    are not ABSENT any more. None while there are none."""
    holds_chunks: ClassVar[bool] = True

    @property
    def prefix(self) -> str:
        """The beginning of all chunk files' paths."""
        return prefix_of(self.layout.path)

    @property
    def counts(self) -> Sequence[int]:
        return self.ledger.counts

    @property
    def chunk_format(self) -> ChunkFormat | None:
        return self.layout.chunk_format

    def format_of(self, ids: npt.NDArray[np.int64]) -> ChunkFormat | None:
        return self.layout.chunk_format

    def ids(self, ones: Sequence[int]) -> npt.NDArray[np.int64]:
        return np.array(ones, np.int64)

    def paths(self, ids: npt.NDArray[np.int64]) -> list[str]:
        return self.layout.paths(ids)

    def has_all(self, ids: npt.NDArray[np.int64], epoch: int) -> bool:
        return self.epoch == epoch

    def replace_layout(self, layout: ArrayLayout, ledger: Ledger, same: bool) -> None:
        """Make this an array of another shape, or another array if it is not the same.

        What it was is remembered where chunk files may lie outside of what it is now. Whether its writer has resized it
        or has deleted it and made another one, may be heard of later than the new metadata are read.
        """
        if not (same and all(new >= old for new, old in zip(layout.grid, self.layout.grid, strict=True))):
            self.before = OldArray.merge([*self.before, OldArray.of(self)])
        self.layout, self.ledger, self.left = layout, ledger, None
        self.epoch += 1

    # -- states ---------------------------------------------------------------------------------------

    def state(self, one: int) -> int:
        return self.ledger.get(one)

    def states(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self.ledger.flat[ids]

    def set_state(self, one: int, state: ChunkState) -> None:
        self.ledger.set(one, state)
        if state is ChunkState.PENDING:
            if len(self.fresh) == _FRESH:
                self._sweep_from(self.fresh[0])
            self.fresh.append(one)

    def set_states(self, ids: npt.NDArray[np.int64], state: ChunkState) -> None:
        self.ledger.set_many(ids, state)
        if state is ChunkState.PENDING and len(ids):
            self._sweep_from(int(ids.min()))

    def all_in(self, state: ChunkState) -> npt.NDArray[np.int64]:
        """Return all cells in a state."""
        if not self.ledger.counts[state]:
            return _NO_CELLS
        blocks = range(0, len(self.ledger.flat), _BLOCK)
        return np.concatenate([self.ledger.find(state, start, start + _BLOCK) for start in blocks])

    def blocks_in(self, *states: ChunkState) -> Iterator[npt.NDArray[np.int64]]:
        flat = self.ledger.flat
        for start in range(0, len(flat), _BLOCK_OUT):
            if not self.count_in(*states):
                return
            block = flat[start : start + _BLOCK_OUT]
            is_in = block == states[0]
            for state in states[1:]:
                is_in |= block == state
            cells = np.flatnonzero(is_in) + start
            if len(cells):
                yield cells

    # -- the queue ------------------------------------------------------------------------------------

    def _sweep_from(self, cell: int) -> None:
        """Have this cell, and all that follow, looked at by a sweep."""
        self.swept = min(self.swept, cell) if self.sweep else cell
        self.sweep = True

    def queue_anew(self) -> None:
        self.fresh.clear()
        self.found = _NO_CELLS
        self.sweep, self.swept = True, 0

    @property
    def waits_for_sweep(self) -> bool:
        return self.sweep or len(self.found) > 0

    def take_fresh(self, limit: int) -> npt.NDArray[np.int64]:
        taken: dict[int, None] = {}
        while self.fresh and len(taken) < limit:
            cell = self.fresh.popleft()
            if self.ledger.get(cell) == ChunkState.PENDING:
                taken[cell] = None
        return np.fromiter(taken, np.int64, len(taken))

    def take_found(self, limit: int) -> npt.NDArray[np.int64]:
        cells = _NO_CELLS
        while not len(cells) and (self.sweep or len(self.found)):
            if not len(self.found):
                start = self.swept
                self.swept += _BLOCK
                self.sweep = self.swept < len(self.ledger.flat)
                self.found = self.ledger.find(ChunkState.PENDING, start, self.swept)
            cells, self.found = self.found[:limit], self.found[limit:]
            cells = cells[self.ledger.flat[cells] == ChunkState.PENDING]
        return cells

    # -- digests and versions -------------------------------------------------------------------------

    def digests(self, store: DigestStore, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return store.get_cells(self.layout.path, self.layout.grid, ids)

    def put_digests(self, store: DigestStore, ids: npt.NDArray[np.int64], digests: bytes) -> bool:
        return store.put_cells(self.layout.path, self.layout.grid, ids, digests)

    def forget_digests(self, store: DigestStore, ids: npt.NDArray[np.int64]) -> None:
        store.forget(ids + store.arrays[self.layout.path][1])

    # -- what the source has lost ---------------------------------------------------------------------

    def note_left(self, one: int | npt.NDArray[np.int64], left: bool = True) -> None:
        if self.left is None and left:
            self.left = np.zeros(len(self.ledger.flat), bool)
        if self.left is not None:
            self.left[one] = left

    def lost_cells(self) -> npt.NDArray[np.int64]:
        """Return all cells whose chunk files left the source before they were copied, and have not come back."""
        if self.left is None:
            return _NO_CELLS
        return np.flatnonzero(self.left & (self.ledger.flat == ChunkState.ABSENT))


class OldArray(NamedTuple):
    """An array of a dataset that its writer has deleted."""

    layout: ArrayLayout
    seen: npt.NDArray[np.bool_] | None = None
    """Which of its chunk files may be removed; None for all."""
    awaited_until: float = 0.0
    """Until when nothing is removed unless the source has an array in its place again, monotonic; 0 to remove it in any
    case."""

    @classmethod
    def of(cls, array: TrackedArray) -> OldArray:
        """Note an array that its writer deletes, with the chunk files that the source has had.

        Not only what is COPIED: a file may have been published although its worker has not said so yet, and of one that
        was to be copied again an older version lies at the destination.
        """
        seen = array.ledger.flat != ChunkState.ABSENT
        return cls(array.layout, seen if array.left is None else seen | array.left)

    def has(self, key: str) -> bool:
        """Return whether a file, named relative to the array, is one of these chunk files."""
        if self.seen is None:
            return self.layout.has_form_of_key(key)
        cell = self.layout.flat_index(key)
        return cell is not None and bool(self.seen[cell])

    @classmethod
    def merge(cls, arrays: Iterable[OldArray]) -> list[OldArray]:
        """Return what was noted of an array at several times, as one where its layout was the same."""
        merged: list[OldArray] = []
        for one in arrays:
            for number, other in enumerate(merged):
                if one.seen is not None and other.seen is not None and one.layout == other.layout:
                    merged[number] = other._replace(seen=one.seen | other.seen)
                    break
            else:
                merged.append(one)
        return merged
