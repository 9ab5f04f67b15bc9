"""Moves the bytes of one open file: reads, hashes and writes them, or compares them with its copy."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

from xxhash import xxh3_128

from softcopy_napari.engine.fs.capabilities import is_refusal
from softcopy_napari.engine.fs.files import read_into
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum

BUFFER_SIZE = 4 << 20
"""A worker has one buffer of this size."""
BLOCK_SIZE = 1 << 20
"""Bytes copied at a time: no more is under way when a writer begins to work."""
_FAT_LIMIT = (4 << 30) - 1
_SEEK_DATA, _SEEK_HOLE = getattr(os, "SEEK_DATA", -1), getattr(os, "SEEK_HOLE", -1)


class Stopped(Exception):
    """The worker was told to stop."""


class Unreadable(Exception):
    """The source, and not the destination, failed."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.strerror = error.strerror


class _Hasher:
    """Computes an XXH3-128 and a checksum of the same blocks."""

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
    should_continue: Callable[[int], bool],
    checksum: Checksum | None = None,
) -> tuple[int, bytes]:
    """Read, hash and write a file, up to one byte beyond its expected size; holes stay holes.

    Parameters
    ----------
    fd, out : int
        Descriptors of source and copy, both at their start.
    found : os.stat_result
        The source's expected stat.
    view : memoryview
        A buffer of at least `BLOCK_SIZE` bytes.
    should_continue : callable
        Called with the bytes of each block of a file that has more than one; false ends the copy.
    checksum : Checksum, optional
        Updated with what was read.

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
    view = view[:BLOCK_SIZE]
    size = 0
    if may_have_holes(found) and _extend(out, found.st_size):
        for start, end in data_ranges(fd, found.st_size):
            size = _skip_hole(hasher, size, start, found, view, should_continue)
            os.lseek(fd, start, os.SEEK_SET)
            os.lseek(out, start, os.SEEK_SET)
            while size < end and (block := _read(fd, view[: end - size])):
                hasher.update(block)
                _write(out, block)
                size += len(block)
                _report(should_continue, len(block), found.st_size)
            if size < end:
                return size, b""  # it became shorter, and will be copied again
        size = _skip_hole(hasher, size, found.st_size, found, view, should_continue)
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
        _report(should_continue, len(block), found.st_size)


def reserve(out: int, size: int) -> None:
    """Check that a file can be this large, before gigabytes are written to find out.

    Raises
    ------
    OSError
        EFBIG if it cannot.
    """
    if size > _FAT_LIMIT:
        try:
            os.lseek(out, size, os.SEEK_SET)
        except OSError:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        os.lseek(out, 0, os.SEEK_SET)


def same_content(fd: int, copy: int, size: int, view: memoryview, should_continue: Callable[[int], bool]) -> bytes:
    """Compare two open files of the same size.

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
        if not should_continue(0):
            raise Stopped
    return hasher.digest() if left == 0 and not read_into(copy, view) else b""


def allocated(found: os.stat_result) -> int:
    """Return the bytes that a file takes on disk, or its size where the system does not know."""
    blocks = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else int(blocks) * 512


def may_have_holes(found: os.stat_result) -> bool:
    """Whether a file takes less space than its size, because of holes, compression or delayed allocation."""
    return _SEEK_HOLE >= 0 and allocated(found) < found.st_size


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each range of data in a file; all of it where the file system does not know."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, _SEEK_DATA)
            end = min(os.lseek(fd, start, _SEEK_HOLE), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: no data after this position
                yield at, size
            return
        if start >= size:
            return
        yield start, end
        at = end


def _extend(out: int, size: int) -> bool:
    """Extend an empty file to a size; return whether that works without writing."""
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
    should_continue: Callable[[int], bool],
) -> int:
    """Hash the zeros of a hole; return where it ends."""
    zeros = view[: min(len(view), max(0, end - size))]
    zeros[:] = bytes(len(zeros))
    while size < end:
        block = zeros[: end - size]
        hasher.update(block)
        size += len(block)
        _report(should_continue, len(block), found.st_size)
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
        # Windows, and FAT through FUSE, give another error for this.
        if is_refusal(error) and os.lseek(out, 0, os.SEEK_CUR) + len(block) > _FAT_LIMIT:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        raise


def _report(should_continue: Callable[[int], bool], count: int, expected: int) -> None:
    if expected > BLOCK_SIZE and not should_continue(count):
        raise Stopped


def _fill(fd: int, view: memoryview) -> int:
    """Read until a buffer is full or the file ends; return the number of bytes read."""
    size = 0
    while size < len(view) and (count := read_into(fd, view[size:])):
        size += count
    return size


def have_same_content(source: RootFolder, destination: RootFolder, path: str, size: int) -> bool:
    """Compare a file of this size on both sides byte by byte."""
    view = memoryview(bytearray(1 << 20))
    with contextlib.ExitStack() as stack:
        here = source.open_for_reading(path)
        stack.callback(os.close, here)
        there = destination.open_for_reading(path)
        stack.callback(os.close, there)
        return bool(same_content(here, there, size, view, lambda _: True))
