"""When a folder was made: with its inode, what a folder is known again by, on whatever disk it lies.

Device and inode alone are not enough: a disk that is put in another's place can have both.
"""

from __future__ import annotations

import os
import struct
import sys

from softcopy_napari.engine.fs.statx import BTIME, statx

_BTIME = struct.Struct("=qI")
_BTIME_OFFSET = 80
"""In `struct statx`."""


def read_birth_time(path: str, found: os.stat_result) -> int:
    """When a file or folder was made.

    Parameters
    ----------
    path : str
    found : os.stat_result
        Its stat, which holds the time on macOS and Windows.

    Returns
    -------
    int
        In ns; 0 where the file system does not know.
    """
    if sys.platform == "linux":
        answer = statx(path, BTIME)
        if answer is None:
            return 0
        seconds, nanoseconds = _BTIME.unpack_from(answer, _BTIME_OFFSET)
        return int(seconds) * 10**9 + int(nanoseconds)
    if sys.platform == "win32" and sys.version_info < (3, 12):
        return found.st_ctime_ns  # the same there
    return int(getattr(found, "st_birthtime_ns", 0) or getattr(found, "st_birthtime", 0) * 1e9)
