"""Checks files of a destination by content: against a digest, against their source, or only to learn their digest.

The copy processes read files back with it, and `softcopy verify` checks whole folders with it. Reads past the page
cache where the system allows that: what a disk has kept counts, not what memory remembers.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.file_times import is_same_version, is_up_to_date
from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.side_reader import FoundItem, ItemKind, SideReader, damage_of
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat, FileBytes, check_chunk, needs_content

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


class ContentChecker:
    """Checks files one at a time, with one buffer.

    No method raises for what file systems do: that is in the result.

    Parameters
    ----------
    source : RootFolder or None
        The source, held by the caller; None where nothing is compared with it.
    destination : RootFolder
        The destination, held by the caller.
    buffer, go_on, attempts
        See `SideReader`.

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
        self._reader = SideReader(buffer, go_on, attempts)
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
        there = self._reader.read(self._destination, path, chunk_format)
        if there.kind is ItemKind.LINK and digest == LINK_DIGEST:
            return CheckResult(CheckOutcome.LINK)
        if there.kind is not ItemKind.FILE:
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
        there = self._reader.read(self._destination, path, chunk_format)
        if there.kind in (ItemKind.LINK, ItemKind.OTHER):
            return CheckResult(CheckOutcome.LINK)
        return _result(CheckOutcome.HASHED, there) if there.kind is ItemKind.FILE else _no_file(there)

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
        here = self._reader.read(source, path, past_cache=False)
        if here.kind is ItemKind.MOVING:
            return None
        if (refused := why_not_comparable(here)) is not None:
            return refused
        there = self._reader.read(self._destination, path, chunk_format)
        result = _compare_found(here, there)
        if self.capabilities is not None and _waits_for_copy(here, there, self.capabilities):
            return CheckResult(CheckOutcome.MOVING, there.size)
        if result.good or result.outcome is CheckOutcome.STOPPED:
            return result
        after = _stat(source, path)
        unchanged = here.stats is not None and after is not None and is_same_version(here.stats, after)
        return result if unchanged else None


def why_not_comparable(here: FoundItem) -> CheckResult | None:
    """Return the result where nothing can be compared with what lies at the source; None where it can."""
    match here.kind:
        case ItemKind.GONE:
            return CheckResult(CheckOutcome.MOVING, detail="deleted at the source just now")
        case ItemKind.STOPPED:
            return CheckResult(CheckOutcome.STOPPED)
        case ItemKind.UNREADABLE | ItemKind.OTHER:
            return CheckResult(CheckOutcome.UNREADABLE, detail=make_reason(ReasonCode.AT_SOURCE, problem=here.text))
        case _:
            return None


def find_damage(place: RootFolder, path: str, size: int, chunk_format: ChunkFormat) -> Reason | None:
    """Return why a chunk file cannot be whole, as far as its size, both ends and block headers tell; else None.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if not needs_content(chunk_format):
        return damage_of(check_chunk(FileBytes(-1, size), chunk_format))
    fd = place.open_for_reading(path)
    try:
        return damage_of(check_chunk(FileBytes(fd, os.fstat(fd).st_size), chunk_format))
    finally:
        os.close(fd)


def _result(outcome: CheckOutcome, there: FoundItem, detail: str = "") -> CheckResult:
    return CheckResult(outcome, there.size, there.digest, detail, there.damage)


def _compare_found(here: FoundItem, there: FoundItem) -> CheckResult:
    if there.kind is ItemKind.LINK and here.kind is ItemKind.LINK:
        if here.text == there.text:
            return CheckResult(CheckOutcome.LINK)
        return CheckResult(CheckOutcome.CHANGED, detail=f"leads to {there.text}, not to {here.text}")
    if there.kind is not ItemKind.FILE:
        return _no_file(there)
    if here.kind is ItemKind.LINK:
        return CheckResult(CheckOutcome.CHANGED, detail="is a file, not a link")
    if there.digest == here.digest:
        return _result(CheckOutcome.EQUAL, there)
    if there.size < here.size:
        return _result(CheckOutcome.TRUNCATED, there, f"{there.size:,} of {here.size:,} bytes")
    more = there.size - here.size
    return _result(CheckOutcome.CHANGED, there, f"{more:,} bytes longer" if more else "")


def _waits_for_copy(here: FoundItem, there: FoundItem, capabilities: Capabilities) -> bool:
    """Whether something at the destination is the copy of another version than the source has now."""
    if here.stats is None or there.stats is None:
        return False  # one of them cannot be looked at
    if ItemKind.FILE not in (here.kind, there.kind) or here.kind is not there.kind:
        return (here.kind, here.text) != (there.kind, there.text)
    keeps_times = capabilities.keeps_times
    return here.size != there.size or (
        keeps_times and not is_up_to_date(here.stats, there.stats, capabilities.time_unit)
    )


def _no_file(there: FoundItem) -> CheckResult:
    """Say what is wrong where the destination should have a file, or a link, and has not."""
    match there.kind:
        case ItemKind.GONE:
            return CheckResult(CheckOutcome.MISSING)
        case ItemKind.STOPPED:
            return CheckResult(CheckOutcome.STOPPED)
        case ItemKind.MOVING:
            return CheckResult(CheckOutcome.MOVING, detail="at the destination")
        case ItemKind.UNREADABLE:
            return CheckResult(CheckOutcome.UNREADABLE, detail=there.text)
        case ItemKind.LINK:
            return CheckResult(CheckOutcome.CHANGED, detail="is a link, not a file")
        case _:
            return CheckResult(CheckOutcome.CHANGED, detail=there.text)


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
