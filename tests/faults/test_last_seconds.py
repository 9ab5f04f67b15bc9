"""The last seconds before complete: what the job knows, hears or could know by then counts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import xxhash

from softcopy_napari.engine.job import final_check
from softcopy_napari.engine.job.copy_job import CopyJob
from softcopy_napari.engine.job.lifecycle import Phase
from softcopy_napari.engine.receipt import receipt_builder
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt, receipt_paths, write_receipt
from softcopy_napari.engine.source import source_tracker, walk_schedule
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.watch import watcher
from softcopy_napari.engine.worker.folder_batch import COMPARED, FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from tests.engine.support import make_array, replace, tree, until, write, zarray
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.faults.test_end import Flushes
from tests.support.faultfs import why_not

may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    return Flushes(monkeypatch)


class Signing:
    """Holds the thread that writes a receipt, before its first line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(receipt_builder, "write_receipt", self._slow)

    def _slow(self, destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt, *more: object) -> Path:
        def held() -> Iterator[tuple[bytes, str]]:
            self.begun.set()
            assert self.go_on.wait(SOON)
            yield from lines

        return write_receipt(destination, held(), receipt, *more)  # type: ignore[arg-type]


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Signing]:
    signing = Signing(monkeypatch)
    yield signing
    signing.go_on.set()


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the source be one that no events come from."""
    monkeypatch.setattr(source_tracker, "make_watcher", lambda source, wake, *_: watcher.NoWatcher(wake))
    monkeypatch.setattr(walk_schedule, "_BLIND_INTERVAL", 0.5)


def assert_the_receipt_is_right(lab: Lab) -> None:
    sums, _ = receipt_paths(lab.destination)
    found = {path: digest for digest, path in read_lines(sums, lab.destination)}
    assert found == {path: xxhash.xxh3_128_digest(data) for path, data in tree(lab.destination).items()}


def whole_array(lab: Lab) -> None:
    make_array(lab.source, (4,))


def test_a_lock_that_is_seen_again_while_the_disk_is_flushed_takes_no_file_out_of_the_receipt(
    lab: Lab, flushes: Flushes
) -> None:
    whole_array(lab)
    write(lab.source / "2.__lock", b"", old=True)  # its writer has crashed
    running = lab.start()
    assert until(lambda: running._inventory.writers.held, SOON), lab.words()
    running.order("finish")
    assert until(lambda: flushes.held, SOON), lab.words()
    looked = threading.Event()
    running._inbox.put(lambda: (running._walks.request(""), looked.set()))
    assert looked.wait(SOON) and until(lambda: running._dispatcher.idle and not running._tracker.busy, SOON)
    flushes.let_go(running)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE
    assert any("2 was still locked by its writer at the end" in notice for notice in end.notices)
    lab_files = {path: data for path, data in tree(lab.source).items() if not path.endswith(".__lock")}
    assert tree(lab.destination) == lab_files
    assert_the_receipt_is_right(lab)


def test_a_file_that_is_found_while_the_disk_is_flushed_is_copied_before_complete(
    lab: Lab, flushes: Flushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(monkeypatch)
    make_chunks(lab.source, 4, together=True, more=2)
    running = lab.start()
    assert lab.caught_up()
    running.order("finish")
    assert until(lambda: flushes.held, SOON), lab.words()
    write(lab.source / "4", b"late", old=True)
    running._inbox.put(lambda: running._walks.request(""))  # whatever has its folder looked at
    assert until(lambda: running._inventory.state("4") is not ChunkState.ABSENT, SOON)
    flushes.let_go(running)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    assert_the_receipt_is_right(lab)


@pytest.mark.parametrize("native", ["1", "0"], ids=["many folders in a call", "one by one"])
def test_a_rewrite_amid_the_last_walk_over_a_share_is_found(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    """Its folder has been compared already, and no event tells of it: a walk after the flush confirms everything."""
    monkeypatch.setenv("SOFTCOPY_NATIVE", native)
    blind(monkeypatch)
    make_chunks(lab.source, 12, more=2)
    running = lab.start()
    assert lab.caught_up()
    take, take_batch, done = SourceTracker.apply_folder_diff, SourceTracker.apply_folder_batch, threading.Event()

    def rewrite_once() -> None:
        if not done.is_set():
            done.set()
            write(lab.source / "3" / "0", b"another version, written amid the last walk")

    def apply_folder_diff(self: SourceTracker, part: FolderDiff, now: float, finishing: bool) -> bool:
        here = take(self, part, now, finishing)
        if finishing and part.folder == "3" and part.last:
            rewrite_once()
        return here

    def apply_folder_batch(self: SourceTracker, batch: FolderBatch, now: float, finishing: bool) -> None:
        take_batch(self, batch, now, finishing)
        if finishing and any(folder[:2] == ("3", COMPARED) for folder in batch.folders):
            rewrite_once()

    monkeypatch.setattr(SourceTracker, "apply_folder_diff", apply_folder_diff)
    monkeypatch.setattr(SourceTracker, "apply_folder_batch", apply_folder_batch)
    running.order("finish")
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert done.is_set()
    lab.assert_equal()


@may_fuse
def test_what_another_computer_wrote_just_before_the_end_is_copied_though_the_mount_answers_from_its_cache(
    lab: Lab,
) -> None:
    lab.faulty_source(cached=600.0)
    make_chunks(lab.real_source, 12, more=2)
    running = lab.start()
    assert lab.caught_up()
    write(lab.real_source / "3" / "0", content(3, 1, 5000))
    running.order("finish")
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_a_source_lost_after_a_change_that_was_heard_of_is_waited_for(lab: Lab, signing: Signing) -> None:
    make_chunks(lab.source, 5)
    running = lab.start(settle=0.5)
    assert signing.begun.wait(SOON), lab.words()
    replace(lab.source / "3" / "0", b"another version, longer or shorter")
    assert until(lambda: running._final.changes != running._final.signing, SOON)
    elsewhere = lab.source.rename(lab.folder / "unplugged")
    assert until(lambda: running._phase is Phase.SIGNING_ALONE, SOON)
    signing.go_on.set()
    assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
    elsewhere.rename(lab.source)
    assert until(lambda: lab.now.state in (TargetState.CAUGHT_UP, TargetState.COMPLETE), SOON), lab.words()
    lab.finish()
    lab.assert_equal()


def test_a_source_lost_when_all_of_it_had_arrived_is_complete(lab: Lab, signing: Signing) -> None:
    make_chunks(lab.source, 5)
    running = lab.start(settle=0.5)
    assert signing.begun.wait(SOON), lab.words()
    lab.real_source = lab.source.rename(lab.folder / "unplugged")
    assert until(lambda: running._phase is Phase.SIGNING_ALONE, SOON)
    signing.go_on.set()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_events_that_wait_while_the_receipt_becomes_ready_are_heard_before_complete(
    lab: Lab, signing: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is busy telling of thousands of arrays; meanwhile a chunk is rewritten and the receipt is written."""
    make_chunks(lab.source, 5, together=True)
    tick, late = CopyJob._tick, threading.Event()

    def slow_tick(self: CopyJob, now: float) -> None:
        tick(self, now)
        if self._phase is Phase.SIGNING and signing.begun.is_set() and not late.is_set():
            late.set()
            replace(lab.source / "3", b"another version")
            signing.go_on.set()
            assert until(lambda: self._inbox.qsize() > 0, SOON)  # the receipt is written

    monkeypatch.setattr(CopyJob, "_tick", slow_tick)
    lab.start(settle=0.2)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert late.is_set()
    lab.assert_equal()
    assert_the_receipt_is_right(lab)


