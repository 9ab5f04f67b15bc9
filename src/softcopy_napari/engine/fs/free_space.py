"""How much room there is on both sides, and on which device each lies.

Asked by the copy workers, for a share may hang; must import nothing heavy.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from softcopy_napari.engine.fs.files import extended_path


class FreeSpace(NamedTuple):
    """What a worker found."""

    source_free: int
    """Bytes; -1 where the system does not tell."""
    destination_free: int
    source_device: int
    """The system's number of the device that the source lies on; 0 where there is no source."""
    destination_device: int
    source_path: str
    """The source without links, empty where there is none."""


def measure_both_sides(source: str, destination: str) -> FreeSpace:
    """Look at both sides; what is not there, or does not answer, is not known."""
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
