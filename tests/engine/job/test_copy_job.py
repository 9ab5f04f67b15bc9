"""One target from beginning to end, when the world does not play along. The job runs here, its workers do not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.dispatch import local_processes
from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.fs.statx import read_birth_time
from softcopy_napari.engine.job import lifecycle
from softcopy_napari.engine.job.copy_job import CopyJob
from softcopy_napari.engine.source import source_tracker
from softcopy_napari.engine.state_folder import destination_lock
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy, DestinationLock, try_lock
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import FlushTask, ProbeTask, ReachTask
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, make_old, replace, temporaries, tree, until, write

if sys.platform == "linux":
    from inotify_simple import flags

    from softcopy_napari.engine.watch.source_events import SourceEvents

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals, open files that are moved")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify, file systems of its own")


class Growing(threading.Thread):
    """A writer that has a file open and appends to it without end, as acquire-zarr does to a shard."""

    def __init__(self, path: Path, pause: float = 0.05) -> None:
        super().__init__()
        self.pause = pause
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(self.pause):
            self.file.write(b"more" * 100)

    def end(self) -> None:
        self.done.set()
        self.join()
        self.file.close()


# -- the source --------------------------------------------------------------------------------------------


def test_what_is_written_while_it_is_copied_arrives(jobs: Jobs) -> None:
    make_array(jobs.source, (10,), chunks=False)
    jobs.start()
    assert jobs.caught_up()
    for number in range(5):
        replace(jobs.source / str(number), b"x" * number)
    write(jobs.source / "sub" / "deep" / "notes.txt", b"sidecar")
    (jobs.source / "empty").mkdir()
    assert jobs.equal()
    assert until(lambda: (jobs.destination / "empty").is_dir())
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 5)
    replace(jobs.source / "3", b"changed")
    assert jobs.equal()
    assert jobs.caught_up() and "still to come" in jobs.now.reason


@pytest.mark.parametrize("then", ["settles", "is deleted"])
def test_a_file_that_changed_a_moment_ago_counts_as_being_written(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(source_tracker, "QUIET", 0.5)
    make_array(jobs.source, (3,))
    make_old(jobs.source)
    ahead = time.time() + 1.5
    os.utime(jobs.source / "1", (ahead, ahead))
    jobs.start()
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 2)
    assert jobs.now.counts[ChunkState.WRITING] == 1 and jobs.now.counts[ChunkState.ABSENT] == 0
    if then == "settles":
        assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 3)
    else:
        (jobs.source / "1").unlink()
        assert until(lambda: jobs.now.counts[ChunkState.ABSENT] == 1)
        assert not (jobs.destination / "1").exists()


def test_the_acquisition_ends_when_all_is_there_and_quiet(jobs: Jobs) -> None:
    make_array(jobs.source, (3,), chunks=False)
    jobs.start(settle=0.5)
    assert jobs.caught_up()
    for number in range(3):
        replace(jobs.source / str(number), b"x")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and jobs.equal()


@pytest.mark.parametrize("again", [False, True], ids=["copied", "again"])
def test_both_sides_are_compared_once_more_only_where_something_was_copied(jobs: Jobs, again: bool) -> None:
    """Every walk costs a share several round trips a file."""
    make_array(jobs.source, (3,))
    make_old(jobs.source)
    for _ in range(1 + again):
        job = jobs.start()
        assert jobs.ends().state is TargetState.COMPLETE and jobs.equal()
    assert job._parts.walks.full_begun == (1 if again else 2)


def test_a_source_that_goes_away_and_comes_back_is_copied_on_and_nothing_is_deleted(jobs: Jobs, tmp_path: Path) -> None:
    make_array(jobs.source, (4,), chunks=False)
    replace(jobs.source / "0", b"x")
    jobs.start()
    assert jobs.caught_up()
    before = tree(jobs.destination)
    os.rename(jobs.source, tmp_path / "away")
    assert until(lambda: "gone" in jobs.now.reason and jobs.now.state is TargetState.WAITING)
    write(tmp_path / "away" / "1", b"y", old=True)
    assert tree(jobs.destination) == before
    os.rename(tmp_path / "away", jobs.source)
    assert jobs.equal()
    assert jobs.caught_up()


@posix_only
def test_a_file_that_was_being_written_when_the_source_went_away_is_copied_when_it_is_back(
    jobs: Jobs, tmp_path: Path
) -> None:
    make_array(jobs.source, (2,), chunks=False)
    jobs.start(settle=0.1)
    assert jobs.caught_up()
    writing = Growing(jobs.source / "0")
    writing.start()
    assert until(lambda: jobs.now.counts[ChunkState.WRITING] == 1)
    os.rename(jobs.source, tmp_path / "away")
    assert until(lambda: jobs.now.state is TargetState.WAITING)
    writing.end()
    write(tmp_path / "away" / "1", b"x")
    make_old(tmp_path / "away")
    os.rename(tmp_path / "away", jobs.source)
    assert jobs.ends().state is TargetState.COMPLETE


def test_a_stop_at_the_moment_the_source_goes_away_is_a_stop(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    make_array(jobs.source, (2,), chunks=False)
    running = jobs.start()
    assert jobs.caught_up()
    with monkeypatch.context() as patch:
        patch.setattr(running._tracker, "apply_events", lambda now: running._phase is not lifecycle.Phase.ENDED)
        running.order("stop")
        ended = running.ended.wait(30.0)
    assert ended and jobs.now.state is TargetState.STOPPED


@linux_only
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE])
def test_without_any_watches_left_the_source_is_copied_by_looking(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(SourceEvents, "add_watch", refuse)
    make_array(jobs.source, (2,))
    jobs.start(settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE
    assert any("sysctl fs.inotify" in notice for notice in end.notices)


@linux_only
def test_a_loss_of_events_is_made_good_by_looking(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    make_array(jobs.source, (4,), chunks=False)
    running = jobs.start()
    assert jobs.caught_up()
    watcher = running._tracker._watcher
    assert watcher is not None
    monkeypatch.setattr(watcher, "_event", lambda *event: None)
    write(jobs.source / "0", b"x", old=True)
    write(jobs.source / "sub" / "notes", b"x", old=True)
    watcher._event_or_loss(-1, flags.Q_OVERFLOW, "")  # type: ignore[attr-defined]
    assert jobs.equal()
    assert until(lambda: jobs.now.notices)
    assert any("dropped" in notice for notice in jobs.now.notices)


# -- never too early ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "settings"),
    [
        pytest.param(4, {"finish_idle": 1.0}, id="nothing changes for long"),
        pytest.param(2, {"settle": 1.0}, id="everything is there"),
    ],
)
def test_a_target_is_not_complete_while_a_file_still_grows(jobs: Jobs, chunks: int, settings: dict[str, float]) -> None:
    """No event tells of what is appended to an open file, and its folder keeps its time."""
    make_array(jobs.source, (chunks,), chunks=False)
    write(jobs.source / "0", b"x", old=True)
    writing = Growing(jobs.source / "1", pause=0.1)
    writing.start()
    try:
        jobs.start(**settings)
        assert not jobs.job.ended.wait(2.2), f"{jobs.now.state}: {jobs.now.reason}"  # type: ignore[union-attr]
    finally:
        writing.end()
    assert jobs.ends().state is TargetState.COMPLETE
    assert jobs.equal()


def test_a_file_rewritten_in_place_after_it_was_copied_is_copied_again_before_the_end(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    log = write(jobs.source / "log.txt", b"first", old=True)
    jobs.start()
    assert jobs.caught_up()
    with open(log, "ab", buffering=0) as file:
        file.write(b", second")
        assert jobs.job is not None
        jobs.job.order("finish")
        assert jobs.ends().state is TargetState.COMPLETE
    assert (jobs.destination / "log.txt").read_bytes() == b"first, second"


def test_files_that_only_the_destination_has_keep_the_target_from_being_complete(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    write(jobs.destination / "1", b"what the source no longer has")
    write(jobs.destination / "notes", b"the user's")
    shutil.copy2(jobs.source / "0", jobs.destination / "0")  # else another dataset lies there
    (jobs.source / "1").unlink()
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.FAILED and end.kept == 1 and "1" in end.reason
    assert any("only at the destination, left alone: notes" in notice for notice in end.notices)
    assert (jobs.destination / "1").exists() and (jobs.destination / "notes").exists()


def test_a_stale_lock_is_reported_and_its_chunk_copied_as_it_is(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    write(jobs.source / "1.__lock", b"half", old=True)
    jobs.start()
    assert until(lambda: jobs.now.counts[ChunkState.WRITING] == 1)
    assert jobs.job is not None
    jobs.job.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE
    assert any("1 was still locked by its writer" in notice for notice in end.notices)
    assert (jobs.destination / "1").exists() and not (jobs.destination / "1.__lock").exists()


def test_freeing_space_at_the_source_deletes_no_copy(jobs: Jobs) -> None:
    make_array(jobs.source, (3,))
    write(jobs.source / "1.__lock", b"of a writer that crashed", old=True)
    before = {name: content for name, content in tree(jobs.source).items() if not name.endswith(".__lock")}
    jobs.start()
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 2)
    write(jobs.destination / "1", before["1"], old=True)  # copied before the crash
    for name in ("0", "1", "1.__lock", "2"):
        (jobs.source / name).unlink()
    until(lambda: not (jobs.destination / "1").exists(), 1.5)
    assert set(tree(jobs.destination)) == set(before)


@posix_only
def test_a_destination_that_is_gone_is_waited_for_and_its_place_left_alone(jobs: Jobs, tmp_path: Path) -> None:
    """Its disk was unmounted: what lies under its path now is a bare mount point."""
    make_array(jobs.source, (4,), chunks=False)
    replace(jobs.source / "0", b"0")
    jobs.start()
    assert jobs.caught_up()
    os.rename(jobs.destination, tmp_path / "unmounted")
    jobs.destination.mkdir()
    replace(jobs.source / "1", b"1")
    assert until(lambda: jobs.now.state is TargetState.PAUSED)
    assert "not the same folder as before" in jobs.now.reason and "by itself" in jobs.now.reason
    assert list(jobs.destination.iterdir()) == []
    jobs.destination.rmdir()
    os.rename(tmp_path / "unmounted", jobs.destination)
    assert until(lambda: jobs.now.state is TargetState.CAUGHT_UP)
    assert tree(jobs.source) == tree(jobs.destination)


@posix_only
def test_another_dataset_in_the_sources_place_is_not_copied_over_it(jobs: Jobs, tmp_path: Path) -> None:
    """Another disk was mounted there: its arrays are alike, its chunk files are not."""
    make_array(jobs.source, (4,))
    (jobs.source / "3").unlink()
    jobs.start()
    assert jobs.caught_up()
    before = tree(jobs.destination)
    os.rename(jobs.source, tmp_path / "away")
    make_array(jobs.source, (4,))
    for name in ("0", "1", "2", "3"):
        replace(jobs.source / name, b"of another experiment")
    make_old(jobs.source)
    assert until(lambda: "not the same dataset as before" in jobs.now.reason)
    assert tree(jobs.destination) == before
    os.rename(jobs.source, tmp_path / "the other")
    os.rename(tmp_path / "away", jobs.source)
    replace(jobs.source / "1", b"new")
    assert jobs.equal() and jobs.caught_up()


@posix_only
def test_a_source_that_comes_back_with_every_chunk_file_written_anew_is_known(jobs: Jobs, tmp_path: Path) -> None:
    """While it was away, or while the destination was: there is no chunk file left to know it by."""
    make_array(jobs.source, (4,))
    (jobs.source / "3").unlink()
    if not read_birth_time(str(jobs.source), os.stat(jobs.source)):
        pytest.skip("the file system does not tell when a folder was made")
    jobs.start()
    assert jobs.caught_up()
    for version in (b"new", b"newer"):
        os.rename(jobs.source, tmp_path / "away")
        assert until(lambda: "is gone" in jobs.now.reason)
        if version == b"newer":
            os.rename(jobs.destination, tmp_path / "unmounted")
        for name in ("0", "1", "2"):
            replace(tmp_path / "away" / name, version)
        os.rename(tmp_path / "away", jobs.source)
        if version == b"newer":
            assert until(lambda: jobs.now.state is TargetState.PAUSED)
            os.rename(tmp_path / "unmounted", jobs.destination)
        assert jobs.equal() and jobs.caught_up(), jobs.now


@posix_only
def test_a_source_is_not_taken_for_another_while_there_is_nothing_to_compare_it_with(
    jobs: Jobs, tmp_path: Path
) -> None:
    """It was copied to another disk, and the destination is away."""
    make_array(jobs.source, (4,))
    (jobs.source / "3").unlink()
    jobs.start()
    assert jobs.caught_up()
    os.rename(jobs.source, tmp_path / "away")
    assert until(lambda: "is gone" in jobs.now.reason)
    os.rename(jobs.destination, tmp_path / "unmounted")
    shutil.copytree(tmp_path / "away", jobs.source)
    assert until(lambda: jobs.now.state is TargetState.PAUSED and "cannot be reached" in jobs.now.reason), jobs.now
    replace(jobs.source / "1", b"new")
    os.rename(tmp_path / "unmounted", jobs.destination)
    assert jobs.equal() and jobs.caught_up(), jobs.now


def test_nothing_of_a_run_is_left_at_its_end(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    assert list(jobs.destination.rglob(".softcopy-*")) == []


# -- workers and disks -------------------------------------------------------------------------------------


@posix_only
def test_killing_workers_again_and_again_loses_nothing(jobs: Jobs) -> None:
    make_array(jobs.source, (40, 40))
    for number in range(3):
        write(jobs.source / f"large{number}", os.urandom(30 << 20), old=True)
    jobs.start(settle=0.0, nprocs=3)
    killed = 0
    while killed < 3 and not (jobs.job and jobs.job.ended.is_set()):
        before = jobs.now.files_copied
        for worker in jobs.workers()[:1]:
            worker.kill()
            killed += 1
        until(lambda before=before: jobs.now.files_copied > before or jobs.job.ended.is_set(), 1.0)  # type: ignore[misc]
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and end.counts[ChunkState.COPIED] == 1600
    assert jobs.equal() and temporaries(jobs.destination) == []


POISON = """
import os, sys
from softcopy_napari.engine.worker import file_copier, process
copy = file_copier.FileCopier.copy_file
def poisoned(self, path, *more):
    if path == "poison":
        os.kill(os.getpid(), 9)
    return copy(self, path, *more)
