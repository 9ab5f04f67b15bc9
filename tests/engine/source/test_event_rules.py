"""What each zarr writer does on disk (docs/dev/writers.md, as traced), and what must come of it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from softcopy_napari.engine.inventory.comparison import note_comparison
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.event_rules import QUIET, EventRules
from softcopy_napari.engine.source.folder_watches import FolderWatches
from softcopy_napari.engine.source.seen_files import StaleLocks
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watch.events import FileEvent
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from tests.engine.support import make_layout

ABSENT, WRITING, PENDING, COPYING, COPIED, VERIFIED, FAILED = ChunkState
OPENED, WRITTEN, RENAMED, MODIFIED, DELETED = (
    FileEvent.OPENED,
    FileEvent.WRITTEN,
    FileEvent.RENAMED,
    FileEvent.MODIFIED,
    FileEvent.DELETED,
)


class Told:
    """A watcher that is told what to put."""

    def __init__(self, tells_closing: bool) -> None:
        self.events: deque[tuple[FileEvent, str]] = deque()
        self.problem = None
        self.tells_closing = tells_closing
        self.watched: list[str] = []

    def watch(self, folder: str) -> bool:
        self.watched.append(folder)
        return True

    def let_go(self, folders: Iterable[str]) -> None:
        pass

    def stop(self) -> None:
        pass


class Source:
    """Event rules over one array at the source's root, of 4 chunk files."""

    def __init__(self, folder: Path, tells_closing: bool) -> None:
        self.inventory = Inventory(folder / "ledgers")
        self.inventory.register_array(make_layout((2, 2), "", separator="/"))
        self.walks = WalkPlanner()
        self.watcher = Told(tells_closing)
        watches = FolderWatches(self.watcher, folder, self.inventory, self.walks)
        self.rules = EventRules(self.watcher, self.inventory, self.walks, watches)
        self.now = 1000.0

    def put_events(self, *events: tuple[FileEvent, str], after: float = 0.0) -> None:
        self.now += after
        self.watcher.events.extend(events)
        assert self.rules.apply_events(self.now) == sum(event is not FileEvent.ROOT_GONE for event, _ in events)

    def state(self, path: str = "0/0") -> ChunkState:
        return self.inventory.state(path)

    def copy(self) -> list[str]:
        """Copy all that waits; returns the paths, those to be deleted with a minus."""
        paths: list[str] = []
        while (batch := self.inventory.queue.take_batch(10)) is not None:
            gone = self.inventory.writers.deleted.intersection(batch.paths)
            paths += ["-" * (path in gone) + path for path in batch.paths]
            self.inventory.writers.deleted.difference_update(batch.paths)
            self.inventory.note_results(batch, [ABSENT if path in gone else COPIED for path in batch.paths])
        return paths


