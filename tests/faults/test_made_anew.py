"""A dataset that is deleted and made anew while it is copied: the new one arrives, with nothing of the first in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from softcopy_napari.engine.destination.old_file_remover import KnownFiles, OldFileRemover
from softcopy_napari.engine.destination.preparation import DestinationPreparation
from softcopy_napari.engine.fs.root_folder import WrongFolder
from softcopy_napari.engine.inventory.tracked_array import OldArray
from softcopy_napari.engine.source import source_identity
from softcopy_napari.engine.source.event_rules import EventRules
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, make_layout, replace, tree, until, write, zarray

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of deletions for certain")


def make_anew(folder: Path, grid: tuple[int, ...], word: bytes = b"second", chunk: int = 2) -> None:
    """Write another array of the same name."""
    write(folder / ".zarray", zarray(grid, chunk=chunk))
    layout = make_layout(grid, chunk=chunk)
    for cell in range(layout.n_chunk_files):
        write(folder / layout.key(cell), word * (cell + 1))


def copied_first(jobs: Jobs, grid: tuple[int, ...] = (4, 3)) -> None:
    """Copy all of a first dataset that promises more."""
    make_array(jobs.source, grid)
    (jobs.source / "notes.txt").write_text("of the first")
    (jobs.source / make_layout(grid).key(0)).unlink()
    jobs.start()
    assert jobs.caught_up()


def ends_equal(jobs: Jobs) -> None:
    assert jobs.job is not None
    said = "was deleted and created again. The new dataset is copied"
    assert until(lambda: any(said in notice for notice in jobs.now.notices)), jobs.now.reason
    assert until(lambda: {**tree(jobs.destination), "notes.txt": b""} == {**tree(jobs.source), "notes.txt": b""}), (
        jobs.now.reason,
        sorted(tree(jobs.destination).keys() ^ tree(jobs.source).keys()),
    )
    jobs.job.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE, end.reason
    assert not jobs.workers()


def test_what_the_first_left_is_removed_although_the_second_went_before_that(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = DestinationPreparation.remove_old_files_if_due
    monkeypatch.setattr(DestinationPreparation, "remove_old_files_if_due", lambda *_: None)
    copied_first(jobs)
    for number in range(2):
        shutil.rmtree(jobs.source)
        make_anew(jobs.source, (2, 3), b"number %d" % number)
        assert until(lambda: tree(jobs.source).items() <= tree(jobs.destination).items()), jobs.now.reason
    monkeypatch.setattr(DestinationPreparation, "remove_old_files_if_due", remove)
    ends_equal(jobs)


@pytest.mark.parametrize("grid", [(4, 3), (2, 3), (6, 3)], ids=["same", "fewer", "more"])
def test_a_dataset_whose_folder_is_deleted_and_made_anew_at_once_is_copied(jobs: Jobs, grid: tuple[int, ...]) -> None:
    copied_first(jobs)
    shutil.rmtree(jobs.source)
    make_anew(jobs.source, grid)
    ends_equal(jobs)


@pytest.mark.parametrize("grid", [(4, 3), (2, 3)], ids=["same", "fewer"])
def test_a_dataset_made_anew_in_its_folder_is_copied(jobs: Jobs, grid: tuple[int, ...]) -> None:
    """As tensorstore does it: it deletes the files and leaves the folder."""
    copied_first(jobs)
    for path in jobs.source.iterdir():
        path.unlink()
    make_anew(jobs.source, grid)
    ends_equal(jobs)


def test_no_metadata_of_the_firsts_groups_are_left_to_describe_the_second(jobs: Jobs) -> None:
    def make(*names: str) -> None:
        for name in names:
            write(jobs.source / name, b'{"zarr_format": 2}')
        make_anew(jobs.source / "0", (2,), b"of " + names[-1].encode())

    make(".zgroup", ".zattrs", ".zmetadata")
    write(jobs.source / "first position" / ".zgroup", b'{"zarr_format": 2}')
    jobs.start()
    assert until(lambda: tree(jobs.source).items() <= tree(jobs.destination).items()) and jobs.caught_up()
    write(jobs.destination / "labels" / ".zattrs", b"of others")
    shutil.rmtree(jobs.source)
    make(".zgroup")
    assert until(lambda: tree(jobs.destination) == {**tree(jobs.source), "labels/.zattrs": b"of others"}), (
        jobs.now.reason,
        sorted(tree(jobs.destination).keys() ^ tree(jobs.source).keys()),
    )


def test_a_dataset_with_other_chunks_is_copied_and_the_first_ones_go(jobs: Jobs) -> None:
    copied_first(jobs)
    shutil.rmtree(jobs.source)
    make_anew(jobs.source, (2, 1), chunk=6)
    ends_equal(jobs)
    assert jobs.now.arrays[0].chunk_shape == (6, 6)


def test_made_anew_again_and_again_the_last_one_is_copied(jobs: Jobs) -> None:
    copied_first(jobs)
    for number in range(4):
        shutil.rmtree(jobs.source)
        make_anew(jobs.source, (2 + number % 2, 3), b"number %d" % number)
        assert until(lambda: tree(jobs.source).items() <= tree(jobs.destination).items()), jobs.now.reason
    ends_equal(jobs)


def test_only_the_array_that_was_made_anew_loses_what_its_writer_deleted(jobs: Jobs) -> None:
    """Chunk files that somebody removed from another array to free space rely on their copies."""
    write(jobs.source / ".zgroup", b'{"zarr_format": 2}')
    for name in ("a", "b"):
        make_array(jobs.source / name, (4,))
    (jobs.source / "b" / "3").unlink()
    jobs.start()
    assert jobs.caught_up()
    (jobs.source / "b" / "2").unlink()
    shutil.rmtree(jobs.source / "a")
    make_anew(jobs.source / "a", (2,))
    assert until(lambda: tree(jobs.source / "a") == tree(jobs.destination / "a")), jobs.now.reason
    assert (jobs.destination / "b" / "2").exists()


def test_of_arrays_that_are_made_anew_one_after_the_other_nothing_old_is_left(jobs: Jobs) -> None:
    write(jobs.source / ".zgroup", b'{"zarr_format": 2}')
    for name in ("a", "b"):
        make_array(jobs.source / name, (4,))
    jobs.start()
    assert jobs.caught_up()
    for name in ("b", "a"):
        shutil.rmtree(jobs.source / name)
    make_anew(jobs.source / "a", (2,))
    assert until(lambda: tree(jobs.source / "a") == tree(jobs.destination / "a")), jobs.now.reason
    assert (jobs.destination / "b" / "3").exists(), "nobody knows yet what is to be in its place"
    make_anew(jobs.source / "b", (3,))
    ends_equal(jobs)


def test_what_was_removed_long_before_to_free_space_is_kept_and_named(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_identity, "_DELETING", 0.2)
    copied_first(jobs)
    (jobs.source / "3.2").unlink()
    time.sleep(0.4)
    shutil.rmtree(jobs.source)
    make_anew(jobs.source, (2, 3))
    assert until(lambda: tree(jobs.source).items() <= tree(jobs.destination).items())
    assert jobs.job is not None
    jobs.job.order("finish")
    end = jobs.ends()
    assert (jobs.destination / "3.2").exists() and "only at the destination, left alone: 2.0" in f"{end.notices}"


@pytest.mark.parametrize("how", ["late", "complete"])
def test_a_copy_is_not_replaced_where_the_name_is_used_again(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its user deleted the source, and began another acquisition later; or the copy of the first was complete."""
    if how == "complete":
        make_array(jobs.source, (4, 3))
        jobs.start(settle=0.0)
        assert jobs.ends().state is TargetState.COMPLETE
        write(jobs.source / ".zarray", zarray((5, 3)), old=True)
        jobs.start()
        assert jobs.caught_up()
    else:
        monkeypatch.setattr(source_identity, "_AT_ONCE", 0.0)
        copied_first(jobs)
    first = tree(jobs.destination)
    shutil.rmtree(jobs.source)
    make_anew(jobs.source, (4, 3))
    end = jobs.ends()
    assert end.state is TargetState.FAILED and "was deleted, and another dataset is there now" in end.reason
    assert tree(jobs.destination) == first


