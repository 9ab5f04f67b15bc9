"""A pass that ends too early says "complete" of what nobody looked at; one that never ends says nothing at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from softcopy_napari.engine.source.walk_planner import Walk, WalkPlanner
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.folder_batch import COMPARED, NOT_REACHED, PECULIAR, FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.numbered_folders import ALL_BELOW


def answer(walks: WalkPlanner, folder: str, folders: tuple[str, ...] = (), **found: object) -> list[str]:
    """Take in the only part of a folder's comparison, and ask for the folders in it as the tracker does."""
    new = walks.apply_folder_diff(FolderDiff(folder, folders=list(folders), last=True, **found))  # type: ignore[arg-type]
    for one in new:
        walks.request(one, for_pass=True)
    return new


def take_with_times(walks: WalkPlanner) -> list[tuple[str, int]]:
    taken: list[tuple[str, int]] = []
    while walks.waiting:
        taken += walks.take_folders(1)
    return taken


def take_all(walks: WalkPlanner) -> list[str]:
    return [folder for folder, _ in take_with_times(walks)]


def explore(walks: WalkPlanner, tree: dict[str, tuple[str, ...]], modified: int = 7) -> Walk:
    """Run a pass over a tree to its end."""
    looked: list[str] = []
    while True:
        for folder, time in take_with_times(walks):
            assert time <= 0, "a full pass lists every folder"
            looked.append(folder)
            answer(walks, folder, tree[folder], modified=modified)
        if (done := walks.pop_finished()) is not None:
            assert sorted(looked) == sorted(tree), "every folder once"
            return done


TREE = {"": ("a", "b"), "a": ("x",), "b": (), "a/x": ()}


@pytest.fixture
def known() -> WalkPlanner:
    """Walks that know a tree."""
    walks = WalkPlanner()
    walks.start(full=True)
    explore(walks, TREE)
    return walks


def test_a_pass_looks_at_every_folder_once_and_ends_when_all_have_answered() -> None:
    walks = WalkPlanner()
    walks.start(full=True)
    assert take_all(walks) == [""]
    assert answer(walks, "", ("a", "b")) == ["a", "b"]
    assert walks.pop_finished() is None
    assert sorted(take_all(walks)) == ["a", "b"]
    answer(walks, "a", ("x",))
    answer(walks, "b")
    assert walks.pop_finished() is None
    assert take_all(walks) == ["a/x"]
    answer(walks, "a/x")
    assert walks.pop_finished() is not None
    assert walks.current is None and walks.pop_finished() is None


def test_a_pass_begins_at_the_top_even_if_that_was_missing_a_moment_ago(known: WalkPlanner) -> None:
    """The source was away for so short a time that not all of its folders were missed."""
    known.start(full=True)
    known.take_folders(1)
    for folder in ("", "a"):
        answer(known, folder, missing=True)
    known.start(full=True)
    explore(known, TREE)


def test_a_pass_reports_all_that_its_parts_found(known: WalkPlanner) -> None:
    known.start(full=True)
    take_all(known)
    known.apply_folder_diff(FolderDiff("", folders=["b"], extra=["z"], newest=3, last=True))
    known.request("b", for_pass=True)
    known.request("a", for_pass=True)
    take_all(known)
    known.apply_folder_diff(FolderDiff("a", extra=["0", "old/"], newest=5))
    known.apply_folder_diff(FolderDiff("a", extra=["1"], newest=9, last=True))
    known.apply_folder_diff(FolderDiff("b", error="Input/output error", last=True))
    assert known.pop_finished() is None, "a folder that was known is not listed any more"
    assert take_all(known) == ["a/x"]
    known.apply_folder_diff(FolderDiff("a/x", missing=True, last=True))
    done = known.pop_finished()
    assert done is not None
    assert done.gone == ["z", "a/0", "a/old/", "a/1"]
    assert done.newest == 9
    assert describe(done.errors["b"]) == "cannot be listed: Input/output error" and len(done.errors) == 1
    assert "a/x" not in known.known


def test_a_light_pass_lists_only_what_changed_and_a_full_one_everything(known: WalkPlanner) -> None:
    known.start(full=False)
    taken = known.take_folders(1) + known.take_folders(1) + known.take_folders(1) + known.take_folders(1)
    assert dict(taken) == dict.fromkeys(TREE, 7)
    for folder in TREE:
        answer(known, folder, unchanged=True, modified=7)
    assert known.pop_finished() is not None
    known.start(full=True)
    explore(known, TREE)


def test_a_folder_asked_for_by_an_event_is_listed_even_in_a_light_pass(known: WalkPlanner) -> None:
    known.request("b")
    assert known.take_folders(1) == [("b", 0)]
    answer(known, "b", modified=9)
    assert known.known["b"] == 9


