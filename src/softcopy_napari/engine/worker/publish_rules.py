"""When a copy may be published, judged by its array's chunk format and by how long its writer has been quiet."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.file_streams import allocated
from softcopy_napari.engine.zarr_layout.chunk_check import (
    Checksum,
    ChunkFormat,
    FileBytes,
    check_chunk,
    has_written_end,
    needs_checksum,
)

_CLOCK_SKEW_NS = 2_000_000_000


class PublishRules(NamedTuple):
    """When the files of a task may be published."""

    chunk_format: ChunkFormat | None = None
    """The files are chunk files of this format, and are not published while they are damaged."""
    as_it_is: bool = False
    """Publish damaged files nevertheless: nobody will complete them."""
    quiet: float = 0.0
    """The writer may still be at work: files must prove whole, or not have changed for this many seconds."""
    copied_metadata: Mapping[str, bytes] | None = None
    """XXH3-128 of metadata files that were copied before, by path: edits at the destination are kept. None to replace
    them."""


def must_prove_whole(found: os.stat_result, rules: PublishRules) -> bool:
    """Whether a file must prove that it is whole, because its writer may still be at work."""
    if not rules.quiet or rules.as_it_is:
        return False
    now = time.time_ns()
    return now - int(rules.quiet * 1e9) < found.st_mtime_ns < now + _CLOCK_SKEW_NS


def examine_file(
    fd: int, found: os.stat_result, rules: PublishRules, checksum: Checksum | None = None
) -> tuple[bool, Reason | None]:
    """Decide whether a file may be published.

    Parameters
    ----------
    fd : int
        The file, open for reading; without `pread` its position is moved.
    found : os.stat_result
        The file's stat.
    rules : PublishRules
        The rules of its task.
    checksum : Checksum, optional
        The checksum of its content; without it, a file that may yet prove whole by its checksum passes.

    Returns
    -------
    tuple of bool and Reason or None
        Whether it may be published, and why it is damaged; None if it is not known to be.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    content = FileBytes(fd, found.st_size)
    known = None if rules.chunk_format is None else check_chunk(content, rules.chunk_format, checksum)
    if isinstance(known, Reason):
        return rules.as_it_is, known
    if not must_prove_whole(found, rules):
        return True, None
    if known is None:
        return checksum is None and needs_checksum(rules.chunk_format), None
    return has_written_end(content) and not _has_holes(found), None


def _has_holes(found: os.stat_result) -> bool:
    """Whether parts of a file were never written, as far as the file system knows."""
    return 0 < allocated(found) < found.st_size