@contextlib.contextmanager
def removals_held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Have what begins to remove old files wait until the end of the block; the event is set when one waits."""
    waits, go_on = threading.Event(), threading.Event()
    remove = OldFileRemover.remove

    def held(remover: OldFileRemover, arrays: list[OldArray]) -> None:
        waits.set()
        assert go_on.wait(30)
        remove(remover, arrays)

    monkeypatch.setattr(OldFileRemover, "remove", held)
    try:
        yield waits
    finally:
        go_on.set()


def test_what_the_first_left_is_removed_although_the_second_went_during_that(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied_first(jobs)
    shutil.rmtree(jobs.source)
    with removals_held(monkeypatch) as waits:
        make_anew(jobs.source, (2, 3))
        assert waits.wait(30)
        assert until(lambda: tree(jobs.source).items() <= tree(jobs.destination).items()), jobs.now.reason
        away = jobs.source.rename(jobs.source.with_name("away"))
    assert until(lambda: "is gone" in jobs.now.reason), jobs.now.reason
    assert (jobs.destination / "3.2").exists() and (jobs.destination / "0.1").exists()
    away.rename(jobs.source)
    ends_equal(jobs)


@contextlib.contextmanager
def events_held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the job hear of nothing until the end of the block: the watcher's word may come later than a worker's."""
    apply = EventRules.apply_events
    monkeypatch.setattr(EventRules, "apply_events", lambda *_: 0)
    yield
    monkeypatch.setattr(EventRules, "apply_events", apply)