def test_a_folder_asked_for_while_it_is_compared_is_compared_once_more() -> None:
    walks = WalkPlanner()
    walks.request("a")
    take_all(walks)
    walks.request("a")
    walks.request("a")
    assert not walks.waiting
    answer(walks, "a")
    assert take_all(walks) == ["a"]
    answer(walks, "a")
    assert not walks.waiting


def test_a_folder_that_could_not_be_listed_is_listed_again_next_time(known: WalkPlanner) -> None:
    known.request("a")
    take_all(known)
    answer(known, "a", error="Permission denied", modified=7)
    known.start(full=False)
    assert ("a", 0) in [one for _ in range(4) for one in known.take_folders(1)]


def test_the_folders_of_a_dead_worker_are_compared_by_another(known: WalkPlanner) -> None:
    known.start(full=False)
    taken = [known.take_folders(1)[0] for _ in range(4)]
    assert len(taken) == 4 and not known.waiting
    answer(known, taken[0][0])
    known.put_back(taken)
    assert sorted(take_all(known)) == sorted(folder for folder, _ in taken[1:])
    for folder, _ in taken[1:]:
        assert known.pop_finished() is None
        answer(known, folder)
    assert known.pop_finished() is not None


def test_many_folders_are_handed_out_in_shares_for_all_workers() -> None:
    walks = WalkPlanner()
    for number in range(1000):
        walks.request(str(number))
    sizes = []
    while walks.waiting:
        sizes.append(len(walks.take_folders(4)))
    assert sum(sizes) == 1000 and sizes[0] > 16 and sizes[-1] == 1 and max(sizes) <= 512


@pytest.mark.parametrize("full_before", [False, True])
def test_a_pass_started_during_another_still_looks_at_every_folder(known: WalkPlanner, full_before: bool) -> None:
    """Finish, or a loss of events, in the middle of a walk."""
    known.start(full=full_before)
    early = [folder for _ in range(2) for folder, _ in known.take_folders(1)]  # with workers, as they were before
    known.start(full=True)
    assert known.pop_finished() is None
    looked: list[str] = []
    for folder in early:
        answer(known, folder, TREE[folder], unchanged=not full_before, modified=7)
    while known.waiting:
        folder, time = known.take_folders(1)[0]
        assert time <= 0, "a full pass lists every folder"
        looked.append(folder)
        assert known.pop_finished() is None
        answer(known, folder, TREE[folder])
    assert sorted(looked) == sorted(TREE)
    assert known.pop_finished() is not None


def test_a_pass_after_the_source_came_back_waits_for_folders_asked_for_before(known: WalkPlanner) -> None:
    known.start(full=True)
    known.current = None  # what the tracker does when the source has gone
    known.start(full=True)
    assert known.pop_finished() is None


def batch_of(*folders: tuple[str, int], base: str = "") -> FolderBatch:
    """Make a batch that says this of these folders, whose times are 5."""
    start = len(base) + 1 if base else 0
    names = b"".join(folder[start:].encode() + b"\0" for folder, _ in folders)
    data = b"".join(struct.pack("qiiii", 5 * (kind == COMPARED), kind, 0, 0, 0) for _, kind in folders)
    return FolderBatch(base, names, data, b"", b"")


def test_a_batch_answers_for_all_its_folders_and_asks_for_those_that_it_has_not_reached() -> None:
    walks = WalkPlanner()
    walks.start(full=True)
    take_all(walks)
    answer(walks, "", ("0",))
    assert walks.take_folders(1) == [("0", ALL_BELOW)]
    told = batch_of(("0", COMPARED), ("0/0", COMPARED), ("0/1", PECULIAR), ("0/2", NOT_REACHED))
    assert walks.apply_folder_batch(told) == ["0/1", "0/2"]
    assert walks.known == {"": 0, "0": 5, "0/0": 5}
    for folder in ("0/1", "0/2"):
        walks.request(folder, for_pass=True)
    assert take_all(walks) == ["0/1", "0/2"]
    assert walks.pop_finished() is None
    assert walks.apply_folder_batch(batch_of(("0/1", PECULIAR))) == [], "it follows by itself, as it was asked for"
    assert walks.pop_finished() is None
    answer(walks, "0/1", modified=7)
    assert walks.pop_finished() is None
    answer(walks, "0/2", modified=7)
    assert walks.pop_finished() is not None


def test_what_a_batch_of_before_a_pass_says_does_not_count_for_it(known: WalkPlanner) -> None:
    known.request("a")
    take_all(known)
    known.start(full=True)
    known.apply_folder_batch(batch_of(("a", COMPARED), ("a/x", COMPARED)))
    assert known.pop_finished() is None
    explore(known, TREE)


