"""Pace on real processes and counters: what is asked of workers holds at once, and what is not allowed is said once."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from softcopy_napari.engine.client import start
from softcopy_napari.engine.dispatch import priority
from softcopy_napari.engine.fs.free_space import measure_both_sides
from softcopy_napari.engine.pacing import disk_load
from softcopy_napari.engine.pacing.disk_load import DiskLoad, DiskMeter, find_disk
from softcopy_napari.engine.protocol.messages import Changes, Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, until, write

MB = 1_000_000


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.stop()


def changes(**wanted: Any) -> Changes:
    return Changes.model_validate(wanted)


def set_to(jobs: Jobs, **wanted: Any) -> None:
    assert jobs.job is not None
    assert jobs.job.change(changes(**wanted)) == ""


# -- workers -----------------------------------------------------------------------------------------------


def test_a_large_file_that_would_take_for_ever_arrives_once_the_rate_is_raised(jobs: Jobs) -> None:
    make_array(jobs.source, (2, 1))
    write(jobs.source / "large", bytes(30 * MB), old=True)
    jobs.start(max_rate="1 kB/s", settle=0.0)
    assert until(lambda: next(jobs.destination.glob(".softcopy-*-[0-9].tmp"), None)), "it is under way"
    assert jobs.now.pace.limit == 1000
    assert jobs.now.pace.reason == "speed limit as set"
    set_to(jobs, max_rate="full")
    assert jobs.ends().state is TargetState.COMPLETE
    assert (jobs.destination / "large").stat().st_size == 30 * MB


def test_what_is_held_back_can_be_stopped_and_leaves_no_half_file(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    write(jobs.source / "large", bytes(30 * MB), old=True)
    jobs.start(max_rate="1 kB/s")
    assert until(lambda: next(jobs.destination.glob(".softcopy-*-[0-9].tmp"), None))
    jobs.stop()
    assert not (jobs.destination / "large").exists()
    assert not list(jobs.destination.glob(".softcopy-*"))


def test_a_pause_after_each_file_can_be_taken_away_while_it_lasts(jobs: Jobs) -> None:
    make_array(jobs.source, (10, 10))
    jobs.start(sleep_time=600.0, settle=0.0)
    assert until(lambda: len(list(jobs.destination.glob("*"))) > 1)
    assert jobs.now.pace.sleep_time == 600.0
    set_to(jobs, sleep_time=0.0)
    assert jobs.ends().state is TargetState.COMPLETE


def test_what_is_set_is_told_and_the_rest_stays(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    jobs.start(max_rate={"00:00-24:00": "50 MB/s"})
    assert until(lambda: jobs.now.pace.limit == 50 * MB)
    set_to(jobs, pace="full")
    assert until(lambda: jobs.now.pace.mode == "full")
    assert str(jobs.now.pace.max_rate) == "00:00-24:00: 50 MB/s, else: full"
    set_to(jobs, max_rate="full", sleep_time=0.25)
    assert until(lambda: jobs.now.pace.limit is None)
    assert (jobs.now.pace.mode, jobs.now.pace.sleep_time, jobs.now.pace.reason) == ("full", 0.25, "")


def test_of_what_has_ended_or_is_only_compared_no_pace_can_be_set(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    job = jobs.start(settle=0.0)
    jobs.ends()
    assert job.change(changes(pace="full")).endswith("is no longer copied: it has ended")
    target = job.target.model_copy(update={"check": True})
    engine = Engine([target])
    try:
        assert engine.order(Order(do="set", changes=changes(pace="full"))).endswith("is only compared: it has no pace")
    finally:
        engine.start()
        assert engine.wait(10.0)
        engine.close()


def test_room_is_looked_at_and_nobody_waits_for_it(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    make_array(jobs.source, (2, 2), chunks=False)
    with caplog.at_level("INFO"):
        jobs.start()
        assert until(lambda: [one for one in caplog.messages if "lies on" in one])
    assert jobs.caught_up()


@pytest.mark.parametrize(
    "order",
    [
        {"do": "set"},
        {"do": "stop", "changes": {"pace": "full"}},
        {"do": "set", "changes": {"pace": "slow"}},
        {"do": "set", "changes": {"sleep_time": -1}},
        {"do": "set", "changes": {"max_rate": "fast"}},
        {"do": "set", "changes": {"nprocs": 2}},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(order)


@pytest.mark.parametrize("rate", ["full", "20 MB/s", {"09:00-18:00": "20 MB/s"}])
def test_an_order_arrives_as_it_was_given(rate: object) -> None:
    order = Order(do="set", changes=changes(max_rate=rate))
    assert Order.model_validate_json(order.model_dump_json()) == order
    assert order.changes is not None and order.changes.max_rate is not None


# -- priorities --------------------------------------------------------------------------------------------


def test_what_the_system_does_not_allow_is_said_in_the_same_words_for_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: psutil.Process, *_: object) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "nice", refuse)
    said = {describe(priority.lower_priority(pid)) for pid in (os.getpid(), os.getppid())}
    assert said == {"the system does not allow copying at low priority: permission denied"}


# -- disks -------------------------------------------------------------------------------------------------

Counters = namedtuple("Counters", "read_time write_time write_count busy_time")
Plain = namedtuple("Plain", "read_time write_time write_count")


class Told:
    """Counters that a test sets."""

    def __init__(self) -> None:
        self.now: dict[str, Any] | Exception = {}

    def __call__(self) -> dict[str, Any]:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


def test_how_busy_a_disk_is_and_how_long_a_write_takes() -> None:
    told = Told()
    meter = DiskMeter("sda", told)
    told.now = {"sda": Counters(0, 1000, 100, 500), "sdb": Counters(0, 0, 0, 0)}
    assert meter.measure(10.0) is None, "nothing to compare it with"
    told.now = {"sda": Counters(0, 3000, 200, 1000)}
    assert meter.measure(11.0) == DiskLoad(0.5, 0.02)
    told.now = {"sda": Counters(900, 3000, 200, 5000)}
    assert meter.measure(12.0) == DiskLoad(1.0, None), "never more than all the time, and no writes"
    told.now = {}
    assert meter.measure(13.0) is None, "it was pulled out"
    told.now = OSError()
    assert meter.measure(14.0) is None


def test_where_the_system_does_not_count_how_busy_a_disk_is_its_reads_and_writes_tell() -> None:
    told = Told()
    meter = DiskMeter("disk0", told)
    told.now = {"disk0": Plain(0, 0, 0)}
    meter.measure(0.0)
    told.now = {"disk0": Plain(300, 400, 10)}
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


# -- room --------------------------------------------------------------------------------------------------


def test_room_is_known_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    found = measure_both_sides(str(tmp_path / "source"), str(tmp_path / "none"))
    assert found.source_free > 0
    assert found.source_device == tmp_path.stat().st_dev
    assert found.source_path == os.path.realpath(tmp_path / "source")
    assert (found.destination_free, found.destination_device) == (-1, 0)


AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="sessions have no priority of their own on this system")
def test_a_low_priority_counts_beside_the_processes_of_other_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux may share out the processor among sessions before it looks at priorities."""
    monkeypatch.delenv("SOFTCOPY_SESSION_PRIORITY")
    own = AUTOGROUP.read_text()
    make_array(tmp_path / "source.zarr", (2,), chunks=False)
    copy = start(tmp_path / "source.zarr", tmp_path / "copy.zarr", nprocs=2)
    engine = psutil.Process(copy.engine.run.pid)
    try:
        assert until(lambda: len(engine.children()) == 2)
        wanted = {engine.pid: 10} | {child.pid: 19 for child in engine.children()}
        for pid, nice in wanted.items():
            group = Path(f"/proc/{pid}/autogroup")
            assert until(lambda group=group, nice=nice: group.read_text().endswith(f"nice {nice}\n"))
    finally:
        copy.stop()
    assert AUTOGROUP.read_text() == own, "that of the user stays as it was"
