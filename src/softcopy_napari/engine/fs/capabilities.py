"""What a destination's file system can do: tried out once with a small file, for its name says too little.

Runs in the copy workers and must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import errno
import os
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

from softcopy_napari.engine.fs.file_times import TIME_UNITS
from softcopy_napari.engine.fs.files import NOFOLLOW
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

if TYPE_CHECKING:
    from softcopy_napari.engine.fs.root_folder import RootFolder

_TIME = 1_000_000_001_123_456_789
"""An odd second, with something at every digit, ns."""
_COMPOSED, _DECOMPOSED = (os.fsdecode(letter.encode()) for letter in ("\u00e9", "e\u0301"))  # in any locale
_REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


class Capabilities(NamedTuple):
    """What a file system can do."""

    time_unit: int = 1
    """How finely modification times are kept, in ns: 1, or for example 100 (NTFS) or 2 s (FAT)."""
    keeps_times: bool = True
    """Whether a file still has the modification time that was set, once it was renamed."""
    case_sensitive: bool = True
    """Whether `IMG` and `img` are two files."""
    form_sensitive: bool = True
    """Whether é written as one character, and as e with an accent, are two names."""


class Remark(IntFlag):
    """What a worker found that the user should know of the destination."""

    NO_TIMES = 1
    GROUP_CANNOT_READ = 2
    STORED_LATER = 1 << 8


_CODES = {
    Remark.NO_TIMES: ReasonCode.NO_TIMES,
    Remark.GROUP_CANNOT_READ: ReasonCode.GROUP_CANNOT_READ,
    Remark.STORED_LATER: ReasonCode.STORED_LATER,
}


def describe_remarks(remarks: int, destination: str) -> list[Reason]:
    """Return each of the remarks as a reason."""
    return [make_reason(code, destination=destination) for remark, code in _CODES.items() if remarks & remark]


def is_refusal(error: OSError) -> bool:
    """Whether a file system says by an error that it never does what was asked, such as to set a modification time."""
    return error.errno in _REFUSALS


def detect_capabilities(place: RootFolder, name: str) -> Capabilities:
    """Find out what a file system can do.

    Parameters
    ----------
    place : RootFolder
        Its folder, held.
    name : str
        Name of a temporary file to try it with; removed again.

    Raises
    ------
    OSError
        Nothing can be written there just now.
    """
    stem, dot, ending = name.rpartition(".")
    first = f"{stem}{_COMPOSED}{dot}{ending}"
    try:
        try:
            keeps = _make(place, first)
        except OSError:  # some take no such letters
            place.discard(first)
            first = f"{stem}-e{dot}{ending}"
            keeps = _make(place, first)
        case_sensitive = not _exists(place, first.replace(stem, stem.upper()))
        form_sensitive = _COMPOSED not in first or not _exists(place, first.replace(_COMPOSED, _DECOMPOSED))
        place.replace(name, first)  # as a copy's temporary: some set the time when they rename
        kept = place.stat(name).st_mtime_ns
    finally:
        place.discard(first)
        place.discard(name)
    off = abs(kept - _TIME)
    units = [unit for unit in TIME_UNITS if off < unit]
    exact = [unit for unit in units if kept % unit == 0]
    unit = 1 if not off or not units else exact[0] if exact else units[-1]
    return Capabilities(unit, keeps and (not off or bool(units)), case_sensitive, form_sensitive)


def infer_time_unit(*folders: os.stat_result) -> int:
    """Tell how finely times are kept from folders of the file system, where nothing is to be tried out.

    Modification times can be set by anyone, to whole seconds for example; other times are the system's own. Those
    may be finer than modification times by one step only: 10 ms beside 2 s (FAT).
    """

    def unit(times: list[int]) -> int:
        return next((unit for unit in TIME_UNITS if not any(time % unit for time in times)), 1)

    own = unit([folder.st_ctime_ns for folder in folders])
    return own if own < 10_000_000 else unit([folder.st_mtime_ns for folder in folders])


def _make(place: RootFolder, name: str) -> bool:
    """Make a file with an old modification time; returns whether that may be set."""
    with contextlib.suppress(FileNotFoundError):
        place.unlink(name)
    fd = place.open_file(name, os.O_WRONLY | os.O_CREAT | NOFOLLOW, 0o600)
    try:
        place.set_times(name, fd, _TIME, _TIME)
    except OSError as error:
        if not is_refusal(error):
            raise
        return False
    return True


def _exists(place: RootFolder, name: str) -> bool:
    try:
        place.stat(name)
    except OSError:
        return False
    return True
