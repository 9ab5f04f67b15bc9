"""A folder of any files: OME-TIFF, NDTiff, tables. Nothing tells how many there will be, and files grow in place."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.job.preflight import validate_target
from softcopy_napari.engine.source import recopy_delays
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, make_old, tree, until, write

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only inotify tells that a file was closed")


def copied(jobs: Jobs, path: str) -> bytes | None:
    file = jobs.destination / path
    return file.read_bytes() if file.is_file() else None


def append(path: Path, *events: dict[str, Any]) -> None:
    with open(path, "ab") as file:
        for event in events:
            file.write(json.dumps(event).encode() + b"\n")


def test_any_files_are_copied_live_and_a_marker_ends_it(jobs: Jobs) -> None:
    write(jobs.source / "settings.json", b"{}", old=True)
    jobs.start(kind="folder")
    for number in range(5):
        write(jobs.source / "pos0" / f"img_{number}.ome.tif", b"II*" * number)
    (jobs.source / "empty").mkdir()
    assert jobs.equal() and until(lambda: (jobs.destination / "empty").is_dir())
    assert jobs.caught_up() and "a folder does not say how many files to expect" in jobs.now.reason
    assert jobs.now.any_files and jobs.now.other_files == 6 and jobs.now.copied_text.startswith("6 files, ")
    write(jobs.source / "done.txt", b"")
    assert until(lambda: copied(jobs, "done.txt") is not None) and jobs.now.state is not TargetState.COMPLETE
    write(jobs.source / "complete", b"")
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and "a file named 'complete'" in told.reason
    assert tree(jobs.source) == tree(jobs.destination)


def test_the_marker_has_the_name_that_is_set(jobs: Jobs) -> None:
    write(jobs.source / "a.tif", b"data", old=True)
    jobs.start(kind="folder", marker="run finished.txt")
    write(jobs.source / "complete", b"not the marker here")
    assert until(lambda: copied(jobs, "complete")) and jobs.caught_up()
    write(jobs.source / "run finished.txt", b"")
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and "a file named 'run finished.txt'" in told.reason


def test_zarr_datasets_end_by_a_marker_of_another_name_too(jobs: Jobs) -> None:
    make_array(jobs.source, (4,), chunks=False)
    jobs.start(marker="done")
    assert jobs.caught_up()
    write(jobs.source / "done", b"")
    assert jobs.ends().state is TargetState.COMPLETE


@linux_only
def test_a_file_that_its_writer_has_open_waits_until_it_is_closed(jobs: Jobs) -> None:
    jobs.source.mkdir()
    jobs.start(kind="folder")
    assert jobs.caught_up()
    with open(jobs.source / "big.tif", "wb", buffering=0) as file:
        file.write(b"first")
        assert until(lambda: "big.tif is open or locked by its writer" in jobs.now.reason)
        write(jobs.source / "other.tif", b"whole")
        assert until(lambda: copied(jobs, "other.tif") == b"whole")
        assert copied(jobs, "big.tif") is None
        file.write(b" and second")
    assert until(lambda: copied(jobs, "big.tif") == b"first and second")


@linux_only
def test_a_file_that_grows_is_not_copied_whole_for_each_plane(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recopy_delays, "_FIRST", 60.0)
    jobs.source.mkdir()
    job = jobs.start(kind="folder")
    assert jobs.caught_up()
    first = write(jobs.source / "big.tif", bytes(70_000_000)).stat().st_size
    assert until(lambda: (copied(jobs, "big.tif") or b"")[:1] and jobs.now.other_files == 1)
    for number in range(3):
        with open(jobs.source / "big.tif", "ab") as file:
            file.write(b"plane")
        write(jobs.source / f"{number}.txt", b"")
        assert until(lambda number=number: copied(jobs, f"{number}.txt") is not None)
    assert until(lambda: "big.tif is growing; copied again after 60 s" in jobs.now.reason)
    assert (jobs.destination / "big.tif").stat().st_size == first and jobs.now.files_copied == 4
    job.order("finish")
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and told.files_copied == 5
    assert tree(jobs.source) == tree(jobs.destination)


def test_an_old_folder_ends_at_once_and_a_live_one_not_by_being_quiet(jobs: Jobs) -> None:
    for number in range(3):
        write(jobs.source / f"{number}.tif", b"data")
    make_old(jobs.source)
    jobs.start(kind="folder", settle=0.0)
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and tree(jobs.source) == tree(jobs.destination)
    jobs.start(kind="folder", settle=0.0)  # nothing has changed: nothing is copied
    assert jobs.ends().files_copied == 0
    write(jobs.source / "3.tif", b"more")
    jobs.start(kind="folder", settle=0.0)
    assert jobs.equal() and jobs.caught_up() and "done after 1 h without a change" in jobs.now.reason


def test_an_empty_folder_is_waited_with_and_idle_ends_it(jobs: Jobs) -> None:
    jobs.source.mkdir()
    make_old(jobs.source)
    jobs.start(kind="folder", settle=0.0)
    assert jobs.caught_up() and "no files yet" in jobs.now.reason
    jobs.stop()
    write(jobs.source / "a.tif", b"data")
    jobs.start(kind="folder", finish_idle=0.5)
    assert jobs.ends().state is TargetState.COMPLETE and tree(jobs.source) == tree(jobs.destination)


def test_zarr_datasets_in_a_folder_are_just_files(jobs: Jobs) -> None:
    make_array(jobs.source / "img.zarr", (4,))
    write(jobs.source / "img.zarr" / ".zattrs", b"{ half-written")
    job = jobs.start(kind="folder")
    assert jobs.equal() and jobs.caught_up() and not jobs.now.arrays
    job.order("finish")
    assert jobs.ends().state is TargetState.COMPLETE


def test_files_that_left_before_they_were_copied_are_named(jobs: Jobs) -> None:
    for number in range(3):
        write(jobs.source / f"{number}.tif", b"data", old=True)
    job = jobs.start(kind="folder")
    assert jobs.equal()
    job.order("pause")
    assert until(lambda: jobs.now.state is TargetState.PAUSED)
    write(jobs.source / "taken.tif", b"never copied")
    assert until(lambda: jobs.now.other_waiting == 1)
    os.remove(jobs.source / "taken.tif")
    os.remove(jobs.source / "0.tif")  # it was copied: whoever made room there was right
    job.order("resume")
    job.order("finish")
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE
    assert "1 file gone from the source before being copied: taken.tif" in told.notices
    assert copied(jobs, "0.tif") == b"data"


def test_another_run_of_the_same_name_is_not_copied_over_the_first(jobs: Jobs) -> None:
    write(jobs.source / "img_0.tif", b"monday", old=True)
    job = jobs.start(kind="folder")
    assert jobs.equal()
    job.order("finish")
    assert jobs.ends().state is TargetState.COMPLETE
    jobs.source.rename(jobs.source.with_name("monday"))
    write(jobs.source / "img_1.tif", b"tuesday", old=True)
    jobs.start(kind="folder")
    told = jobs.ends()
    assert told.state is TargetState.FAILED and "holds another dataset" in told.reason
    assert tree(jobs.destination) == {"img_0.tif": tree(jobs.destination)["img_0.tif"]}


def test_files_of_others_at_the_destination_stay(jobs: Jobs) -> None:
    write(jobs.source / "img_0.tif", b"data", old=True)
    write(jobs.destination / "analysis" / "notes.txt", b"of somebody")
    job = jobs.start(kind="folder")
    assert until(lambda: copied(jobs, "img_0.tif"))
    job.order("finish")
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and "left alone: analysis/" in " ".join(told.notices)


def test_a_folder_that_is_no_zarr_dataset_is_told_how_it_can_be_copied(tmp_path: Path) -> None:
    write(tmp_path / "run" / "a.tif", b"")
    sides = tmp_path / "run", tmp_path / "copy"
    with pytest.raises(TargetsError, match=r"is not a zarr dataset.*use --kind folder"):
        validate_target(make_target(*sides, Settings(wait_for_source=False)))
    validate_target(make_target(*sides, Settings(wait_for_source=False, kind="folder")))


# -- with the source's own list of its finished files --------------------------------------------------------


START = {"event": "start", "schema": 1, "experiment_id": "made up", "format": "OME_TIFF", "nt": 2, "ts": 1.0}
END = {"event": "end", "reason": "completed", "ts": 9.0}


def complete(path: str, kind: str = "file") -> dict[str, Any]:
    return {"event": "complete", "path": path, "kind": kind, "bytes": None, "t": 0, "region": "A1", "fov": 0, "ts": 2.0}


def test_files_come_when_the_source_lists_them_and_its_end_is_the_end(jobs: Jobs) -> None:
    manifest = write(jobs.source / "transfer_manifest.jsonl", b"")
    append(manifest, START)
    jobs.start(kind="folder")
    for path in ("t0/a.tif", "t0/b.tif", "t0/deep/c.tif", "log.txt"):
        write(jobs.source / path, b"data of " + path.encode())
    assert until(lambda: "not listed as complete" in jobs.now.reason)
    append(manifest, complete("t0/b.tif"))
    assert until(lambda: copied(jobs, "t0/b.tif"))
    append(manifest, complete("t0/deep", "dir"), complete("t1/later.tif"))
    assert until(lambda: copied(jobs, "t0/deep/c.tif"))
    write(jobs.source / "t1" / "later.tif", b"listed before it was seen")
    assert until(lambda: copied(jobs, "t1/later.tif"))
    assert sorted(tree(jobs.destination)) == ["t0/b.tif", "t0/deep/c.tif", "t1/later.tif"]
    append(manifest, END)
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and "transfer_manifest.jsonl says that" in told.reason
    assert tree(jobs.source) == tree(jobs.destination)


def test_a_zarr_dataset_with_such_a_list_is_held_back_by_it_and_its_metadata_are_not(jobs: Jobs) -> None:
    make_array(jobs.source, (4,), chunks=False)
    manifest = write(jobs.source / "transfer_manifest.jsonl", b"")
    append(manifest, START)
    jobs.start()
    write(jobs.source / "0", b"chunk")
    write(jobs.source / "1", b"chunk")
    assert until(lambda: copied(jobs, ".zarray") and jobs.now.counts[ChunkState.WRITING] == 2)
    append(manifest, complete("1"))
    assert until(lambda: copied(jobs, "1"))
    assert copied(jobs, "0") is None
    append(manifest, END)
    told = jobs.ends()
    assert told.state is TargetState.COMPLETE and tree(jobs.source) == tree(jobs.destination)


def test_a_list_without_an_end_holds_nothing_back_once_the_user_says_that_it_is_over(jobs: Jobs) -> None:
    append(write(jobs.source / "transfer_manifest.jsonl", b""), START)
    write(jobs.source / "a.tif", b"data", old=True)
    job = jobs.start(kind="folder")
    assert until(lambda: "a.tif is not listed as complete" in jobs.now.reason)
    job.order("finish")
    assert jobs.ends().state is TargetState.COMPLETE and tree(jobs.source) == tree(jobs.destination)


def test_a_listed_file_that_somebody_took_away_is_no_complete_copy(jobs: Jobs) -> None:
    write(jobs.source / "a.tif", b"data", old=True)
    append(write(jobs.source / "transfer_manifest.jsonl", b""), START, complete("a.tif"), complete("taken.tif"), END)
    jobs.start(kind="folder")
    told = jobs.ends()
    assert told.state is TargetState.FAILED and "1 file listed in transfer_manifest.jsonl" in told.reason
    assert "taken.tif" in told.reason
