"""The ledger: one byte of state for each chunk file of an array, mapped into memory.

The target's job writes it; any process may map the same file read-only. It is a view of the file
system: after a crash it is rebuilt, not believed.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.state_folder.folder import open_regular_file
from softcopy_napari.engine.state_folder.ledger_folders import find_ledger
from softcopy_napari.engine.states import ChunkState

_N_STATES = len(ChunkState)
_BLOCK = 1 << 20
_FEW = 32
"""Cells up to which numpy takes longer than one after the other: live copies come in such batches."""
_DISTURBED = tuple(state not in (ChunkState.COPYING, ChunkState.COPIED, ChunkState.VERIFIED) for state in ChunkState)
"""States of a chunk file whose copy, if there is one, is not as it should be; those that are COPYING were PENDING."""


class StateCounts:
    """Counts the chunk files in each `ChunkState` of all ledgers of a target: a plate has ten thousands of them.

    Attributes
    ----------
    counts : list of int
        By state.
    changes : int
        Goes up whenever a state changes.
    disturbed : set of Ledger
        Ledgers in whose watched part something has happened.
    """

    __slots__ = ("changes", "counts", "disturbed")

    def __init__(self) -> None:
        self.counts = [0] * _N_STATES
        self.changes = 0
        self.disturbed: set[Ledger] = set()

    def add(self, counts: list[int], sign: int = 1) -> None:
        """Add or take away the counts of a ledger."""
        self.counts = [total + sign * count for total, count in zip(self.counts, counts, strict=True)]
        self.changes += 1


class Ledger:
    """States of an array's chunk files, all ABSENT at first.

    Raises
    ------
    OSError
        There is no room for it on the disk.

    Parameters
    ----------
    path : Path
        The `.npy` file to make, uint8, of the grid's shape in C order. An older file is replaced:
        whoever has it mapped keeps the old states.
    grid : tuple of int
        The array's shape in chunk files; `()` for a zero-dimensional array, which has one.
    sums : StateCounts, optional
        To be kept up to date.

    Attributes
    ----------
    flat : numpy.ndarray of uint8, 1-D
        The states in C order. For reading; `set` and `set_many` change it.
    counts : list of int
        Chunk files in each `ChunkState`.
    row : int
        Chunk files for each index along the slowest axis.
    watched : int
        Of the cells before this one it is noted when their copies stop being as they should be.
    """

    def __init__(self, path: Path, grid: tuple[int, ...], sums: StateCounts | None = None) -> None:
        self.path = path
        self.grid = grid
        self.row = math.prod(grid[1:])
        self.watched = 0
        self._disturbed: npt.NDArray[np.bool_] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # truncating it would crash whoever has it mapped
        size = int(np.prod(grid, dtype=np.int64))
        try:
            self.flat: npt.NDArray[np.uint8] = _make_mapped(path, grid, size)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.flat = np.zeros(size, np.uint8)  # no file may be opened any more: nobody can look at it, that is all
        # One cell is read and written through this: several times as fast as through numpy.
        self._cells = memoryview(self.flat.data)
        self.counts = [0] * _N_STATES
        self.counts[ChunkState.ABSENT] = size
        self._sums = StateCounts() if sums is None else sums
        self._sums.add(self.counts)

    def get(self, cell: int) -> int:
        """Return the state of the chunk file with this flat index."""
        return self._cells[cell]

    def set(self, cell: int, state: ChunkState) -> None:
        """Change one chunk file's state."""
        sums, old = self._sums, self._cells[cell]
        self.counts[old] -= 1
        sums.counts[old] -= 1
        self._cells[cell] = state
        self.counts[state] += 1
        sums.counts[state] += 1
        sums.changes += 1
        if cell < self.watched and _DISTURBED[state]:
            self._note_disturbed(cell // self.row)

    def set_many(self, cells: npt.NDArray[np.int64], state: ChunkState) -> None:
        """Change the states of several chunk files, each named once."""
        if len(cells) <= _FEW:
            for cell in cells.tolist():
                self.set(cell, state)
            return
        change = [-count for count in np.bincount(self.flat[cells], minlength=_N_STATES).tolist()]
        change[state] += len(cells)
        self.flat[cells] = state
        self.counts = [count + by for count, by in zip(self.counts, change, strict=True)]
        self._sums.add(change)
        if self.watched and _DISTURBED[state]:
            watched = cells[cells < self.watched]
            if len(watched):
                self._note_disturbed(watched // self.row)

    def _note_disturbed(self, rows: int | npt.NDArray[np.int64]) -> None:
        if self._disturbed is None:
            self._disturbed = np.zeros(self.grid[0] if self.grid else 1, np.bool_)
        self._disturbed[rows] = True
        self._sums.disturbed.add(self)

    def take_disturbed(self) -> npt.NDArray[np.int64]:
        """Return the indices along the slowest axis at which watched cells were disturbed since the last call."""
        if self._disturbed is None:
            return np.zeros(0, np.int64)
        rows = np.flatnonzero(self._disturbed)
        self._disturbed = None
        return rows

    def find(self, state: ChunkState, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return the flat indices in [start, stop) of the chunk files in a state, ascending."""
        return np.flatnonzero(self.flat[start:stop] == state) + start

    def copy_states(self, older: Ledger) -> None:
        """Copy the states of the same array's ledger from before it was resized."""
        overlap = tuple(slice(0, min(a, b)) for a, b in zip(self.grid, older.grid, strict=True))
        self.flat.reshape(self.grid)[overlap] = older.flat.reshape(older.grid)[overlap]
        self._sums.add(self.counts, -1)
        self.counts = [0] * _N_STATES
        for start in range(0, len(self.flat), _BLOCK):  # bincount makes int64 of what it is given
            block = np.bincount(self.flat[start : start + _BLOCK], minlength=_N_STATES).tolist()
            self.counts = [a + b for a, b in zip(self.counts, block, strict=True)]
        self._sums.add(self.counts)

    def end_counting(self) -> None:
        """Count its chunk files no longer: another ledger has taken its place."""
        self._sums.add(self.counts, -1)
        self._sums = StateCounts()


def cells_in(
    other: tuple[int, ...], cells: npt.NDArray[np.int64], grid: tuple[int, ...]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Find cells of a grid in another one, which the same array has before or after it is resized.

    Returns
    -------
    tuple of numpy.ndarray of bool, shape (len(cells),), and of int64
        Which of them the other grid has, and what these are there.
    """
    if grid == other:
        return np.ones(len(cells), bool), cells
    places = np.unravel_index(cells, grid)
    there: npt.NDArray[np.bool_] = np.all([at < size for at, size in zip(places, other, strict=True)], axis=0)
    if not there.any():
        return there, cells[:0]
    return there, np.ravel_multi_index(tuple(at[there] for at in places), other)


def remove_ledger(path: Path) -> None:
    """Delete the file; maps of it stay readable where the system allows that."""
    with contextlib.suppress(PermissionError):  # Windows: still mapped somewhere; the next start cleans up
        path.unlink(missing_ok=True)


def open_ledger(path: str, grid: tuple[int, ...] | None = None) -> npt.NDArray[np.uint8]:
    """Map the ledger that an engine tells of, read-only.

    Only what is a ledger, and lies where engines keep theirs, is opened: a message may say anything.

    Parameters
    ----------
    path : str
    grid : tuple of int, optional
        The array's shape in chunk files, where it is known.

    Returns
    -------
    numpy.ndarray of uint8, of the shape `grid`

    Raises
    ------
    OSError, ValueError
        It is not there (any more), or is something else.
    """
    with open(open_regular_file(find_ledger(path)), "rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path} is no ledger")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        size = math.prod(shape)
        at = file.tell()
        if dtype != np.uint8 or by_column or os.fstat(file.fileno()).st_size != at + size:
            raise ValueError(f"{path} is no ledger")
        if grid is not None and shape != grid:
            raise ValueError(f"{path} is of the shape {shape}, not {grid}")
        if not size:
            return np.zeros(shape, np.uint8)
        return np.memmap(file, np.uint8, "r", at, shape)


def _make_mapped(path: Path, grid: tuple[int, ...], size: int) -> npt.NDArray[np.uint8]:
    """Make a `.npy` file of zeros, and map its data."""
    with open(path, "x+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": grid})
        start = file.tell()
        file.truncate(start + size)
        if not size:  # an empty file cannot be mapped
            return np.zeros(0, np.uint8)
        if hasattr(os, "posix_fallocate"):  # a write through a map into a hole on a full disk kills the process
            os.posix_fallocate(file.fileno(), 0, start + size)
        # A plate has thousands of arrays, and each map would keep a file open.
        how: dict[str, Any] = {"trackfd": False} if os.name == "posix" and sys.version_info >= (3, 13) else {}
        return np.frombuffer(mmap.mmap(file.fileno(), start + size, **how), np.uint8, size, start)
