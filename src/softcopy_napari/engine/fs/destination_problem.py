"""What keeps a whole destination from taking anything: full, read-only, gone. No fault of any single file.

Used by the copy workers: must import nothing heavy.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import NamedTuple

from softcopy_napari.engine.formatting import count_text, size_text
from softcopy_napari.engine.fs.free_space import measure_free_space


class ProblemKind(Enum):
    """Why a destination takes nothing now."""

    FULL = "full"
    NO_FILES = "no files"
    """There is room for data, but not for another file (inodes)."""
    QUOTA = "quota"
    READ_ONLY = "read-only"
    GONE = "gone"
    """Its folder is not there, or is not the one that was filled so far."""


_KINDS = {
    errno.ENOSPC: ProblemKind.FULL,
    errno.EROFS: ProblemKind.READ_ONLY,
    getattr(errno, "EDQUOT", errno.ENOSPC): ProblemKind.QUOTA,
}
_KINDS[errno.ENOSPC] = ProblemKind.FULL


class DestinationProblem(NamedTuple):
    """Why a destination takes nothing, as a worker met it."""

    kind: ProblemKind
    detail: str = ""
    """What the system said."""
    free: int = -1
    """Bytes that may still be written; -1 where that is not known."""
    away: bool = False
    """Nothing was in its place, or another folder: it was unmounted or taken away, and not just out of reach."""


def describe_problem(obstacle: DestinationProblem, destination: str, files: int, needed: int) -> str:
    """Say what is the matter, and what to do.

    Parameters
    ----------
    obstacle : DestinationProblem
    destination : str
        The folder.
    files, needed : int
        What waits to be copied: files, and about how many bytes, 0 where that is not known.
    """
    amount = f"about {size_text(needed)} needed" if needed else "more room is needed"
    more = f"{amount} for the {files:,} files that wait" if files else amount
    match obstacle.kind:
        case ProblemKind.FULL:
            free = f"{size_text(obstacle.free)} free, " if obstacle.free >= 0 else ""
            what = f"{destination} is full: {free}{more}. Make room there"
        case ProblemKind.NO_FILES:
            what = f"{destination} cannot take another file, though it has room for data (no inodes left): "
            what += f"{count_text(files, 'file')} to be copied. Delete files there that nobody needs"
        case ProblemKind.QUOTA:
            what = f"your quota on the disk of {destination} is used up: {more}. Delete something, or have it raised"
        case ProblemKind.READ_ONLY:
            what = f"{destination} is read-only. Make it writable"
        case ProblemKind.GONE:
            detail = f" ({obstacle.detail})" if obstacle.detail else ""
            what = f"{destination} cannot be reached, or is another folder than before{detail}. Connect its disk again"
    return f"{what}; copying goes on by itself"


def is_destination_problem(error: OSError) -> bool:
    """Whether an error of a file at the destination is one of the destination as a whole."""
    return error.errno in _KINDS


_IN_THE_WAY: dict[int | None, str] = {
    errno.EISDIR: "a folder is in its place at the destination; move that away",
    errno.ENOTEMPTY: "a folder is in its place at the destination; move that away",
    errno.ENOTDIR: "a file is in the place of its folder at the destination; move that away",
}


def explain_write_error(error: OSError) -> str:
    """Why a single file cannot be written, in words. What became a folder at the source, or a file, is not deleted."""
    return _IN_THE_WAY.get(error.errno) or error.strerror or str(error)


def explain_too_large(size: int) -> str:
    """Why a file of so many bytes cannot be written, in words."""
    return f"is too large for the destination's file system: {size_text(size)} (FAT takes 4 GB at most)"


def diagnose_problem(error: OSError, folder: str) -> DestinationProblem:
    """What an error at a destination stands for.

    Parameters
    ----------
    error : OSError
    folder : str
        The destination.
    """
    free, no_files = measure_free_space(folder)
    kind = _KINDS.get(error.errno or 0, ProblemKind.GONE)
    if kind is ProblemKind.FULL and no_files:
        kind = ProblemKind.NO_FILES
    away = kind is ProblemKind.GONE and (error.errno or errno.ENOENT) == errno.ENOENT
    return DestinationProblem(kind, error.strerror or "", free, away)
