"""A destination that takes nothing: full, without inodes, read-only, over quota. The copy pauses, and says why."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import temporaries, until
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, make_chunks
from tests.support.command import Softcopy, until_status
from tests.support.faultfs import why_not

may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())
may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


def paused(lab: Lab) -> TargetSnapshot:
    """Wait until the target has paused by itself; what is told then."""
    assert until(lambda: lab.now.state is TargetState.PAUSED, SOON), lab.words()
    assert "continues by itself" in lab.now.reason
    assert not lab.now.failures, "no file is at fault"
    return lab.now


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


@may_mount
@pytest.mark.parametrize("size", [50_000, 5 << 20])
def test_a_full_disk_pauses_the_copy_until_there_is_room(lab: Lab, size: int) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk, f"size={12 * size}")
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 20, size)
    lab.start(settle=0.0)
    told = paused(lab)
    assert f"{lab.destination} is full: " in told.reason and " needed for the " in told.reason
    copied = told.counts[ChunkState.COPIED]
    assert 5 < copied < 12 and told.counts[ChunkState.FAILED] == 0
    assert until(lambda: temporaries(lab.destination) == []), "a half copy would keep the disk full"
    remount(disk, f"size={40 * size}")
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


@may_mount
def test_a_disk_without_inodes_pauses_the_copy_until_there_are_some(lab: Lab) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk, "size=64m,nr_inodes=30")
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 40)
    lab.start(settle=0.0)
    assert "no inodes left" in paused(lab).reason
    assert "files to copy" in lab.now.reason
    remount(disk, "nr_inodes=1000")
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


@may_mount
@pytest.mark.parametrize("when", ["from the start", "in the middle"])
def test_a_read_only_disk_pauses_the_copy_until_it_may_be_written(lab: Lab, when: str) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk)
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 10, more=11)
    if when == "from the start":
        remount(disk, "ro")
        lab.start()
    else:
        lab.start()
        assert lab.caught_up()
        remount(disk, "ro")
        make_chunks(lab.source, 10, start=10, more=1)
    assert f"{lab.destination} is read-only" in paused(lab).reason
    remount(disk, "rw")
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == (10 if when == "from the start" else 20), SOON)
    lab.finish()
    lab.assert_equal()


@may_mount
def test_the_command_waits_for_a_disk_that_is_read_only_when_it_is_started(lab: Lab) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk)
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 10)
    remount(disk, "ro")
    with Softcopy("--nprocs", "1", "--settle", "0", lab.source, lab.destination) as copy:
        until_status("is read-only")
        remount(disk, "rw")
        assert copy.wait() == 0, copy.output
    lab.assert_equal()


@may_fuse
@pytest.mark.parametrize("op", ["write", *(pytest.param(op, marks=pytest.mark.soak) for op in ("create", "mkdir"))])
def test_a_quota_that_is_used_up_pauses_the_copy_until_it_is_raised(lab: Lab, op: str) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 20)
    rule = faults.fail(op, error=errno.EDQUOT, skip=7)
    lab.start(settle=0.0)
    told = paused(lab)
    assert "your quota" in told.reason and " needed for the " in told.reason
    before = set(lab.real_destination.rglob("*/0"))
    assert until(lambda: len(rule.met) >= 4), "it is tried now and then"
    assert set(lab.real_destination.rglob("*/0")) == before
    rule.lift()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@may_fuse
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda faults: faults.fail("utimens", error=errno.ENOSPC, skip=5), id="times"),
        pytest.param(lambda faults: faults.fail("rename", error=errno.ENOSPC, skip=5), id="rename"),
        pytest.param(lambda faults: faults.fail("close", error=errno.ENOSPC, skip=5), id="close"),
        pytest.param(lambda faults: faults.fail("write", error=errno.ENOSPC, when="after", skip=5), id="written"),
    ],
)
def test_a_disk_that_is_full_at_any_step_is_no_fault_of_the_file(lab: Lab, step: Callable[[object], object]) -> None:
    """Network shares tell only when a file is closed, some when it is renamed."""
    faults = lab.faulty_destination()
    make_chunks(lab.source, 20)
    step(faults)
    lab.start(settle=0.0)
    assert "is full" in paused(lab).reason
    # Those who were copying when one of them met it come to the end of their files after that.
    assert until(lambda: temporaries(lab.real_destination) == [])
    faults.lift_all()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


@may_mount
def test_a_paused_copy_of_a_live_acquisition_takes_what_came_meanwhile(lab: Lab) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk, "size=600k")
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 10, 50_000, more=11)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    lab.start()
    paused(lab)
    make_chunks(lab.source, 5, 1000, start=10, more=6)
    ballast.unlink()
    remount(disk, "size=64m")
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 15, SOON), lab.words()
    assert until(lambda: lab.now.state is TargetState.CAUGHT_UP)
    lab.finish()
    lab.assert_equal()


@may_mount
@pytest.mark.parametrize("order", ["stop", "finish"])
def test_a_paused_copy_can_be_stopped_and_is_not_called_complete(lab: Lab, order: str) -> None:
    disk = lab.folder / "disk"
    lab.mount(disk, "size=400k")
    lab.destination = lab.real_destination = disk / "d.zarr"
    make_chunks(lab.source, 10, 100_000, more=1)
    running = lab.start()
    paused(lab)
    running.order(order)
    if order == "stop":
        assert running.ended.wait(3.0)
        assert lab.now.state is TargetState.STOPPED
        assert list(lab.destination.rglob(".softcopy-*")) == []
    else:
        assert not running.ended.wait(2.0)
        assert "is full" in paused(lab).reason
        remount(disk, "size=64m")
        assert lab.ends(SOON).state is TargetState.COMPLETE
        lab.assert_equal()
