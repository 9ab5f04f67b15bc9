"""How much space is free on both sides of a target, and on which device each lies.

Measured in the copy workers, because a share may hang.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from softcopy_napari.engine.fs.files import extended_path


class FreeSpace(NamedTuple):
    """Free space and devices of a target's two sides."""

    source_free: int
    """Free bytes at the source; -1 where that is not known."""
    destination_free: int
    """Free bytes at the destination; -1 where that is not known."""
    source_device: int
    """Device number of the source; 0 where there is no source."""
    destination_device: int
    """Device number of the destination; 0 where there is none."""
    source_path: str
    """The source's path with links resolved; empty where there is no source."""


def measure_both_sides(source: str, destination: str) -> FreeSpace:
    """Measure both sides of a target; a side that is missing or does not answer counts as not known."""
    here, there = _device(source), _device(destination)
    return FreeSpace(
        source_free=measure_free_space(extended_path(source))[0] if here else -1,
        destination_free=measure_free_space(extended_path(destination))[0] if there else -1,
        source_device=here,
        destination_device=there,
        source_path=os.path.realpath(source) if here else "",
    )


def measure_free_space(folder: str) -> tuple[int, bool]:
    """Measure the free space at a destination.

    Returns
    -------
    free : int
        Bytes that may still be written; -1 if the system does not tell.
    no_files : bool
        Whether it cannot take another file however small (inodes).
    """
    try:
        if hasattr(os, "statvfs"):
            found = os.statvfs(folder)
            return found.f_bavail * found.f_frsize, found.f_files > 0 and found.f_favail == 0
        import shutil

        return shutil.disk_usage(folder).free, False
    except OSError:
        return -1, False


def _device(folder: str) -> int:
    try:
        return os.stat(extended_path(folder)).st_dev
    except OSError:
        return 0


def check_free_space(folder: str, size: int) -> None:
    """Raise ENOSPC for a large file that will not fit, rather than let a disk be filled with a part of it."""
    free, _ = measure_free_space(folder)
    if 0 <= free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
