"""When a folder was made: with its inode, this identifies a folder whatever disk it lies on.

Device and inode alone are not enough: a disk that replaces another can have both.
"""

from __future__ import annotations

import os
import struct
import sys

from softcopy_napari.engine.fs.statx import BTIME, statx

_BTIME = struct.Struct("=qI")
_BTIME_OFFSET = 80
"""Offset of `stx_btime` in `struct statx`."""


def read_birth_time(path: str, found: os.stat_result) -> int:
    """Read when a file or folder was made.

    Parameters
    ----------
    path : str
        The file or folder.
    found : os.stat_result
        The result of `os.stat`, which holds the time on macOS and Windows.

    Returns
    -------
    int
        The time, ns; 0 where the file system does not know it.
    """
    if sys.platform == "linux":
        answer = statx(path, BTIME)
        if answer is None:
            return 0
        seconds, nanoseconds = _BTIME.unpack_from(answer, _BTIME_OFFSET)
        return int(seconds) * 10**9 + int(nanoseconds)
    if sys.platform == "win32" and sys.version_info < (3, 12):
        return found.st_ctime_ns  # the creation time there
    return int(getattr(found, "st_birthtime_ns", 0) or getattr(found, "st_birthtime", 0) * 1e9)
