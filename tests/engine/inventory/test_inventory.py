"""The inventory is the queue: a file that it forgets is never copied, one that it hands out twice may be torn."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from softcopy_napari.engine.inventory import tracked_array as tracked_module
from softcopy_napari.engine.inventory.comparison import note_comparison
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.states import ChunkState
from tests.engine.support import make_layout

ABSENT, WRITING, PENDING, COPYING, COPIED, VERIFIED, FAILED = ChunkState


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path / "ledgers")


@pytest.fixture
def array(inventory: Inventory) -> Inventory:
    """An inventory of one array, `a`, of 2 x 5 chunk files."""
    assert inventory.register_array(make_layout((2, 5), "a"))
    return inventory


def drain(inventory: Inventory, limit: int = 100) -> list[str]:
    """Take all that is to be copied, and say that it was."""
    paths: list[str] = []
    while (batch := inventory.queue.take_batch(limit)) is not None:
        paths += batch.paths
        inventory.note_results(batch, COPIED)
    return paths


def take_batch(inventory: Inventory) -> Batch:
    batch = inventory.queue.take_batch(100)
    assert batch is not None
    return batch


# -- which files are chunk files ---------------------------------------------------------------------------


def located(inventory: Inventory, path: str) -> tuple[str, int] | None:
    """Return the path of the array that a file is a chunk file of, and its cell."""
    files, one = inventory.locate(path)
    return (files.layout.path, one) if isinstance(files, TrackedArray) else None


def test_files_find_their_array_however_deep_their_folders_are(inventory: Inventory) -> None:
    inventory.register_array(make_layout((3, 4), "plate/A/1/0", separator="/"))
    inventory.register_array(make_layout((3, 4), "", separator="."))
    assert located(inventory, "plate/A/1/0/2/3") == ("plate/A/1/0", 11)
    assert located(inventory, "2.3") == ("", 11)
    for path in ("plate/A/1/0/3/0", "plate/A/1/2/3", "2/3", "plate/A/1/0/.zarray", "plate/A/1/0/2", "3.0", ""):
        assert inventory.locate(path) == (inventory.plain_files, path)


def test_an_array_that_appears_inside_another_takes_its_own_files(inventory: Inventory) -> None:
    inventory.register_array(make_layout((4, 4), "", separator="/"))
    assert located(inventory, "1/2") == ("", 6)
    inventory.register_array(make_layout((4,), "1", separator="/"))
    assert located(inventory, "1/2") == ("1", 2)


# -- order of things ---------------------------------------------------------------------------------------


def test_a_chunk_is_copied_once_when_it_is_settled(array: Inventory) -> None:
    array.writers.note_held("a/0.1", itself=False)
    assert array.state("a/0.1") is WRITING and array.queue.take_batch(10) is None
    array.writers.note_settled("a/0.1")
    batch = take_batch(array)
    assert batch.paths == ["a/0.1"] and array.state("a/0.1") is COPYING
    assert array.queue.take_batch(10) is None
    array.note_results(batch, COPIED)
    assert array.state("a/0.1") is COPIED and array.queue.take_batch(10) is None
    assert array.counts() == (9, 0, 0, 0, 1, 0, 0)


def test_metadata_are_copied_and_counted_apart_from_chunks(array: Inventory) -> None:
    array.writers.note_settled("a/.zarray")
    assert array.plain_files.count_in(PENDING) == 1
    assert drain(array) == ["a/.zarray"]
    assert array.plain_files.count_in(COPIED) == 1 and array.counts()[COPIED] == 0


def test_a_chunk_rewritten_ten_times_while_it_waits_is_copied_once(array: Inventory) -> None:
    for _ in range(10):
        array.writers.note_held("a/0.1", itself=False)
        array.writers.note_settled("a/0.1")
    assert drain(array) == ["a/0.1"]


def test_a_chunk_rewritten_ten_times_while_it_is_copied_is_copied_once_more(array: Inventory) -> None:
    array.writers.note_settled("a/0.1")
    batch = take_batch(array)
    for _ in range(10):
        array.writers.note_held("a/0.1", itself=False)
        assert array.state("a/0.1") is COPYING
        array.writers.note_settled("a/0.1")
        assert array.queue.take_batch(10) is None, "two workers on one chunk"
    array.note_results(batch, COPIED)
    assert array.state("a/0.1") is PENDING
    assert drain(array) == ["a/0.1"]
    assert array.state("a/0.1") is COPIED


@pytest.mark.parametrize("path", ["a/0.1", "notes"])
def test_a_file_rewritten_in_place_ten_times_is_copied_at_most_twice(array: Inventory, path: str) -> None:
    array.writers.note_settled(path)
    batches = 0
    batch: Batch | None = take_batch(array)
    for number in range(10):
        array.writers.note_held(path, itself=True)
        if number == 5:
            assert batch is not None
            array.note_results(batch, [WRITING])
            batches += 1
        array.writers.note_settled(path)
    while (batch := array.queue.take_batch(10)) is not None:
        array.note_results(batch, COPIED)
        batches += 1
    assert batches == 2
    assert array.state(path) is COPIED


def test_a_chunk_locked_while_it_is_copied_is_not_called_copied(array: Inventory) -> None:
    array.writers.note_settled("a/0.1")
    batch = take_batch(array)
    array.writers.note_held("a/0.1", itself=False)
    array.note_results(batch, COPIED)
    assert array.state("a/0.1") is WRITING
    array.writers.note_released("a/0.1")  # the writer gave up: nothing tells what it did before
    assert array.state("a/0.1") is PENDING


def test_locked_metadata_go_on_being_copied(array: Inventory) -> None:
    """A group's metadata may be locked for long; what is there is whole."""
    array.writers.note_settled("zarr.json")
    array.writers.note_held("zarr.json", itself=False)
    assert array.state("zarr.json") is PENDING
    assert drain(array) == ["zarr.json"]


