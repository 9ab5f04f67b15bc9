"""What is on one side only when a copy ends: others' files, a system's, what left the source, what has another name."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import OLD, make_array, replace, tree, until, write, zarray
from tests.faults.lab import SOON, Lab, make_chunks
from tests.support.faultfs import why_not

may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())

SYSTEM = [
    *("@eaDir/zarr.json@SynoEAStream", "#recycle/desktop.ini", "#snapshot/x", ".snapshot/x", "lost+found/x"),
    *("System Volume Information/x", "$RECYCLE.BIN/S-1-5-18/x", ".Trash-1000/files/x", ".DS_Store", "._zarr.json"),
    *("Thumbs.db", ".nfs0000000000a1b2c3", ".fuse_hidden000a1b2c"),
]


def copied(lab: Lab, count: int = 4) -> None:
    """Have an array copied to the end; what comes then comes to a copy that has a receipt."""
    make_chunks(lab.source, count)
    lab.start(finish_idle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE, lab.words()


def stopped(lab: Lab, count: int = 4) -> None:
    """Have an array copied, and the copy stopped: there is no receipt."""
    make_chunks(lab.source, count, more=1)
    lab.start()
    assert lab.caught_up()
    lab.stop()
    assert not any(path.exists() for path in receipt_paths(lab.destination))


def labelled(destination: Path) -> None:
    """People work on the copy: an array of their own, a table, a note."""
    make_array(destination / "labels" / "cells", (2,))
    write(destination / "labels" / ".zgroup", b'{"zarr_format": 2}')
    write(destination / "analysis" / "results.csv", b"1,2")
    write(destination / "notes.txt", b"a good one")


# -- others' files, and a system's ---------------------------------------------------------------------------


def test_what_a_file_server_makes_in_every_folder_of_the_copy_is_no_failure(lab: Lab) -> None:
    make_chunks(lab.source, 3, more=1)
    lab.start()
    assert lab.caught_up()
    for folder in ("", "0", "2"):
        for path in SYSTEM:
            write(lab.destination / folder / path, b"x")
    before = tree(lab.destination)
    lab.finish()
    (note,) = lab.now.notices
    assert note.startswith("only at the destination, made by its system: #recycle/, #snapshot/, $RECYCLE.BIN/")
    assert tree(lab.destination) == before
    assert lab.now.kept == 0


@pytest.mark.parametrize("before", [copied, stopped], ids=["with a receipt", "stopped before"])
def test_people_may_work_on_the_copy_already(lab: Lab, before: object) -> None:
    before(lab)  # type: ignore[operator]
    labelled(lab.destination)
    there = tree(lab.destination)
    lab.start(finish_idle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE, lab.words()
    (note,) = lab.now.notices
    assert note == "only at the destination, left alone: analysis/, labels/, notes.txt"
    assert tree(lab.destination) == there
    assert all(path.exists() for path in receipt_paths(lab.destination))


def test_a_chunk_that_somebody_wrote_into_the_copy_keeps_it_from_being_complete(lab: Lab) -> None:
    make_chunks(lab.source, 3, more=2)
    write(lab.destination / "4" / "0", b"somebody's")
    lab.start(finish_idle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED and end.kept == 1
    assert "no known copy brought them: 4/. Whoever reads the copy sees them. Wrong folder? They are kept" in end.reason
    assert (lab.destination / "4" / "0").read_bytes() == b"somebody's"


@may_fuse
@pytest.mark.parametrize("name", ["lost+found", "System Volume Information", "$RECYCLE.BIN/S-1-5-18"])
def test_a_system_folder_at_the_source_that_may_not_be_listed_is_named_and_nothing_else(lab: Lab, name: str) -> None:
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 3, more=1)
    write(lab.real_source / name / "x", b"x", old=True)
    faults.fail("listing", f"s.zarr/{name}", error=errno.EACCES)
    lab.start()
    lab.finish()
    assert make_reason(ReasonCode.FOLDER_UNLISTABLE, folder=name) in lab.now.notes
    assert len(list(lab.destination.rglob("*/0"))) == 3


def test_system_folders_at_the_source_that_can_be_read_are_copied_like_all_others(lab: Lab) -> None:
    make_chunks(lab.source, 2)
    for path in SYSTEM:
        write(lab.source / path, b"x", old=True)
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


# -- gone from the source ------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [copied, stopped], ids=["with a receipt", "stopped before"])
@pytest.mark.parametrize("what", ["3/0", "3", ".zarray"])
def test_what_a_copy_brought_and_the_source_has_no_more_fails_it_and_is_kept(
    lab: Lab, before: object, what: str
) -> None:
    """By the receipt of the copy before, or by what that left when it was stopped."""
    make_chunks(lab.source / "other", 2)
    before(lab)  # type: ignore[operator]
    there = tree(lab.destination)
    gone = lab.source / what
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    lab.start(finish_idle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED, lab.words()
    name = "3/0" if what == "3" else what
    assert end.reason == (
        f"1 file here is not in the source any more ({name}). Was the source cleared, or is this the wrong folder? "
        "The copies are kept"
    )
    assert end.kept == 1 and tree(lab.destination) == there


@pytest.mark.parametrize("before", [copied, stopped], ids=["with a receipt", "stopped before"])
def test_a_whole_array_that_a_copy_brought_and_the_source_has_no_more_fails_it(lab: Lab, before: object) -> None:
    make_array(lab.source / "image" / "0", (3,))
    write(lab.source / "image" / ".zgroup", b'{"zarr_format": 2}', old=True)
    before(lab)  # type: ignore[operator]
    shutil.rmtree(lab.source / "image")
    labelled(lab.destination)
    lab.start(finish_idle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED, lab.words()
    assert "not in the source any more" in end.reason and "image/" in end.reason
    assert end.notices == ("only at the destination, left alone: analysis/, labels/, notes.txt",)
    assert (lab.destination / "image" / "0" / "1").exists()


def test_a_source_cleared_during_the_copy_fails_it_with_the_number_of_files(lab: Lab) -> None:
    make_chunks(lab.source, 8, more=1)
    lab.start()
    assert lab.caught_up()
    for number in range(8):
        shutil.rmtree(lab.source / str(number))
    lab.finish(TargetState.FAILED)
    assert lab.now.reason.startswith(
        "8 files here are not in the source any more (0/0, 1/0, 2/0, 3/0, 4/0 and 3 more)."
    )
    assert lab.now.kept == 8


def test_a_sidecar_that_its_writer_removed_is_no_failure(lab: Lab) -> None:
    make_chunks(lab.source, 3, more=1)
    write(lab.source / "positions.json.new", b"{}", old=True)
    write(lab.source / "log" / "today.txt", b"started", old=True)
    lab.start()
    assert lab.caught_up()
    (lab.source / "positions.json.new").rename(lab.source / "positions.json")
    shutil.rmtree(lab.source / "log")
    lab.finish()
    assert lab.now.notices == ("only at the destination, left alone: log/, positions.json.new",)


SHRINK = {
    "tensorstore": """