file_copier.FileCopier.copy_file = poisoned
process.main()
"""


@posix_only
def test_a_file_that_kills_every_worker_is_set_aside_and_the_others_are_copied(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", POISON])
    monkeypatch.setenv("SOFTCOPY_NATIVE", "0")  # what is replaced here is to be called for every file
    make_array(jobs.source, (30,))
    write(jobs.source / "poison", b"x", old=True)
    jobs.start()
    failure = until(lambda: jobs.now.failures)
    assert failure and failure[0].path == "poison" and "3 times" in failure[0].reason  # type: ignore[index]
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 30)


@linux_only
def test_a_full_disk_is_reported_and_the_copy_goes_on_when_there_is_room(jobs: Jobs) -> None:
    jobs.destination.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(jobs.destination)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        ballast = write(jobs.destination / "ballast", bytes(900_000))
        make_array(jobs.source, (2,))
        write(jobs.source / "large", bytes(300_000), old=True)
        jobs.start()
        assert until(lambda: jobs.now.state is TargetState.PAUSED)
        assert f"{jobs.destination} is full: " in jobs.now.reason and "continues by itself" in jobs.now.reason
        assert temporaries(jobs.destination) == [] and not jobs.now.failures
        assert jobs.now.forecast.completion is None, "who stands still keeps up with nothing"
        ballast.unlink()
        assert until(jobs.equal)
        assert until(lambda: jobs.now.state is not TargetState.PAUSED)
        jobs.stop()
    finally:
        assert until(lambda: subprocess.run(["umount", str(jobs.destination)], capture_output=True).returncode == 0)


@posix_only
def test_the_destination_is_let_go_when_the_job_ends_whatever_happens(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_array(jobs.source, (2,), chunks=False)
    running = jobs.start()
    assert jobs.caught_up()

    def fail(*args: object) -> None:
        raise RuntimeError("an error in softcopy itself")

    monkeypatch.setattr(running._tracker, "apply_events", fail)
    end = jobs.ends()
    assert end.state is TargetState.FAILED and "an error in softcopy itself" in end.reason
    assert until(lambda: free(jobs.destination))


@posix_only
def test_who_starts_again_when_it_is_said_to_have_stopped_is_not_refused(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front end presses Start while the engine still writes what it knows to the state folder."""
    running = jobs.start()
    assert until(lambda: jobs.now.state is TargetState.WAITING)
    said, real = threading.Event(), running._close_parts
    monkeypatch.setattr(running, "_close_parts", lambda: (said.wait(30), real()))
    running.order("stop")
    assert until(lambda: jobs.now.state is TargetState.STOPPED)
    locks: list[DestinationLock | DestinationBusy] = []

    def lock() -> None:
        try:
            locks.append(DestinationLock(jobs.destination))
        except DestinationBusy as error:
            locks.append(error)

    asked = threading.Event()
    monkeypatch.setattr(destination_lock, "try_lock", lambda fd: (try_lock(fd), asked.set())[0])
    starting = threading.Thread(target=lock)
    starting.start()
    assert asked.wait(30)
    said.set()
    starting.join(30)
    assert isinstance(locks[0], DestinationLock), locks
    locks[0].release()


