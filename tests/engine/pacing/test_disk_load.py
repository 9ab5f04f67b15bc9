"""How busy a disk is, and which disk a folder lies on, by the counters of the system."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from softcopy_napari.engine.pacing import disk_load
from softcopy_napari.engine.pacing.disk_load import DiskLoad, DiskMeter, find_disk

Counters = namedtuple("Counters", "read_time write_time write_count busy_time")
Plain = namedtuple("Plain", "read_time write_time write_count")


class FakeCounters:
    """Counters that a test sets."""

    def __init__(self) -> None:
        self.now: dict[str, Any] | Exception = {}

    def __call__(self) -> dict[str, Any]:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


def test_how_busy_a_disk_is_and_how_long_a_write_takes() -> None:
    counters = FakeCounters()
    meter = DiskMeter("sda", counters)
    counters.now = {"sda": Counters(0, 1000, 100, 500), "sdb": Counters(0, 0, 0, 0)}
    assert meter.measure(10.0) is None, "nothing to compare it with"
    counters.now = {"sda": Counters(0, 3000, 200, 1000)}
    assert meter.measure(11.0) == DiskLoad(0.5, 0.02)
    counters.now = {"sda": Counters(900, 3000, 200, 5000)}
    assert meter.measure(12.0) == DiskLoad(1.0, None), "never more than all the time, and no writes"
    counters.now = {}
    assert meter.measure(13.0) is None, "it was pulled out"
    counters.now = OSError()
    assert meter.measure(14.0) is None


def test_where_the_system_does_not_count_how_busy_a_disk_is_its_reads_and_writes_tell() -> None:
    counters = FakeCounters()
    meter = DiskMeter("disk0", counters)
    counters.now = {"disk0": Plain(0, 0, 0)}
    meter.measure(0.0)
    counters.now = {"disk0": Plain(300, 400, 10)}
    assert meter.measure(1.0) == DiskLoad(0.7, 0.04)


@pytest.mark.skipif(sys.platform != "linux", reason="how Linux names its disks")
def test_the_disk_of_a_folder_is_one_that_is_counted_or_not_known(tmp_path: Path) -> None:
    found = find_disk(tmp_path.stat().st_dev, os.path.realpath(tmp_path))
    assert found == "" or found in psutil.disk_io_counters(perdisk=True)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="a folder in memory")
def test_what_lies_in_memory_lies_on_no_disk() -> None:
    assert find_disk(os.stat("/dev/shm").st_dev, "/dev/shm") == ""


Part = namedtuple("Part", "device mountpoint fstype opts")


@pytest.mark.parametrize(
    ("platform", "part", "counted", "disk"),
    [
        ("darwin", Part("/dev/disk3s5", "/", "apfs", "rw"), ["disk0", "disk3"], "disk3"),
        ("darwin", Part("/dev/disk3s5", "/", "apfs", "rw"), ["disk0"], "disk0"),
        ("darwin", Part("/dev/disk3s5", "/", "apfs", "rw"), ["disk0", "disk4"], ""),
        ("darwin", Part("//lab@nas/data", "/", "smbfs", "rw"), ["disk0"], ""),
        ("win32", Part("D:\\", "/", "NTFS", "rw,fixed"), ["PhysicalDrive0"], "PhysicalDrive0"),
        ("win32", Part("D:\\", "/", "NTFS", "rw,fixed"), ["PhysicalDrive0", "PhysicalDrive1"], ""),
        ("win32", Part("Z:\\", "/", "NTFS", "rw,remote"), ["PhysicalDrive0"], ""),
    ],
)
def test_on_other_systems_a_disk_is_known_only_where_there_is_no_doubt(
    monkeypatch: pytest.MonkeyPatch, platform: str, part: Part, counted: list[str], disk: str
) -> None:
    monkeypatch.setattr(disk_load.sys, "platform", platform)
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [part])
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: dict.fromkeys(counted))
    assert find_disk(7, "/data/x.zarr") == disk


def test_a_system_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no counters")

    monkeypatch.setattr(disk_load.sys, "platform", "darwin")
    monkeypatch.setattr(psutil, "disk_io_counters", refuse)
    assert find_disk(7, "/data") == ""
