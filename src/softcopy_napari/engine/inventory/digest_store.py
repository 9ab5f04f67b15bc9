"""Keeps 16 bytes for each of a target's files, such as its XXH3-128 digest: for chunk files on disk, else in memory."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.hashing import DIGEST_SIZE
from softcopy_napari.engine.inventory.ledger import cells_in
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason


class DigestStore:
    """Digests of a target's files.

    Those of chunk files have places in one file, which is written and read piecewise: mapped, ten million of them would
    count as memory of the engine's.

    Parameters
    ----------
    path : Path
        The file to make. Cells never written cost no disk where the file system has sparse files.

    Attributes
    ----------
    arrays : dict of str to tuple of tuple of int and int
        The chunk grid of each array and the place of its first digest, by its path.
    others : dict of str to bytes
        Digests of files that are no chunk files, by path.
    allotted : int
        The number of places that arrays have.
    problem : Reason or None
        Why some could not be kept; None while all can.
    """

    def __init__(self, path: Path) -> None:
        self.arrays: dict[str, tuple[tuple[int, ...], int]] = {}
        self.others: dict[str, bytes] = {}
        self.allotted = 0
        self.problem: Reason | None = None
        self._path = path
        self._fd = -1
        self._put = 0
        """Places before this one may have been put."""
        self._closed = self._read_only = False
        self._lock = threading.Lock()  # the receipt is written by a thread of its own
        self._unknown: npt.NDArray[np.bool_] | None = None
        """Places of which the file may hold what is no longer true; None while there are none."""

    # -- arrays ---------------------------------------------------------------------------------------

    def add_array(self, path: str, grid: tuple[int, ...]) -> int:
        """Make room for an array's chunk files, of which nothing is known; returns the place of the first."""
        first = self.allotted
        self.arrays[path] = grid, first
        self.allotted += math.prod(grid)
        return first

    def resize_array(self, path: str, grid: tuple[int, ...], kept: npt.NDArray[np.int64]) -> None:
        """Make room for an array of another shape; what is known of the cells in `kept` goes with them."""
        before, old = self.arrays.get(path, (grid, self.allotted))
        first = self.add_array(path, grid)
        still, cells = cells_in(grid, kept, before)
        if len(cells):
            self.put(cells + first, self.get(kept[still] + old).tobytes())

    def get_cells(self, path: str, grid: tuple[int, ...], cells: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the digests of an array's chunk files, shape (n, 16); zeros where they are not known."""
        known, first = self.arrays.get(path, (None, 0))
        if known == grid:
            return self.get(cells + first)
        found = np.zeros((len(cells), DIGEST_SIZE), np.uint8)
        if known is not None and len(known) == len(grid):  # it was of another shape then
            there, cells = cells_in(known, cells, grid)
            found[there] = self.get(cells + first)
        return found

    def put_cells(self, path: str, grid: tuple[int, ...], cells: npt.NDArray[np.int64], digests: bytes) -> bool:
        """Note digests of an array's chunk files; those of an array of another shape are lost. Returns as `put`."""
        known, first = self.arrays.get(path, (None, 0))
        return self.put(cells + (first if known == grid else self.add_array(path, grid)), digests)

    # -- places ---------------------------------------------------------------------------------------

    def put(self, places: npt.NDArray[np.int64], digests: bytes) -> bool:
        """Note digests, one for each place; unknown ones replace known ones, too.

        Returns
        -------
        bool
            Whether they could be kept. If not (the disk with the state folder is full), they are not known: that is no
            reason to end a copy, for what lies at the destination can be read.
        """
        self._put = max(self._put, int(places.max()) + 1 if len(places) else 0)
        self.problem = None
        try:
            for start, stop in _runs(places):
                self._write_all(int(places[start]) * DIGEST_SIZE, digests[start * DIGEST_SIZE : stop * DIGEST_SIZE])
        except OSError as error:
            self.problem = make_reason(
                ReasonCode.CHECKSUMS_NOT_KEPT, folder=str(self._path.parent), problem=error.strerror
            )
            self._unknown = np.zeros(0, bool) if self._unknown is None else self._unknown
        if self._unknown is not None:
            more = max(0, self.allotted - len(self._unknown), self._put - len(self._unknown))
            self._unknown = np.concatenate([self._unknown, np.zeros(more, bool)]) if more else self._unknown
            self._unknown[places] = self.problem is not None  # of some that were kept as well: it does no harm
        return self.problem is None

    def get(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the digests at these places, shape (n, 16); zeros where they are not known.

        Raises
        ------
        OSError
            They have been closed: whoever still reads them must not take them for unknown.
        """
        found = np.zeros((len(places), DIGEST_SIZE), np.uint8)
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the copy has ended")
            if self._fd < 0:
                return found
            for start, stop in _runs(places):
                try:
                    data = self._read(int(places[start]) * DIGEST_SIZE, (stop - start) * DIGEST_SIZE)
                except OSError:
                    continue  # not known
                data = data[: len(data) - len(data) % DIGEST_SIZE]
                found.reshape(-1)[start * DIGEST_SIZE : start * DIGEST_SIZE + len(data)] = np.frombuffer(data, np.uint8)
        if self._unknown is not None:
            known = places[places < len(self._unknown)]
            found[: len(places)][np.isin(places, known[self._unknown[known]])] = 0
        return found

    def forget(self, places: npt.NDArray[np.int64]) -> None:
        """Forget the digests at these places."""
        if not len(places) or places.min() >= self._put:
            return  # the rule: they are copied for the first time
        if self.get(places).any() and not self.put(places, bytes(len(places) * DIGEST_SIZE)):
            with contextlib.suppress(OSError):  # this run knows; another one that finds the file would not
                self._path.unlink(missing_ok=True)

    def open(self) -> None:
        """Read the digests in a file that another `DigestStore` has written."""
        self._fd = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._read_only = True

    def close(self, remove: bool = True) -> None:
        """Close the file, and delete it if this store has made it, unless another run may need it."""
        with self._lock:
            self._closed = True
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                if remove and not self._read_only:
                    self._path.unlink(missing_ok=True)

    def _write_all(self, offset: int, data: bytes) -> None:
        """Write all data: a disk that is almost full takes a part, and half a digest must not be taken for one."""
        while data:
            written = self._write(offset, data)
            offset, data = offset + written, data[written:]

    def _open(self) -> int:
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        return self._fd

    if hasattr(os, "pwrite"):

        def _write(self, offset: int, data: bytes) -> int:
            return os.pwrite(self._open(), data, offset)

        def _read(self, offset: int, size: int) -> bytes:
            return os.pread(self._fd, size, offset)
    else:

        def _write(self, offset: int, data: bytes) -> int:
            os.lseek(self._open(), offset, os.SEEK_SET)
            return os.write(self._fd, data)

        def _read(self, offset: int, size: int) -> bytes:
            os.lseek(self._fd, offset, os.SEEK_SET)
            return os.read(self._fd, size)


def _runs(places: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Return start and stop of each run of neighbouring places."""
    if not len(places):
        return iter(())
    breaks = (np.flatnonzero(np.diff(places) != 1) + 1).tolist()
    return zip([0, *breaks], [*breaks, len(places)], strict=True)
