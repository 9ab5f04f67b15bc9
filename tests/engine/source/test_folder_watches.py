"""Watches are few however many folders there are, and what is changed in a folder that was let go is found."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source import folder_watches, walk_schedule
from softcopy_napari.engine.source.folder_watches import FolderWatches
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watch.watcher import NoWatcher
from softcopy_napari.engine.worker.folder_batch import COMPARED, FolderBatch
from tests.engine.jobs import Jobs
from tests.engine.support import make_layout, replace, until, write, zarray

OLD = 1_000_000_000


class Watcher(NoWatcher):
    """A watcher that says what it watches."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.watched: dict[str, None] = {}

    def watch(self, folder: str) -> bool:
        new = folder not in self.watched
        self.watched[folder] = None
        return new

    def let_go(self, folders: Iterable[str]) -> None:
        for folder in folders:
            del self.watched[folder]


class Source:
    """A source with an array of 40 by 3 chunk files in folders of three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = Inventory(folder / "ledgers")
        self.inventory.register_array(make_layout((40, 3), "0", separator="/"))
        self.walks = WalkPlanner()
        self.watcher = Watcher()
        self.watches = FolderWatches(self.watcher, folder, self.inventory, self.walks)

    def make(self, number: int, modified: int = OLD) -> str:
        path = self.folder / "0" / str(number)
        path.mkdir(parents=True)
        os.utime(path, (modified, modified))
        return f"0/{number}"

    def fill(self, number: int) -> None:
        for column in range(3):
            self.inventory.set_state(f"0/{number}/{column}", ChunkState.COPIED)


def batch_of(*folders: tuple[str, int, int]) -> FolderBatch:
    """Make a batch of folders in the array that were compared: of each its path, time and number of files."""
    names = b"".join(path.removeprefix("0/").encode() + b"\0" for path, _, _ in folders)
    data = b"".join(struct.pack("qiiii", modified, COMPARED, files, 0, 0) for _, modified, files in folders)
    return FolderBatch("0", names, data, b"", b"")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setattr(folder_watches, "_MOST", 10)
    monkeypatch.setattr(folder_watches, "_LET_GO", 6)
    made = Source(tmp_path)
    yield made
    made.inventory.digests.close()


def test_full_folders_are_let_go_first(source: Source) -> None:
    folders = [source.make(number) for number in range(11)]
    source.fill(1)
    source.fill(4)
    for folder in folders:
        assert source.watches.watch(folder)
    assert list(source.watcher.watched) == [folder for folder in folders if folder not in ("0/1", "0/4")]


def test_there_are_never_more_than_a_number_of_them_and_those_of_groups_stay(source: Source) -> None:
    for folder in ("", "0", "notes", "notes/1"):
        source.watches.watch(folder)
    for number in range(40):
        source.watches.watch(source.make(number))
        assert len(source.watcher.watched) <= 14
    assert {"", "0", "notes", "notes/1", "0/39"} <= source.watcher.watched.keys()


def test_folders_in_use_are_let_go_last(source: Source) -> None:
    now = int(time.time())
    busy = [source.make(number, now) for number in range(5)]
    for folder in busy + [source.make(number) for number in range(5, 11)]:
        source.watches.watch(folder)
    assert set(busy) <= source.watcher.watched.keys()


def test_what_is_full_and_old_is_not_watched_at_all(source: Source) -> None:
    old = OLD * 10**9
    source.make(0), source.make(1), source.make(2)
    assert source.watches.watch_compared(batch_of(("0/0", old, 3), ("0/1", old, 2))) == set()
    assert list(source.watcher.watched) == ["0/1"]
    now = time.time_ns()
    os.utime(source.folder / "0" / "2", ns=(now, now))
    assert source.watches.watch_compared(batch_of(("0/2", now, 3))) == set()
    assert "0/2" in source.watcher.watched


@pytest.mark.parametrize("told", [OLD * 10**9 - 1, 0], ids=["it has changed since", "its time may not tell"])
def test_a_folder_that_may_have_changed_before_it_was_watched_is_to_be_compared_again(
    source: Source, told: int
) -> None:
    assert source.watches.watch_compared(batch_of((source.make(0), told, 1))) == {"0/0"}
    assert source.watches.watch_compared(batch_of(("0/0", told, 1))) == set(), "it is watched now"


def test_a_folder_that_a_writer_is_at_work_in_when_it_is_found_is_watched(jobs: Jobs) -> None:
    write(jobs.source / ".zarray", zarray((1, 2, 2), separator="/"), old=True)
    for row in "01":
        write(jobs.source / "0" / row / "0", b"a chunk", old=True)
    lock = write(jobs.source / "0" / "1" / "1.__lock", b"")
    jobs.start()
    assert until(lambda: (jobs.destination / "0" / "1" / "0").exists()), jobs.now
    chunk = jobs.source / "0" / "1" / "0"
    with open(chunk.with_name("0.__lock"), "wb"):
        chunk.unlink()
        chunk.with_name("0.__lock").unlink()
    assert until(lambda: not (jobs.destination / "0" / "1" / "0").exists()), "nobody saw it deleted"
    lock.unlink()


def test_a_copy_of_more_folders_than_may_be_watched_hears_of_all(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watches, "_MOST", 10)
    monkeypatch.setattr(folder_watches, "_LET_GO", 5)
    monkeypatch.setattr(walk_schedule, "_WALK_INTERVAL", 0.2)
    write(jobs.source / ".zarray", zarray((60, 1), separator="/"), old=True)
    jobs.start()
    assert until(lambda: jobs.now.chunk_files == 60)
    for number in range(60):
        write(jobs.source / str(number) / "0", b"a chunk")
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 60), jobs.now.counts
    assert jobs.job is not None
    watcher = jobs.job._tracker._watcher
    assert watcher is not None and len(watcher._watches) <= 12  # type: ignore[attr-defined]
    for number in (0, 30, 59):  # some are watched, others looked at
        replace(jobs.source / str(number) / "0", b"another version")
    there = [jobs.destination / str(number) / "0" for number in (0, 30, 59)]
    assert until(lambda: all(path.read_bytes() == b"another version" for path in there))
