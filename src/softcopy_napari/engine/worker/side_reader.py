"""Reads one file for a check, past the page cache where the system allows that, and hashes it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from xxhash import xxh3_128

from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.files import describe_kind, forget_cached, read_into, spare_the_cache
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.zarr_layout.chunk_check import (
    Checksum,
    ChunkFormat,
    FileBytes,
    Finding,
    check_chunk,
    needs_checksum,
)


class ItemKind(Enum):
    """What lies at one side."""

    FILE = auto()
    LINK = auto()
    OTHER = auto()
    """A folder, fifo or device: never opened."""
    GONE = auto()
    MOVING = auto()
    UNREADABLE = auto()
    STOPPED = auto()


class FoundItem(NamedTuple):
    """What lies at one side, and what reading it has shown."""

    kind: ItemKind
    text: Reason | str = ""
    """Where a link leads, what a thing of another kind is, or why it cannot be read."""
    stats: os.stat_result | None = None
    """What the system said of it before it was read."""
    size: int = 0
    digest: bytes = NO_DIGEST
    damage: Reason | None = None


class SideReader:
    """Reads and hashes files of a source or destination, with one buffer.

    Parameters
    ----------
    buffer : memoryview
        Memory to read into: a shard may be larger than all of it.
    go_on : callable
        Called with the bytes of each block that was read; false stops reading.
    attempts : int
        How often a file is read that is replaced while it is read. As a rule the next attempt sees it whole.
    """

    def __init__(self, buffer: memoryview, go_on: Callable[[int], bool], attempts: int) -> None:
        self._view = buffer
        self._go_on = go_on
        self._attempts = attempts

    def read(
        self, place: RootFolder, path: str, chunk_format: ChunkFormat | None = None, past_cache: bool = True
    ) -> FoundItem:
        """Find out what lies at a side, and hash it if it is a file."""
        for _ in range(self._attempts):
            try:
                stats = place.stat(path)
                if stat.S_ISLNK(stats.st_mode):
                    return FoundItem(ItemKind.LINK, place.read_link(path), stats)
                if not stat.S_ISREG(stats.st_mode):
                    return FoundItem(ItemKind.OTHER, describe_kind(stats.st_mode), stats)
            except (FileNotFoundError, NotADirectoryError):
                return FoundItem(ItemKind.GONE)
            except OSError as error:
                return _unreadable(error)
            try:
                hashed = self._hash(place, path, chunk_format, past_cache)
            except FileNotFoundError:
                continue  # changed while it was read, or gone: the next attempt tells
            except OSError as error:
                return _unreadable(error)
            if hashed is None:
                return FoundItem(ItemKind.STOPPED)
            size, digest, damage = hashed
            return FoundItem(ItemKind.FILE, "", stats, size, digest, damage)
        return FoundItem(ItemKind.MOVING)

    def _hash(
        self, place: RootFolder, path: str, chunk_format: ChunkFormat | None, past_cache: bool
    ) -> tuple[int, bytes, Reason | None] | None:
        """Read a file; returns its size, its XXH3-128 and why it cannot be whole, or None if told to stop.

        Raises
        ------
        FileNotFoundError
            It is not there, or was changed meanwhile.
        OSError
            It cannot be read.
        """
        fd = place.open_for_reading(path)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise FileNotFoundError  # it has taken the file's place just now
            if past_cache:
                forget_cached(fd)
            else:
                spare_the_cache(fd)
            hasher = xxh3_128()
            checksum = Checksum(chunk_format, before.st_size) if needs_checksum(chunk_format) else None
            while count := read_into(fd, self._view):
                hasher.update(self._view[:count])
                if checksum is not None:
                    checksum.update(self._view[:count])
                if not self._go_on(count):
                    return None
            content = FileBytes(fd, before.st_size)
            damage = None if chunk_format is None else damage_of(check_chunk(content, chunk_format, checksum))
            if not is_same_version(before, os.fstat(fd)):
                raise FileNotFoundError
            if past_cache:
                forget_cached(fd)
        finally:
            os.close(fd)
        return before.st_size, hasher.digest(), damage


def damage_of(found: Finding) -> Reason | None:
    """Return why a chunk file cannot be whole, if checking it has found that."""
    return found if isinstance(found, Reason) else None


def _unreadable(error: OSError) -> FoundItem:
    if error.errno == errno.ELOOP:  # it became a link just now
        return FoundItem(ItemKind.MOVING)
    return FoundItem(ItemKind.UNREADABLE, error.strerror or str(error))
