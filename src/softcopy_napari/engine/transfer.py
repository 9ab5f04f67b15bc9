"""Copies one file. What it guarantees, whatever happens at the source or to the process:

- The destination's file is never half a file: data goes to a temporary in the destination's folder, which
  is renamed over the file once it is whole. A crash leaves only that temporary, whose name tells what it is.
- What is published was once whole at the source: the source's identity, size and times are the same before
  the first byte is read and after the last; otherwise the copy is thrown away (CHANGED). What that cannot
  tell is a single write call, in place, that began before the copy and ended after it: the system notes the time
  when a write begins. Such a file is copied again when its writer closes it.
- Size and modification time of the published file equal the source's, so that a later look can tell
  that it is up to date without a journal.
- The source is only read: no lock, no access time where the system allows that, nothing kept in the way
  of its writer.
- Links are copied as links and never followed; what is neither file, folder nor link is never opened
  in a way that could block.

Runs in the copy workers and must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from xxhash import xxh3_128, xxh3_128_digest

BUFFER_SIZE = 4 << 20
"""Bytes read at a time; a worker keeps one such buffer."""

if sys.platform == "win32":
    from softcopy_napari.engine.windows import extended_path, open_shared
else:

    def extended_path(path: str) -> str:
        """Windows needs another spelling of long paths; nobody else does."""
        return path


def native(path: str) -> str:
    """Spell a `/` separated relative path as this system does."""
    return path if os.sep == "/" else path.replace("/", os.sep)


class Outcome(IntEnum):
    """What became of one file."""

    COPIED = 0
    CHANGED = 1
    """It changed while it was read: try again."""
    VANISHED = 2
    """There is no such file at the source; the destination was left alone."""
    DELETED = 3
    """Its writer deleted it on purpose, and it is gone from the destination too."""
    FAILED = 4
    STOPPED = 5
    """The worker was told to end before the copy was whole."""
    FOLDER = 6
    """It is a folder, and there is one at the destination."""


class Result(NamedTuple):  # one a file: a frozen dataclass takes three times as long to make
    """What became of one file, with the bytes copied, their XXH3-128 and the reason of a failure."""

    outcome: Outcome
    size: int = 0
    digest: bytes = b""
    reason: str = ""


_VANISHED = Result(Outcome.VANISHED)
_CHANGED = Result(Outcome.CHANGED)
_STOPPED = Result(Outcome.STOPPED)

_UTIME_ON_FD = os.utime in os.supports_fd
_BY_DESCRIPTOR = (
    {os.open, os.stat, os.rename, os.unlink} <= os.supports_dir_fd and _UTIME_ON_FD and hasattr(os, "readv")
)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)  # a fifo in a chunk's place must not hang us
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_BINARY: int = getattr(os, "O_BINARY", 0)
_NO_ATIME: int = getattr(os, "O_NOATIME", 0)
_READ = os.O_RDONLY | _BINARY | _NOFOLLOW | _NONBLOCK
_KIND = 0o170000
_REGULAR = stat.S_IFREG
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _NOFOLLOW


if sys.platform == "win32":
    open_source = open_shared
else:

    def open_source(path: str) -> int:
        """Open a file of the source for reading, without following a link, blocking, or touching its access time.

        Raises
        ------
        OSError
            It cannot be opened; or it is a link.
        """
        if _NO_ATIME:
            try:
                return os.open(path, _READ | _NO_ATIME)
            except PermissionError:  # somebody else's file: only its owner may ask for that
                pass
        return os.open(path, _READ)


class Transfer:
    """Copies files of one target, one at a time, with one buffer.

    Parameters
    ----------
    source, destination : str
        The target's folders, absolute.
    temporary : str
        Name of the temporary file; no other worker's.
    should_stop : callable
        Asked between blocks of a large file; true ends the copy.
    progress : callable
        Told the bytes of each block of a file larger than the buffer.
    """

    def __init__(
        self,
        source: str,
        destination: str,
        temporary: str,
        should_stop: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self._no_atime = _NO_ATIME
        self._source = extended_path(source) + os.sep
        self._destination = extended_path(destination) + os.sep
        self._temporary = temporary
        self._should_stop = should_stop
        self._progress = progress
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._buffers = [self._buffer]
        self._folder: str | None = None
        self._source_fd = self._destination_fd = -1

    def leave(self) -> None:
        """Let go of the folders of the last copy: between batches no share is kept from being unmounted."""
        self._folder = None
        for fd in (self._source_fd, self._destination_fd):
            if fd >= 0:
                os.close(fd)
        self._source_fd = self._destination_fd = -1

    def _enter(self, folder: str) -> bool:
        """Hold the folder on both sides open, so that paths are looked up once for many files."""
        self.leave()
        try:
            self._source_fd = os.open(self._source + folder, _FOLDER)
            self._destination_fd = os.open(self._destination + folder, _FOLDER)
        except OSError:
            self.leave()
            return False
        self._folder = folder
        return True

    def _copy_small(self, path: str) -> Result | None:
        """Copy a regular file of one block in a folder that both sides have; None for any other, and for trouble.

        The common case with the same guarantees at two thirds of the time: names are looked up in open folders.
        """
        folder, _, name = path.rpartition("/")
        if folder != self._folder and not self._enter(folder):
            return None
        there, here = self._source_fd, self._destination_fd
        try:
            fd = os.open(name, _READ | self._no_atime, dir_fd=there)
        except PermissionError:
            self._no_atime = 0  # somebody else's file: only its owner may ask for that
            return None
        except OSError:
            return None
        try:
            before = os.fstat(fd)
            mode = before.st_mode
            if mode & _KIND != _REGULAR or before.st_size >= BUFFER_SIZE:
                return None
            _spare_the_cache(fd)
            out = os.open(self._temporary, _CREATE, mode & 0o777 | stat.S_IWUSR, dir_fd=here)
            try:
                try:
                    size = os.readv(fd, self._buffers)
                    block = self._view[:size]
                    digest = xxh3_128_digest(block)
                    if os.write(out, block) != size:
                        raise OSError
                    os.utime(out, ns=(before.st_atime_ns, before.st_mtime_ns))
                finally:
                    os.close(out)
                # A file that was replaced or deleted meanwhile shows it too: losing its name is a change of the file.
                after = os.fstat(fd)
                if size != after.st_size or not _same_version(before, after):
                    os.unlink(self._temporary, dir_fd=here)
                    return _CHANGED
                os.replace(self._temporary, name, src_dir_fd=here, dst_dir_fd=here)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(self._temporary, dir_fd=here)
                return None  # the long way says what is wrong
        except OSError:
            return None
        finally:
            os.close(fd)
        return Result(Outcome.COPIED, size, digest)

    def copy(self, path: str, delete_if_gone: bool = False) -> Result:
        """Bring one file of the destination up to date.

        Parameters
        ----------
        path : str
            Relative to source and destination, `/` separated.
        delete_if_gone : bool
            The file's writer deleted it under its lock: if it is still gone, so must the copy be.

        Returns
        -------
        Result
            Never raises for what the file systems do: errors are a FAILED with the reason.
        """
        if _BY_DESCRIPTOR and (result := self._copy_small(path)) is not None:
            return result
        path = native(path)
        source = self._source + path
        destination = self._destination + path
        try:
            try:
                fd = open_source(source)
            except (FileNotFoundError, NotADirectoryError):
                return self._delete(source, destination) if delete_if_gone else _VANISHED
            except OSError as error:
                return self._copy_unopened(source, destination, error)
            try:
                try:
                    before = os.fstat(fd)
                except OSError as error:
                    return _unreadable(error)
                if not stat.S_ISREG(before.st_mode):
                    return self._copy_irregular(before.st_mode, destination)
                return self._copy_file(fd, before, source, destination)
            finally:
                os.close(fd)
        except OSError as error:
            return Result(Outcome.FAILED, reason=f"cannot be written: {error.strerror}")

    def sweep(self, folder: str, temporary: str) -> None:
        """Remove a dead worker's temporary from a folder of the destination, if it is there."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._destination + native(folder), temporary))

    def _copy_file(self, fd: int, before: os.stat_result, source: str, destination: str) -> Result:
        _spare_the_cache(fd)
        temporary = os.path.join(os.path.dirname(destination), self._temporary)
        out = self._create(temporary, before.st_mode & 0o777)
        try:
            try:
                size, digest, reason = self._stream(fd, out, before.st_size)
                if _UTIME_ON_FD:
                    os.utime(out, ns=(before.st_atime_ns, before.st_mtime_ns))
            finally:
                os.close(out)
            if reason:
                os.unlink(temporary)
                return Result(Outcome.FAILED, reason=reason)
            if size < 0:
                os.unlink(temporary)
                return _STOPPED
            if not _UTIME_ON_FD:
                os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
            try:
                after = os.stat(source, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                os.unlink(temporary)
                return _CHANGED
            except OSError as error:
                os.unlink(temporary)
                return _unreadable(error)
            if size != before.st_size or not _same_version(before, after):
                os.unlink(temporary)
                return _CHANGED
            os.replace(temporary, destination)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return Result(Outcome.COPIED, size, digest)

    def _create(self, temporary: str, mode: int) -> int:
        try:
            return os.open(temporary, _CREATE, mode | stat.S_IWUSR)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(temporary), exist_ok=True)
        except FileExistsError:  # our own, of a copy whose clean-up failed
            os.unlink(temporary)
        return os.open(temporary, _CREATE, mode | stat.S_IWUSR)

    def _stream(self, fd: int, out: int, expected: int) -> tuple[int, bytes, str]:
        """Read, hash and write up to one byte more than expected.

        Returns the size (-1 where told to stop), the hash, and the reason of a failed read:
        a read that fails is the source's fault, and must not be reported as the destination's.
        """
        view = self._view
        hasher = xxh3_128()
        size = 0
        large = expected > BUFFER_SIZE
        while True:
            try:
                count = _read_into(fd, view)
            except OSError as error:
                return size, b"", f"cannot be read: {error.strerror}"
            if count:
                block = view[:count]
                hasher.update(block)
                written = os.write(out, block)
                while written < count:
                    written += os.write(out, block[written:])
                size += count
            if count == 0 or size > expected or (size == expected and count < BUFFER_SIZE):
                return size, hasher.digest(), ""
            if large:
                self._progress(count)
                if self._should_stop():
                    return -1, b"", ""

    def _copy_unopened(self, source: str, destination: str, error: OSError) -> Result:
        """Bring over what opening refuses: links everywhere, folders on Windows."""
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            return self._copy_link(source, destination)
        if stat.S_ISREG(mode):
            return _unreadable(error)
        return self._copy_irregular(mode, destination)

    def _copy_irregular(self, mode: int, destination: str) -> Result:
        if stat.S_ISDIR(mode):
            os.makedirs(destination, exist_ok=True)
            return Result(Outcome.FOLDER)
        return Result(Outcome.FAILED, reason=f"is a {_kind(mode)}, not a file")

    def _copy_link(self, source: str, destination: str) -> Result:
        target = os.readlink(source)
        temporary = os.path.join(os.path.dirname(destination), self._temporary)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        # Windows alone wants to know, and only there is the link looked through.
        os.symlink(target, temporary, target_is_directory=sys.platform == "win32" and os.path.isdir(source))
        os.replace(temporary, destination)
        return Result(Outcome.COPIED)

    def _delete(self, source: str, destination: str) -> Result:
        if not os.path.isdir(os.path.dirname(source)):
            return _VANISHED  # its folder has gone as well: that was no writer
        with contextlib.suppress(FileNotFoundError):
            os.unlink(destination)
        return Result(Outcome.DELETED)