import sys, tensorstore as ts
array = ts.open({"driver": "zarr", "kvstore": {"driver": "file", "path": sys.argv[1]}}, open=True).result()
array.resize(exclusive_max=[4, None]).result()
""",
    "zarr-python": """
import sys, zarr
zarr.open_array(sys.argv[1], mode="r+").resize((4, 4))
""",
}
"""Programs that make an array of (8, 4) elements smaller, by chunks of two rows. Only tensorstore takes locks."""


def make_raw_array(folder: Path) -> None:
    """An array of 4 x 2 chunk files that these programs can open."""
    metadata = json.loads(zarray((4, 2)))
    write(folder / ".zarray", json.dumps({**metadata, "compressor": None}).encode(), old=True)
    for row, column in itertools.product(range(4), range(2)):
        write(folder / f"{row}.{column}", bytes(range(8)), old=True)


def shrink(lab: Lab, writer: str) -> None:
    subprocess.run([sys.executable, "-c", SHRINK[writer], lab.source], check=True)
    assert until(lambda: lab.now.chunk_files == 4, SOON), lab.words()
    assert not any((lab.source / name).exists() for name in ("2.0", "2.1", "3.0", "3.1"))


@pytest.mark.parametrize("writer", SHRINK)
def test_an_array_made_smaller_is_complete_without_the_chunks_outside_of_it(lab: Lab, writer: str) -> None:
    make_raw_array(lab.source)
    (lab.source / "0.1").unlink()
    lab.start()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 7, SOON), lab.words()
    shrink(lab, writer)
    lab.finish()
    if writer == "tensorstore":
        assert lab.now.notices == ()
    else:
        assert lab.now.notices == ("only at the destination, left alone: 2.0, 2.1, 3.0, 3.1",)


# -- lost before they were copied ----------------------------------------------------------------------------


def waiting(lab: Lab, count: int = 4) -> None:
    """Have chunk files seen at the source, and none of them copied yet."""
    make_chunks(lab.source, count, more=1)
    lab.start().order("pause")
    assert until(lambda: lab.now.counts[ChunkState.PENDING] == count, SOON), lab.words()


def go_on(lab: Lab) -> None:
    assert lab.job is not None
    lab.job.order("resume")
    assert until(lambda: lab.now.files_left == 0 and not lab.now.other_waiting, SOON), lab.words()


def test_chunks_that_left_the_source_before_they_were_copied_are_named_as_lost(lab: Lab) -> None:
    waiting(lab)
    (lab.source / "1" / "0").unlink()
    shutil.rmtree(lab.source / "3")
    go_on(lab)
    lab.finish(TargetState.FAILED)
    assert lab.now.reason == (
        "2 chunks lost: gone from the source before being copied (1/0, 3/0). "
        "If somebody moved them, put them back and start this copy again"
    )
    assert lab.now.lost == 2 and lab.now.chunk_files_absent == 1
    assert not any(path.exists() for path in receipt_paths(lab.destination))


def test_a_lost_chunk_that_is_put_back_is_copied_and_the_copy_complete(lab: Lab) -> None:
    waiting(lab)
    away = (lab.source / "1" / "0").rename(lab.folder / "away")
    go_on(lab)
    assert lab.now.counts[ChunkState.COPIED] == 3
    away.rename(lab.source / "1" / "0")
    lab.finish()
    lab.assert_equal()


@pytest.mark.parametrize("seen", ["by events", "by looking"])
def test_a_half_written_chunk_that_is_deleted_is_lost(lab: Lab, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever aborts writing it knows that; whoever reads the summary does not."""
    make_chunks(lab.source, 2, more=2)
    if seen == "by looking":
        monkeypatch.setattr("softcopy_napari.engine.source.source_tracker.make_watcher", _no_watcher)
        monkeypatch.setattr("softcopy_napari.engine.source.walk_schedule._BLIND_INTERVAL", 0.2)
    lab.start()
    assert lab.caught_up()
    (lab.source / "3").mkdir()
    with open(lab.source / "3" / "0", "wb", buffering=0) as file:
        while lab.now.counts[ChunkState.WRITING] == 0:
            file.write(b"x")
            assert lab.now.counts[ChunkState.COPIED] == 2
        (lab.source / "3" / "0").unlink()
    assert until(lambda: lab.now.counts[ChunkState.WRITING] == 0, SOON), lab.words()
    lab.finish(TargetState.FAILED)
    assert "1 chunk lost: gone from the source before being copied (3/0)" in lab.now.reason