@pytest.mark.parametrize(("grid", "chunk"), [((2, 3), 2), ((2, 1), 6)], ids=["fewer", "other chunks"])
def test_new_metadata_that_are_read_before_the_deletion_is_heard_of_hide_no_old_chunk(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, grid: tuple[int, ...], chunk: int
) -> None:
    """They look like those of an array that was resized, or replaced."""
    copied_first(jobs)
    job = jobs.job
    assert job is not None
    with events_held(monkeypatch):
        for path in jobs.source.iterdir():
            path.unlink()
        make_anew(jobs.source, grid, chunk=chunk)
        job._inbox.put(lambda: job._tracker.start_pass(full=True, now=time.monotonic()))
        assert until(lambda: jobs.now.arrays[0].grid == grid), jobs.now.arrays
    ends_equal(jobs)


def test_a_chunk_that_was_to_be_copied_again_when_its_dataset_was_deleted_leaves_no_old_version(jobs: Jobs) -> None:
    copied_first(jobs)
    assert jobs.job is not None
    jobs.job.order("pause")
    assert until(lambda: jobs.now.state is TargetState.PAUSED)
    replace(jobs.source / "3.2", b"rewritten, and not copied any more")
    assert until(lambda: jobs.now.counts[ChunkState.PENDING] == 1), jobs.now.counts
    shutil.rmtree(jobs.source)
    make_anew(jobs.source, (2, 3))
    jobs.job.order("resume")
    ends_equal(jobs)


def test_the_remover_takes_nothing_but_old_chunk_files_and_metadata(tmp_path: Path) -> None:
    source, destination = tmp_path / "s", tmp_path / "d"
    for folder in (source, destination):
        folder.mkdir()
    write(destination / "mark", b"")
    layout = make_layout((2, 2, 2), path="a", separator="/")
    for cell in range(8):
        write(destination / "a" / layout.key(cell), b"old")
    for name in (".zarray", ".zattrs", "notes.txt", "labels/seg/.zarray", "labels/seg/0/0/0"):
        write(destination / "a" / name, b"x")
    (destination / "elsewhere").mkdir()
    write(destination / "elsewhere" / "1", b"x")
    os.symlink(destination / "elsewhere", destination / "a" / "7")
    write(source / "a" / "0" / "0" / "0", b"new")
    seen = np.array([True] * 7 + [False])
    found = os.stat(source)
    arrived = np.array([False, True, *[False] * 6])
    known = KnownFiles({"a": OldArray(layout, arrived)}, frozenset({"a/.zattrs"}))
    sides = str(source), (found.st_dev, found.st_ino), str(destination), "mark"
    remover = OldFileRemover(known, *sides, lambda: False)
    remover.remove([OldArray(layout, seen)])
    kept = {"mark", "a/0/0/0", "a/0/0/1", "a/1/1/1", "a/.zattrs", "a/notes.txt", "elsewhere/1"}
    kept |= {"a/labels/seg/.zarray", "a/labels/seg/0/0/0"}
    assert set(tree(destination)) == kept
    assert remover.removed == 6 and not (destination / "a" / "0" / "1").exists()
    (destination / "mark").unlink()
    with pytest.raises(WrongFolder):
        remover.remove([OldArray(layout)])
    assert (destination / "a/1/1/1").exists()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_source_that_goes_while_old_files_are_removed_ends_that(tmp_path: Path, how: str) -> None:
    """All that it has would count as what it lacks."""
    source, destination = tmp_path / "s", tmp_path / "d"
    layout = make_layout((2, 2))
    make_array(source, (2, 2))
    make_array(destination, (2, 2))
    write(destination / "mark", b"")
    found = os.stat(source)

    def goes() -> bool:
        shutil.rmtree(source, ignore_errors=True)
        if how == "replaced":
            (tmp_path / "takes the inode").mkdir(exist_ok=True)
            source.mkdir(exist_ok=True)
        return False

    (source / "0.0").unlink()
    (source / "0.1").unlink()
    sides = str(source), (found.st_dev, found.st_ino), str(destination), "mark"
    remover = OldFileRemover(KnownFiles({}, frozenset()), *sides, goes)
    with pytest.raises(WrongFolder):
        remover.remove([OldArray(layout)])
    assert remover.removed <= 1
    assert len(list(destination.glob("?.?"))) >= 3