if hasattr(os, "readv"):

    def _read_into(fd: int, view: memoryview) -> int:
        return os.readv(fd, [view])
else:

    def _read_into(fd: int, view: memoryview) -> int:
        data = os.read(fd, len(view))
        view[: len(data)] = data
        return len(data)


if hasattr(os, "posix_fadvise"):

    def _spare_the_cache(fd: int) -> None:
        """Read without pushing out of the page cache what the acquisition keeps there (Linux 6.3 and later)."""
        try:  # noqa: SIM105 - suppress() takes as long as the call
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_NOREUSE)
        except OSError:  # not known to this file system
            pass
else:

    def _spare_the_cache(fd: int) -> None:
        """Not known to this system."""


def _same_version(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether nothing touched the file's data, or put another in its place, between the two looks.

    The change time counts as well: it catches a writer that sets the modification time back. (Windows
    has the creation time in its place, which does no harm.)
    """
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
        and before.st_size == after.st_size
        and before.st_nlink == after.st_nlink
        and before.st_ino == after.st_ino
        and before.st_dev == after.st_dev
    )


def up_to_date(source: os.stat_result, destination: os.stat_result, unit: int = 1) -> bool:
    """Whether a destination's file is the copy of a source's: both regular, equal in size and time.

    Times may differ by less than the unit (ns) in which the destination keeps them.
    """
    return (
        source.st_size == destination.st_size
        and -unit < source.st_mtime_ns - destination.st_mtime_ns < unit
        and destination.st_mode & _KIND == _REGULAR
    )


def _unreadable(error: OSError) -> Result:
    return Result(Outcome.FAILED, reason=f"cannot be read: {error.strerror}")


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISFIFO, "fifo"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISBLK, "device"),
        (stat.S_ISCHR, "device"),
    ):
        if test(mode):
            return name
    return "thing of unknown kind"
