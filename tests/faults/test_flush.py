"""Flushed means flushed: nothing is called complete whose data a disk or a server has not taken."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from softcopy_napari.engine.destination import availability
from softcopy_napari.engine.dispatch import flush_scheduler
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import until, write
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, make_chunks
from tests.faults.test_places import arrived, on_disk, started
from tests.support.faultfs import Rule, why_not

may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())
may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


# -- disks --------------------------------------------------------------------------------------------


class FailingDisk:
    """A disk that takes a few MB: what is written then fails when the system writes it down, until it is mended."""

    def __init__(self, lab: Lab) -> None:
        self._below = lab.folder / "below"
        self.place = lab.folder / "disk"
        lab.mount(self._below, "size=24m")
        image = self._below / "image"
        for command in (
            ["fallocate", "-l", "12m", str(image)],
            ["truncate", "-s", "200m", str(image)],
            ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", str(image)],
        ):
            subprocess.run(command, check=True, capture_output=True)
        lab.mount(self.place, "loop", "ext4", str(image))

    def mend(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=300m", str(self._below)], check=True)

    def flush(self) -> None:
        """Flush it, as anybody may; the error is told to whoever does that."""
        done = subprocess.run(["sync", "-f", str(self.place)], capture_output=True)
        assert done.returncode, "the disk has taken everything: this test shows nothing"


@pytest.fixture
def failing_disk(lab: Lab) -> FailingDisk:
    try:
        return FailingDisk(lab)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be made to fail here: {error}")


@may_mount
@pytest.mark.parametrize("killed", [0, 1, 2])
def test_an_error_of_the_disk_that_somebody_else_was_told_of_is_known_all_the_same(
    lab: Lab, failing_disk: FailingDisk, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    """Linux tells of it once: another target, another program, the system itself at an unmount elsewhere.

    So it is after copy processes have died, of whom some, or all, would have been told.
    """
    monkeypatch.setattr(flush_scheduler, "_REST", 1000.0)
    lab.destination = lab.real_destination = failing_disk.place / "d.zarr"
    make_chunks(lab.source, 20, size=2_000_000, more=1)
    running = lab.start(nprocs=2)
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    time.sleep(flush_scheduler._SLACK)  # processes that are started from now on are told of nothing before
    failing_disk.flush()
    failing_disk.mend()
    for worker in list(running._pool.workers)[:killed]:
        worker.link.kill()
    assert until(lambda: len(running._pool.workers) == 2, SOON)
    running.order("finish")
    end = lab.ends(60)
    doubts = ("could not be flushed", "copy processes died before the destination's disk had confirmed")
    assert any(doubt in notice for notice in end.notices for doubt in doubts), end
    if end.state is TargetState.COMPLETE:
        lab.assert_equal()
    else:
        assert killed < 2 and "cannot be flushed" in end.reason, end


@may_mount
def test_a_disk_that_fails_during_the_acquisition_is_noticed_and_what_it_lost_copied_again(
    lab: Lab, failing_disk: FailingDisk
) -> None:
    lab.destination = lab.real_destination = failing_disk.place / "d.zarr"
    make_chunks(lab.source, 20, size=2_000_000, more=1)
    lab.start()
    assert until(lambda: any("could not be flushed" in notice for notice in lab.now.notices), SOON), lab.words()
    failing_disk.mend()
    assert until(lambda: lab.now.counts[ChunkState.VERIFIED] == 20, 60), lab.words()
    lab.finish()
    lab.assert_equal()


# -- what a flush of the whole does not reach -----------------------------------------------------------


def _flushed_and_published(rule: Rule) -> list[str]:
    """What a rule on `fsync` and `rename` has met in folders of chunks, in its order; temporaries by their folder."""
    return [path.rpartition("/.")[0] if path.endswith(".tmp") else path for path in rule.met if path.count("/") == 2]


@may_fuse
@pytest.mark.parametrize("native", ["0", "1"])
def test_each_small_file_is_flushed_through_fuse_before_it_is_published_and_each_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    """The folders that name them are flushed afterwards, each once."""
    monkeypatch.setenv("SOFTCOPY_NATIVE", native)
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5)
    first, folders = (faults.delay(steps, "d.zarr*", seconds=0.0) for steps in ("fsync rename", "fsyncdir rename"))
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    met = _flushed_and_published(first)
    for number in range(5):
        of_file = [path for path in met if path.startswith(f"d.zarr/{number}")]
        assert of_file == [f"d.zarr/{number}", f"d.zarr/{number}/0"]
    flushed = [folders.met.index(f"d.zarr/{number}") for number in range(5)]
    published = [folders.met.index(f"d.zarr/{number}/0") for number in range(5)]
    assert max(published) < min(flushed) and "d.zarr" in folders.met
    assert all(folders.met.count(f"d.zarr/{number}") == 1 for number in range(5))
    first.lift()
    second = faults.delay("fsync rename", "d.zarr/*", seconds=0.0)
    write(lab.source / "3" / "0", b"another version", old=False)
    lab.start(settle=0.0, finish_idle=0.5)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert _flushed_and_published(second) == ["d.zarr/3", "d.zarr/3/0"]


@may_fuse
def test_a_large_file_is_flushed_through_fuse_when_all_is_copied(lab: Lab) -> None:
    """It may take its server a while, which must not be taken for a copy process that hangs."""
    faults = lab.faulty_destination()
    make_chunks(lab.source, 2, size=5_000_000)
    rule = faults.delay("fsync", "d.zarr/*", seconds=0.0)
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert {"d.zarr/0/0", "d.zarr/1/0"} <= set(rule.met)


@may_fuse
@pytest.mark.parametrize("native", ["0", "1"])
def test_files_of_a_folder_that_could_not_be_stored_are_copied_once_more(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    monkeypatch.setenv("SOFTCOPY_NATIVE", native)
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5)
    rule = faults.fail("fsyncdir", "d.zarr/3", times=1)
    again = faults.delay("rename fsyncdir", "d.zarr/3*", seconds=0.0)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, end
    assert len(rule.met) == 1
    assert again.met == ["d.zarr/3/0", "d.zarr/3/0", "d.zarr/3"]  # the other rule took the first flush
    lab.assert_equal()


@may_fuse
def test_of_a_cloud_mount_that_may_upload_later_it_is_said_and_each_file_is_flushed_all_the_same(lab: Lab) -> None:
    faults = lab.faulty_destination(called="https://cloud.example/dav")  # as davfs2 is
    make_chunks(lab.source, 5)
    flush = faults.delay("fsync", "d.zarr/*", seconds=0.0)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE
    assert [notice for notice in end.notices if "uploads in the background" in notice] == [
        f"{lab.destination} is a cloud mount that uploads in the background (rclone --vfs-cache-mode, davfs2, ...). "
        "Keep the source until everything is uploaded"
    ]
    assert {f"d.zarr/{number}" for number in range(5)} <= {path.rpartition("/")[0] for path in flush.met}


@may_fuse
def test_what_a_run_before_has_left_unflushed_is_flushed_by_the_next_one(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5, more=1)
    lab.start()
    assert lab.caught_up()
    lab.stop()
    rule = faults.delay("fsync", "d.zarr/*", seconds=0.0)
    lab.start()
    assert lab.caught_up()
    lab.finish()
    assert {f"d.zarr/{number}/0" for number in range(5)} <= set(rule.met)


@may_fuse
def test_a_server_that_cannot_store_a_file_is_told_of_with_its_name(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5)
    faults.fail("fsync", "d.zarr/3/*")
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED
    assert "3/0 cannot be flushed to disk: Input/output error" in end.reason


@may_fuse
def test_a_file_that_could_not_be_stored_at_first_is_copied_and_flushed_once_more(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5)
    rule = faults.fail("fsync", "d.zarr/3/*", times=2)
    again = faults.delay("rename", "d.zarr/3/0", seconds=0.0)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, end
    assert len(rule.met) == 2 and len(again.met) == 1
    lab.assert_equal()


@may_fuse
def test_a_long_flush_can_be_paused_and_stopped(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 200, size=10, more=1)
    lab.start()
    assert lab.caught_up()
    lab.stop()  # before anything was flushed as a whole
    rule = faults.delay("fsync", "d.zarr/*", seconds=0.1)
    running = lab.start()
    assert lab.caught_up()
    running.order("finish")
    assert until(lambda: "flushing to disk" in lab.now.reason and len(rule.met) > 20, SOON), lab.words()
    running.order("pause")
    assert until(lambda: lab.now.state is TargetState.PAUSED, SOON)
    assert until(lambda: not any(worker.tasks for worker in running._pool.workers), SOON)
    met = len(rule.met)
    assert met < 150
    assert not until(lambda: len(rule.met) > met, 1.0)
    running.order("resume")
    assert until(lambda: len(rule.met) > met, SOON)
    started_at = time.monotonic()
    running.order("stop")
    assert running.ended.wait(5.0)
    assert time.monotonic() - started_at < 2.5


@may_fuse
def test_a_server_that_hangs_in_a_flush_does_not_hold_up_the_stop(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5)
    rule = faults.hang("fsync", "d.zarr/*", for_good=True)
    running = lab.start(settle=0.0)
    assert until(lambda: rule.met, SOON), lab.words()
    running.order("stop")
    assert running.ended.wait(2.5)
    rule.lift()


# -- a destination that goes while nothing is copied -----------------------------------------------------


@may_mount
@pytest.mark.parametrize("away", ["for a while", "between two looks"])
def test_a_destination_that_is_taken_away_while_nothing_is_copied_is_noticed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """What its system had not written down is lost, though all sizes and times are right when it is back."""
    monkeypatch.setattr(availability, "_CHECK", 0.5 if away == "for a while" else 2.0)
    disk = on_disk(lab, "destination", "d.zarr")
    started(lab)
    disk.detach()
    if away == "for a while":
        assert until(lambda: lab.now.state is TargetState.PAUSED, SOON), lab.words()
    (lab.real_destination / "3" / "0").write_bytes(bytes(5000))
    found = (lab.source / "3" / "0").stat()
    os.utime(lab.real_destination / "3" / "0", ns=(found.st_atime_ns, found.st_mtime_ns))
    disk.attach()
    assert until(lambda: any("was away for a while" in notice for notice in lab.now.notices), SOON), lab.words()
    lab.finish()
    lab.assert_equal()
