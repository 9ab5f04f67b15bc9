"""Opens files of the source that are to be copied, and checks what was read of them, whatever the destination is."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

from softcopy_napari.engine.fs.file_times import TIME_UNITS, is_same_version, remaining_tick
from softcopy_napari.engine.fs.files import spare_the_cache
from softcopy_napari.engine.fs.relative_paths import parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.file_streams import BUFFER_SIZE, Unreadable
from softcopy_napari.engine.worker.publish_rules import PublishRules, examine_file, must_prove_whole
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum

CHANGED = CopyResult(CopyOutcome.CHANGED)
STOPPED = CopyResult(CopyOutcome.STOPPED)
VANISHED = CopyResult(CopyOutcome.VANISHED)

_SHORT_WAIT = 20_000_000
"""Longest time (ns) that a worker waits for a file's tick to end; otherwise the file is set aside."""


class NotPublished(Exception):
    """A file has changed while it was read, cannot be read, or is not whole."""

    def __init__(self, result: CopyResult) -> None:
        super().__init__(result)
        self.result = result


def stat_file(source: RootFolder, path: str, delete: Callable[[], CopyResult] | None) -> os.stat_result:
    """Return the stat of a file that is to be copied.

    Parameters
    ----------
    source : RootFolder
    path : str
    delete : callable or None
        What to do where there is none, as its writer deleted it; None to do nothing.

    Raises
    ------
    NotPublished
        There is none, or it cannot be looked at.
    """
    try:
        return source.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        result = VANISHED if delete is None else delete()
    except OSError as error:
        result = unreadable(error)
    raise NotPublished(result)


def open_settled(
    source: RootFolder, path: str, before: os.stat_result, rules: PublishRules, unit: int
) -> tuple[int, os.stat_result]:
    """Open a file once the clock tick of its last change is over.

    A file that is large or must prove that it is whole is examined first, so that it is not read in vain.

    Parameters
    ----------
    source : RootFolder
    path : str
        A regular file of it.
    before : os.stat_result
        The file's stat.
    rules : PublishRules
        When it may be published.
    unit : int
        Unit in which the destination keeps times, ns.

    Returns
    -------
    tuple of int and os.stat_result
        A descriptor at the file's start, and the file's stat from before it was opened, after that tick.

    Raises
    ------
    NotPublished
    """
    try:
        if left := _tick_left(before, unit):
            if left > _SHORT_WAIT:
                raise NotPublished(CHANGED)
            time.sleep(left / 1e9)
            before = source.stat(path)
        # The file is stat'ed by name and before it is opened: some network file systems answer fstat by name, too, and
        # would describe the file that has replaced the one that was opened.
        fd = source.open_for_reading(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotPublished(CHANGED) from None
    except OSError as error:
        if must_prove_whole(before, rules):  # on Windows its writer may have it open exclusively
            raise NotPublished(CopyResult(CopyOutcome.TORN)) from None
        raise NotPublished(unreadable(error)) from None
    try:
        if before.st_size > BUFFER_SIZE or must_prove_whole(before, rules):
            examine_opened(fd, before, rules)
            os.lseek(fd, 0, os.SEEK_SET)
        spare_the_cache(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, before


def _tick_left(found: os.stat_result, unit: int) -> int:
    """Return how long to wait (ns) until later changes of a file show in its time."""
    now = time.time_ns()
    return remaining_tick(found.st_mtime_ns, now, unit) if found.st_mtime_ns > now - TIME_UNITS[0] else 0


def examine_opened(fd: int, before: os.stat_result, rules: PublishRules) -> Reason | None:
    """Return why an open file that may be published is damaged; None if it is not known to be.

    Raises
    ------
    NotPublished
    """
    try:
        may, damage = examine_file(fd, before, rules)
    except OSError as error:
        raise NotPublished(unreadable(error)) from None
    if not may:
        raise NotPublished(CopyResult(CopyOutcome.TORN, reason=damage))
    return damage


def check_after_reading(
    source: RootFolder,
    fd: int,
    before: os.stat_result,
    path: str,
    size: int,
    rules: PublishRules,
    checksum: Checksum | None,
) -> Reason | None:
    """Check that a file that was read may be published.

    Parameters
    ----------
    source : RootFolder
    fd : int
        The file, still open.
    before : os.stat_result
        Its stat from before it was opened.
    path : str
    size : int
        Bytes that were read.
    rules : PublishRules
    checksum : Checksum or None
        The checksum of what was read.

    Returns
    -------
    Reason or None
        Why it is damaged; None if it is not known to be.

    Raises
    ------
    NotPublished
    """
    try:
        may, damage = examine_file(fd, before, rules, checksum)
        after = source.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotPublished(CHANGED) from None
    except OSError as error:
        raise NotPublished(unreadable(error)) from None
    if size != before.st_size or not is_same_version(before, after):
        raise NotPublished(CHANGED)
    if not may:
        raise NotPublished(CopyResult(CopyOutcome.TORN, reason=damage))
    return damage


def was_deleted_alone(source: RootFolder, path: str) -> bool:
    """Return whether a missing file's folder is still there; if it has gone too, no writer deleted the file."""
    try:
        return stat.S_ISDIR(source.stat(parent(path)).st_mode)
    except OSError:
        return False


def unreadable(error: OSError | Unreadable) -> CopyResult:
    """Return the result for a file that cannot be read."""
    return CopyResult(CopyOutcome.FAILED, reason=make_reason(ReasonCode.READ_FAILED, problem=error.strerror))
