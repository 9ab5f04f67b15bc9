"""What file systems and systems differ in, spelled once: paths, opening for reading, times, what counts as equal.

Used by the copy workers: must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
import time

REGULAR = stat.S_IFREG
LINK = stat.S_IFLNK
KIND = 0o170000
"""The bits of a mode that tell files from folders, links and the rest."""

if sys.platform == "win32":
    from softcopy_napari.engine.windows import extended_path, open_shared
else:

    def extended_path(path: str) -> str:
        """Windows needs another spelling of long paths; nobody else does."""
        return path


def native(path: str) -> str:
    """Spell a `/` separated relative path as this system does."""
    return path if os.sep == "/" else path.replace("/", os.sep)


BINARY: int = getattr(os, "O_BINARY", 0)
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NO_ATIME: int = getattr(os, "O_NOATIME", 0)
READ = os.O_RDONLY | BINARY | NOFOLLOW | getattr(os, "O_NONBLOCK", 0)  # a fifo in a file's place must not hang us


if sys.platform == "win32":

    def open_source(path: str, dir_fd: int | None = None) -> int:
        """Open a file of the source for reading while anybody may replace it; there are no folders' descriptors."""
        return open_shared(path)
else:

    def open_source(path: str, dir_fd: int | None = None) -> int:
        """Open a file of the source for reading, without following a link, blocking, or touching its access time.

        Raises
        ------
        OSError
            It cannot be opened; or it is a link.
        """
        if NO_ATIME:
            try:
                return os.open(path, READ | NO_ATIME, dir_fd=dir_fd)
            except PermissionError:  # somebody else's file: only its owner may ask for that
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
        """Read without pushing out of the page cache what the acquisition keeps there (Linux 6.3 and later)."""
        try:  # noqa: SIM105 - suppress() takes as long as the call
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_NOREUSE)
        except OSError:  # not known to this file system
            pass

    def forget_cached(fd: int) -> None:
        """Have the next read of a file come from where it is stored: write out what is not, drop what is cached."""
        os.fdatasync(fd)
        try:  # noqa: SIM105
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            pass
else:

    def spare_the_cache(fd: int) -> None:
        """Not known to this system."""

    if sys.platform == "darwin":
        import fcntl

        def forget_cached(fd: int) -> None:
            """Have reads through this descriptor come from where the file is stored."""
            os.fsync(fd)
            fcntl.fcntl(fd, fcntl.F_NOCACHE, 1)
    else:

        def forget_cached(fd: int) -> None:
            """Not known to this system."""


def same_version(before: os.stat_result, after: os.stat_result) -> bool:
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
        and destination.st_mode & KIND == REGULAR
    )


version_of = struct.Struct("<qq").pack
"""Modification time (ns) and size of a file, as 16 bytes."""
NO_VERSION = bytes(16)
"""Stands for one that is not known."""


def kind_of(mode: int) -> str:
    """What something is that is neither file, folder nor link, in words."""
    for test, name in (
        (stat.S_ISFIFO, "fifo"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISBLK, "device"),
        (stat.S_ISCHR, "device"),
    ):
        if test(mode):
            return name
    return "thing of unknown kind"


# -- times --------------------------------------------------------------------------------------------

TIME_UNITS = (2_000_000_000, 1_000_000_000, 10_000_000, 1_000_000, 1_000, 100)
"""Units (ns) in which file systems keep times, coarsest first: FAT, HFS+ and ext3, exFAT, ..., NTFS."""


def unit_of(time: int) -> int:
    """The coarsest unit that a modification time may have been kept in, both in ns."""
    return next((unit for unit in TIME_UNITS if time % unit == 0), 1)


_CLOCK_REALTIME_COARSE = 5
"""Linux takes file times from this one; the module `time` has no name for it."""


def _clock_tick() -> int:
    """How often the clock that file times are taken from moves on, in ns."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return round(time.clock_getres(_CLOCK_REALTIME_COARSE) * 1e9)
    return 16_000_000  # the slowest clock of the systems that do not tell (Windows)


TICK = _clock_tick()


def tick_left(modified: int, now: int, unit: int) -> int:
    """How long a file may still be changed without its modification time telling, in ns; 0 if no longer.

    Times of files move on in ticks of the system's clock, or in the unit of the file system, which the
    time itself tells where it is coarse. Whoever reads a file before the tick of its last change is over can take
    an older content for the one that this time stands for.

    Parameters
    ----------
    modified, now : int
        The file's modification time and the present time, ns.
    unit : int
        In which the destination keeps times, ns.
    """
    age = now - modified
    if age >= TIME_UNITS[0] or age < -TIME_UNITS[0]:  # far in the future: its clock is another, and cannot be asked
        return 0
    if modified % TIME_UNITS[2] == 0:  # of a fine clock, one time in a million
        unit = max(unit, TIME_UNITS[0] if modified % TIME_UNITS[1] == 0 else TIME_UNITS[2])
    return max(0, max(unit, TICK) - age)
