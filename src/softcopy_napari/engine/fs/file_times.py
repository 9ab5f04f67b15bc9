"""Times of files: in which units they are kept, and whether two looks at a file show the same version of it."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time

from softcopy_napari.engine.fs.files import KIND, REGULAR


def is_same_version(before: os.stat_result, after: os.stat_result) -> bool:
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


def is_up_to_date(source: os.stat_result, destination: os.stat_result, unit: int = 1) -> bool:
    """Whether a destination's file is the copy of a source's: both regular, equal in size and time.

    Times may differ by less than the unit (ns) in which the destination keeps them.
    """
    return (
        source.st_size == destination.st_size
        and -unit < source.st_mtime_ns - destination.st_mtime_ns < unit
        and destination.st_mode & KIND == REGULAR
    )


pack_version = struct.Struct("<qq").pack
"""Modification time (ns) and size of a file, as 16 bytes."""


NO_VERSION = bytes(16)
"""Stands for one that is not known."""


TIME_UNITS = (2_000_000_000, 1_000_000_000, 10_000_000, 1_000_000, 1_000, 100)
"""Units (ns) in which file systems keep times, coarsest first: FAT, HFS+ and ext3, exFAT, ..., NTFS."""


def coarsest_time_unit(time: int) -> int:
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


def remaining_tick(modified: int, now: int, unit: int) -> int:
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
