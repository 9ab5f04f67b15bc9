"""Many folders compared in a call are told of as each of them by itself, whatever lies in them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softcopy_napari.engine.worker.folder_batch import COMPARED, NOT_REACHED, PECULIAR, FolderBatch
from softcopy_napari.engine.worker.folder_comparer import FolderComparer
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.native import load_comparer
from softcopy_napari.engine.worker.numbered_folders import ALL_BELOW
from tests.engine.support import write, writer_at_work

pytestmark = pytest.mark.skipif(load_comparer() is None, reason="there is no library here")

OLD = 1_000_000_000
Told = dict[str, tuple[object, ...]]

NAMES = st.sampled_from(["0", "1", "2", "10", "00", "c", ".zarray", "1.__lock", ".softcopy-0123abcd-1.tmp", "2.tmp"])
SIDES = st.sampled_from(["both", "source", "destination", "other size", "other time", "fresh", "link", "folder there"])
TREES = st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), NAMES, SIDES), max_size=12)


def make(top: Path, tree: list[tuple[list[str], str, str]]) -> tuple[Path, Path]:
    """Make both sides of a tree of files: of each the folders that it lies in, its name, and what is the matter."""
    source, destination = top / "source", top / "destination"
    for side in (source, destination):
        (side / "0").mkdir(parents=True)
    for folders, name, matter in tree:
        path = Path("0", *folders, name)
        try:
            if matter != "destination":
                write(source / path, b"content", old=True)
                os.utime(source / path, (OLD, OLD))
            if matter == "fresh":
                os.utime(source / path)
            if matter == "link":
                (source / path).unlink()
                (source / path).symlink_to("elsewhere")
            if matter == "folder there":
                (destination / path).mkdir(parents=True)
            elif matter not in ("source", "fresh"):
                write(destination / path, b"content" * (1 + (matter == "other size")), old=True)
                os.utime(destination / path, (OLD, OLD - 5 * (matter == "other time")))
        except OSError:
            continue  # something of another kind lies in its way already
    for folder, _, _ in os.walk(source, topdown=False):
        os.utime(folder, (OLD, OLD))
    return source, destination


def note(told: Told, part: FolderDiff) -> None:
    assert part.folder not in told, "a folder is told of once"
    told[part.folder] = (
        sorted(part.same), sorted(part.different), sorted(part.fresh), sorted(part.extra), sorted(part.locks),
        sorted(part.scratch), part.metadata, part.modified, part.missing, part.error, part.empty,
    )  # fmt: skip


def compare(source: Path, destination: Path, known: int) -> tuple[Told, dict[str, int]]:
    """Compare a whole tree; return what is told of each folder, and totals."""
    comparer = FolderComparer(str(source), str(destination), "f" * 8)
    told: Told = {}
    totals = {"size": 0, "newest": 0}
    asked, waiting = {"0"}, ["0"]
    while waiting:
        found = list(comparer.compare_folders([(folder, known) for folder in waiting], 60.0))
        assert [part.final for part in found] == [False] * (len(found) - 1) + [True]
        below = set()
        for part in found:
            totals["newest"] = max(totals["newest"], part.newest)
            totals["size"] += part.size
            if isinstance(part, FolderBatch):
                below |= {path for path, kind, *_ in part.folders if kind in (PECULIAR, NOT_REACHED)}
                asked |= {path for path, kind, *_ in part.folders if kind == COMPARED}
                for one in part.split():
                    note(told, one)
            else:
                below |= {f"{part.folder}/{name}" for name in part.folders}
                note(told, part)
        waiting = sorted(below - asked)
        asked |= below
    return told, totals


@settings(max_examples=150, deadline=None)
@given(tree=TREES)
def test_what_is_told_of_folders_together_is_what_is_told_of_each(
    tree: list[tuple[list[str], str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, destination = make(tmp_path_factory.mktemp("tree"), tree)
    together = compare(source, destination, ALL_BELOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTCOPY_NATIVE", "0")
        one_by_one = compare(source, destination, 0)
    assert together == one_by_one


@settings(max_examples=20, deadline=None)
@given(tree=TREES)
def test_nothing_is_left_out_where_a_writer_begins_to_work_again_and_again(
    tree: list[tuple[list[str], str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, destination = make(tmp_path_factory.mktemp("tree"), tree)
    undisturbed = compare(source, destination, ALL_BELOW)
    with writer_at_work():
        assert compare(source, destination, ALL_BELOW) == undisturbed


def compare_only(source: Path, destination: Path, known: int) -> FolderBatch:
    """Compare the folder `0`, which is told of in one batch."""
    (batch,) = FolderComparer(str(source), str(destination), "f" * 8).compare_folders([("0", known)], 60.0)
    assert isinstance(batch, FolderBatch)
    return batch


def test_what_is_plain_comes_in_one_batch(tmp_path: Path) -> None:
    indices = [("0", *map(str, index)) for index in itertools.product(range(3), range(4), range(2))]
    tree = [(list(index[1:-1]), index[-1], "both" if index[-1] == "0" else "source") for index in indices]
    source, destination = make(tmp_path, tree)
    batch = compare_only(source, destination, ALL_BELOW)
    assert batch.final
    assert {(kind, modified) for _, kind, modified, _, _ in batch.folders} == {(COMPARED, OLD * 10**9)}
    assert [(path, files, folders) for path, _, _, files, folders in batch.folders][:3] == [
        ("0", 0, 3), ("0/0", 0, 4), ("0/0/0", 2, 0),
    ]  # fmt: skip
    assert batch.files == ["/".join(index) for index in indices] and batch.size == 12 * len(b"content")


def test_folders_below_are_only_named_where_nothing_else_is_asked_for(tmp_path: Path) -> None:
    source, destination = make(tmp_path, [(["1"], "0", "both"), (["2"], "0", "both")])
    batch = compare_only(source, destination, 5)
    assert [folder[:2] for folder in batch.folders] == [("0", COMPARED), ("0/1", NOT_REACHED), ("0/2", NOT_REACHED)]
