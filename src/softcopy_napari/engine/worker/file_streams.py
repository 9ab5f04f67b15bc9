"""The bytes of one open file on their way: read, hashed and written, or compared with those of its copy.

Used by file_copier.py in the copy workers: must import nothing heavy.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from xxhash import xxh3_128

from softcopy_napari.engine.fs.capabilities import is_refusal
from softcopy_napari.engine.fs.files import read_into
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum

BUFFER_SIZE = 4 << 20
"""Bytes read at a time; a worker keeps one such buffer."""
_FAT_LIMIT = (4 << 30) - 1
_SEEK_DATA, _SEEK_HOLE = getattr(os, "SEEK_DATA", -1), getattr(os, "SEEK_HOLE", -1)


class Stopped(Exception):
    """The worker was told to end."""


class Unreadable(Exception):
    """The source could not be read: no fault of the destination."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot be read: {error.strerror}")


class _Hasher:
    """Makes an XXH3-128 and a checksum of the same blocks."""

    def __init__(self, checksum: Checksum) -> None:
        self._hasher, self._checksum = xxh3_128(), checksum
        self.digest = self._hasher.digest

    def update(self, block: memoryview) -> None:
        self._hasher.update(block)
        self._checksum.update(block)


def copy_stream(
    fd: int,
    out: int,
    found: os.stat_result,
    view: memoryview,
    go_on: Callable[[int], bool],
    checksum: Checksum | None = None,
) -> tuple[int, bytes]:
    """Read, hash and write a file, up to one byte more than expected; its holes become holes.

    Parameters
    ----------
    fd, out : int
        Descriptors of source and copy, both at their start.
    found : os.stat_result
        The source as it is expected to be.
    view : memoryview
        Buffer of `BUFFER_SIZE`.
    go_on : callable
        Told the bytes of each block of a file larger than the buffer; false ends the copy.
    checksum : Checksum, optional
        Takes in what was read.

    Returns
    -------
    tuple of int and bytes
        The size, and the XXH3-128.

    Raises
    ------
    Stopped, Unreadable
    OSError
        The copy could not be written.
    """
    hasher = xxh3_128() if checksum is None else _Hasher(checksum)
    size = 0
    if may_have_holes(found) and _extend(out, found.st_size):
        for start, end in data_ranges(fd, found.st_size):
            size = _skip_hole(hasher, size, start, found, view, go_on)
            os.lseek(fd, start, os.SEEK_SET)
            os.lseek(out, start, os.SEEK_SET)
            while size < end and (block := _read(fd, view[: end - size])):
                hasher.update(block)
                _write(out, block)
                size += len(block)
                _report(go_on, len(block), found.st_size)
            if size < end:
                return size, b""  # it became shorter: it is copied again
        size = _skip_hole(hasher, size, found.st_size, found, view, go_on)
        os.lseek(fd, size, os.SEEK_SET)
        os.lseek(out, size, os.SEEK_SET)
    while True:
        block = _read(fd, view)
        if block:
            hasher.update(block)
            _write(out, block)
            size += len(block)
        if not block or size > found.st_size or (size == found.st_size and len(block) < len(view)):
            return size, hasher.digest()
        _report(go_on, len(block), found.st_size)


def reserve(out: int, size: int) -> None:
    """See whether a copy can become so large, before gigabytes are written to find out.

    Raises
    ------
    OSError
        With EFBIG: it cannot.
    """
    if size > _FAT_LIMIT:
        try:
            os.lseek(out, size, os.SEEK_SET)
        except OSError:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        os.lseek(out, 0, os.SEEK_SET)


def same_content(fd: int, copy: int, size: int, view: memoryview, go_on: Callable[[int], bool]) -> bytes:
    """Compare two open files of one size.

    Returns
    -------
    bytes
        The XXH3-128 of both; empty if they differ.

    Raises
    ------
    Stopped
    OSError
        One of them cannot be read.
    """
    half = len(view) // 2
    hasher = xxh3_128()
    left = size
    while count := read_into(fd, view[:half]):
        there = view[half : half + count]
        if _fill(copy, there) < count or view[:count] != there:
            return b""
        hasher.update(there)
        left -= count
        if not go_on(0):
            raise Stopped
    return hasher.digest() if left == 0 and not read_into(copy, view) else b""


def allocated(found: os.stat_result) -> int:
    """Room that a file takes on its disk, in bytes; its size where the system does not tell."""
    blocks = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else int(blocks) * 512


def may_have_holes(found: os.stat_result) -> bool:
    """Whether a file takes less room than it has bytes; it need not have holes (compression, late allocation)."""
    return _SEEK_HOLE >= 0 and allocated(found) < found.st_size


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file holds data, from and to; all of it where the file system does not tell."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, _SEEK_DATA)
            end = min(os.lseek(fd, start, _SEEK_HOLE), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data behind this place
                yield at, size
            return
        if start >= size:
            return
        yield start, end
        at = end


def _extend(out: int, size: int) -> bool:
    """Make an empty file so large; returns whether that can be done without writing it."""
    try:
        os.ftruncate(out, size)
    except OSError as error:
        if not is_refusal(error):
            raise
        return False
    return True


def _skip_hole(
    hasher: xxh3_128 | _Hasher,
    size: int,
    end: int,
    found: os.stat_result,
    view: memoryview,
    go_on: Callable[[int], bool],
) -> int:
    """Hash the zeros that a hole stands for; returns where it ends."""
    zeros = view[: min(len(view), max(0, end - size))]
    zeros[:] = bytes(len(zeros))
    while size < end:
        block = zeros[: end - size]
        hasher.update(block)
        size += len(block)
        _report(go_on, len(block), found.st_size)
    return size


def _read(fd: int, view: memoryview) -> memoryview:
    try:
        return view[: read_into(fd, view)]
    except OSError as error:
        raise Unreadable(error) from None


def _write(out: int, block: memoryview) -> None:
    try:
        written = os.write(out, block)
        while written < len(block):
            written += os.write(out, block[written:])
    except OSError as error:
        # Windows, and FAT by FUSE, do not say that this is the matter.
        if is_refusal(error) and os.lseek(out, 0, os.SEEK_CUR) + len(block) > _FAT_LIMIT:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        raise


def _report(go_on: Callable[[int], bool], count: int, expected: int) -> None:
    if expected > BUFFER_SIZE and not go_on(count):
        raise Stopped


def _fill(fd: int, view: memoryview) -> int:
    """Read until a buffer is full or the file ends; returns the bytes read."""
    size = 0
    while size < len(view) and (count := read_into(fd, view[size:])):
        size += count
    return size
