"""When a folder was made: with its inode, what a folder is known again by, on whatever disk it lies.

Device and inode alone are not enough: a disk that is put in another's place can have both.
"""

from __future__ import annotations

import os
import struct
import sys

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_SIZE = 256
_MASK, _BTIME = struct.Struct("=I"), struct.Struct("=qI")
_BTIME_OFFSET = 80
"""In `struct statx`, which is laid out alike on all machines (linux/stat.h)."""


def born(path: str, found: os.stat_result) -> int:
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
        return _statx(path)
    if sys.platform == "win32" and sys.version_info < (3, 12):
        return found.st_ctime_ns  # the same there
    return int(getattr(found, "st_birthtime_ns", 0) or getattr(found, "st_birthtime", 0) * 1e9)


def _statx(path: str) -> int:
    """Python tells the time only from 3.15 on."""
    import ctypes

    buffer = ctypes.create_string_buffer(_SIZE)
    try:
        failed = ctypes.CDLL(None).statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer)
    except AttributeError:  # a C library without it
        return 0
    if failed or not _MASK.unpack_from(buffer)[0] & _STATX_BTIME:
        return 0
    seconds, nanoseconds = _BTIME.unpack_from(buffer, _BTIME_OFFSET)
    return int(seconds) * 10**9 + int(nanoseconds)
