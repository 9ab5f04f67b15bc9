"""Brings what was copied to where it is stored, before anybody says "complete", and hears of every error in doing so.

Runs in a copy worker and must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence

from softcopy_napari.engine.fs.file_system_type import FileSystem, identify_file_system, read_mount_id
from softcopy_napari.engine.fs.files import BINARY, READ
from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder

_TO_FLUSH = os.O_RDWR | BINARY if sys.platform == "win32" else READ
"""How a file is opened to be flushed: Windows flushes only what is open for writing."""
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EROFS}
"""What file systems say that have nothing to flush."""
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
"""It is a link or a folder, or has gone: the last walk will say."""


class HeldFileSystem:
    """The file system that a destination lies on, as one worker has it.

    Linux tells of data that could not be written down once for each time that the file system was opened, and to
    somebody who opens it later only if nobody has been told yet. So it is opened before the first write, and kept open
    until all has been flushed: then nobody's `sync` takes the error away. While it is open, it cannot be unmounted.

    Attributes
    ----------
    file_system : FileSystem
        What it is, as far as it has been looked at.
    held_since : float
        Monotonic time before which it was opened, s; inf while it is not.
    """

    def __init__(self) -> None:
        self.file_system = FileSystem()
        self.held_since = math.inf
        self._fd = -1
        self._seen: tuple[int, int] | None = None

    def detect_replacement(self, place: RootFolder) -> bool:
        """Whether another disk or share lies at a place, which is held, than the last time; that is said once."""
        if place.fd is None:
            return False
        before, self._seen = self._seen, (os.fstat(place.fd).st_dev, read_mount_id(place.fd))
        if before == self._seen:
            return False
        self.release()
        self.file_system = identify_file_system(place.root)
        return before is not None and not self.file_system.on_demand

    def keep_open(self, place: RootFolder) -> None:
        """Keep it open from now on, where that tells of errors.

        Raises
        ------
        OSError
            It cannot be opened.
        """
        if self._fd < 0 and place.fd is not None and self.file_system.flushed_whole:
            now = time.monotonic()
            self._fd = os.open(".", FOLDER, dir_fd=place.fd)
            self.held_since = now

    def release(self) -> None:
        """Keep it open no longer: everything has been flushed, or it has gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self.held_since = -1, math.inf

    def flush(self, place: RootFolder) -> str:
        """Flush the whole file system, where the system has a call for that; returns why that could not be done.

        Parameters
        ----------
        place : RootFolder
            The destination, held.
        """
        if place.fd is None:
            return ""
        fd = self._fd if self._fd >= 0 else os.open(".", FOLDER, dir_fd=place.fd)
        try:
            _flush_all(fd)
        except OSError as error:
            return f"cannot be flushed to disk: {error.strerror}"
        finally:
            if fd != self._fd:
                os.close(fd)
        return ""


def _flush_all(fd: int) -> None:
    if sys.platform == "linux":
        import ctypes

        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is not None and syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    elif sys.platform == "darwin":  # files were flushed as far as the drive's own memory
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)


def flush_files(place: RootFolder, paths: Sequence[str], go_on: Callable[[], bool]) -> tuple[int, dict[str, str]]:
    """Flush files one by one, and on POSIX systems the folders that name them.

    Parameters
    ----------
    place : RootFolder
        The destination, held.
    paths : sequence of str
    go_on : callable
        Asked before each file; false ends it.

    Returns
    -------
    tuple of int and dict of str to str
        How many were dealt with, and those of them of which it is not known whether they are stored, with the reason.
    """
    failed: dict[str, str] = {}
    folders: dict[str, str] = {}
    for number, path in enumerate(paths):
        if not go_on():
            return number, failed
        if reason := _why_not_flushed(place, path):
            failed[path] = reason
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            folders[folder] = path
    for folder, path in folders.items() if place.fd is not None else ():
        if reason := _why_not_flushed(place, folder):
            failed[path] = reason
    return len(paths), failed


def _why_not_flushed(place: RootFolder, path: str) -> str:
    try:
        _flush_file(place, path)
    except OSError as error:
        return f"cannot be flushed to disk: {error.strerror}"
    return ""


def _flush_file(place: RootFolder, path: str) -> None:
    try:
        fd = place.open_file(path, _TO_FLUSH)
    except OSError as error:
        if error.errno in _NO_FILE:
            return
        raise
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            os.fsync(fd)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        with contextlib.suppress(OSError):  # it was only read, and is stored
            os.close(fd)
