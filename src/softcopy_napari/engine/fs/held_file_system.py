"""Flushes what was copied to storage before a target is called complete, and misses no error of that."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from softcopy_napari.engine.fs.file_system_type import FileSystem, identify_file_system
from softcopy_napari.engine.fs.files import BINARY, READ, flush_file
from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder
from softcopy_napari.engine.fs.statx import read_mount_id

_TO_FLUSH = os.O_RDWR | BINARY if sys.platform == "win32" else READ
"""How a file is opened to be flushed: Windows flushes only what is open for writing."""
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
"""Errors for a link, a folder, or a file that has gone: the last walk finds those."""

_TOGETHER = 64
"""Files that are flushed together."""


class HeldFileSystem:
    """The file system of a destination, kept open by one worker so that no write error is missed.

    Linux reports a failed write-back once to each open descriptor, and to descriptors opened later only if nobody has
    seen it. So the file system is opened before the first write and kept open until everything is flushed; nobody
    else's `sync` can then consume the error. While it is open it cannot be unmounted.

    Attributes
    ----------
    file_system : FileSystem
        The kind of file system, once it has been identified.
    held_since : float
        Monotonic time (s) since which it has been open; inf while it is not.
    """

    def __init__(self) -> None:
        self.file_system = FileSystem()
        self.held_since = math.inf
        self._fd = -1
        self._seen: tuple[int, int] | None = None

    def detect_replacement(self, destination: RootFolder) -> bool:
        """Whether another disk or share has been mounted in an open folder's place since the last call."""
        if destination.fd is None:
            return False
        before, self._seen = self._seen, (os.fstat(destination.fd).st_dev, read_mount_id(destination.fd))
        if before == self._seen:
            return False
        self.release()
        self.file_system = identify_file_system(destination.root)
        return before is not None and not self.file_system.on_demand

    def keep_open(self, destination: RootFolder) -> None:
        """Keep the file system open from now on, where it reports errors that way."""
        if self._fd < 0 and destination.fd is not None and self.file_system.flushed_whole:
            now = time.monotonic()
            self._fd = os.open(".", FOLDER, dir_fd=destination.fd)
            self.held_since = now

    def release(self) -> None:
        """Close the file system: everything has been flushed, or it has gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self.held_since = -1, math.inf

    def flush(self, destination: RootFolder) -> str:
        """Flush the whole file system of a destination, where the system has a call for that.

        Returns
        -------
        str
            What the system says of why it could not be flushed; empty if it was.
        """
        if destination.fd is None:
            return ""
        fd = self._fd if self._fd >= 0 else os.open(".", FOLDER, dir_fd=destination.fd)
        try:
            _flush_all(fd)
        except OSError as error:
            return error.strerror or str(error)
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
    elif sys.platform == "darwin":  # fsync reached the drive's cache
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)


FlushTogether = Callable[[Sequence[str]], Sequence[int | None]]
"""Flushes many files and folders; gives the number of each one's error, 0 where there is none, or None for those that
it leaves to be flushed one by one."""


def flush_files(
    destination: RootFolder,
    paths: Sequence[str],
    should_continue: Callable[[], bool],
    flush_together: FlushTogether | None = None,
    folders_only: bool = False,
) -> tuple[int, dict[str, str]]:
    """Flush files, and on POSIX systems the folders that they lie in.

    Parameters
    ----------
    destination : RootFolder
        The destination, open.
    paths : sequence of str
        Files, relative to it.
    should_continue : callable
        Called before each file, or before each of some files that are flushed together; false ends the flushing.
    flush_together : callable, optional
    folders_only : bool
        The files themselves have been flushed.

    Returns
    -------
    tuple of int and dict of str to str
        How many files were handled, and which of them may not be stored, with what the system says.
    """
    size = _TOGETHER if flush_together is not None else 1
    failed: dict[str, str] = {}
    folders: dict[str, str] = {}
    for at in range(0, len(paths), size):
        if not should_continue():
            return at, failed
        some = paths[at : at + size]
        if not folders_only:
            reasons = _flush(destination, some, flush_together)
            failed |= {path: reason for path, reason in zip(some, reasons, strict=True) if reason}
        for path in some:
            folder = path
            while folder:
                folder = folder.rpartition("/")[0]
                folders[folder] = path
    if destination.fd is not None:
        reasons = _flush(destination, list(folders), flush_together)
        failed |= {path: reason for path, reason in zip(folders.values(), reasons, strict=True) if reason}
    return len(paths), failed


def _flush(destination: RootFolder, paths: Sequence[str], flush_together: FlushTogether | None) -> Iterator[str]:
    """Flush files or folders; yield why each may not be stored, empty if nothing speaks against it."""
    errors = flush_together(paths) if flush_together is not None else [None] * len(paths)
    for path, error in zip(paths, errors, strict=True):
        if error is None:
            yield _why_not_flushed(destination, path)
        else:
            yield os.strerror(error) if error else ""


def _why_not_flushed(destination: RootFolder, path: str) -> str:
    try:
        _flush_file(destination, path)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _flush_file(destination: RootFolder, path: str) -> None:
    try:
        fd = destination.open_file(path, _TO_FLUSH)
    except OSError as error:
        if error.errno in _NO_FILE:
            return
        raise
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            flush_file(fd)
    finally:
        with contextlib.suppress(OSError):  # it was only read
            os.close(fd)
