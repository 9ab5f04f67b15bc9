"""Brings what was copied from the system's cache to the disk, before anybody says "complete".

Runs in a copy worker and must import nothing heavy.
"""

from __future__ import annotations

import os
import stat
import sys

from softcopy_napari.engine.files import extended_path


def flush(folder: str) -> str:
    """Flush everything below a folder to its disk.

    Returns
    -------
    str
        Why it could not be done; empty when it was.
    """
    try:
        if not _sync_file_system(folder):
            _sync_each_file(extended_path(folder))
    except OSError as error:
        return f"cannot be flushed to disk: {error.strerror}"
    return ""


def _sync_file_system(folder: str) -> bool:
    """Flush the whole file system in one call, where there is one that also reports errors (Linux)."""
    if sys.platform != "linux":
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        return False
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
    return True


def _sync_each_file(folder: str) -> None:
    """Flush files one by one, and on POSIX systems the folders that name them."""
    # Windows flushes only what is open for writing.
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) if sys.platform == "win32" else os.O_RDONLY
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            if stat.S_ISREG(os.lstat(file).st_mode):
                _sync(file, flags)
        if sys.platform != "win32":
            _sync(path, os.O_RDONLY)


def _sync(path: str, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
