"""Reads files back from the destination, past the page cache where the system allows that, and hashes them.

What was hashed in flight and arrives otherwise is found, and what an earlier run copied gets its checksum. Runs
in the copy workers and must import nothing heavy.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from xxhash import xxh3_128

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.file_times import is_same_version, is_up_to_date
from softcopy_napari.engine.fs.files import describe_kind, forget_cached, read_into, spare_the_cache
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.zarr_layout.chunk_check import (
    Checksum,
    ChunkFormat,
    FileBytes,
    check_chunk,
    needs_checksum,
    needs_content,
)

TELLS_CHANGES = os.name == "posix"
"""Whether this system tells when a file was changed: Windows only when it was made, and what its time was set to."""


class VerifyOutcome(IntEnum):
    """What reading a file back showed."""

    EQUAL = 0
    """It is what was at the source."""
    DIFFERENT = 1
    """It is something else, though size and time agree."""
    HASHED = 2
    """It was not compared; its digest is known now."""
    LINK = 3
    """It is a link, or a folder: nothing to be hashed."""
    MOVED = 4
    """It is being changed, or is not there: another copy will follow."""
    FAILED = 5
    STOPPED = 6


class VerifyResult(NamedTuple):
    """What reading one file back showed, with its size and XXH3-128 at the destination.

    `reason` says what is wrong; of a file that is as it should be, what is wrong with it at the source, too: a chunk
    file that cannot be whole.
    """

    finding: VerifyOutcome
    size: int = 0
    digest: bytes = NO_DIGEST
    reason: str = ""


class FileVerifier:
    """Reads files of one target back, one at a time, with one buffer.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, held by the caller.
    buffer : memoryview
        To read into.
    should_stop : callable
        Asked between blocks; true ends the reading.
    progress : callable
        Told the bytes of each block.

    Attributes
    ----------
    can : Capabilities
        What the destination's file system can do.
    """

    def __init__(
        self,
        source: RootFolder,
        destination: RootFolder,
        buffer: memoryview,
        should_stop: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self.can = Capabilities()
        self._source = source
        self._destination = destination
        self._view = buffer
        self._should_stop = should_stop
        self._progress = progress

    def prove(
        self,
        path: str,
        digest: bytes,
        against_source: bool,
        chunk_format: ChunkFormat | None,
        remembered: Sequence[tuple[int, bytes]] = (),
    ) -> VerifyResult:
        """Read one file back.

        Parameters
        ----------
        path : str
            Relative to source and destination, `/` separated.
        digest : bytes
            XXH3-128 that it was copied with; zeros where it is not known.
        against_source : bool
            Without a digest, compare it with the source.
        chunk_format : ChunkFormat or None
            It should be a chunk file of this format.
        remembered : sequence of tuple of int and bytes
            Digests that are known from some time on, ns: the first holds of which the file has not changed since.

        Returns
        -------
        Proof
            Never raises for what the file systems do.
        """
        try:
            found = self._destination.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return VerifyResult(VerifyOutcome.LINK)
            for since, known in remembered:
                if known != NO_DIGEST and found.st_ctime_ns < since:
                    damage = ""
                    if chunk_format is not None:
                        damage = find_damage(self._destination, path, found.st_size, chunk_format)
                    return VerifyResult(VerifyOutcome.HASHED, found.st_size, known, damage)
            there = self._hash(self._destination, path, chunk_format)
        except FileNotFoundError:
            return VerifyResult(VerifyOutcome.MOVED)
        except OSError as error:
            return VerifyResult(VerifyOutcome.FAILED, reason=f"cannot be read back: {error.strerror}")
        if there is None:
            return VerifyResult(VerifyOutcome.STOPPED)
        stats, own, damage = there
        if digest != NO_DIGEST:
            same = own == digest
        elif not against_source:
            return VerifyResult(VerifyOutcome.HASHED, stats.st_size, own, damage)
        else:
            try:
                here = self._hash(self._source, path, None)
            except FileNotFoundError:
                return VerifyResult(VerifyOutcome.MOVED)
            except OSError as error:
                return VerifyResult(VerifyOutcome.FAILED, reason=f"cannot be read: {error.strerror}")
            if here is None:
                return VerifyResult(VerifyOutcome.STOPPED)
            if here[0].st_size != stats.st_size or (
                self.can.keeps_times and not is_up_to_date(here[0], stats, self.can.time_unit)
            ):
                return VerifyResult(VerifyOutcome.MOVED)
            same = own == here[1]
        if same:
            return VerifyResult(VerifyOutcome.EQUAL, stats.st_size, own, damage)
        reason = f"came back from the destination with other content{': ' + damage if damage else ''}"
        return VerifyResult(VerifyOutcome.DIFFERENT, stats.st_size, own, reason)

    def _hash(
        self, place: RootFolder, path: str, chunk_format: ChunkFormat | None
    ) -> tuple[os.stat_result, bytes, str] | None:
        return hash_file(place, path, self._view, place is self._destination, self._go_on, chunk_format)

    def _go_on(self, size: int) -> bool:
        self._progress(size)
        return not self._should_stop()


def find_damage(place: RootFolder, path: str, size: int, chunk_format: ChunkFormat) -> str:
    """Why a chunk file cannot be whole, as far as its size, both ends and block headers tell; empty if nothing does.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if not needs_content(chunk_format):
        return check_chunk(FileBytes(-1, size), chunk_format) or ""
    fd = place.open_for_reading(path)
    try:
        return check_chunk(FileBytes(fd, os.fstat(fd).st_size), chunk_format) or ""
    finally:
        os.close(fd)


def hash_file(
    place: RootFolder,
    path: str,
    view: memoryview,
    past_cache: bool,
    go_on: Callable[[int], bool],
    chunk_format: ChunkFormat | None = None,
) -> tuple[os.stat_result, bytes, str] | None:
    """Hash a file.

    Parameters
    ----------
    place : RootFolder
        The folder that it is in, held.
    path : str
        Relative to the folder.
    view : memoryview
        To read into.
    past_cache : bool
        Have it read from where it is stored, where the system allows that.
    go_on : callable
        Asked after each block, with its bytes; false ends the reading.
    chunk_format : ChunkFormat, optional
        It should be a chunk file of this format.

    Returns
    -------
    tuple of os.stat_result, bytes and str, or None
        Its stat, its XXH3-128, and why it cannot be whole; None if told to stop.

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
            raise OSError(0, f"is a {describe_kind(before.st_mode)}, not a file")
        if past_cache:
            forget_cached(fd)
        else:
            spare_the_cache(fd)
        hasher = xxh3_128()
        checksum = Checksum(chunk_format, before.st_size) if needs_checksum(chunk_format) else None
        while count := read_into(fd, view):
            hasher.update(view[:count])
            if checksum is not None:
                checksum.update(view[:count])
            if not go_on(count):
                return None
        damage = ""
        if chunk_format is not None:
            damage = check_chunk(FileBytes(fd, before.st_size), chunk_format, checksum) or ""
        if not is_same_version(before, os.fstat(fd)):
            raise FileNotFoundError
        if past_cache:
            forget_cached(fd)
    finally:
        os.close(fd)
    return before, hasher.digest(), damage
