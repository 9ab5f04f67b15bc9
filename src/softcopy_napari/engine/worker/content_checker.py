"""Checks files of a destination by content: against a digest, against their source, or only to learn their digest.

The copy processes read files back with it, and `softcopy verify` checks whole folders with it. Reads past the page
cache where the system allows that: what a disk has kept counts, not what memory remembers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Sequence
from enum import Enum, IntEnum, auto
from typing import NamedTuple

from xxhash import xxh3_128

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.file_times import is_same_version, is_up_to_date
from softcopy_napari.engine.fs.files import describe_kind, forget_cached, read_into, spare_the_cache
from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.chunk_check import (
    Checksum,
    ChunkFormat,
    FileBytes,
    Finding,
    check_chunk,
    needs_checksum,
    needs_content,
)

TELLS_CHANGES = os.name == "posix"
"""Whether this system tells when a file was changed: Windows only when it was made, and what its time was set to."""


class CheckOutcome(IntEnum):
    """What checking one file showed."""

    EQUAL = 0
    """It is what it should be."""
    HASHED = 1
    """It was not compared; its digest is known now."""
    LINK = 2
    """It is a link, as it should be: there is nothing to hash."""
    MISSING = 3
    CHANGED = 4
    TRUNCATED = 5
    """It has fewer bytes than its source."""
    EXTRA = 6
    """It should not be there; found by listing folders, not by checking files."""
    UNREADABLE = 7
    MOVING = 8
    """It is being changed at one of the sides: nothing can be said about it now."""
    STOPPED = 9
    """The check was told to stop before it had read everything."""


class CheckResult(NamedTuple):
    """What checking one file showed, with its size and XXH3-128 at the destination."""

    outcome: CheckOutcome
    size: int = 0
    digest: bytes = NO_DIGEST
    detail: Reason | str = ""
    """What is wrong, as far as there is more to say than the outcome does."""
    damage: Reason | None = None
    """Why it cannot be a whole chunk file, even if it is what it should be: its source is no better then."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with the file."""
        return self.outcome in (CheckOutcome.EQUAL, CheckOutcome.HASHED, CheckOutcome.LINK)


class _Kind(Enum):
    FILE = auto()
    LINK = auto()
    OTHER = auto()
    """A folder, fifo or device: never opened."""
    GONE = auto()
    MOVING = auto()
    UNREADABLE = auto()
    STOPPED = auto()


class _Found(NamedTuple):
    """What lies at one side."""

    kind: _Kind
    text: Reason | str = ""
    """Where a link leads, what a thing of another kind is, or why it cannot be read."""
    stats: os.stat_result | None = None
    """What the system said of it before it was read."""
    size: int = 0
    digest: bytes = NO_DIGEST
    damage: Reason | None = None


