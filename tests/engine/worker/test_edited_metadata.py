"""What people have changed at a destination: zarr metadata are kept, anything else is replaced, and both are named."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.states import TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, tree, until, write, zarray
from tests.faults.lab import make_chunks
from tests.support.command import softcopy

NOTED = "was changed at the destination after it was copied. Kept; --overwrite replaces it"
FIRST = b'{"of": "the source"}'
THEIRS = b'{"of": "the source", "note": "cells 3 to 5 divide"}'


def copied(jobs: Jobs, complete: bool = True) -> None:
    """A copy with attributes, complete or stopped."""
    make_array(jobs.source, (2,))
    write(jobs.source / ".zattrs", FIRST, old=True)
    if complete:
        jobs.start(settle=0.0)
        assert jobs.ends().state is TargetState.COMPLETE
    else:
        jobs.start()
        assert jobs.caught_up()
        jobs.stop()


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "stopped"])
@pytest.mark.parametrize("when", ["since then", "with the time of before"])
def test_annotated_metadata_are_kept_and_named_and_the_copy_is_complete(jobs: Jobs, complete: bool, when: str) -> None:
    copied(jobs, complete)
    write(jobs.destination / ".zattrs", THEIRS, old=when != "since then")
    write(jobs.source / "sidecar.txt", b"more to copy", old=True)
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and f".zattrs {NOTED}" in end.notices
    assert (jobs.destination / ".zattrs").read_bytes() == THEIRS
    assert (jobs.destination / "sidecar.txt").exists()
    sums, facts = receipt_paths(jobs.destination)
    assert ".zattrs" not in sums.read_text() and json.loads(facts.read_text())["kept_files"] == [".zattrs"]
    verified = softcopy("verify", jobs.destination)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("known", "resized"), [(True, False), (False, False), (False, True)], ids=["receipt", "no receipt", "resized"]
)
def test_what_zarr_2_consolidates_is_kept_like_the_metadata_it_is_made_of(
    jobs: Jobs, known: bool, resized: bool
) -> None:
    """People edit attributes in a copy and consolidate it anew: a reader must not be told of the old ones."""

    def consolidate(folder: Path, length: int, **attributes: str) -> bytes:
        parts = {"0/.zarray": json.loads(zarray((length,))), "0/.zattrs": attributes}
        content = json.dumps({"zarr_consolidated_format": 1, "metadata": parts}).encode()
        write(folder / ".zmetadata", content, old=folder == jobs.source)
        return content

    make_array(jobs.source / "0", (2,))
    write(jobs.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    consolidate(jobs.source, 2)
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    if not known:
        for path in receipt_paths(jobs.destination):
            path.unlink()
    theirs = consolidate(jobs.destination, 1 if resized else 2, note="cells 3 to 5 divide")
    write(jobs.source / "sidecar.txt", b"more to copy", old=True)
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert (jobs.destination / ".zmetadata").read_bytes() == theirs
    assert (jobs.destination / "sidecar.txt").exists()
    assert end.state is (TargetState.FAILED if resized else TargetState.COMPLETE), end.reason
    assert f".zmetadata {NOTED}" in end.notices or ".zmetadata was changed at the destination" in end.reason


def test_metadata_that_both_sides_have_changed_fail_the_copy_which_brings_all_else(jobs: Jobs) -> None:
    copied(jobs)
    write(jobs.destination / ".zattrs", THEIRS)
    write(jobs.source / ".zattrs", b'{"of": "the source, later"}', old=True)
    write(jobs.source / "sidecar.txt", b"more to copy", old=True)
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.FAILED
    assert ".zattrs was changed at the destination and at the source after it was copied" in end.reason
    assert (jobs.destination / ".zattrs").read_bytes() == THEIRS
    assert (jobs.destination / "sidecar.txt").exists()
    jobs.start(finish_idle=0.0, overwrite=True)
    assert jobs.ends().state is TargetState.COMPLETE
    assert tree(jobs.destination) == tree(jobs.source)


@pytest.mark.parametrize("edited", [True, False])
def test_metadata_that_only_the_source_has_changed_are_copied(jobs: Jobs, edited: bool) -> None:
    copied(jobs)
    write(jobs.source / ".zattrs", b'{"of": "the source, later"}', old=True)
    if edited:  # by a program that has written the same again
        write(jobs.destination / ".zattrs", FIRST)
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    assert tree(jobs.destination) == tree(jobs.source)


def test_metadata_that_are_changed_at_the_destination_while_the_copy_runs_are_kept(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    write(jobs.source / ".zattrs", FIRST, old=True)
    jobs.start()
    assert until(lambda: (jobs.destination / ".zattrs").exists()) and jobs.caught_up()
    write(jobs.destination / ".zattrs", THEIRS)
    write(jobs.source / ".zattrs", b'{"of": "the source, later"}')
    write(jobs.source / "sidecar.txt", b"more to copy")
    assert until(lambda: (jobs.destination / "sidecar.txt").exists())
    assert jobs.job is not None
    jobs.job.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.FAILED and ".zattrs was changed" in end.reason
    assert (jobs.destination / ".zattrs").read_bytes() == THEIRS


@pytest.mark.parametrize("resized", [False, True])
def test_without_a_receipt_a_newer_file_with_other_attributes_is_kept_and_with_another_shape_named(
    jobs: Jobs, resized: bool, tmp_path: Path
) -> None:
    """As on another computer, after a copy that never came to its end."""
    make_array(jobs.source, (2,))
    jobs.destination.mkdir()
    for name in ("0", "1"):
        write(jobs.destination / name, (jobs.source / name).read_bytes(), old=True)
    theirs = json.dumps({**json.loads(zarray((2,))), "attributes": {"note": "mine"}}).encode()
    write(jobs.destination / ".zarray", theirs)
    if resized:
        write(jobs.source / ".zarray", zarray((1,)), old=True)
        (jobs.source / "1").unlink()
        (jobs.destination / "1").unlink()
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert (jobs.destination / ".zarray").read_bytes() == theirs
    assert end.state is (TargetState.FAILED if resized else TargetState.COMPLETE), end.reason


def test_a_copied_file_that_only_has_another_time_is_copied_again(jobs: Jobs) -> None:
    copied(jobs)
    later = time.time() + 100
    os.utime(jobs.destination / ".zattrs", (later, later))
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE and not any(NOTED in one for one in jobs.now.notices)


@pytest.mark.parametrize("chunk", ["1", "1/0"])
def test_chunks_and_notes_that_were_changed_at_the_destination_are_replaced_and_named_once(
    jobs: Jobs, chunk: str
) -> None:
    make_chunks(jobs.source, 3, together=chunk == "1")
    write(jobs.source / "note.txt", b"of the source", old=True)
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    for name in (chunk, "note.txt"):
        write(jobs.destination / name, b"of somebody who works on the copy")
    jobs.start(settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE
    (notice,) = end.notices
    assert notice.startswith("2 files newer at the destination than at the source, replaced: ")
    assert chunk in notice and "note.txt" in notice
    assert tree(jobs.destination) == tree(jobs.source)
    jobs.start(settle=0.0)
    assert jobs.ends().notices == ()
