"""What `os.stat` does not tell: when a file was made, on which mount it lies, and what a share's server says of it now.

Linux has `statx` for that, which Python has only from 3.15 on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import sys
from typing import Any

_BTIME, _BTIME_OFFSET = 0x800, 80
_MNT_ID_UNIQUE, _MNT_ID_OFFSET = 0x4000, 144
"""Linux 6.8 and later."""
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_AT_STATX_FORCE_SYNC = 0x2000
_BASIC_STATS = 0x7FF
_SIZE = 256
"""Bytes of a `struct statx`, which is laid out alike on all machines (linux/stat.h)."""


def read_birth_time(path: str, found: os.stat_result) -> int:
    """Return when a file or folder was made, ns; 0 where its file system does not know.

    With its inode, this identifies a folder whatever disk it lies on: a disk that replaces another can have both the
    device and the inode.

    Parameters
    ----------
    path : str
    found : os.stat_result
        The result of `os.stat`, which holds the time on macOS and Windows.
    """
    if sys.platform == "linux":
        answer = _call(path, None, 0, _BTIME)
        seconds, nanoseconds = struct.unpack_from("=qI", answer, _BTIME_OFFSET) if answer else (0, 0)
        return int(seconds) * 10**9 + int(nanoseconds)
    if sys.platform == "win32" and sys.version_info < (3, 12):
        return found.st_ctime_ns  # the creation time there
    return int(getattr(found, "st_birthtime_ns", 0) or getattr(found, "st_birthtime", 0) * 1e9)


def read_mount_id(fd: int) -> int:
    """Return the unique id of the mount that an open folder lies on; 0 where the system has none."""
    answer = _call("", fd, _AT_EMPTY_PATH, _MNT_ID_UNIQUE) if sys.platform == "linux" else None
    return int(struct.unpack_from("=Q", answer, _MNT_ID_OFFSET)[0]) if answer else 0


def refresh_attributes(path: str, dir_fd: int | None = None) -> None:
    """Make a network mount ask its server for a file's size and times, which it may have cached for a minute.

    The next `os.stat` returns the server's values. Where the system has no call for that, the file is opened, which
    makes NFS and SMB ask. Errors are left to that `os.stat`.
    """
    if sys.platform == "linux" and _call(path, dir_fd, _AT_SYMLINK_NOFOLLOW | _AT_STATX_FORCE_SYNC, _BASIC_STATS):
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with contextlib.suppress(OSError):
        os.close(os.open(path, flags, dir_fd=dir_fd))


def _call(path: str, dir_fd: int | None, flags: int, wanted: int) -> bytes | None:
    """Return a `struct statx` that has what is wanted, or None."""
    import ctypes

    call = _function()
    buffer = ctypes.create_string_buffer(_SIZE)
    if call is None or call(_AT_FDCWD if dir_fd is None else dir_fd, os.fsencode(path), flags, wanted, buffer):
        return None
    return buffer.raw if struct.unpack_from("=I", buffer)[0] & wanted else None


@functools.cache
def _function() -> Any:
    """Return the C library's `statx`, or None where it has none."""
    import ctypes

    return getattr(ctypes.CDLL(None), "statx", None)