class ContentChecker:
    """Checks files one at a time, with one buffer.

    No method raises for what file systems do: that is in the result.

    Parameters
    ----------
    source : RootFolder or None
        The source, held by the caller; None where nothing is compared with it.
    destination : RootFolder
        The destination, held by the caller.
    buffer : memoryview
        Memory to read into: a shard may be larger than all of it.
    go_on : callable
        Called with the bytes of each block that was read; false stops the check.
    attempts : int
        How often a file is read that is replaced while it is read. As a rule the next attempt sees it whole.

    Attributes
    ----------
    capabilities : Capabilities or None
        What the destination's file system can do. Where this is set, a file is MOVING whose kind, size or time is not
        its source's: it waits to be copied. Where it is None, only content counts.
    """

    def __init__(
        self,
        source: RootFolder | None,
        destination: RootFolder,
        buffer: memoryview,
        go_on: Callable[[int], bool],
        attempts: int = 1,
    ) -> None:
        self.capabilities: Capabilities | None = None
        self._source = source
        self._destination = destination
        self._view = buffer
        self._go_on = go_on
        self._attempts = attempts

    def compare_with_digest(self, path: str, digest: bytes, chunk_format: ChunkFormat | None = None) -> CheckResult:
        """Compare a file with the digest that it should have.

        Parameters
        ----------
        path : str
            Relative to the destination, `/` separated.
        digest : bytes
            XXH3-128, or LINK_DIGEST where a link should be.
        chunk_format : ChunkFormat, optional
            The format of the chunk file that it should be.
        """
        there = self._read(self._destination, path, chunk_format)
        if there.kind is _Kind.LINK and digest == LINK_DIGEST:
            return CheckResult(CheckOutcome.LINK)
        if there.kind is not _Kind.FILE:
            return _no_file(there)
        if there.digest == digest:
            return _result(CheckOutcome.EQUAL, there)
        return _result(CheckOutcome.CHANGED, there, "" if there.size else "empty")

    def compare_with_source(self, path: str, chunk_format: ChunkFormat | None = None) -> CheckResult:
        """Compare a file or link with the source's; see `compare_with_digest`."""
        assert self._source is not None
        for _ in range(self._attempts):
            result = self._compare(path, self._source, chunk_format)
            if result is not None:
                return result
        return CheckResult(CheckOutcome.MOVING, detail="at the source")

    def find_digest(
        self,
        path: str,
        known: Sequence[tuple[int, bytes]],
        chunk_format: ChunkFormat | None = None,
        found: tuple[int, int] | None = None,
    ) -> CheckResult:
        """Find a file's digest, if possible without reading the file; see `compare_with_digest`.

        Parameters
        ----------
        path : str
        known : sequence of tuple of int and bytes
            Digests that held at a time, ns; zeros where there is none. The first one counts since whose time the file
            has not changed.
        chunk_format : ChunkFormat, optional
        found : tuple of int and int, optional
            Its size and change time (ns), where it is known to be a regular file.
        """
        if known and (recalled := self._recall(path, known, chunk_format, found)) is not None:
            return recalled
        there = self._read(self._destination, path, chunk_format)
        if there.kind in (_Kind.LINK, _Kind.OTHER):
            return CheckResult(CheckOutcome.LINK)
        return _result(CheckOutcome.HASHED, there) if there.kind is _Kind.FILE else _no_file(there)

    def _recall(
        self,
        path: str,
        known: Sequence[tuple[int, bytes]],
        chunk_format: ChunkFormat | None,
        found: tuple[int, int] | None,
    ) -> CheckResult | None:
        with contextlib.suppress(OSError):
            if found is None:
                stats = self._destination.stat(path)
                if not stat.S_ISREG(stats.st_mode):
                    return None
                found = stats.st_size, stats.st_ctime_ns
            size, changed = found
            for since, digest in known:
                if digest != NO_DIGEST and changed < since:
                    place = self._destination
                    damage = None if chunk_format is None else find_damage(place, path, size, chunk_format)
                    return CheckResult(CheckOutcome.HASHED, size, digest, damage=damage)
        return None

    def _compare(self, path: str, source: RootFolder, chunk_format: ChunkFormat | None) -> CheckResult | None:
        """Compare both sides once; None where the source changed meanwhile, so that nothing can be said."""
        if _is_gone(self._destination, path) and _stat(source, path) is not None:
            return CheckResult(CheckOutcome.MISSING)  # there may be terabytes of these: they need not be read
        here = self._read(source, path, None)
        match here.kind:
            case _Kind.GONE:
                return CheckResult(CheckOutcome.MOVING, detail="deleted at the source just now")
            case _Kind.MOVING:
                return None
            case _Kind.STOPPED:
                return CheckResult(CheckOutcome.STOPPED)
            case _Kind.UNREADABLE | _Kind.OTHER:
                return CheckResult(CheckOutcome.UNREADABLE, detail=make_reason(ReasonCode.AT_SOURCE, problem=here.text))
        there = self._read(self._destination, path, chunk_format)
        result = _compare_found(here, there)
        if self.capabilities is not None and _waits_for_copy(here, there, self.capabilities):
            return CheckResult(CheckOutcome.MOVING, there.size)
        if result.good or result.outcome is CheckOutcome.STOPPED:
            return result
        after = _stat(source, path)
        unchanged = here.stats is not None and after is not None and is_same_version(here.stats, after)
        return result if unchanged else None

    def _read(self, place: RootFolder, path: str, chunk_format: ChunkFormat | None) -> _Found:
        """See what lies at a side, and hash it if it is a file."""
        for _ in range(self._attempts):
            try:
                stats = place.stat(path)
                if stat.S_ISLNK(stats.st_mode):
                    return _Found(_Kind.LINK, place.read_link(path), stats)
                if not stat.S_ISREG(stats.st_mode):
                    return _Found(_Kind.OTHER, describe_kind(stats.st_mode), stats)
            except (FileNotFoundError, NotADirectoryError):
                return _Found(_Kind.GONE)
            except OSError as error:
                return _unreadable(error)
            try:
                hashed = self._hash(place, path, chunk_format)
            except FileNotFoundError:
                continue  # changed while it was read, or gone: the next attempt tells
            except OSError as error:
                return _unreadable(error)
            if hashed is None:
                return _Found(_Kind.STOPPED)
            size, digest, damage = hashed
            return _Found(_Kind.FILE, "", stats, size, digest, damage)
        return _Found(_Kind.MOVING)

    def _hash(
        self, place: RootFolder, path: str, chunk_format: ChunkFormat | None
    ) -> tuple[int, bytes, Reason | None] | None:
        """Read a file; returns its size, its XXH3-128 and why it cannot be whole, or None if told to stop.

        Raises
        ------
        FileNotFoundError
            It is not there, or was changed meanwhile.
        OSError
            It cannot be read.
        """
        past_cache = place is self._destination
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
            damage = None if chunk_format is None else _damage(check_chunk(content, chunk_format, checksum))
            if not is_same_version(before, os.fstat(fd)):
                raise FileNotFoundError
            if past_cache:
                forget_cached(fd)
        finally:
            os.close(fd)
        return before.st_size, hasher.digest(), damage


