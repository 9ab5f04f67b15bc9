"""A name that is used again: what lies at a destination is overwritten only if it is a copy of the source."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.destination import existing_data
from softcopy_napari.engine.fs.statx import read_birth_time
from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.state_folder import destination_lock
from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, make_layout, tree, until, write, zarray


@pytest.fixture
def yesterday(jobs: Jobs) -> dict[str, bytes]:
    """A copy that is complete, whose source is deleted; returns what it holds."""
    make_array(jobs.source, (4, 2))
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    shutil.rmtree(jobs.source)
    return tree(jobs.destination)


def today(folder: Path, grid: tuple[int, ...] = (4, 2), size: int = 50) -> None:
    """Another acquisition of the same kind."""
    write(folder / ".zarray", zarray(grid))
    layout = make_layout(grid)
    for cell in range(layout.n_chunk_files):
        write(folder / layout.key(cell), b"of today" * size)


def forget_state(jobs: Jobs) -> None:
    """As on another computer."""
    shutil.rmtree(private_folder("locks"))


def forget_receipt(jobs: Jobs) -> None:
    """As of a copy that never came to its end."""
    for path in receipt_paths(jobs.destination):
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("grid", [(4, 2), (2, 2), (9, 2)], ids=["same", "shorter", "longer"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "aborted"])
def test_todays_acquisition_does_not_overwrite_yesterdays_copy(
    jobs: Jobs, yesterday: dict[str, bytes], when: str, grid: tuple[int, ...], complete: bool
) -> None:
    if not complete:
        forget_receipt(jobs)
    if when == "after":
        today(jobs.source, grid)
    jobs.start(settle=0.0)
    if when == "before":
        assert until(lambda: "does not exist yet" in jobs.now.reason)
        today(jobs.source, grid)
    end = jobs.ends()
    assert end.state is TargetState.FAILED
    assert "--overwrite" in end.reason and "or choose another destination" in end.reason
    whose = f"the copy of {jobs.source} that was complete on 20" if complete else "a copy of another acquisition"
    assert whose in end.reason
    assert tree(jobs.destination) == yesterday


def test_a_plate_of_the_same_name_does_not_overwrite_yesterdays(jobs: Jobs) -> None:
    def plate(word: bytes, wells: str) -> None:
        names = [{"path": f"A/{well}"} for well in wells]
        write(jobs.source / ".zgroup", b'{"zarr_format": 2}')
        write(jobs.source / ".zattrs", json.dumps({"plate": {"wells": names}}).encode())
        for well in wells:
            field = jobs.source / "A" / well / "0"
            write(field.parent / ".zgroup", b'{"zarr_format": 2}')
            write(field.parent / ".zattrs", b'{"well": {"images": [{"path": "0"}]}}')
            write(field / ".zgroup", b'{"zarr_format": 2}')
            write(field / ".zattrs", b'{"multiscales": [{"datasets": [{"path": "0"}]}]}')
            write(field / "0" / ".zarray", zarray((2, 2), "/"))
            write(field / "0" / "1" / "1", word * 20)

    plate(b"yesterday", "12")
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    before = tree(jobs.destination)
    plate(b"yesterday", "123")  # a well more is no other plate
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE and tree(jobs.destination) != before
    before = tree(jobs.destination)
    shutil.rmtree(jobs.source)
    plate(b"today", "1")
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.FAILED and tree(jobs.destination) == before


@pytest.mark.parametrize("forget", [forget_state, forget_receipt])
@pytest.mark.parametrize("grid", [(5, 2), (5, 3), (3, 1)], ids=["grown", "grown in two axes", "shrunk"])
def test_a_copy_goes_on_after_every_chunk_was_rewritten_and_the_array_resized(
    jobs: Jobs, forget: Callable[[Jobs], None], grid: tuple[int, ...]
) -> None:
    """Known by the receipt on another computer, by the state folder where there is no receipt."""
    make_array(jobs.source, (4, 2))
    if not read_birth_time(str(jobs.source), os.stat(jobs.source)):
        pytest.skip("the file system does not tell when a folder was made")
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    forget(jobs)
    today(jobs.source, grid)
    assert not existing_data.examine_destination(jobs.source, jobs.destination).conflict


def test_a_copy_is_known_by_one_chunk_file_that_is_equal(jobs: Jobs, tmp_path: Path) -> None:
    """The source was moved to another disk meanwhile, nothing is remembered of it, and most of it was rewritten."""
    make_array(jobs.source, (40,))
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    forget_state(jobs)
    forget_receipt(jobs)
    shutil.copytree(jobs.source, tmp_path / "moved")
    shutil.rmtree(jobs.source)
    for number in range(1, 40):
        write(tmp_path / "moved" / str(number), b"rewritten")
    assert not existing_data.examine_destination(tmp_path / "moved", jobs.destination).conflict
    write(tmp_path / "moved" / "0", b"rewritten")
    assert existing_data.examine_destination(tmp_path / "moved", jobs.destination).conflict


def test_a_dataset_made_anew_in_the_same_folder_is_not_copied_over_the_first(jobs: Jobs) -> None:
    """Its writer deletes what is in the folder, and keeps the folder."""
    make_array(jobs.source, (4, 2), old=False)
    if not read_birth_time(str(jobs.source), os.stat(jobs.source)):
        pytest.skip("the file system does not tell when a file was made")
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    long_ago = os.stat(jobs.source / ".zarray").st_mtime - 100
    for side in (jobs.source, jobs.destination):
        os.utime(side / ".zarray", (long_ago, long_ago))
    for path in jobs.source.iterdir():
        path.unlink()
    today(jobs.source)
    found = existing_data.examine_destination(jobs.source, jobs.destination)
    assert "the source has been rewritten since" in describe(found.conflict)


def test_a_destination_with_others_files_alone_is_free(jobs: Jobs) -> None:
    today(jobs.source)
    write(jobs.destination / "notes.txt", b"of somebody")
    (jobs.destination / "@eaDir").mkdir()
    assert not existing_data.examine_destination(jobs.source, jobs.destination).conflict


def test_what_an_older_version_left_word_of_is_read(jobs: Jobs) -> None:
    with open(destination_lock._lock_path(jobs.destination), "w") as file:
        json.dump({"pid": 1, "started": 1.0, "doing": "filled", "source": [1, 2]}, file)
    assert destination_lock.filled_from(jobs.destination) is None


@pytest.mark.parametrize("grid", [(4, 2), (2, 2), (6, 3)], ids=["same", "smaller", "larger"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "aborted"])
def test_overwrite_replaces_yesterdays_copy_and_leaves_what_others_added(
    jobs: Jobs, yesterday: dict[str, bytes], grid: tuple[int, ...], complete: bool
) -> None:
    if not complete:
        forget_receipt(jobs)
    added = {"labels/seg/.zarray": zarray((1,)), "labels/seg/0": b"theirs", "notes.txt": b"theirs"}
    for path, content in added.items():
        write(jobs.destination / path, content)
    today(jobs.source, grid)
    jobs.start(finish_idle=0.0, overwrite=True)
    end = jobs.ends()
    there = tree(jobs.destination)
    assert {path: there.pop(path) for path in added} == added
    assert there == tree(jobs.source)
    left = len(yesterday.keys() - tree(jobs.source).keys())
    removed = f"{left} files of the earlier dataset removed from {jobs.destination}"
    assert any(removed in notice for notice in end.notices) == bool(left)


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "stopped"])
@pytest.mark.parametrize("described_by", [("zarr.json",), (".zgroup", ".zattrs", ".zmetadata")], ids=["3", "2"])
def test_overwrite_leaves_no_metadata_of_yesterdays_groups(
    jobs: Jobs, described_by: tuple[str, ...], complete: bool
) -> None:
    """Readers would take them for a description of today's data."""
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    for folder in ("", "second position"):
        for name in described_by:
            content = group if name == "zarr.json" else {"zarr_format": 2}
            write(jobs.source / folder / name, json.dumps(content).encode(), old=True)
        make_array(jobs.source / folder / "0", (2,))
    jobs.start(**({"finish_idle": 0.0} if complete else {}))
    if complete:
        assert jobs.ends().state is TargetState.COMPLETE
    else:
        assert jobs.caught_up()
        jobs.stop()
    shutil.rmtree(jobs.source)
    others = {"labels/.zattrs": b"{}", "second position/notes.txt": b"theirs"}
    for path, theirs in others.items():
        write(jobs.destination / path, theirs)
    write(jobs.source / ".zgroup", b'{"zarr_format": 2}')
    today(jobs.source / "0", (2,))
    jobs.start(finish_idle=0.0, overwrite=True)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE, end.reason
    assert tree(jobs.destination) == tree(jobs.source) | others


def test_overwrite_takes_nothing_from_a_copy_that_goes_on(jobs: Jobs) -> None:
    """Whoever always gives --overwrite still keeps the copies of chunk files that were removed to free space."""
    make_array(jobs.source, (4, 2))
    jobs.start(settle=0.0, overwrite=True)
    assert jobs.ends().state is TargetState.COMPLETE
    before = tree(jobs.destination)
    for name in ("0.0", "0.1", "1.0"):
        (jobs.source / name).unlink()
    jobs.start(finish_idle=0.0, overwrite=True)
    jobs.ends()
    assert tree(jobs.destination) == before