def _no_watcher(source: Path, wake: object, *_: object) -> object:
    from softcopy_napari.engine.watch.watcher import NoWatcher

    return NoWatcher(wake)  # type: ignore[arg-type]


def test_a_chunk_that_its_writer_deletes_under_its_lock_before_it_was_copied_is_not_lost(lab: Lab) -> None:
    waiting(lab)
    (lab.source / "1" / "0.__lock").touch()
    (lab.source / "1" / "0").unlink()
    (lab.source / "1" / "0.__lock").unlink()
    go_on(lab)
    lab.finish()
    assert lab.now.chunk_files_absent == 2
    lab.assert_equal()


def test_a_lock_on_a_chunk_that_never_was_is_no_loss(lab: Lab) -> None:
    """tensorstore takes one to delete what is not there: a chunk that it is to fill with the fill value."""
    make_chunks(lab.source, 2, more=2)
    lab.start()
    assert lab.caught_up()
    (lab.source / "3").mkdir()
    assert until((lab.destination / "3").is_dir, SOON), lab.words()
    (lab.source / "3" / "0.__lock").touch()
    assert until(lambda: lab.now.counts[ChunkState.WRITING] == 1, SOON), lab.words()
    (lab.source / "3" / "0.__lock").unlink()
    assert until(lambda: lab.now.counts[ChunkState.WRITING] == 0, SOON), lab.words()
    lab.finish()