@pytest.mark.parametrize("kind", [ProbeTask, ReachTask, FlushTask])
def test_an_answer_that_comes_with_the_order_to_stop_changes_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    """A copy that was stopped while its destination was being reached began all the same, and the order was lost."""
    if kind is not ProbeTask:  # whose answer would be that the source does not exist yet
        make_array(jobs.source, (2,))
    asked: list[object] = []
    real_request, real_dispatch = Dispatcher.request, Dispatcher.dispatch

    def request(self: Dispatcher, task: Any) -> None:
        real_request(self, task)
        if isinstance(task, kind):
            asked.append(task)

    def dispatch(self: Dispatcher, now: float, **what: bool) -> None:
        if len(asked) == 1:
            asked.append("stop")
            running.order("stop")
            real_dispatch(self, now, **what)
            assert until(lambda: running._inbox.qsize() > 1), "both are taken in together"
        else:
            real_dispatch(self, now, **what)

    monkeypatch.setattr(Dispatcher, "request", request)
    monkeypatch.setattr(Dispatcher, "dispatch", dispatch)
    running = jobs.start()
    running.order("finish" if kind is FlushTask else "resume")
    end = jobs.ends()
    assert end.state is TargetState.STOPPED and end.why == CopyJob.afterwards, end
    assert len(asked) == 2


