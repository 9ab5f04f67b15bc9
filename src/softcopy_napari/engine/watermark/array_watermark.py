"""How far one array is complete along its slowest axis, followed in its ledger: what is claimed, what is taken back.

The cells of an index along that axis lie together in the ledger, as a row of its table. Rows are counted from the
first; each cell is looked at about once, however many there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watermark.axis_rows import AxisRows
from softcopy_napari.engine.watermark.progress_lines import Claim, Ranges
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

_FIRST_BLOCK, _LARGEST_BLOCK = 1 << 10, 1 << 20
_NO_ROWS: npt.NDArray[np.int64] = np.zeros(0, np.int64)
_MOST_RANGES = 100
"""Ranges of one array that a line names: more are taken together."""
_AGAIN = 1.0
"""Seconds in which a writer that has written over one complete row is expected to write over more."""


class Counted(NamedTuple):
    """Says which chunk files count."""

    in_doubt: bool = False
    """Whether only those count that were read back."""
    complete: bool = False
    """Whether the copy is complete: then those that never came count, too."""


class ArrayWatermark:
    """Follows one array in one ledger; an array that is resized or replaced gets another one.

    Parameters
    ----------
    path : str
    layout : ArrayLayout
    ledger : Ledger
    claimed : list of tuple of int and int
        Indices that were once claimed: if they are copied anew, that will be said.
    before : ArrayWatermark, optional
        That of the same array before it was resized.

    Attributes
    ----------
    last_claim : Claim or None
        What was claimed last; None before anything was.
    well : str or None
        The well that it lies in.
    axis : str
        Name of the slowest axis; empty where it has none.
    blocked : bool
        Whether more could be claimed if its metadata were at the destination.
    """

    def __init__(
        self, path: str, layout: ArrayLayout, ledger: Ledger, claimed: Ranges, before: ArrayWatermark | None = None
    ) -> None:
        self.path, self.layout, self.ledger = path, layout, ledger
        self.last_claim: Claim | None = before.last_claim if before is not None else None
        self.well: str | None = before.well if before is not None else None
        self.axis = ""
        self._rows = AxisRows(layout)
        self._copied = self._verified = 0
        """Cells before these are copied, and verified."""
        self._counts: list[int] = []
        self.blocked = False
        self._claimed = np.zeros(self._rows.count, np.bool_)
        """Rows that readers believe to be copied, or to have been, and not to have changed since."""
        self._claimed_end = 0
        """There are none of them from this one on."""
        for start, stop in claimed:
            rows = self._rows.rows_around(start, stop)
            self._claimed[rows] = True
            self._claimed_end = max(self._claimed_end, rows.stop)
        self._front: int | None = before._front if before is not None else None
        """Where the writer is, once it has written over what was complete: nothing is claimed from there on."""
        self._last_rewrite: float = before._last_rewrite if before is not None else -_AGAIN
        self._under_way = self._rows_under_way()
        self._watch()

    def _rows_under_way(self) -> npt.NDArray[np.int64]:
        """Return the rows that readers believe to be copied, and of which files are being copied already."""
        found, end = [_NO_ROWS], self._claimed_end * self.ledger.row
        for start in range(0, end, _LARGEST_BLOCK):
            block = self.ledger.flat[start : min(start + _LARGEST_BLOCK, end)]
            under_way = _are_other(block, ChunkState.COPIED, absent=True)
            found.append(_distinct((np.flatnonzero(under_way) + start) // self.ledger.row))
        return _distinct(np.concatenate(found))

    def _watch(self) -> None:
        """Have the ledger note what happens to rows that were claimed."""
        # Where the writer is can be seen from all rows.
        self.ledger.watched = self._claimed_end * self.ledger.row if self._front is None else len(self.ledger.flat)

    # -- what is taken back ---------------------------------------------------------------------------

    def retract(self, now: float) -> Ranges:
        """Note what has happened to rows that were complete; return the indices of those that change, to be said."""
        rows = np.concatenate([self._under_way, self.ledger.take_disturbed()])
        self._under_way = _NO_ROWS
        if not len(rows):
            return []
        first, last = int(rows.min()), int(rows.max())
        self._copied = min(self._copied, first * self.ledger.row)
        self._verified = min(self._verified, first * self.ledger.row)
        self._counts = []
        changed = np.zeros(self._rows.count, np.bool_)
        changed[rows] = True
        changed &= self._claimed
        rewritten = bool(changed.any())
        if self._front is not None or rewritten:
            self._front = last
        if rewritten:
            if now - self._last_rewrite < _AGAIN:  # not a line for each row
                changed[first:] = self._claimed[first:]
            self._last_rewrite = now
            self._claimed &= ~changed
            self._watch()
        return self._ranges_of(changed)

    def claimed_ranges(self) -> Ranges:
        """Return the indices that readers believe to be copied, or to have been, and not to have changed since."""
        return self._ranges_of(self._claimed)

    def _ranges_of(self, rows: npt.NDArray[np.bool_]) -> Ranges:
        edges = np.flatnonzero(np.diff(rows, prepend=False, append=False))
        if len(edges) > 2 * _MOST_RANGES:
            edges = np.concatenate([edges[: 2 * _MOST_RANGES - 1], edges[-1:]])
        bounds = self._rows.indices_of(edges).tolist()
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    # -- what is claimed ------------------------------------------------------------------------------

    @property
    def may_have_changed(self) -> bool:
        """Whether its claim may be another one than when it was made last."""
        return self.blocked or self.ledger.counts != self._counts

    def has_fallen(self, counted: Counted) -> bool:
        """Whether less is complete than was claimed."""
        fallen = self.last_claim is not None and self.make_claim(counted, readable=True).copied < self.last_claim.copied
        self._counts = []  # it is not claimed yet
        return fallen

    def make_claim(self, counted: Counted, readable: bool) -> Claim:
        """Return how far the array is complete.

        Parameters
        ----------
        counted : Counted
        readable : bool
            Whether the metadata at the destination are those that all of it needs: else no more is claimed than before.
        """
        self._counts = list(self.ledger.counts)
        lowest = ChunkState.VERIFIED if counted.in_doubt else ChunkState.COPIED
        self._copied = _first_other(self.ledger.flat, self._copied, lowest)
        self._verified = _first_other(self.ledger.flat, self._verified, ChunkState.VERIFIED)
        copied, verified = self._copied, self._verified
        if counted.complete:
            copied = _first_other(self.ledger.flat, copied, lowest, absent=True)
            verified = _first_other(self.ledger.flat, verified, ChunkState.VERIFIED, absent=True)
        if self.ledger.row:
            copied, verified = copied // self.ledger.row, verified // self.ledger.row
        else:  # without chunk files
            copied = verified = self._rows.count if counted.complete else 0
        copied = copied if counted.complete else self._without_unfinished(copied)
        elements, read_back = self._rows.index_of(copied), self._rows.index_of(min(verified, copied))
        before = self.last_claim.copied if self.last_claim is not None else 0
        self.blocked = not readable and elements > before
        if self.blocked:
            elements, read_back = before, min(read_back, before)
        return Claim(self.axis, elements, read_back, self._rows.length)

    def _without_unfinished(self, copied: int) -> int:
        """Return how many rows can be claimed, of those that are complete as far as is known.

        A chunk file that holds several planes may be written in several steps: it is whole when the next row has begun.
        """
        if self._front is not None:
            return min(copied, self._front)
        if not self._takes_several_writes or (copied < self._rows.count and self._has_begun(copied)):
            return copied
        return max(0, copied - 1)

    @property
    def _takes_several_writes(self) -> bool:
        shape, chunks = self.layout.shape, self.layout.chunk_shape
        return chunks[:1] > (1,) or any(min(n, chunk) > 1 for n, chunk in zip(shape[1:-2], chunks[1:-2], strict=True))

    def _has_begun(self, row: int) -> bool:
        return bool(self.ledger.flat[row * self.ledger.row : (row + 1) * self.ledger.row].any())

    def note_claim(self, claim: Claim) -> None:
        """Note what readers are told from now on."""
        self.last_claim = claim
        rows = self._rows.rows_before(claim.copied)
        self._claimed[:rows] = True
        self._claimed_end = max(self._claimed_end, rows)
        self._watch()

    def start_over(self) -> None:
        """Look at all cells once more: what counts as copied is another thing now."""
        self._copied = self._verified = 0
        self._counts = []


def _are_other(states: npt.NDArray[np.uint8], lowest: ChunkState, absent: bool) -> npt.NDArray[np.bool_]:
    """Return which states are neither from the lowest one up to VERIFIED nor, if that counts, ABSENT."""
    # Of what is below the lowest the difference is large: the type has no negative numbers.
    others = states - np.uint8(lowest) > ChunkState.VERIFIED - lowest
    return others & (states != ChunkState.ABSENT) if absent else others


def _distinct(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return rows in ascending order without repetitions; `np.unique` imports masked arrays, for 40 ms."""
    return rows[np.diff(rows, prepend=-1) > 0]


def _first_other(flat: npt.NDArray[np.uint8], start: int, lowest: ChunkState, absent: bool = False) -> int:
    """Return the first cell from one on with another state, see `_are_other`."""
    size = _FIRST_BLOCK
    while start < len(flat):
        block = flat[start : start + size]
        is_other = _are_other(block, lowest, absent)
        at = int(is_other.argmax())
        if is_other[at]:
            return start + at
        start += len(block)
        size = min(4 * size, _LARGEST_BLOCK)
    return len(flat)
