"""Which disk a folder lies on, and how busy it is. Asks the system's counters, never the disk itself."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import psutil

_SHORTEST = 0.2
"""Seconds between two readings at least: the counters are kept in milliseconds."""


@dataclass(frozen=True, slots=True)
class DiskLoad:
    """What a disk did between two readings of its counters."""

    busy: float
    """Share of the time in which it had something to do, 0 to 1."""
    latency: float | None
    """Seconds a write took, from when it was asked for; None where there was none."""


def find_disk(device: int, path: str) -> str:
    """Find the disk on which a folder lies, which may take a moment, without access to the folder itself.

    Parameters
    ----------
    device : int
        The folder's `st_dev`.
    path : str
        The folder, without links.

    Returns
    -------
    str
        The disk's name among psutil's counters; empty for what lies in memory or on a network, and where the
        system does not tell.
    """
    try:
        if sys.platform == "linux":
            return _disk_of_device(device) or _disk_of_mount(path)
        counted = psutil.disk_io_counters(perdisk=True, nowrap=False)
        return _guess_disk(path, list(counted))
    except (OSError, RuntimeError, ValueError):
        return ""


def _disk_of_device(device: int) -> str:
    """Return the whole disk of a Linux block device, by its number."""
    place = os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not os.path.isdir(place):
        return ""
    if os.path.exists(os.path.join(place, "partition")):
        place = os.path.dirname(place)
    return os.path.basename(place)


def _disk_of_mount(path: str) -> str:
    """Return the disk that is mounted where a path lies: btrfs numbers its devices in its own way."""
    mount = _find_mount(path)
    if mount is None or not mount.device.startswith("/dev/"):
        return ""
    return _disk_of_device(os.stat(mount.device).st_rdev)


def _guess_disk(path: str, counted: list[str]) -> str:
    """Return the disk where the system does not say which one a volume lies on: the only one, if it is."""
    mount = _find_mount(path)
    if mount is None:
        return ""
    found = re.match(r"/dev/(disk\d+)", mount.device)
    if found and found[1] in counted:
        return found[1]
    local = bool(found) if sys.platform == "darwin" else "fixed" in mount.opts
    return counted[0] if local and len(counted) == 1 else ""


def _find_mount(path: str) -> Any:
    """Return what is mounted where a path lies."""
    # Linux tells of all mounts from a list of its own; elsewhere shares would be asked, and may hang.
    parts = psutil.disk_partitions(all=sys.platform == "linux")
    mounts = [part for part in parts if PurePath(path).is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint), default=None)


def _counters() -> Mapping[str, Any]:
    return psutil.disk_io_counters(perdisk=True, nowrap=False) or {}


class DiskMeter:
    """Measures how busy one disk is, from one reading of its counters to the next.

    Parameters
    ----------
    name : str
        As `find_disk` returned it.
    counters : callable
        psutil's counters by disk.
    """

    def __init__(self, name: str, counters: Callable[[], Mapping[str, Any]] = _counters) -> None:
        self._name = name
        self._counters = counters
        self._before: tuple[float, Any] | None = None

    def measure(self, now: float) -> DiskLoad | None:
        """Return what the disk did since the last reading; None at the first, and where the disk has gone."""
        try:
            found = self._counters().get(self._name)
        except (OSError, RuntimeError):
            found = None
        before, self._before = self._before, (now, found) if found is not None else None
        if before is None or found is None or now - before[0] < _SHORTEST:
            return None
        seconds, last = now - before[0], before[1]
        writes = found.write_count - last.write_count
        writing = (found.write_time - last.write_time) / 1000
        busy = (_busy_time(found) - _busy_time(last)) / 1000 / seconds
        return DiskLoad(min(max(busy, 0.0), 1.0), max(writing, 0.0) / writes if writes > 0 else None)


def _busy_time(counters: Any) -> float:
    """Return the milliseconds for which a disk was busy, as far as the system counts them."""
    own = getattr(counters, "busy_time", None)
    return float(counters.read_time + counters.write_time if own is None else own)