def test_a_folder_that_is_not_found_for_a_moment_is_looked_for_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent has just listed it: a share that is overloaded, and no folder that has gone."""
    monkeypatch.setenv("SOFTCOPY_NATIVE", "0")  # each folder is told of by itself, as a missing one is
    make_chunks(lab.source, 5, more=1)
    running = lab.start()
    assert lab.caught_up()
    write(lab.source / "3" / "0", b"another version")
    blind(monkeypatch)
    take, missed = SourceTracker.apply_folder_diff, threading.Event()

    def apply_folder_diff(self: SourceTracker, part: FolderDiff, now: float, finishing: bool) -> bool:
        if finishing and part.folder == "3" and not missed.is_set():
            missed.set()
            part = FolderDiff("3", missing=True, last=True, final=part.final)
        return take(self, part, now, finishing)

    monkeypatch.setattr(SourceTracker, "apply_folder_diff", apply_folder_diff)
    running.order("finish")
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert missed.is_set()
    lab.assert_equal()


@pytest.mark.parametrize("ends", ["is closed", "stays open"])
def test_a_chunk_file_that_is_open_when_the_marker_comes_is_waited_for_and_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(final_check, "OPEN_FILE_TIMEOUT", SOON if ends == "is closed" else 1.0)
    monkeypatch.setattr(final_check, "LAST_CHANCE", 0.5)
    make_chunks(lab.source, 3, together=True, more=1)
    running = lab.start()
    assert lab.caught_up()
    with open(lab.source / "3", "wb", buffering=0) as file:
        file.write(b"half of ")
        assert until(lambda: running._inventory.state("3") is ChunkState.WRITING, SOON)
        write(lab.source / "complete", b"")
        if ends == "is closed":
            assert until(lambda: lab.now.state is TargetState.FINISHING, SOON), lab.words()
            file.write(b"a chunk")
        else:
            end = lab.ends(SOON)
    if ends == "is closed":
        end = lab.ends(SOON)
        assert end.chunk_files_copied == 4 and not end.notices
        lab.assert_equal()
    else:
        assert any("3 was still open in its writer at the end" in notice for notice in end.notices), end.notices
        assert end.chunk_files_copied == 3, "what may be half a chunk is not called copied"
        facts = find_receipt(lab.destination)[1]
        assert facts is not None and "3 was still open in its writer at the end. Copied as it was" in facts.notes
    assert end.state is TargetState.COMPLETE


def test_a_temporary_that_becomes_a_file_at_the_end_is_waited_for(lab: Lab) -> None:
    make_chunks(lab.source, 2, together=True, more=1)
    temporary = write(lab.source / f"2.{'0' * 32}.partial", b"the last chunk")
    running = lab.start()
    assert lab.caught_up()
    running.order("finish")
    assert until(lambda: lab.now.state is TargetState.FINISHING, SOON)
    time.sleep(0.5)  # its writer takes so long
    os.rename(temporary, lab.source / "2")
    assert lab.ends(SOON).chunk_files_copied == 3
    lab.assert_equal()


# -- after complete ----------------------------------------------------------------------------------------


def complete(lab: Lab) -> None:
    assert until(lambda: lab.now.state is TargetState.COMPLETE, SOON), lab.words()


def rewrite(lab: Lab) -> None:
    replace(lab.source / "1", b"another version")


def grow(lab: Lab) -> None:
    replace(lab.source / ".zarray", zarray((5,)))
    replace(lab.source / "4", b"one more")


@pytest.mark.parametrize("change", [rewrite, grow])
def test_what_comes_after_complete_is_copied_while_the_source_is_watched_on(
    lab: Lab, change: Callable[[Lab], None]
) -> None:
    whole_array(lab)
    running = lab.start(settle=0.2, linger=600.0)
    complete(lab)
    assert lab.now.watching and lab.now.completed > 0 and not running.ended.is_set()
    assert not list(lab.destination.glob(".softcopy-*")), "nothing of ours stays there while the source is watched on"
    change(lab)
    assert until(lambda: tree(lab.source) == tree(lab.destination), SOON)
    assert until(lambda: "more came after the copy was complete" in lab.now.reason, SOON), lab.words()
    assert lab.now.state is TargetState.CAUGHT_UP and not lab.now.watching
    running.order("finish")
    complete(lab)
    assert lab.now.watching
    assert_the_receipt_is_right(lab)
    running.order("stop")
    assert lab.ends(SOON).state is TargetState.COMPLETE, "what is complete stays so"
    assert not lab.now.watching


def test_the_watch_ends_by_itself(lab: Lab) -> None:
    whole_array(lab)
    lab.start(settle=0.2, linger=0.5)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE and end.completed > 0


def test_a_source_that_goes_away_after_complete_ends_the_watch(lab: Lab) -> None:
    whole_array(lab)
    lab.start(settle=0.2, linger=600.0)
    complete(lab)
    lab.source.rename(lab.folder / "unplugged")
    assert lab.ends(SOON).state is TargetState.COMPLETE