@pytest.fixture(params=[True, False], ids=["Linux", "no closing events"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return Source(tmp_path, request.param)


@pytest.fixture
def linux(tmp_path: Path) -> Source:
    return Source(tmp_path, True)


@pytest.fixture
def portable(tmp_path: Path) -> Source:
    return Source(tmp_path, False)


def tensorstore(path: str, mode: str, closing: bool) -> list[tuple[FileEvent, str]]:
    """Events of one write, as traced; without those that nobody subscribes to."""
    lock = f"{path}_ac2c8228768eb53c.__lock" if mode == "none" else f"{path}.__lock"
    events = [(OPENED, lock)]
    if not closing:
        return [*events, (MODIFIED, lock), (MODIFIED, lock), (RENAMED, path)]
    if mode == "os":
        events.append((WRITTEN, lock))
    return [*events, (RENAMED, path), (WRITTEN, path)]


@pytest.mark.parametrize("mode", ["lockfile", "os", "none"])
def test_a_chunk_of_tensorstore_is_copied_once_as_soon_as_it_is_written(source: Source, mode: str) -> None:
    events = tensorstore("0/0", mode, source.watcher.tells_closing)
    source.put_events(events[0])
    assert source.state() is WRITING
    source.put_events(*events[1:])
    assert source.copy() == ["0/0"]
    assert not source.inventory.writers.held and source.copy() == []
    assert source.rules.whole_files_only


@pytest.mark.parametrize("mode", ["lockfile", "os", "none"])
def test_metadata_of_tensorstore_are_read_again_when_they_are_replaced(source: Source, mode: str) -> None:
    source.put_events(*tensorstore(".zarray", mode, source.watcher.tells_closing))
    assert source.rules.metadata == {""}
    assert source.copy() == [".zarray"]
    source.put_events(*tensorstore("sub/zarr.json", mode, source.watcher.tells_closing))
    assert source.rules.metadata == {"", "sub"}


@pytest.mark.parametrize("mode", ["lockfile", "os"])
def test_a_chunk_set_to_the_fill_value_is_deleted_at_the_destination(source: Source, mode: str) -> None:
    source.put_events(*tensorstore("0/0", mode, source.watcher.tells_closing))
    assert source.copy() == ["0/0"]
    source.put_events((OPENED, "0/0.__lock"))
    if mode == "os" and source.watcher.tells_closing:
        source.put_events((WRITTEN, "0/0.__lock"))
    source.put_events((DELETED, "0/0"), (DELETED, "0/0.__lock"))
    if source.watcher.tells_closing:
        source.put_events((WRITTEN, "0/0.__lock"))
    assert source.copy() == ["-0/0"]
    assert source.state() is ABSENT and not source.inventory.writers.held


def test_a_chunk_set_to_the_fill_value_while_it_is_copied_is_deleted_afterwards(source: Source) -> None:
    source.put_events(*tensorstore("0/0", "lockfile", source.watcher.tells_closing))
    batch = source.inventory.queue.take_batch(10)
    assert batch is not None
    source.put_events((OPENED, "0/0.__lock"), (DELETED, "0/0"), (DELETED, "0/0.__lock"))
    source.inventory.note_results(batch, COPIED)
    assert source.copy() == ["-0/0"]


def test_a_chunk_that_was_quiet_just_when_its_lock_was_taken_is_deleted_at_the_destination(source: Source) -> None:
    """The time to wait for it to be quiet ends between the lock and the deletion."""
    source.put_events((OPENED, "0/0.__lock"), (RENAMED, "0/0"))
    source.put_events((MODIFIED, "0/0"), after=0.1)
    source.put_events((OPENED, "0/0.__lock"), after=QUIET)
    source.put_events((DELETED, "0/0"), (DELETED, "0/0.__lock"), after=0.1)
    assert source.copy() == ["-0/0"]


def test_a_chunk_whose_writer_crashed_with_its_lock_is_copied_when_it_is_quiet(portable: Source) -> None:
    portable.put_events((OPENED, "0/0.__lock"), (MODIFIED, "0/0"))
    for _ in range(10):
        portable.put_events(after=QUIET)
    assert portable.copy() == ["0/0"]


def test_a_chunk_written_again_after_its_deletion_is_copied(source: Source) -> None:
    source.put_events((OPENED, "0/0.__lock"), (DELETED, "0/0"), (DELETED, "0/0.__lock"))
    source.put_events(*tensorstore("0/0", "lockfile", source.watcher.tells_closing))
    assert [path.strip("-") for path in source.copy()] == ["0/0"]


def test_a_chunk_that_never_was_and_is_set_to_the_fill_value_stays_absent(source: Source) -> None:
    source.put_events((OPENED, "0/0.__lock"), (DELETED, "0/0.__lock"))
    batch = source.inventory.queue.take_batch(10)
    assert batch is not None and batch.paths == ["0/0"]  # a look does no harm
    source.inventory.note_results(batch, [ABSENT])
    assert source.state() is ABSENT


def test_mode_none_deletes_without_a_lock_and_so_the_copy_is_kept(source: Source) -> None:
    source.put_events(*tensorstore("0/0", "none", source.watcher.tells_closing))
    source.copy()
    source.put_events((DELETED, "0/0"))
    assert not source.inventory.writers.deleted and source.copy() == []


def test_ten_writes_of_one_chunk_are_one_copy(source: Source) -> None:
    source.put_events(*tensorstore("0/0", "lockfile", source.watcher.tells_closing) * 10)
    assert source.copy() == ["0/0"]


def test_a_lock_that_was_there_before_the_folder_was_watched_does_not_hold_up_its_chunk(linux: Source) -> None:
    linux.put_events((RENAMED, "0/0"), (WRITTEN, "0/0"))
    assert linux.copy() == ["0/0"]


def test_a_writer_that_closes_its_lock_before_renaming_it_gets_its_chunk_copied(linux: Source) -> None:
    """No tensorstore that was traced does, but nothing would copy the chunk before the very end."""
    linux.put_events((OPENED, "0/0.__lock"), (WRITTEN, "0/0.__lock"), (RENAMED, "0/0"))
    linux.put_events(after=QUIET * 1.1)
    assert linux.copy() == ["0/0"]


@pytest.mark.parametrize("partial", [f"0/0.{'0a' * 16}.partial", f"zarr.{'0a' * 16}.partial"])
def test_zarr_python_renames_a_temporary_that_does_not_tell_its_chunk(source: Source, partial: str) -> None:
    events = [(OPENED, partial), (WRITTEN, partial)] if source.watcher.tells_closing else [(OPENED, partial)]
    source.put_events(*events)
    inventory = source.inventory
    assert inventory.counts()[ABSENT] == 4 and not inventory.plain_files.by_path and not inventory.writers.held
    source.put_events((RENAMED, "0/0"))
    assert source.copy() == ["0/0"]
    assert source.rules.whole_files_only


def test_ome_writers_renames_its_metadata_into_place(source: Source) -> None:
    source.put_events((OPENED, "zarr.json.x8f_2.tmp"), (RENAMED, "zarr.json"))
    assert source.copy() == ["zarr.json"] and source.rules.metadata == {""}


# -- acquire-zarr: files grow in place ---------------------------------------------------------------------


def test_a_shard_of_acquire_zarr_is_copied_when_it_is_closed_and_not_before(linux: Source) -> None:
    linux.put_events((OPENED, "0/0"))
    for _ in range(5):
        linux.put_events(after=60.0)
        assert linux.state() is WRITING and linux.copy() == []
    assert not linux.rules.whole_files_only
    linux.put_events((WRITTEN, "0/0"))
    assert linux.copy() == ["0/0"]


def test_a_shard_is_copied_when_it_is_quiet_where_nothing_tells_of_closing(portable: Source) -> None:
    portable.put_events((OPENED, "0/0"))
    for _ in range(5):
        portable.put_events((MODIFIED, "0/0"), after=QUIET * 0.9)
        assert portable.state() is WRITING and portable.copy() == []
    portable.put_events(after=QUIET * 1.1)
    assert portable.copy() == ["0/0"]
    portable.put_events((MODIFIED, "0/0"))  # its writer only paused
    assert portable.state() is WRITING
    portable.put_events(after=QUIET * 1.1)
    assert portable.copy() == ["0/0"]


def test_metadata_rewritten_in_place_and_kept_open_are_copied_and_read_when_quiet(source: Source) -> None:
    source.put_events((OPENED, "zarr.json"))
    assert source.copy() == []
    source.put_events(after=QUIET * 1.1)
    assert source.copy() == ["zarr.json"] and source.rules.metadata == {""}


def test_a_file_that_is_moved_away_while_it_is_written_is_no_longer_waited_for(source: Source) -> None:
    source.put_events((OPENED, "notes"), (DELETED, "notes"))
    source.put_events(after=QUIET * 1.1)
    source.inventory.note_results(batch, [ABSENT]) if (batch := source.inventory.queue.take_batch(10)) else None
    assert not source.inventory.writers.held and not source.inventory.plain_files.by_path


@pytest.mark.parametrize("path", ["0/0", "notes"])
def test_one_writer_in_place_is_enough_for_fresh_files_to_wait(source: Source, path: str) -> None:
    source.put_events(*tensorstore("0/1", "lockfile", source.watcher.tells_closing))
    assert source.rules.whole_files_only
    source.put_events((OPENED, path))
    assert source.rules.whole_files_only is (path == "notes")


# -- nobody's deletion deletes -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["0/0", ".zarray", "notes"])
def test_a_deletion_without_a_lock_deletes_nothing(source: Source, path: str) -> None:
    source.inventory.writers.note_settled(path)
    source.copy()
    source.put_events((DELETED, path))
    assert not source.inventory.writers.deleted and source.copy() == []
    assert source.state(path) is COPIED


def test_a_lock_on_another_file_does_not_make_a_deletion_one_on_purpose(source: Source) -> None:
    note_comparison(source.inventory, "0", ["0", "1"], [])
    source.put_events((OPENED, "0/1.__lock"), (DELETED, "0/0"))
    assert source.inventory.writers.deleted == set()


def test_a_lock_that_has_gone_does_not_make_a_later_deletion_one_on_purpose(source: Source) -> None:
    note_comparison(source.inventory, "0", ["0"], [])
    source.put_events(*tensorstore("0/0", "lockfile", source.watcher.tells_closing))
    source.copy()
    source.put_events((DELETED, "0/0"))
    assert source.inventory.writers.deleted == set()


def test_removing_a_dataset_with_a_stale_lock_in_it_keeps_every_copy(source: Source) -> None:
    """A writer crashed and left its lock; everything is copied; someone runs rm -rf on the source."""
    note_comparison(source.inventory, "0", ["0", "1"], [])
    source.put_events((DELETED, "0/0"), (DELETED, "0/0.__lock"), (DELETED, "0/1"))
    assert source.inventory.writers.deleted == set()


def test_removing_a_chunk_whose_lock_was_found_by_a_walk_keeps_the_copy(source: Source) -> None:
    note_comparison(source.inventory, "0", ["0", "1"], [])
    StaleLocks(source.inventory).add_folder_diff(FolderDiff("0", locks=["0"], last=True), source.now)
    source.put_events((DELETED, "0/0"), after=3600.0)
    assert source.inventory.writers.deleted == set()


def test_removing_a_chunk_whose_writer_crashed_hours_ago_keeps_the_copy(source: Source) -> None:
    note_comparison(source.inventory, "0", ["0"], [])
    source.put_events((OPENED, "0/0.__lock"))
    source.put_events((DELETED, "0/0"), after=3600.0)
    assert source.inventory.writers.deleted == set()


# -- folders, losses, the source itself --------------------------------------------------------------------


def test_a_new_folder_is_watched_first_and_then_listed(source: Source) -> None:
    source.walks.known[""] = 0
    source.put_events((FileEvent.FOLDER, "1"))
    assert source.watcher.watched == ["1"]
    assert [folder for folder, _ in source.walks.take_folders(1)] == ["1"]


def test_a_new_folder_waits_until_the_metadata_of_the_one_that_it_lies_in_have_been_read(source: Source) -> None:
    """A shard in it would be taken for any other file, and be copied without its index."""
    source.walks.request("")
    assert [folder for folder, _ in source.walks.take_folders(1)] == [""]
    source.put_events((FileEvent.FOLDER, "1"))
    assert source.watcher.watched == ["1"] and not source.walks.waiting
    source.walks.apply_folder_diff(FolderDiff("", last=True))  # the worker had listed it before
    assert [folder for folder, _ in source.walks.take_folders(1)] == [""]
    assert source.walks.apply_folder_diff(FolderDiff("", folders=["1"], last=True)) == ["1"]


def test_a_loss_of_events_asks_for_a_full_look_and_forgets_who_holds_what(source: Source) -> None:
    source.put_events((OPENED, "0/0"), (OPENED, "0/1.__lock"), (FileEvent.LOST, ""))
    assert source.rules.lost and not source.inventory.writers.held
    note_comparison(source.inventory, "0", ["0"], ["1"])
    assert source.state("0/0") is COPIED and source.state("0/1") is PENDING


def test_a_chunk_that_was_locked_when_events_were_lost_does_not_hold_up_the_end(source: Source) -> None:
    source.put_events((OPENED, "1/1.__lock"), (FileEvent.LOST, ""))
    note_comparison(source.inventory, "1", [], [])  # the lock has gone, and there is no file
    assert source.inventory.counts()[WRITING] == 0


def test_the_end_of_the_source_is_noticed(source: Source) -> None:
    source.put_events((FileEvent.ROOT_GONE, ""))
    assert source.rules.root_gone


def test_events_of_a_burst_are_taken_in_turns_and_none_is_lost(source: Source) -> None:
    source.watcher.events.extend((WRITTEN, f"note {n}") for n in range(250))
    assert [source.rules.apply_events(source.now, limit=100) for _ in range(4)] == [100, 100, 50, 0]
    assert len(source.copy()) == 250


@pytest.mark.parametrize("name", ["line\nbreak", "\udcff", " ", "ünï"])
def test_odd_names_are_copied(source: Source, name: str) -> None:
    source.put_events((OPENED, f"sub/{name}"), (WRITTEN, f"sub/{name}"))
    assert source.copy() == [f"sub/{name}"]


# -- locks that walks find ---------------------------------------------------------------------------------


def test_a_lock_that_only_a_walk_saw_is_looked_at_again_until_it_is_gone(linux: Source) -> None:
    locks = StaleLocks(linux.inventory)
    note_comparison(linux.inventory, "0", [], ["0"])
    locks.add_folder_diff(FolderDiff("0", locks=["0"], last=True), 0.0)
    assert linux.state() is WRITING and linux.copy() == []
    times = []
    now = 0.0
    while now < 400.0:
        now += 0.5
        if locks.folders_due(now):
            times.append(now)
            locks.add_folder_diff(FolderDiff("0", locks=["0"], last=True), now)
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses == sorted(pauses) and pauses[-1] >= 30.0, "ever more rarely"
    locks.add_folder_diff(FolderDiff("0", last=True), now)
    assert linux.state() is PENDING and not linux.inventory.writers.held
    assert locks.folders_due(now + 1000.0) == []


def test_a_lock_in_any_part_of_a_large_folder_counts(linux: Source) -> None:
    locks = StaleLocks(linux.inventory)
    for _ in range(2):
        locks.add_folder_diff(FolderDiff("0", locks=["0"]), 0.0)
        locks.add_folder_diff(FolderDiff("0", locks=["1"], last=True), 0.0)
        assert {path: held.open for path, held in linux.inventory.writers.held.items()} == {"0/0": False, "0/1": False}
    locks.add_folder_diff(FolderDiff("0", unchanged=True, last=True), 1.0)
    assert len(linux.inventory.writers.held) == 2


_STEPS = st.tuples(
    st.sampled_from([OPENED, WRITTEN, RENAMED, DELETED]),
    st.sampled_from(["0/0", "0/0.__lock", "0/1", "0/1.__lock", "note", ".zarray"]),
)


@example([(RENAMED, "0/0.__lock"), (WRITTEN, "0/0.__lock")], set())
@example([(OPENED, "0/a.tmp.__lock"), (WRITTEN, "0/a.tmp")], set())
@given(st.lists(_STEPS, max_size=12), st.sets(st.sampled_from(["0/0", "0/1", "note"])))
def test_what_is_heard_together_comes_to_the_same_as_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[FileEvent, str]], with_workers: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    together, apart = Source(folder / "together", True), Source(folder / "apart", True)
    for source in (together, apart):
        for path in sorted(with_workers):
            source.put_events((WRITTEN, path))
        source.inventory.queue.take_batch(10)
    together.put_events(*steps)
    for step in steps:
        apart.put_events(step)

    def known(source: Source) -> list[object]:
        inventory, rules = source.inventory, source.rules
        paths = ("0/0", "0/1", "note", ".zarray")
        states = [inventory.state(path) for path in paths]
        writers = inventory.writers
        held = {path: one.open for path, one in writers.held.items()}
        return [states, held, writers.changed, writers.deleted, rules.metadata, rules.whole_files_only]

    assert known(together) == known(apart)
