"""Judges single files by content: against the checksum that they should have, or against their source.

For `verify.py`, which goes through all of them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.files import describe_kind
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.file_verifier import hash_file

_ATTEMPTS = 3
"""So often a file is looked at that is replaced while it is read: as a rule the next look sees it whole."""


class Mismatch(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"
    TRUNCATED = "truncated"
    EXTRA = "extra"
    UNREADABLE = "unreadable"
    MOVING = "still being written"


class CheckResult(NamedTuple):
    """What came of looking at one file."""

    size: int
    """Bytes read at the destination."""
    kind: Mismatch | None = None
    """What is wrong with it; None if it is as it should be."""
    detail: str = ""


class Interrupted(Exception):
    """Told to stop in the middle of a file."""


class _Seen(Enum):
    FILE = auto()
    LINK = auto()
    OTHER = auto()
    """A folder, fifo or device: never opened."""
    GONE = auto()
    MOVING = auto()
    UNREADABLE = auto()


class _Look(NamedTuple):
    seen: _Seen
    text: str = ""
    """Where a link leads, what a thing of another kind is, or why it cannot be read."""
    size: int = 0
    digest: bytes = NO_DIGEST


class ContentChecker:
    """Judges files, one at a time, with one buffer.

    Parameters
    ----------
    source : RootFolder or None
        Held by the caller; None where files are judged by their checksums.
    destination : RootFolder
        Held by the caller.
    buffer : memoryview
        To read into: a shard may be larger than the memory.
    go_on : callable
        Asked between blocks; false ends the reading.
    """

    def __init__(
        self, source: RootFolder | None, destination: RootFolder, buffer: memoryview, go_on: Callable[[], bool]
    ) -> None:
        self._source = source
        self._destination = destination
        self._view = buffer
        self._go_on = go_on

    def judge(self, path: str, digest: bytes) -> CheckResult:
        """Judge one file.

        Parameters
        ----------
        path : str
            Relative to both folders, `/` separated.
        digest : bytes
            Its XXH3-128; not used where there is a source.

        Returns
        -------
        Verdict
            Never raises for what the file systems do.

        Raises
        ------
        Interrupted
            `go_on` said so.
        """
        if self._source is None:
            return self._against_digest(path, digest)
        for _ in range(_ATTEMPTS):
            verdict = self._against_source(path, self._source)
            if verdict is not None:
                return verdict
        return CheckResult(0, Mismatch.MOVING, "at the source")

    def _against_digest(self, path: str, digest: bytes) -> CheckResult:
        there = self._look(self._destination, path)
        if there.seen is not _Seen.FILE:
            return _no_file(there)
        if there.digest == digest:
            return CheckResult(there.size)
        return CheckResult(there.size, Mismatch.CHANGED, "" if there.size else "empty")  # a receipt does not tell sizes

    def _against_source(self, path: str, source: RootFolder) -> CheckResult | None:
        """None where the source changed meanwhile: nothing can be said then."""
        before = _stat(source, path)
        if before is not None and _is_gone(self._destination, path):
            return CheckResult(0, Mismatch.MISSING)  # there may be terabytes of these: they need not be read
        here = self._look(source, path)
        if here.seen is _Seen.GONE:
            return CheckResult(0, Mismatch.MOVING, "deleted at the source just now")
        if here.seen is _Seen.MOVING:
            return None
        if here.seen in (_Seen.UNREADABLE, _Seen.OTHER):
            return CheckResult(0, Mismatch.UNREADABLE, f"at the source: {here.text}")
        there = self._look(self._destination, path)
        verdict = _compared(here, there)
        if verdict.kind is None:
            return verdict
        after = _stat(source, path)
        if before is None or after is None or not is_same_version(before, after):
            return None
        return verdict

    def _look(self, place: RootFolder, path: str) -> _Look:
        for _ in range(_ATTEMPTS):
            try:
                found = place.stat(path)
                if stat.S_ISLNK(found.st_mode):
                    return _Look(_Seen.LINK, place.read_link(path))
                if not stat.S_ISREG(found.st_mode):
                    name = "folder" if stat.S_ISDIR(found.st_mode) else describe_kind(found.st_mode)
                    return _Look(_Seen.OTHER, f"is a {name}, not a file")
            except (FileNotFoundError, NotADirectoryError):
                return _Look(_Seen.GONE)
            except OSError as error:
                return _unreadable(error)
            try:
                result = hash_file(place, path, self._view, place is self._destination, lambda _: self._go_on())
            except FileNotFoundError:
                continue  # changed while it was read, or gone: the next look tells
            except OSError as error:
                return _unreadable(error)
            if result is None:
                raise Interrupted
            return _Look(_Seen.FILE, "", result[0].st_size, result[1])
        return _Look(_Seen.MOVING)


def _compared(here: _Look, there: _Look) -> CheckResult:
    if there.seen is _Seen.LINK and here.seen is _Seen.LINK:
        same = here.text == there.text
        return (
            CheckResult(0) if same else CheckResult(0, Mismatch.CHANGED, f"leads to {there.text}, not to {here.text}")
        )
    if there.seen is not _Seen.FILE:
        return _no_file(there)
    if here.seen is _Seen.LINK:
        return CheckResult(0, Mismatch.CHANGED, "is a file, not a link")
    if there.digest == here.digest:
        return CheckResult(there.size)
    if there.size < here.size:
        return CheckResult(there.size, Mismatch.TRUNCATED, f"{there.size:,} of {here.size:,} bytes")
    more = there.size - here.size
    return CheckResult(there.size, Mismatch.CHANGED, f"{more:,} bytes longer" if more else "")


def _no_file(there: _Look) -> CheckResult:
    """What is wrong where the destination should have a file, or a link, and has not."""
    match there.seen:
        case _Seen.GONE:
            return CheckResult(0, Mismatch.MISSING)
        case _Seen.MOVING:
            return CheckResult(0, Mismatch.MOVING, "at the destination")
        case _Seen.UNREADABLE:
            return CheckResult(0, Mismatch.UNREADABLE, there.text)
        case _Seen.LINK:
            return CheckResult(0, Mismatch.CHANGED, "is a link, not a file")
        case _:
            return CheckResult(0, Mismatch.CHANGED, there.text)


def _unreadable(error: OSError) -> _Look:
    if error.errno == errno.ELOOP:  # it became a link just now
        return _Look(_Seen.MOVING)
    return _Look(_Seen.UNREADABLE, error.strerror or str(error))


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