def test_a_pass_asks_for_what_nothing_lists_any_more(known: WalkPlanner) -> None:
    known.start(full=True)
    take_all(known)
    answer(known, "", ("a",))
    take_all(known)
    known.apply_folder_batch(batch_of(("a", COMPARED)))
    assert known.pop_finished() is None
    assert sorted(take_all(known)) == ["a/x", "b"]
    answer(known, "a/x", missing=True)
    answer(known, "b", missing=True)
    assert known.pop_finished() is not None and sorted(known.known) == ["", "a"]


def test_what_is_touched_below_a_folder_with_a_worker_is_remembered_until_that_has_answered() -> None:
    walks = WalkPlanner()
    for folder in ("0", "0/1", "2"):
        walks.request(folder)
    take_all(walks)
    walks.touch("0/1/5", "7")
    walks.touch("3", "7")
    assert walks.touched("0/1/5") == {"7"} and not walks.touched("3")
    assert walks.is_touched(batch_of(("0", COMPARED))) and not walks.is_touched(batch_of(("2/3", COMPARED), base="2"))
    walks.apply_folder_batch(batch_of(("0", COMPARED), ("0/1", COMPARED), ("0/1/5", COMPARED)))
    assert not walks.touched("0/1/5")


class AnyWalk(RuleBasedStateMachine):
    """Folders come and go, workers answer in any order and die, passes overtake each other.

    A pass must not end before every folder that is known has been answered by a worker who was asked after
    the pass began, and it must end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.walks = WalkPlanner()
        self.out: list[tuple[int, list[tuple[str, int]]]] = []
        self.passes = 0
        self.full = False
        self.looked: set[str] = set()
        self.expected: set[str] = set()

    @rule(full=st.booleans())
    def start(self, full: bool) -> None:
        self.passes += 1
        self.full = full
        self.walks.start(full)
        self.looked, self.expected = set(), set(self.walks.known) or {""}

    @rule(folder=st.sampled_from(["a", "b", "a/x"]))
    def event(self, folder: str) -> None:
        self.walks.request(folder)

    @rule(workers=st.integers(1, 3))
    def hand_out(self, workers: int) -> None:
        if taken := self.walks.take_folders(workers):
            if self.walks.current is not None and self.full:
                assert all(time <= 0 for _, time in taken), "a full pass lists every folder"
            self.out.append((self.passes, taken))
        folders = [folder for _, task in self.out for folder, _ in task]
        assert len(folders) == len(set(folders)), "one folder with two workers"

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(),
        die=st.booleans(),
        found=st.sets(st.sampled_from("ab")),
        gone=st.booleans(),
        together=st.sampled_from([None, COMPARED, PECULIAR, NOT_REACHED]),
    )
    def hear(self, data: st.DataObject, die: bool, found: set[str], gone: bool, together: int | None) -> None:
        number, folders = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        answered = data.draw(st.integers(0, len(folders))) if die else len(folders)
        for folder, _ in folders[:answered]:
            if number == self.passes:
                self.looked.add(folder)
            if together is not None and folder:  # as a worker says it that has looked below, too
                self.expected.update(self._hear_batch(number, folder, sorted(found), together))
            elif gone and folder:
                answer(self.walks, folder, missing=True)
            else:
                names = sorted(found) if folder.count("/") < 1 else []
                self.expected.update(answer(self.walks, folder, tuple(names), modified=5))
        if die:
            self.walks.put_back(folders)

    def _hear_batch(self, number: int, folder: str, names: list[str], kind: int) -> list[str]:
        below = [f"{folder}/{name}" for name in names] if folder.count("/") < 1 else []
        to_come = self.walks.apply_folder_batch(batch_of((folder, COMPARED), *((path, kind) for path in below)))
        for path in to_come:
            self.walks.request(path, for_pass=True)
        if kind == COMPARED and number == self.passes:
            self.looked.update(below)
        return below

    @invariant()
    def a_pass_never_ends_before_its_time(self) -> None:
        if self.walks.current is not None:
            assert self.walks.current.open >= 0
        if self.walks.pop_finished() is not None:
            assert self.looked >= self.expected

    def teardown(self) -> None:
        for _ in range(100):
            while taken := self.walks.take_folders(1):
                self.out.append((self.passes, taken))
            if not self.out and (self.walks.current is None or self.walks.pop_finished() is not None):
                break
            for folder, _ in [one for _, task in self.out for one in task]:
                answer(self.walks, folder)
            self.out.clear()
        assert not self.walks.waiting
        assert self.walks.current is None


TestAnyWalk = AnyWalk.TestCase
TestAnyWalk.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
