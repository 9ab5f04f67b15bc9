"""The end of a copy: what comes in between when almost everything is done, and what the next run must know."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import xxhash

from softcopy_napari.engine.job.copy_job import CopyJob
from softcopy_napari.engine.job.lifecycle import Phase
from softcopy_napari.engine.receipt import receipt_builder
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import Receipt, receipt_paths, write_receipt
from softcopy_napari.engine.source import source_tracker
from softcopy_napari.engine.state_folder import destination_lock
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock, ReverifyReason
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.worker.tasks import Answer, Flushed
from tests.engine.support import make_torn_shards, replace, tree, until, write
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, make_chunks
from tests.faults.test_places import on_disk, started
from tests.support.faultfs import why_not
from tests.support.trees import flip

may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())
may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())


class Flushes:
    """Holds back what a job is told of its flushes, until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: list[Flushed] = []
        self.holding = True
        self.change: Flushed | None = None
        """Told instead of what is true."""
        self._take = CopyJob._handle_answer
        monkeypatch.setattr(CopyJob, "_handle_answer", lambda job, answer, now: self._taken(job, answer, now))

    def _taken(self, job: CopyJob, answer: Answer | None, now: float) -> None:
        if isinstance(answer, Flushed) and self.holding:
            self.held.append(answer)
        else:
            self._take(job, self.change if self.change and isinstance(answer, Flushed) else answer, now)

    def let_go(self, job: CopyJob) -> None:
        """Tell the job now."""
        self.holding = False
        for answer in self.held:
            job._inbox.put(lambda answer=answer: self._taken(job, answer, time.monotonic()))


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    return Flushes(monkeypatch)


@may_fuse
def test_a_torn_shard_that_was_being_copied_when_its_user_said_finish_is_copied(lab: Lab) -> None:
    """It comes back as torn when everything else has been compared already."""
    faults = lab.faulty_source()
    make_torn_shards(lab.real_source, 3)
    rule = faults.hang("read", "s.zarr/c/1", times=1)
    running = lab.start(nprocs=2)
    assert until(lambda: rule.met and running._tracker.last_pass, SOON)
    running.order("finish")
    assert until(lambda: lab.now.state is TargetState.FINISHING, SOON), lab.words()
    assert not running.ended.wait(1.0)  # time for the walk over everything, which does not wait for this one
    rule.lift()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_a_source_that_is_lost_while_the_disk_is_flushed_is_waited_for(lab: Lab, flushes: Flushes) -> None:
    """The answer of a flush that was asked for before must not end what has begun anew."""
    make_chunks(lab.source, 5)
    running = lab.start(settle=0.0)
    assert until(lambda: flushes.held, SOON), lab.words()
    elsewhere = lab.source.rename(lab.folder / "elsewhere")
    assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
    flushes.let_go(running)
    assert not until(lambda: lab.now.state is not TargetState.WAITING, 0.5), lab.words()
    write(elsewhere / "late", b"x", old=True)
    elsewhere.rename(lab.source)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_a_flush_that_was_asked_for_earlier_does_not_count_for_what_was_copied_since(
    lab: Lab, flushes: Flushes
) -> None:
    make_chunks(lab.source, 5)
    running = lab.start(settle=0.0)
    assert until(lambda: flushes.held, SOON), lab.words()
    elsewhere = lab.source.rename(lab.folder / "elsewhere")
    assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
    write(elsewhere / "late", b"x", old=True)
    elsewhere.rename(lab.source)
    assert until(lambda: lab.now.reason == "flushing to disk", SOON), lab.words()
    (first,) = flushes.held
    running._inbox.put(lambda: flushes._take(running, first, time.monotonic()))
    assert until(lambda: len(flushes.held) == 2, SOON), lab.words()
    _, second = flushes.held
    assert not running.ended.wait(0.5), lab.words()
    running._inbox.put(lambda: flushes._take(running, second, time.monotonic()))
    assert lab.ends(SOON).state is TargetState.COMPLETE


