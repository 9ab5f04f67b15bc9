"""XXH3-128 digests of the files that were copied: chunk files' on disk, 16 bytes each, all other files' in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

DIGEST_SIZE = 16


class Digests:
    """The digests of a target's files.

    Chunk files have places in one file beside the ledgers, which is written and read piecewise: mapped, ten million of
    them would count as memory of the engine's.

    Parameters
    ----------
    path : Path
        The file to make. Cells never written cost no disk where the file system has sparse files.

    Attributes
    ----------
    others : dict of str to bytes
        Those of files that are no chunk files, by path.
    """

    def __init__(self, path: Path) -> None:
        self.others: dict[str, bytes] = {}
        self._path = path
        self._fd = -1
        self._end = 0

    def allot(self, count: int) -> int:
        """Make room for an array's chunk files; returns the place of the first."""
        start = self._end
        self._end += count
        return start

    def put(self, places: npt.NDArray[np.int64], digests: bytes) -> None:
        """Note digests, one for each place; unknown ones replace known ones, too.

        Raises
        ------
        OSError
            The disk with the state folder is full, for example.
        """
        for run, data in _runs(places, digests):
            self._write(int(run) * DIGEST_SIZE, data)

    def get(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Digests at these places, shape (n, 16); zeros where they are not known."""
        found = np.zeros((len(places), DIGEST_SIZE), np.uint8)
        if self._fd < 0 or not len(places):
            return found
        breaks = np.flatnonzero(np.diff(places) != 1) + 1
        for start, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(places)], strict=True):
            data = self._read(int(places[start]) * DIGEST_SIZE, (stop - start) * DIGEST_SIZE)
            found.reshape(-1)[start * DIGEST_SIZE : start * DIGEST_SIZE + len(data)] = np.frombuffer(data, np.uint8)
        return found

    def close(self) -> None:
        """Let go of the file, and delete it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        return self._fd

    if hasattr(os, "pwrite"):

        def _write(self, offset: int, data: bytes) -> None:
            os.pwrite(self._open(), data, offset)

        def _read(self, offset: int, size: int) -> bytes:
            return os.pread(self._fd, size, offset)
    else:

        def _write(self, offset: int, data: bytes) -> None:
            os.lseek(self._open(), offset, os.SEEK_SET)
            os.write(self._fd, data)

        def _read(self, offset: int, size: int) -> bytes:
            os.lseek(self._fd, offset, os.SEEK_SET)
            return os.read(self._fd, size)


def _runs(places: npt.NDArray[np.int64], digests: bytes) -> list[tuple[int, bytes]]:
    """Neighbouring places together: the first of each run, and its digests."""
    if not len(places):
        return []
    breaks = (np.flatnonzero(np.diff(places) != 1) + 1).tolist()
    starts, stops = [0, *breaks], [*breaks, len(places)]
    return [
        (int(places[start]), digests[start * DIGEST_SIZE : stop * DIGEST_SIZE])
        for start, stop in zip(starts, stops, strict=True)
    ]
