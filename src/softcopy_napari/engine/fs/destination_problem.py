"""What keeps a whole destination from taking anything: full, read-only, gone. No fault of any single file."""

from __future__ import annotations

import errno
from enum import Enum
from typing import NamedTuple

from softcopy_napari.engine.fs.files import NotFlushed
from softcopy_napari.engine.fs.free_space import measure_free_space
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason


class ProblemKind(Enum):
    """Why a destination takes nothing now."""

    FULL = "full"
    NO_FILES = "no files"
    """There is room for data, but not for another file (inodes)."""
    QUOTA = "quota"
    READ_ONLY = "read-only"
    GONE = "gone"
    """Its folder is not there, or is not the one that was filled so far."""
    REFUSED = "refused"
    """An object store does not let us in: credentials are missing, wrong, expired, or do not suffice."""
    NO_BUCKET = "no bucket"
    CLOCK = "clock"
    """An object store takes no requests of a computer whose clock is minutes off."""
    OVERLOADED = "overloaded"
    """An object store asks to be asked less often, and did so for longer than requests are repeated."""


_KINDS = {
    errno.ENOSPC: ProblemKind.FULL,
    errno.EROFS: ProblemKind.READ_ONLY,
    getattr(errno, "EDQUOT", errno.ENOSPC): ProblemKind.QUOTA,
}
_KINDS[errno.ENOSPC] = ProblemKind.FULL

_CODES = {
    ProblemKind.FULL: ReasonCode.DESTINATION_FULL,
    ProblemKind.NO_FILES: ReasonCode.DESTINATION_NO_FILES,
    ProblemKind.QUOTA: ReasonCode.DESTINATION_QUOTA,
    ProblemKind.READ_ONLY: ReasonCode.DESTINATION_READ_ONLY,
    ProblemKind.GONE: ReasonCode.DESTINATION_UNREACHABLE,
    ProblemKind.REFUSED: ReasonCode.STORE_REFUSED,
    ProblemKind.NO_BUCKET: ReasonCode.STORE_NO_BUCKET,
    ProblemKind.CLOCK: ReasonCode.STORE_CLOCK,
    ProblemKind.OVERLOADED: ReasonCode.STORE_OVERLOADED,
}
_OUT_OF_REACH = (
    ProblemKind.GONE,
    ProblemKind.REFUSED,
    ProblemKind.NO_BUCKET,
    ProblemKind.CLOCK,
    ProblemKind.OVERLOADED,
)


class DestinationProblem(NamedTuple):
    """Why a destination takes nothing, as a worker found it."""

    kind: ProblemKind
    detail: str = ""
    """What the system said."""
    free: int = -1
    """Free bytes; -1 where that is not known."""
    away: bool = False
    """It was unmounted or disconnected, and is not just out of reach: nothing, or another folder, is in its place."""

    @property
    def out_of_reach(self) -> bool:
        """Whether it can be neither looked at nor filled."""
        return self.kind in _OUT_OF_REACH


def describe_problem(obstacle: DestinationProblem, destination: str, files: int, needed: int) -> Reason:
    """Say what is the matter with a destination.

    Parameters
    ----------
    obstacle : DestinationProblem
    destination : str
        The folder.
    files, needed : int
        Files that wait to be copied, and about how many bytes; 0 where that is not known.
    """
    return make_reason(
        _CODES[obstacle.kind],
        destination=destination,
        free=obstacle.free if obstacle.free >= 0 else None,
        files=files if files or obstacle.kind is ProblemKind.NO_FILES else None,
        needed=needed or None,
        problem=obstacle.detail,
    )


def is_destination_problem(error: OSError) -> bool:
    """Whether an error with one file concerns the destination as a whole."""
    return error.errno in _KINDS


_IN_THE_WAY: dict[int | None, ReasonCode] = {
    errno.EISDIR: ReasonCode.FOLDER_IN_PLACE,
    errno.ENOTEMPTY: ReasonCode.FOLDER_IN_PLACE,
    errno.ENOTDIR: ReasonCode.FILE_IN_PLACE,
}


def explain_write_error(error: OSError) -> Reason:
    """Return why one file cannot be written. A folder in a file's place, or the other way round, is never deleted."""
    if isinstance(error, NotFlushed):
        return make_reason(ReasonCode.NOT_FLUSHED, problem=error.strerror)
    code = _IN_THE_WAY.get(error.errno)
    problem = make_reason(code) if code is not None else error.strerror or str(error)
    return make_reason(ReasonCode.WRITE_FAILED, problem=problem)


def diagnose_problem(error: OSError, folder: str) -> DestinationProblem:
    """Find out what an error at a destination means."""
    free, no_files = measure_free_space(folder)
    kind = _KINDS.get(error.errno or 0, ProblemKind.GONE)
    if kind is ProblemKind.FULL and no_files:
        kind = ProblemKind.NO_FILES
    away = kind is ProblemKind.GONE and (error.errno or errno.ENOENT) == errno.ENOENT
    return DestinationProblem(kind, error.strerror or "", free, away)
