"""When a copy may be published: what its array's format and its writer's silence tell of a file.

Used by the copy workers, and imports nothing heavy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

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
    """When files of a task may be published."""

    chunk_format: ChunkFormat | None = None
    """They are chunk files of this format, and not published while they cannot be whole."""
    as_it_is: bool = False
    """Publish them nevertheless: nobody will make them whole any more."""
    quiet: float = 0.0
    """Nothing tells that their writer is done with them: they must prove whole, or not have changed for so long, s."""
    copied_metadata: Mapping[str, bytes] | None = None
    """XXH128 of metadata files that were copied before, by path: what others have made of them is kept. None to replace
    it."""


def must_prove_whole(found: os.stat_result, rules: PublishRules) -> bool:
    """Whether a file has to prove whole, because its writer may still be at work."""
    if not rules.quiet or rules.as_it_is:
        return False
    now = time.time_ns()
    return now - int(rules.quiet * 1e9) < found.st_mtime_ns < now + _CLOCK_SKEW_NS


def examine_file(
    fd: int, found: os.stat_result, rules: PublishRules, checksum: Checksum | None = None
) -> tuple[bool, str]:
    """Say whether a file may be published.

    Parameters
    ----------
    fd : int
        The file, open for reading. Where the system has no `pread`, its position is moved.
    found : os.stat_result
        Of the file.
    rules : PublishRules
    checksum : Checksum, optional
        Of its content; without it, a file that may prove whole by its checksum may be published.

    Returns
    -------
    tuple of bool and str
        Whether it may, and why it cannot be whole; empty where that is not known.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    content = FileBytes(fd, found.st_size)
    known = None if rules.chunk_format is None else check_chunk(content, rules.chunk_format, checksum)
    if known:
        return rules.as_it_is, known
    if not must_prove_whole(found, rules):
        return True, ""
    if known is None:
        return checksum is None and needs_checksum(rules.chunk_format), ""
    return has_written_end(content) and not _has_holes(found), ""


def _has_holes(found: os.stat_result) -> bool:
    """Whether parts of a file were never written, as far as its file system tells."""
    return 0 < allocated(found) < found.st_size
