"""The same conditions for everybody: memory that is at hand, cold caches, a disk on which nothing was just deleted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import psutil

_MOST = 0.3
"""Share of the free memory."""
_ZEROS = bytes(1 << 20)
_DISCARDED = "discarded-"


class Ballast:
    """Memory that is held until something is measured, and is at hand then; a context manager.

    Memory that was free for some seconds is slow at its next use in a virtual machine, which may have given it back to
    its host: a file of 256 KiB then takes 0.7 ms to write here, and not 0.1. Without ballast that would be counted
    against whoever comes after a pause, or writes the most.

    Parameters
    ----------
    size : int
        Bytes that all who are at work will use, files in memory and what the system keeps of files on disks.
    """

    def __init__(self, size: int) -> None:
        self._size = min(size, int(_MOST * psutil.virtual_memory().available))
        self._file = os.memfd_create("ballast")
        self.hold()

    def hold(self) -> None:
        """Take it, once what a run has written is discarded."""
        for place in range(0, self._size, len(_ZEROS)):  # written: room that is only reserved would not be touched
            os.pwrite(self._file, _ZEROS, place)

    def drop(self) -> None:
        """Let go of it, right before something is measured."""
        os.ftruncate(self._file, 0)

    def __enter__(self) -> Ballast:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._file)


def drop_caches() -> str:
    """Make the next reads come from the disk; says why it could not."""
    try:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as knob:
            knob.write("3")
    except OSError as error:
        return f"the disk's cache cannot be dropped ({error.strerror}; it takes root)"
    return ""


def discard(path: Path, disk: bool) -> None:
    """Give back the room that a run has taken.

    On a disk the files stay, empty, until the workplace is left: ext4 does not give inodes again that were deleted in
    the last minutes, but looks at each of them whenever a file is made. Whoever writes next would do little else.
    """
    if not disk:
        shutil.rmtree(path)
        return
    for folder, _, names in os.walk(path):
        for file in (os.path.join(folder, name) for name in names):
            if not os.path.islink(file):
                os.truncate(file, 0)
    before = sum(other.name.startswith(_DISCARDED) for other in path.parent.iterdir())
    path.rename(path.with_name(f"{_DISCARDED}{before}"))