@may_mount
def test_a_destination_unmounted_before_it_was_flushed_is_not_called_complete(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mount point would be flushed in its place."""
    disk = on_disk(lab, "destination", "")
    make_chunks(lab.source, 5)
    go_on = CopyJob._advance_final_check

    def unmounted_first(job: CopyJob, now: float) -> None:
        go_on(job, now)
        if job._final._flush_asked and not monkey:
            monkey.append(True)
            disk.detach()

    monkey: list[bool] = []
    monkeypatch.setattr(CopyJob, "_advance_final_check", unmounted_first)
    running = lab.start(settle=0.0)
    assert until(lambda: lab.now.state is TargetState.PAUSED or running.ended.is_set(), SOON), lab.words()
    assert lab.now.state is TargetState.PAUSED, lab.words()
    assert disk.everything() == []
    disk.attach()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def damage_one(lab: Lab) -> Path:
    """What a disk may do that had not written everything down: size and time are there, the content is not."""
    flip(lab.real_destination / "3" / "0")
    return lab.real_destination / "3" / "0"


@may_mount
def test_a_disk_that_was_taken_away_and_is_back_may_lack_what_was_not_written_down(lab: Lab) -> None:
    disk = on_disk(lab, "destination", "d.zarr")
    started(lab)
    disk.detach()
    write(lab.real_source / "note", b"x")
    assert until(lambda: lab.now.state is TargetState.PAUSED, SOON), lab.words()
    damage_one(lab)
    disk.attach()
    lab.finish()
    lab.assert_equal()
    assert any("was away for a while. Files copied before are read back" in notice for notice in lab.now.notices)


def test_after_a_flush_that_failed_nothing_is_believed_that_was_not_read_back(lab: Lab, flushes: Flushes) -> None:
    """The system tells of what it could not write once, and the next flush succeeds."""
    make_chunks(lab.source, 5)
    flushes.holding, flushes.change = False, Flushed("Input/output error")
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED and "cannot be flushed" in end.reason
    damage_one(lab)
    lab.start(settle=1000.0)  # a run that ends before it has come to that changes nothing
    lab.stop()
    flushes.change = None
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    lab.start(settle=0.0)
    assert lab.ends(SOON).notices == (), "all is well again"


def stopped_in_the_middle(lab: Lab) -> tuple[Path, bytes]:
    """Copy five chunk files, and stop; returns the lock file, and what a killed engine would leave in it."""
    make_chunks(lab.source, 5, more=1)
    lab.start()
    assert lab.caught_up()
    lock_file = destination_lock._lock_path(lab.destination)
    killed = lock_file.read_bytes()
    lab.stop()
    return lock_file, killed


def test_after_a_power_failure_nothing_is_believed_that_was_not_read_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some disks have a file's size and time then, and not its content (exFAT, NTFS)."""
    lock_file, killed = stopped_in_the_middle(lab)
    damage_one(lab)
    lock_file.write_bytes(killed)
    monkeypatch.setattr(destination_lock, "_boot", lambda: "another")
    lab.start()
    lab.finish()
    lab.assert_equal()
    assert any("computer went down" in notice for notice in lab.now.notices)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_with_the_computer_running_on_nothing_is_read_back(lab: Lab, how: str) -> None:
    """What was written is in its memory, or on the disk."""
    lock_file, killed = stopped_in_the_middle(lab)
    if how == "killed":
        lock_file.write_bytes(killed)
    lab.start()
    lab.finish()
    assert lab.now.counts[ChunkState.COPIED] == 5 and lab.now.notices == ()


def test_what_was_not_flushed_before_a_stop_is_read_back_after_a_power_failure(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop does not wait until the disk has written everything: that takes half a minute, and the power fails."""
    stopped_in_the_middle(lab)
    damage_one(lab)
    monkeypatch.setattr(destination_lock, "_boot", lambda: "another")
    DestinationLock(lab.destination, "checked").release()
    lab.start()
    lab.finish()
    lab.assert_equal()
    assert any("computer went down" in notice for notice in lab.now.notices)


@pytest.mark.parametrize("end", ["complete", pytest.param("at rest", marks=may_mount), "nothing copied"])
def test_what_was_flushed_is_not_read_back_after_a_power_failure(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    make_chunks(lab.source, 5, more=1)
    if end == "at rest":
        lab.mount(lab.destination)  # a disk that the source lies on, too, is left to its writer
    running = lab.start()
    assert lab.caught_up()
    if end == "complete":
        lab.finish()
    elif end == "at rest":  # it is flushed when nothing has been copied for a moment
        assert until(lambda: not running._lock.unflushed, SOON), lab.words()
        lab.stop()
    else:
        lab.finish()
        lab.start()
        assert lab.caught_up()
        lab.stop()
    monkeypatch.setattr(destination_lock, "_boot", lambda: "another")
    DestinationLock(lab.destination, "checked").release()
    lab.start()
    lab.finish()
    assert lab.now.counts[ChunkState.COPIED] == 5 and lab.now.notices == ()


def test_an_error_of_a_disk_puts_targets_in_doubt_that_were_stopped_before_it_had_written_everything(
    lab: Lab,
) -> None:
    """The system tells of it once, and they will be told nothing when they go on."""
    locks = {}
    for name, device, flushed in (("same", 5, False), ("flushed", 5, True), ("other", 6, False), ("failing", 5, False)):
        locks[name] = DestinationLock(lab.folder / name)
        locks[name].note_unflushed(device)
        if flushed:
            locks[name].note_flushed()
        if name != "failing":
            locks[name].release()
    locks["failing"].note_failed_flush()
    doubts = {}
    for name in ("same", "flushed", "other"):
        locks[name] = DestinationLock(lab.folder / name)
        doubts[name] = locks[name].reverify_reason
    for one in locks.values():
        one.release()
    assert doubts == {"same": ReverifyReason.FLUSH_FAILED, "flushed": None, "other": None}


def test_starts_of_a_system_that_tells_only_when_are_told_apart_though_its_clock_is_set() -> None:
    assert destination_lock._is_same_boot("1764441000", "1764441012")
    assert not destination_lock._is_same_boot("1764441000", "1764444600")
    assert not destination_lock._is_same_boot("1764441000", "6d0d3f1e-0000")


def test_a_check_in_between_does_not_take_a_doubt_away(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    first = DestinationLock(lab.destination)
    first.note_unflushed(0)
    os.close(first.fileno())  # as if it was killed
    DestinationLock(lab.destination, "checked").release()
    monkeypatch.setattr(destination_lock, "_boot", lambda: "another")
    DestinationLock(lab.destination, "checked").release()
    second = DestinationLock(lab.destination)
    assert second.reverify_reason is ReverifyReason.POWER_LOST
    second.release()


def test_a_copy_stopped_while_its_receipt_is_written_leaves_none_that_is_not_true(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_chunks(lab.source, 5)
    stopped, over = threading.Event(), threading.Event()
    begun = threading.Event()

    def slow(destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt, mode: int | None = None) -> Path:
        def one_by_one() -> Iterator[tuple[bytes, str]]:
            begun.set()
            assert stopped.wait(SOON)
            yield from lines

        try:
            return write_receipt(destination, one_by_one(), receipt, mode)
        finally:
            over.set()

    monkeypatch.setattr(receipt_builder, "write_receipt", slow)
    running = lab.start(settle=0.0)
    assert begun.wait(SOON)
    lab.stop()
    assert running.snapshot().state is TargetState.STOPPED
    stopped.set()
    assert over.wait(SOON)
    assert not any(path.exists() for path in receipt_paths(lab.destination))
    assert list(lab.folder.glob(".softcopy-*")) == []


@pytest.mark.parametrize("what", ["rewritten", "new", "lost"])
def test_what_happens_while_the_receipt_is_written(lab: Lab, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Nothing is called complete that is known not to be, and every file has its line in the receipt."""
    make_chunks(lab.source, 5, more=1)
    go_on, begun = threading.Event(), threading.Event()

    def slow(destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt, mode: int | None = None) -> Path:
        begun.set()
        assert go_on.wait(SOON)
        return write_receipt(destination, lines, receipt, mode)

    monkeypatch.setattr(receipt_builder, "write_receipt", slow)
    running = lab.start()
    assert lab.caught_up()
    running.order("finish")
    assert begun.wait(SOON)
    if what == "lost":
        lab.real_source = lab.source.rename(lab.folder / "elsewhere")
    else:
        replace(lab.source / "3" / ("0" if what == "rewritten" else "note"), b"another version")
    final = running._final
    assert until(lambda: final.changes != final.signing or running._phase is Phase.SIGNING_ALONE, SOON)
    go_on.set()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    sums, _ = receipt_paths(lab.destination)
    found = {path: digest for digest, path in read_lines(sums, lab.destination)}
    here = tree(lab.destination)
    assert found == {path: xxhash.xxh3_128_digest(data) for path, data in here.items()}


def test_a_receipt_that_cannot_be_made_does_not_hold_up_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise ValueError("a flaw of our own")

    make_chunks(lab.source, 2)
    monkeypatch.setattr(receipt_builder, "write_receipt", fail)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE
    assert any("the receipt could not be written" in notice for notice in end.notices)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_is_no_time_of_quiet(lab: Lab, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """An acquisition that pauses between two time points is not over because the clock was put forward."""
    make_chunks(lab.source, 3, more=1)
    now = time.time()
    for path in (*lab.source.rglob("*"), lab.source):
        os.utime(path, (now, now))
    real_time = time.time
    running = lab.start(finish_idle=600.0)
    assert lab.caught_up()
    monkeypatch.setattr(source_tracker.time, "time", lambda: real_time() + hours * 3600)
    assert not running.ended.wait(1.0), lab.words()