def test_a_failed_file_is_copied_when_its_writer_writes_it_again(array: Inventory) -> None:
    array.writers.note_settled("a/0.1")
    array.note_results(take_batch(array), [FAILED])
    assert array.queue.take_batch(10) is None
    array.writers.note_settled("a/0.1")
    assert drain(array) == ["a/0.1"]


def test_a_file_handed_back_by_a_stopped_worker_waits_again(array: Inventory) -> None:
    array.writers.note_settled("a/0.1")
    array.writers.note_settled("x")
    for _ in range(2):
        array.note_results(take_batch(array), [PENDING])
    assert sorted(drain(array)) == ["a/0.1", "x"]


def test_waiting_files_and_a_sweep_take_turns_so_that_neither_starves(inventory: Inventory) -> None:
    layout = make_layout((1000,), "")
    inventory.register_array(layout)
    note_comparison(inventory, "", [], [layout.key(cell) for cell in range(500)])
    order = []
    for _ in range(10):
        inventory.writers.note_settled("900")
        batch = inventory.queue.take_batch(10)
        assert batch is not None
        inventory.note_results(batch, COPIED)
        order.append(batch.paths == ["900"])
    assert order.count(True) == order.count(False) == 5


@pytest.mark.parametrize("order", ["fresh first", "swept first"])
def test_more_fresh_files_than_are_remembered_are_all_copied(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    from collections import deque

    monkeypatch.setattr(tracked_module, "_FRESH", 8)
    monkeypatch.setattr(tracked_module, "_BLOCK", 16)
    layout = make_layout((100,), "")
    inventory.register_array(layout)
    inventory.arrays[""].fresh = deque(maxlen=8)
    cells = list(range(100)) if order == "fresh first" else list(range(99, -1, -1))
    for cell in cells:
        inventory.writers.note_settled(str(cell))
    taken: list[str] = []
    while (batch := inventory.queue.take_batch(3)) is not None:
        taken += batch.paths
        inventory.note_results(batch, COPIED)
        if len(taken) == 30:  # some more, while a sweep is half way
            for cell in range(0, 100, 7):
                inventory.writers.note_settled(str(cell))
    assert inventory.counts()[COPIED] == 100
    assert set(taken) == {str(cell) for cell in range(100)}


# -- deletions ---------------------------------------------------------------------------------------------


def test_a_chunk_deleted_under_its_lock_is_handed_out_as_deleted(array: Inventory) -> None:
    note_comparison(array, "a", ["0.1"], [])
    array.writers.note_held("a/0.1", itself=False)
    array.writers.note_gone("a/0.1", lock_held=True)
    array.writers.note_released("a/0.1")
    assert "a/0.1" in array.writers.deleted
    assert take_batch(array).paths == ["a/0.1"]


def test_a_deletion_that_still_waits_survives_the_end_of_the_acquisition(array: Inventory) -> None:
    note_comparison(array, "a", ["0.1"], [])
    array.writers.note_held("a/0.1", itself=False)
    array.writers.note_gone("a/0.1", lock_held=True)
    array.writers.note_released("a/0.1")
    array.writers.note_held("a/0.1", itself=False)  # locked again; its writer crashes
    array.writers.abandon_file("a/0.1")
    assert take_batch(array).paths == ["a/0.1"]


def test_a_chunk_that_vanishes_without_a_lock_keeps_its_copy(array: Inventory) -> None:
    note_comparison(array, "a", ["0.1"], [])
    array.writers.note_gone("a/0.1", lock_held=False)
    assert not array.writers.deleted and array.queue.take_batch(10) is None
    assert array.state("a/0.1") is COPIED


def test_a_half_written_file_that_vanishes_is_no_longer_waited_for(array: Inventory) -> None:
    for path in ("a/0.1", "notes"):
        array.writers.note_held(path, itself=True)
        array.writers.note_gone(path, lock_held=False)
        assert array.state(path) is ABSENT
    assert not array.writers.held


def test_a_chunk_that_goes_before_anybody_has_seen_it_is_lost(array: Inventory) -> None:
    array.writers.note_gone("a/0.1", lock_held=False)
    array.writers.note_gone("a/notes", lock_held=False)
    tracked, cell = array.locate("a/0.1")
    assert isinstance(tracked, TrackedArray) and list(tracked.lost_cells()) == [cell]


def test_a_chunk_that_never_was_and_is_set_to_the_fill_value_ends_absent(array: Inventory) -> None:
    array.writers.note_held("a/0.1", itself=False)
    array.writers.note_released("a/0.1")
    array.note_results(take_batch(array), [ABSENT])
    assert array.counts()[ABSENT] == 10


# -- comparisons -------------------------------------------------------------------------------------------


def test_a_comparison_finds_what_nobody_reported(array: Inventory) -> None:
    assert note_comparison(array, "a", ["0.0", "0.1", ".zarray"], ["1.0", "1.1", "notes"]) == 3
    assert array.counts()[COPIED] == 2 and array.plain_files.count_in(COPIED) == 1
    assert sorted(drain(array)) == ["a/1.0", "a/1.1", "a/notes"]
    assert note_comparison(array, "a", ["0.0", "0.1", ".zarray", "1.0", "1.1", "notes"], []) == 0


@pytest.mark.parametrize("path", ["a/0.1", "a/notes"])
def test_an_old_comparison_does_not_undo_what_is_known_since(array: Inventory, path: str) -> None:
    name = path.rpartition("/")[2]
    array.writers.note_settled(path)
    note_comparison(array, "a", [name], [])
    assert array.state(path) is PENDING
    batch = take_batch(array)
    note_comparison(array, "a", [name], [name])
    assert array.state(path) is COPYING
    array.note_results(batch, [FAILED])
    note_comparison(array, "a", [], [name])
    assert array.state(path) is FAILED, "it is retried when its pause is over"


@pytest.mark.parametrize("path", ["a/0.1", "a/notes"])
@pytest.mark.parametrize("state", [WRITING, FAILED], ids=["changed while it was copied", "failed"])
def test_a_file_that_could_not_be_copied_is_not_called_copied_by_an_old_comparison(
    array: Inventory, path: str, state: ChunkState
) -> None:
    note_comparison(array, "a", [path[2:]], [])
    array.writers.note_settled(path)  # a new version; its copy comes to nothing
    array.note_results(take_batch(array), [state])
    note_comparison(array, "a", [path[2:]], [])  # listed before the new version
    assert array.state(path) is state


def test_what_its_writer_holds_is_left_alone_by_comparisons(array: Inventory) -> None:
    array.writers.note_held("a/0.1", itself=False)
    array.writers.note_held("a/0.2", itself=True)
    array.writers.note_held("a/notes", itself=True)
    note_comparison(array, "a", ["0.1"], ["0.2", "notes"])
    assert [array.state(p) for p in ("a/0.1", "a/0.2", "a/notes")] == [WRITING] * 3


def test_when_nobody_writes_any_more_a_walk_decides_what_of_the_held_files_is_copied(array: Inventory) -> None:
    array.writers.note_held("a/0.1", itself=False)
    array.writers.note_held("a/0.2", itself=True)
    array.writers.note_held("notes", itself=True)
    array.writers.note_held("zarr.json", itself=False)
    for path in list(array.writers.held):
        array.writers.abandon_file(path)
    assert array.writers.abandoned == {"a/0.1": False, "a/0.2": True, "notes": True, "zarr.json": False}
    assert array.counts()[WRITING] == 0 and not array.writers.held
    note_comparison(array, "a", ["0.1"], ["0.2"])
    note_comparison(array, "", [], ["notes"])
    assert sorted(drain(array)) == ["a/0.2", "notes"]


# -- arrays come, grow and change --------------------------------------------------------------------------


def test_chunk_files_seen_before_their_arrays_metadata_become_chunks(inventory: Inventory) -> None:
    inventory.writers.note_settled("a/0.0")
    batch = take_batch(inventory)  # on its way as a file of unknown kind
    inventory.writers.note_settled("a/0.1")
    inventory.writers.note_held("a/0.2", itself=True)
    note_comparison(inventory, "a", ["0.3"], ["notes"])
    assert inventory.register_array(make_layout((2, 5), "a"))
    assert inventory.plain_files.by_path == {"a/notes": PENDING}
    assert [inventory.state(f"a/0.{n}") for n in range(5)] == [COPYING, PENDING, WRITING, COPIED, ABSENT]
    inventory.note_results(batch, COPIED)
    assert inventory.state("a/0.0") is COPIED
    assert sorted(drain(inventory)) == ["a/0.1", "a/notes"]


def test_the_same_metadata_again_change_nothing(array: Inventory) -> None:
    array.writers.note_settled("a/0.1")
    ledger = array.arrays["a"].ledger
    assert not array.register_array(make_layout((2, 5), "a"))
    assert array.arrays["a"].ledger is ledger
    assert drain(array) == ["a/0.1"]


@pytest.mark.parametrize("grid", [(2, 6), (3, 5), (7, 7)])
def test_growing_while_batches_are_out_loses_and_doubles_nothing(array: Inventory, grid: tuple[int, int]) -> None:
    for name in ("0.0", "0.4", "1.3"):
        array.writers.note_settled(f"a/{name}")
    batch = take_batch(array)
    array.writers.note_settled("a/1.2")
    note_comparison(array, "a", ["1.4"], [])
    assert not array.register_array(make_layout(grid, "a"))
    assert array.state("a/1.3") is COPYING and array.state("a/1.2") is PENDING and array.state("a/1.4") is COPIED
    array.writers.note_settled("a/0.4")
    array.note_results(batch, COPIED)
    assert sorted(drain(array)) == ["a/0.4", "a/1.2"]
    assert array.counts()[COPIED] == 5 and sum(array.counts()) == grid[0] * grid[1]


def test_shrinking_while_batches_are_out_does_no_harm(array: Inventory) -> None:
    array.writers.note_settled("a/1.4")
    array.writers.note_settled("a/0.0")
    batch = take_batch(array)
    array.register_array(make_layout((1, 3), "a"))
    array.note_results(batch, COPIED)
    assert array.state("a/0.0") is COPIED
    assert array.counts() == (2, 0, 0, 0, 1, 0, 0)


def test_chunk_files_that_come_before_the_metadata_of_a_resize_become_chunks(array: Inventory) -> None:
    note_comparison(array, "a", ["2.0"], [])
    array.writers.note_settled("a/2.1")
    array.register_array(make_layout((3, 5), "a"))
    assert array.state("a/2.0") is COPIED and array.state("a/2.1") is PENDING
    assert not array.plain_files.by_path
    assert drain(array) == ["a/2.1"]


def test_a_chunk_file_on_its_way_when_its_array_grows_arrives(array: Inventory) -> None:
    array.writers.note_settled("a/2.0")
    batch = take_batch(array)
    array.register_array(make_layout((3, 5), "a"))
    array.note_results(batch, COPIED)
    assert array.state("a/2.0") is COPIED
    assert array.plain_files.count_in(PENDING, COPYING) == 0


def test_an_array_that_became_another_one_is_compared_anew(array: Inventory) -> None:
    note_comparison(array, "a", ["0.0"], [])
    array.writers.note_settled("a/0.1")
    batch = take_batch(array)
    assert array.register_array(make_layout((2, 5), "a", dtype="<f4"))
    assert array.counts()[COPIED] == 0
    array.note_results(batch, COPIED)  # of the array that was: says nothing of the new one
    assert array.counts()[COPIED] == 0


def test_zero_dimensional_and_empty_arrays_are_followed(inventory: Inventory) -> None:
    inventory.register_array(make_layout((), "scalar"))
    inventory.register_array(make_layout((0, 3), "empty"))
    inventory.writers.note_settled("scalar/0")
    inventory.writers.note_settled("empty/0.0")
    assert sorted(drain(inventory)) == ["empty/0.0", "scalar/0"]
    assert inventory.state("scalar/0") is COPIED
    assert not inventory.writers.held


# -- everything in every order -----------------------------------------------------------------------------

CHUNKS = ["a/0", "a/1", "a/2"]
OTHERS = ["notes"]
paths = st.sampled_from(CHUNKS + OTHERS)


class AnyOrder(RuleBasedStateMachine):
    """An inventory, and what is really at the source and at the destination.

    Versions stand for contents. Workers read at the worst moment: just before a change, or just after.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.inventory = Inventory(self.folder)
        self.grid = 0
        self.source: dict[str, int] = {}
        self.destination: dict[str, int] = {}
        self.locked: set[str] = set()
        self.open: set[str] = set()
        self.out: list[tuple[Batch, frozenset[str], dict[str, int | None]]] = []
        self.parts: list[tuple[str, list[str], list[str]]] = []
        self.failed: set[str] = set()
        self.clock = 0

    def write_version(self, path: str) -> None:
        self.clock += 1
        self.source[path] = self.clock

    # the writer, and the events that tell of it

    @rule(path=paths)
    def lock(self, path: str) -> None:
        if path not in self.locked and path not in self.open:
            self.locked.add(path)
            self.inventory.writers.note_held(path, itself=False)

    @rule(path=paths)
    def replace(self, path: str) -> None:
        if path not in self.locked and path not in self.open:
            self.inventory.writers.note_held(path, itself=False)
            self.write_version(path)
            self.inventory.writers.note_settled(path)

    @precondition(lambda self: self.locked)
    @rule(data=st.data(), end=st.sampled_from(["rename", "delete", "give up"]))
    def unlock(self, data: st.DataObject, end: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.locked)))
        self.locked.discard(path)
        if end == "rename":
            self.write_version(path)
            self.inventory.writers.note_settled(path)
            return
        if end == "delete" and self.source.pop(path, None) is not None:
            self.inventory.writers.note_gone(path, lock_held=True)
        self.inventory.writers.note_released(path)

    @rule(path=paths)
    def write_in_place(self, path: str) -> None:
        if path not in self.locked and path not in self.open:
            self.open.add(path)
            self.write_version(path)
            self.inventory.writers.note_held(path, itself=True)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.open)))
        self.open.discard(path)
        self.write_version(path)
        self.inventory.writers.note_settled(path)

    @invariant()
    def counts_are_those_of_all_cells(self) -> None:
        cells = [array.ledger.flat for array in self.inventory.arrays.values()]
        true = np.bincount(np.concatenate([np.zeros(0, np.uint8), *cells]), minlength=len(ChunkState))
        assert list(self.inventory.counts()) == true.tolist()

    @rule(grid=st.integers(1, 3))
    def metadata(self, grid: int) -> None:
        self.grid = max(grid, self.grid)
        self.inventory.register_array(make_layout((self.grid,), "a"))

    # the workers

    @rule(limit=st.integers(1, 4))
    def take_batch(self, limit: int) -> None:
        batch = self.inventory.queue.take_batch(limit)
        if batch is not None:
            assert 0 < len(batch.paths) <= limit
            gone = frozenset(self.inventory.writers.deleted.intersection(batch.paths))
            self.out.append((batch, gone, {path: self.source.get(path) for path in batch.paths}))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        batch, gone, early = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        states = []
        for path in batch.paths:
            kind = data.draw(st.sampled_from(["early", "late", "late", "late", "changed", "failed", "stopped"]))
            if kind in ("changed", "failed") and self.parts:
                kind = "stopped"
            if kind in ("changed", "failed", "stopped"):
                states.append({"changed": WRITING, "failed": FAILED, "stopped": PENDING}[kind])
                if kind != "stopped":
                    self.failed.add(path)
                continue
            version = early[path] if kind == "early" else self.source.get(path)
            if version is not None:
                self.destination[path] = version
            elif path in gone:
                self.destination.pop(path, None)
            states.append(ABSENT if version is None else COPIED)
            if path not in self.inventory.writers.changed:
                self.inventory.writers.deleted.discard(path)
        whole = states[0] if states[0] is COPIED and len(set(states)) == 1 else states
        self.inventory.note_results(batch, whole)

    @precondition(lambda self: self.failed)
    @rule()
    def retry(self) -> None:
        for path in sorted(self.failed):
            if self.inventory.state(path) in (FAILED, WRITING):
                self.inventory.set_state(path, PENDING)
        self.failed.clear()

    # the walks; what they saw may arrive late

    def compare_folder(self, folder: str) -> tuple[str, list[str], list[str]]:
        prefix = folder + "/" if folder else ""
        files = [p for p in self.source if p.rpartition("/")[0] == folder]
        same = [p[len(prefix) :] for p in files if self.destination.get(p) == self.source[p]]
        return folder, same, [p[len(prefix) :] for p in files if self.destination.get(p) != self.source[p]]

    @rule(folder=st.sampled_from(["a", ""]))
    def list_folder(self, folder: str) -> None:
        self.parts.append(self.compare_folder(folder))

    @precondition(lambda self: self.parts)
    @rule()
    def hear_of_folder(self) -> None:
        note_comparison(self.inventory, *self.parts.pop(0))

    # what must hold

    @invariant()
    def counts_are_right(self) -> None:
        for array in self.inventory.arrays.values():
            assert np.bincount(array.ledger.flat, minlength=7).tolist() == array.ledger.counts

    @invariant()
    def no_file_is_with_two_workers_and_exactly_those_with_one_are_copying(self) -> None:
        with_workers = [path for batch, _, _ in self.out for path in batch.paths]
        assert len(set(with_workers)) == len(with_workers)
        for path in CHUNKS + OTHERS:
            assert (self.inventory.state(path) is COPYING) == (path in with_workers)

    @invariant()
    def nothing_is_called_copied_that_is_not(self) -> None:
        for path in CHUNKS + OTHERS:
            if self.inventory.state(path) is COPIED and not self.parts and path not in self.open | self.locked:
                gone_by_itself = path not in self.source
                assert gone_by_itself or self.destination.get(path) == self.source[path]

    def teardown(self) -> None:
        """The acquisition ends, and a last walk begins: at its end everything must have arrived."""
        try:
            while self.parts:
                self.hear_of_folder()
            self.inventory.writers.forget_writers()
            self.locked.clear()
            self.open.clear()
            for folder in ("a", ""):
                note_comparison(self.inventory, *self.compare_folder(folder))
            self.retry()
            for _ in range(100):
                for batch, gone, _ in self.out:
                    states = []
                    for path in batch.paths:
                        if path in self.source:
                            self.destination[path] = self.source[path]
                        elif path in gone:
                            self.destination.pop(path, None)
                        states.append(COPIED if path in self.source else ABSENT)
                        if path not in self.inventory.writers.changed:
                            self.inventory.writers.deleted.discard(path)
                    self.inventory.note_results(batch, states)
                self.out.clear()
                self.take_batch(100)
                if not self.out:
                    break
            assert self.destination == self.source
            counts = self.inventory.counts()
            assert counts[PENDING] == counts[COPYING] == counts[WRITING] == 0
            assert self.inventory.plain_files.count_in(PENDING, COPYING, WRITING, FAILED) == 0
        finally:
            shutil.rmtree(self.folder)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


# -- plain files last --------------------------------------------------------------------------------------


def test_plain_files_go_when_the_chunk_files_that_came_before_them_are_done(array: Inventory) -> None:
    queue = array.queue
    queue.plain_last = True
    array.set_state("a/0.0", PENDING)
    array.set_state("a/0.1", PENDING)
    array.set_state("a/.zarray", PENDING)
    first = queue.take_batch(1)
    second = queue.take_batch(1)
    assert first is not None and second is not None and {*first.paths, *second.paths} == {"a/0.0", "a/0.1"}
    assert queue.take_batch(1) is None, "both are under way"
    array.note_results(first, COPIED)
    array.set_state("a/1.0", PENDING)
    array.note_results(second, [PENDING])  # it comes back, and is not done with
    for _ in range(2):
        again = take_batch(array)
        assert again.files.holds_chunks
        array.note_results(again, COPIED)
        if "a/1.0" in again.paths:
            break
    array.set_state("a/1.1", PENDING)
    array.set_state("a/.zattrs", PENDING)
    assert drain(array, 1)[0] == "a/.zarray", "a writer that never rests must not hold it up for ever"


def test_plain_files_wait_while_chunk_files_may_turn_up(array: Inventory) -> None:
    queue = array.queue
    queue.plain_last = queue.looking_around = True
    array.set_state("a/.zarray", PENDING)
    assert queue.take_batch(10) is None and queue.waiting
    array.set_state("a/0.1", PENDING)
    queue.looking_around = False
    assert drain(array) == ["a/0.1", "a/.zarray"]
    array.set_state("a/.zarray", PENDING)
    assert drain(array) == ["a/.zarray"], "nothing holds it up"