def test_a_chunk_replaced_again_and_again_while_it_is_copied_is_not_lost(lab: Lab) -> None:
    """Deleted, and written anew: for a moment it is not there."""
    make_chunks(lab.source, 1, size=3_000_000, more=1)
    lab.start()
    for version in range(30):
        (lab.source / "0" / "0").unlink()
        replace(lab.source / "0" / "0", bytes([version]) * 3_000_000)
    assert until(lambda: lab.now.state is TargetState.CAUGHT_UP, SOON), lab.words()
    lab.finish()
    lab.assert_equal()


@pytest.mark.parametrize("writer", SHRINK)
def test_chunks_that_wait_outside_of_an_array_that_is_made_smaller_are_not_lost(lab: Lab, writer: str) -> None:
    make_raw_array(lab.source)
    lab.start().order("pause")
    assert until(lambda: lab.now.counts[ChunkState.PENDING] == 8, SOON), lab.words()
    shrink(lab, writer)
    go_on(lab)
    lab.finish()
    assert lab.now.notices == ()
    lab.assert_equal()


# -- renamed inside the source -------------------------------------------------------------------------------


def group_of(lab: Lab, name: str) -> None:
    """A group with one image: two arrays of four chunk files."""
    write(lab.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    write(lab.source / name / ".zgroup", b'{"zarr_format": 2}', old=True)
    for level in ("0", "1"):
        make_array(lab.source / name / level, (4,))


@pytest.mark.parametrize("when", ["copied", "waiting", "half", "before"])
def test_an_image_renamed_inside_the_source_is_copied_under_its_new_name(lab: Lab, when: str) -> None:
    """What was copied under the old one stays; `before` is by a copy that had its receipt."""
    group_of(lab, "pos0")
    if when == "before":
        lab.start(finish_idle=0.0)
        assert lab.ends(SOON).state is TargetState.COMPLETE
    running = lab.start(**({"sleep_time": 0.2, "nprocs": 1} if when == "half" else {}))
    if when == "waiting":
        running.order("pause")
        assert until(lambda: lab.now.counts[ChunkState.PENDING] == 8, SOON), lab.words()
    elif when == "half":
        assert until(lambda: lab.now.counts[ChunkState.COPIED] >= 2, SOON), lab.words()
    else:
        assert until(lambda: lab.now.counts[ChunkState.COPIED] == 8, SOON), lab.words()
    here = tree(lab.source / "pos0")
    (lab.source / "pos0").rename(lab.source / "position 0")
    running.order("resume")
    assert until(lambda: tree(lab.destination / "position 0") == here, SOON), lab.words()
    lab.finish()
    assert lab.now.chunk_files == 8 and lab.now.chunk_files_absent == 0
    there = tree(lab.destination)
    assert {path: data for path, data in there.items() if path.startswith("position 0/")} == {
        f"position 0/{path}": data for path, data in here.items()
    }
    if when != "waiting":
        assert any("pos0/ was renamed to position 0 at the source" in note for note in lab.now.notices), lab.words()
        assert (lab.destination / "pos0" / ".zgroup").exists()


def test_a_folder_of_chunks_renamed_inside_the_source_is_copied_under_its_new_name(lab: Lab) -> None:
    make_chunks(lab.source, 3, more=3)
    lab.start()
    assert lab.caught_up()
    (lab.source / "1").rename(lab.source / "5")
    assert until(lambda: (lab.destination / "5" / "0").exists(), SOON), lab.words()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 3, SOON), lab.words()
    lab.finish()
    assert lab.now.notices == ("1/ was renamed to 5 at the source. The copy under its old name is kept",)