def test_an_error_on_the_way_down_still_ends_the_job(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    make_array(jobs.source, (2,), chunks=False)
    running = jobs.start()
    assert jobs.caught_up()
    real: Callable[[], None] = running._tracker.end

    def fail() -> None:
        real()
        raise RuntimeError("thread cannot be joined")

    monkeypatch.setattr(running._tracker, "end", fail)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    running.order("stop")
    ended = running.ended.wait(30.0)
    if not ended:  # what the job should have done
        running._pool.stop()
        running._lock.release()
        running.ended.set()
    assert ended


def free(destination: Path) -> bool:
    try:
        DestinationLock(destination).release()
    except DestinationBusy:
        return False
    return True


def test_time_until_the_end_is_not_told_while_the_acquisition_runs(jobs: Jobs) -> None:
    make_array(jobs.source, (3,), chunks=False)
    started = time.time()
    jobs.start()
    assert jobs.caught_up()
    assert jobs.now.acquiring and jobs.now.eta is None
    assert started - 1 < jobs.now.started < time.time()


def test_a_temporary_that_has_gone_does_not_hold_up_the_end(jobs: Jobs) -> None:
    """Large folders are told in parts, and workers speak in turns."""
    make_array(jobs.source, (2,))
    running = jobs.start(settle=0.0)
    running.order("pause")
    assert until(lambda: jobs.now.state is TargetState.PAUSED)
    looked = running._tracker
    looked.scratch.add_folder_diff(FolderDiff("a"), ["x.tmp"])
    looked.scratch.add_folder_diff(FolderDiff("b", last=True), [])
    looked.scratch.add_folder_diff(FolderDiff("a", last=True), [])
    looked.scratch.add_folder_diff(FolderDiff("a", last=True), [])  # listed again: it has gone
    running.order("resume")
    assert jobs.ends().state is TargetState.COMPLETE


UNLISTABLE = """
import os
import shutil
from softcopy_napari.engine.worker import folder_comparer, process
listing = folder_comparer.listing
def flaky(place, folder):
    if folder == "sub" and os.path.exists(os.environ["SOFTCOPY_STATE_DIR"] + "/network-gone"):
        raise OSError(5, "Input/output error")
    return listing(place, folder)
folder_comparer.listing = flaky
process.main()
"""


def test_a_network_that_is_gone_for_a_second_at_the_end_does_not_fail_the_target(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, state_folder_in_tmp: Path
) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", UNLISTABLE])
    make_array(jobs.source, (2,))
    write(jobs.source / "sub" / "notes", b"x", old=True)
    running = jobs.start(finish_idle=1000.0, settle=1000.0)
    assert until(lambda: tree(jobs.destination) == tree(jobs.source))
    gone = write(state_folder_in_tmp / "network-gone", b"")
    running.order("finish")
    until(lambda: running.ended.is_set(), 1.0)
    gone.unlink()
    assert jobs.ends().state is TargetState.COMPLETE


def test_a_shard_that_is_not_whole_is_not_copied_before_its_writer_is_done_or_nobody_is_writing(jobs: Jobs) -> None:
    """acquire-zarr promises a shard only when it is full: until then it lies outside of the array's grid."""
    codec = {"name": "sharding_indexed", "configuration": {"chunk_shape": [1], "codecs": [{"name": "bytes"}]}}
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [codec],
        "fill_value": 0,
    }
    write(jobs.source / "zarr.json", json.dumps(metadata).encode(), old=True)
    write(jobs.source / "c" / "0", b"no index", old=True)
    write(jobs.source / "c" / "1", b"no index", old=True)
    write(jobs.source / "notes", b"x", old=True)
    running = jobs.start()
    assert until(lambda: (jobs.destination / "notes").exists())
    assert until(lambda: jobs.now.counts[ChunkState.WRITING] == 1)
    assert not (jobs.destination / "c" / "0").exists() and not (jobs.destination / "c" / "1").exists()
    running.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and tree(jobs.source) == tree(jobs.destination)
    assert sum("not whole at the source (copied as it is): c/" in notice for notice in end.notices) == 2, end.notices