def find_damage(place: RootFolder, path: str, size: int, chunk_format: ChunkFormat) -> Reason | None:
    """Return why a chunk file cannot be whole, as far as its size, both ends and block headers tell; else None.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if not needs_content(chunk_format):
        return _damage(check_chunk(FileBytes(-1, size), chunk_format))
    fd = place.open_for_reading(path)
    try:
        return _damage(check_chunk(FileBytes(fd, os.fstat(fd).st_size), chunk_format))
    finally:
        os.close(fd)


def _damage(found: Finding) -> Reason | None:
    return found if isinstance(found, Reason) else None


def _result(outcome: CheckOutcome, there: _Found, detail: str = "") -> CheckResult:
    return CheckResult(outcome, there.size, there.digest, detail, there.damage)


def _compare_found(here: _Found, there: _Found) -> CheckResult:
    if there.kind is _Kind.LINK and here.kind is _Kind.LINK:
        if here.text == there.text:
            return CheckResult(CheckOutcome.LINK)
        return CheckResult(CheckOutcome.CHANGED, detail=f"leads to {there.text}, not to {here.text}")
    if there.kind is not _Kind.FILE:
        return _no_file(there)
    if here.kind is _Kind.LINK:
        return CheckResult(CheckOutcome.CHANGED, detail="is a file, not a link")
    if there.digest == here.digest:
        return _result(CheckOutcome.EQUAL, there)
    if there.size < here.size:
        return _result(CheckOutcome.TRUNCATED, there, f"{there.size:,} of {here.size:,} bytes")
    more = there.size - here.size
    return _result(CheckOutcome.CHANGED, there, f"{more:,} bytes longer" if more else "")


def _waits_for_copy(here: _Found, there: _Found, capabilities: Capabilities) -> bool:
    """Whether something at the destination is the copy of another version than the source has now."""
    if here.stats is None or there.stats is None:
        return False  # one of them cannot be looked at
    if _Kind.FILE not in (here.kind, there.kind) or here.kind is not there.kind:
        return (here.kind, here.text) != (there.kind, there.text)
    keeps_times = capabilities.keeps_times
    return here.size != there.size or (
        keeps_times and not is_up_to_date(here.stats, there.stats, capabilities.time_unit)
    )


def _no_file(there: _Found) -> CheckResult:
    """Say what is wrong where the destination should have a file, or a link, and has not."""
    match there.kind:
        case _Kind.GONE:
            return CheckResult(CheckOutcome.MISSING)
        case _Kind.STOPPED:
            return CheckResult(CheckOutcome.STOPPED)
        case _Kind.MOVING:
            return CheckResult(CheckOutcome.MOVING, detail="at the destination")
        case _Kind.UNREADABLE:
            return CheckResult(CheckOutcome.UNREADABLE, detail=there.text)
        case _Kind.LINK:
            return CheckResult(CheckOutcome.CHANGED, detail="is a link, not a file")
        case _:
            return CheckResult(CheckOutcome.CHANGED, detail=there.text)


def _unreadable(error: OSError) -> _Found:
    if error.errno == errno.ELOOP:  # it became a link just now
        return _Found(_Kind.MOVING)
    return _Found(_Kind.UNREADABLE, error.strerror or str(error))


def _is_gone(place: RootFolder, path: str) -> bool:
    try:
        place.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _stat(place: RootFolder, path: str) -> os.stat_result | None:
    try:
        return place.stat(path)
    except OSError:
        return None