def test_chunks_lost_before_their_image_was_renamed_are_lost_under_its_new_name(lab: Lab) -> None:
    group_of(lab, "pos0")
    running = lab.start()
    running.order("pause")
    assert until(lambda: lab.now.counts[ChunkState.PENDING] == 8, SOON), lab.words()
    (lab.source / "pos0" / "1" / "2").unlink()
    (lab.source / "pos0").rename(lab.source / "pos1")
    go_on(lab)
    lab.finish(TargetState.FAILED)
    assert "1 chunk lost: gone from the source before being copied (pos1/1/2)" in lab.now.reason


def test_images_that_exchange_their_names_while_they_are_copied_have_the_right_content_each(lab: Lab) -> None:
    group_of(lab, "a")
    group_of(lab, "b")
    for file in (lab.source / "b").rglob("[0-9]"):
        if file.is_file():
            file.write_bytes(b"of b" * 50)
            os.utime(file, (OLD + 5, OLD + 5))
    lab.start()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 16, SOON), lab.words()
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        (lab.source / old).rename(lab.source / new)
    assert until(lambda: tree(lab.source) == tree(lab.destination), SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    assert lab.now.chunk_files == 16


def test_an_image_moved_out_of_the_source_before_it_was_copied_is_lost(lab: Lab) -> None:
    group_of(lab, "pos0")
    group_of(lab, "pos1")
    running = lab.start()
    running.order("pause")
    assert until(lambda: lab.now.counts[ChunkState.PENDING] == 16, SOON), lab.words()
    (lab.source / "pos1").rename(lab.folder / "elsewhere")
    go_on(lab)
    lab.finish(TargetState.FAILED)
    assert lab.now.lost == 8 and "8 chunks lost: gone from the source before being copied" in lab.now.reason


# -- what never came -----------------------------------------------------------------------------------------


def test_wells_that_were_never_imaged_are_named_in_the_result(lab: Lab) -> None:
    wells = ", ".join(f'{{"path": "A/{column}"}}' for column in range(1, 9))
    write(lab.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    write(lab.source / ".zattrs", f'{{"plate": {{"wells": [{wells}]}}}}'.encode(), old=True)
    write(lab.source / "A" / "1" / ".zgroup", b'{"zarr_format": 2}', old=True)
    write(lab.source / "A" / "1" / ".zattrs", b'{"well": {"images": [{"path": "0"}]}}', old=True)
    make_array(lab.source / "A" / "1" / "0", (2,))
    lab.start()
    assert lab.caught_up()
    lab.finish()
    assert lab.now.notices == ("7 images or wells of the metadata never came: A/2, A/3, A/4, A/5, A/6 and 2 more",)


def test_metadata_of_arrays_that_are_not_known_any_more_do_not_count_as_promised(lab: Lab) -> None:
    """A group that left the source promises nothing any more."""
    write(lab.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    make_array(lab.source / "0", (2,))
    write(lab.source / "image" / ".zgroup", b'{"zarr_format": 2}', old=True)
    multiscales = b'{"multiscales": [{"datasets": [{"path": "0"}, {"path": "1"}]}]}'
    write(lab.source / "image" / ".zattrs", multiscales, old=True)
    write(lab.source / "image" / "0" / ".zarray", zarray((1,)), old=True)
    running = lab.start(settle=0.0)
    assert lab.caught_up()
    assert running._tracker.metadata.missing_nodes() == ["image/1"]
    (lab.source / "image").rename(lab.folder / "elsewhere")
    assert until(lambda: not running._tracker.metadata.missing_nodes(), SOON), lab.words()
