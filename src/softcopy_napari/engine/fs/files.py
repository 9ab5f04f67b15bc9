"""What operating systems differ in when files are opened and read: paths, flags, sharing, caching."""

from __future__ import annotations

import errno
import os
import stat
import sys

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

REGULAR = stat.S_IFREG
LINK = stat.S_IFLNK
KIND = 0o170000
"""The bits of a mode that hold the type of a file."""

if sys.platform == "win32":
    from softcopy_napari.engine.fs.windows import extended_path, open_shared
else:

    def extended_path(path: str) -> str:
        """Return the path as it is: only Windows needs another spelling of long paths."""
        return path


def native_path(path: str) -> str:
    """Return a `/` separated relative path with this system's separators."""
    return path if os.sep == "/" else path.replace("/", os.sep)


BINARY: int = getattr(os, "O_BINARY", 0)
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NO_ATIME: int = getattr(os, "O_NOATIME", 0)
_NOTHING_TO_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EROFS}
"""Errors of file systems that have nothing to flush; as in native.h."""
READ = os.O_RDONLY | BINARY | NOFOLLOW | getattr(os, "O_NONBLOCK", 0)  # a fifo in a file's place must not hang us


if sys.platform == "win32":

    def open_source_file(path: str, dir_fd: int | None = None) -> int:
        """Open a file of the source for reading while others may replace it; `dir_fd` is always None."""
        return open_shared(path)
else:

    def open_source_file(path: str, dir_fd: int | None = None) -> int:
        """Open a file of the source for reading, without following a link, blocking, or touching its access time."""
        if NO_ATIME:
            try:
                return os.open(path, READ | NO_ATIME, dir_fd=dir_fd)
            except PermissionError:  # only a file's owner may ask for O_NOATIME
                pass
        return os.open(path, READ, dir_fd=dir_fd)


if hasattr(os, "readv"):

    def read_into(fd: int, view: memoryview) -> int:
        """Read into a buffer; returns the bytes read, 0 at the end."""
        return os.readv(fd, [view])
else:

    def read_into(fd: int, view: memoryview) -> int:
        """Read into a buffer; returns the bytes read, 0 at the end."""
        data = os.read(fd, len(view))
        view[: len(data)] = data
        return len(data)


if hasattr(os, "posix_fadvise"):

    def spare_the_cache(fd: int) -> None:
        """Keep what is read from evicting the acquisition's data from the page cache (Linux 6.3 and later)."""
        try:  # noqa: SIM105 - suppress() takes as long as the call
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_NOREUSE)
        except OSError:  # this file system does not support it
            pass

    def forget_cached(fd: int) -> None:
        """Make the next read of a file come from storage: write out what is dirty, drop what is cached."""
        os.fdatasync(fd)
        try:  # noqa: SIM105
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            pass
else:

    def spare_the_cache(fd: int) -> None:
        """Do nothing: this system has no call for it."""

    if sys.platform == "darwin":
        import fcntl

        def forget_cached(fd: int) -> None:
            """Make reads through this descriptor come from storage."""
            os.fsync(fd)
            fcntl.fcntl(fd, fcntl.F_NOCACHE, 1)
    else:

        def forget_cached(fd: int) -> None:
            """Do nothing: this system has no call for it."""


class NotFlushed(OSError):
    """The system says that a file or folder may not be stored."""


def flush_file(fd: int) -> None:
    """Flush an open file or folder to storage, if its file system has anything to flush.

    Raises
    ------
    NotFlushed
    """
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NOTHING_TO_FLUSH:
            raise NotFlushed(error.errno, error.strerror) from None


def describe_kind(mode: int) -> Reason:
    """Return what something is that is neither file nor link, in place of one."""
    kinds = {
        stat.S_IFDIR: ReasonCode.IS_FOLDER,
        stat.S_IFIFO: ReasonCode.IS_FIFO,
        stat.S_IFSOCK: ReasonCode.IS_SOCKET,
        stat.S_IFBLK: ReasonCode.IS_DEVICE,
        stat.S_IFCHR: ReasonCode.IS_DEVICE,
    }
    return make_reason(kinds.get(stat.S_IFMT(mode), ReasonCode.IS_OF_UNKNOWN_KIND))
