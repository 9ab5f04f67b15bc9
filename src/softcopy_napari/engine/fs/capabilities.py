"""What a destination's file system can do: found out once with a small file, because its name says too little."""

from __future__ import annotations

import contextlib
import errno
import os
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

from softcopy_napari.engine.fs.file_times import TIME_UNITS
from softcopy_napari.engine.fs.files import NOFOLLOW
from softcopy_napari.engine.fs.own_files import temporaries_of
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

if TYPE_CHECKING:
    from softcopy_napari.engine.fs.root_folder import RootFolder

_TIME = 1_000_000_001_123_456_789
"""A modification time (ns) that no coarse unit divides, so that rounding shows."""
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
    """What a worker noticed about the destination that the user should know."""

    NO_TIMES = 1
    GROUP_CANNOT_READ = 2
    LINKS_LEFT_OUT = 4
    STORED_LATER = 1 << 8


_CODES = {
    Remark.NO_TIMES: ReasonCode.NO_TIMES,
    Remark.GROUP_CANNOT_READ: ReasonCode.GROUP_CANNOT_READ,
    Remark.LINKS_LEFT_OUT: ReasonCode.STORE_WITHOUT_LINKS,
    Remark.STORED_LATER: ReasonCode.STORED_LATER,
}


def describe_remarks(remarks: int, destination: str) -> list[Reason]:
    """Return each of the remarks as a reason."""
    return [make_reason(code, destination=destination) for remark, code in _CODES.items() if remarks & remark]


def is_refusal(error: OSError) -> bool:
    """Whether an error means that the file system can never do this, such as set a modification time."""
    return error.errno in _REFUSALS


def detect_capabilities(folder: RootFolder, name: str) -> Capabilities:
    """Find out what a file system can do.

    Parameters
    ----------
    folder : RootFolder
        A folder on it, open.
    name : str
        Name for a temporary file, which is removed again.

    Raises
    ------
    OSError
        Nothing can be written there just now.
    """
    stem = name.rpartition(".")[0]
    first, plain = _probes_of(name)
    try:
        try:
            keeps = _make(folder, first)
        except OSError:  # some file systems refuse such letters
            folder.discard(first)
            first = plain
            keeps = _make(folder, first)
        case_sensitive = not _exists(folder, first.replace(stem, stem.upper()))
        form_sensitive = _COMPOSED not in first or not _exists(folder, first.replace(_COMPOSED, _DECOMPOSED))
        folder.replace(name, first)  # as a copy is: some file systems set the time on a rename
        kept = folder.stat(name).st_mtime_ns
    finally:
        folder.discard(first)
        folder.discard(name)
    off = abs(kept - _TIME)
    units = [unit for unit in TIME_UNITS if off < unit]
    exact = [unit for unit in units if kept % unit == 0]
    unit = 1 if not off or not units else exact[0] if exact else units[-1]
    return Capabilities(unit, keeps and (not off or bool(units)), case_sensitive, form_sensitive)


def _probes_of(name: str) -> tuple[str, str]:
    """Return the name of the file that is made, with an accent in it, and the name where such letters are refused."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}{_COMPOSED}{dot}{ending}", f"{stem}-e{dot}{ending}"


def leftovers_of(temporary: str) -> list[str]:
    """Return the names of all files that a worker with this temporary may leave where it dies."""
    return [*temporaries_of(temporary), *_probes_of(temporary)]


def infer_time_unit(*folders: os.stat_result) -> int:
    """Infer the unit of modification times (ns) from the times of folders, where no file may be written.

    Anyone can set modification times, to whole seconds for example. Change times are the system's own; on FAT they are
    finer (10 ms) than modification times (2 s).
    """

    def unit(times: list[int]) -> int:
        return next((unit for unit in TIME_UNITS if not any(time % unit for time in times)), 1)

    own = unit([folder.st_ctime_ns for folder in folders])
    return own if own < 10_000_000 else unit([folder.st_mtime_ns for folder in folders])


def _make(folder: RootFolder, name: str) -> bool:
    """Make a file with an old modification time; return whether the time could be set."""
    with contextlib.suppress(FileNotFoundError):
        folder.unlink(name)
    fd = folder.open_file(name, os.O_WRONLY | os.O_CREAT | NOFOLLOW, 0o600)
    try:
        folder.set_times(name, fd, _TIME, _TIME)
    except OSError as error:
        if not is_refusal(error):
            raise
        return False
    return True


def _exists(folder: RootFolder, name: str) -> bool:
    try:
        folder.stat(name)
    except OSError:
        return False
    return True
