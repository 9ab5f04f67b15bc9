"""Linux's `statx`, which Python has only from 3.15 on."""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import sys
from typing import Any

BTIME = 0x800
MNT_ID_UNIQUE = 0x4000
"""Linux 6.8 and later."""
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_AT_STATX_FORCE_SYNC = 0x2000
_BASIC_STATS = 0x7FF
_SIZE = 256
_MASK = struct.Struct("=I")


def statx(path: str | int, wanted: int) -> bytes | None:
    """Ask the system for what `os.stat` does not return.

    Parameters
    ----------
    path : str or int
        A path, whose links are followed, or a descriptor.
    wanted : int
        `BTIME` or `MNT_ID_UNIQUE`.

    Returns
    -------
    bytes or None
        A `struct statx`, laid out alike on all machines (linux/stat.h); None where the system has no answer.
    """
    buffer = _call("", path, _AT_EMPTY_PATH, wanted) if isinstance(path, int) else _call(path, None, 0, wanted)
    return buffer if buffer is not None and _MASK.unpack_from(buffer)[0] & wanted else None


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
    import ctypes

    call = _function()
    buffer = ctypes.create_string_buffer(_SIZE)
    if call is None or call(_AT_FDCWD if dir_fd is None else dir_fd, os.fsencode(path), flags, wanted, buffer):
        return None
    return buffer.raw


@functools.cache
def _function() -> Any:
    """Return the C library's `statx`, or None where it has none."""
    import ctypes

    return getattr(ctypes.CDLL(None), "statx", None)
