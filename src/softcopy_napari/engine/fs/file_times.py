"""Times of files: the units in which file systems keep them, and whether two stats show the same version of a file."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time

from softcopy_napari.engine.fs.files import KIND, REGULAR


def is_same_version(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file was neither written nor replaced between two stats of it.

    The change time counts as well: it catches a writer that sets the modification time back. (On Windows it is the
    creation time, which does no harm.)
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
    """Whether a destination's regular file is a copy of a source's, by size and time.

    Times may differ by less than `unit`, the unit (ns) in which the destination keeps them.
    """
    return (
        source.st_size == destination.st_size
        and -unit < source.st_mtime_ns - destination.st_mtime_ns < unit
        and destination.st_mode & KIND == REGULAR
    )


pack_version = struct.Struct("<qq").pack
"""Pack a file's modification time (ns) and size, its version, into 16 bytes."""


NO_VERSION = bytes(16)
"""Stands for a version that is not known."""


TIME_UNITS = (2_000_000_000, 1_000_000_000, 10_000_000, 1_000_000, 1_000, 100)
"""Units (ns) in which file systems keep times, coarsest first: FAT, HFS+ and ext3, exFAT, ..., NTFS."""


def coarsest_time_unit(time: int) -> int:
    """Return the coarsest unit (ns) that a modification time (ns) is a multiple of."""
    return next((unit for unit in TIME_UNITS if time % unit == 0), 1)


_CLOCK_REALTIME_COARSE = 5
"""The clock that Linux takes file times from; the module `time` has no name for it."""


def _clock_tick() -> int:
    """Return the interval (ns) at which the clock of file times advances."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return round(time.clock_getres(_CLOCK_REALTIME_COARSE) * 1e9)
    return 16_000_000  # Windows, the slowest of the systems that do not say


TICK = _clock_tick()
"""Interval (ns) at which the clock of file times advances."""


def remaining_tick(modified: int, now: int, unit: int) -> int:
    """Return for how long (ns) a change of a file may still leave its modification time as it is; 0 if no longer.

    File times advance in ticks of the system's clock, or in the file system's unit, which a coarse time gives away. A
    file that is read before the tick of its last change is over may change again and keep its time.

    Parameters
    ----------
    modified, now : int
        The file's modification time and the present time, ns.
    unit : int
        Unit in which the destination keeps times, ns.
    """
    age = now - modified
    if age >= TIME_UNITS[0] or age < -TIME_UNITS[0]:  # far in the future: another clock's time
        return 0
    if modified % TIME_UNITS[2] == 0:  # a fine clock gives such a time by chance only
        unit = max(unit, TIME_UNITS[0] if modified % TIME_UNITS[1] == 0 else TIME_UNITS[2])
    return max(0, max(unit, TICK) - age)
