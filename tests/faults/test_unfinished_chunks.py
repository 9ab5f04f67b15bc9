"""Chunk files that cannot be whole: never called copied, named when nobody can finish them, and no reason to fail."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import xxhash

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.source import source_tracker, walk_schedule
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.watch.watcher import NoWatcher
from tests.engine.jobs import Jobs
from tests.engine.support import make_old, tree, until, write

WHOLE = b"image" * 400
REASON = "ends early: 1,999 of 2,000 bytes"
NOTE = "not whole at the source (copied as it is): {} " + REASON


def make_raw_array(folder: Path, count: int) -> None:
    """An array of uncompressed chunks `0`, `1`, ... without its chunk files."""
    metadata = {
        "zarr_format": 2, "shape": [count * 2000], "chunks": [2000], "dtype": "|u1", "compressor": None,
        "filters": None, "fill_value": 0, "order": "C",
    }  # fmt: skip
    write(folder / ".zarray", json.dumps(metadata).encode(), old=True)


def made(jobs: Jobs, count: int, short: int) -> None:
    """An old array, of which the last chunks are too short."""
    make_raw_array(jobs.source, count)
    for number in range(count):
        write(jobs.source / str(number), WHOLE[: -1 if number >= count - short else None])
    make_old(jobs.source)


def counts(end: TargetSnapshot) -> dict[str, int]:
    return {state.name: count for state, count in zip(ChunkState, end.counts, strict=True) if count}


@pytest.mark.parametrize("verify", ["size", "checksum"])
def test_what_nobody_finishes_is_copied_at_the_end_named_and_not_counted_as_copied(jobs: Jobs, verify: str) -> None:
    made(jobs, 3, short=1)
    running = jobs.start(verify=verify)
    whole = {"size": "COPIED", "checksum": "VERIFIED"}[verify]
    assert until(lambda: counts(jobs.now) == {whole: 2, "WRITING": 1})
    assert not (jobs.destination / "2").exists(), "its writer may finish it"
    running.order("finish")
    for again in (False, True):
        end = jobs.ends()
        assert (end.state, counts(end)) == (TargetState.COMPLETE, {whole: 2, "FAILED": 1})
        assert NOTE.format("2") in end.notices and end.failed_files == 0
        assert tree(jobs.source) == tree(jobs.destination)
        sums, _ = receipt_paths(jobs.destination)
        lines = {path: digest for digest, path in read_lines(sums, jobs.destination)}
        assert lines["2"] == xxhash.xxh3_128_digest(WHOLE[:-1]), "`verify` must find what was damaged on its way"
        if not again:
            jobs.start(verify=verify, settle=0.0)


def test_an_old_dataset_with_a_short_chunk_ends_by_itself_and_one_that_is_written_waits_for_it(jobs: Jobs) -> None:
    made(jobs, 3, short=1)
    jobs.start(settle=0.0)
    assert counts(jobs.ends()) == {"COPIED": 2, "FAILED": 1}
    shutil.rmtree(jobs.source)
    shutil.rmtree(jobs.destination)
    made(jobs, 2, short=1)
    (jobs.source / "0").unlink()
    running = jobs.start(settle=0.0)
    assert jobs.caught_up()
    write(jobs.source / "0", WHOLE)
    assert until(lambda: "1 is not whole yet" in jobs.now.reason), jobs.now.reason
    running.order("finish")
    assert jobs.ends().state is TargetState.COMPLETE


def test_a_writer_that_comes_back_to_a_chunk_finishes_it(jobs: Jobs) -> None:
    made(jobs, 2, short=2)
    jobs.start(finish_idle=0.0)
    assert jobs.ends().counts[ChunkState.FAILED] == 2
    write(jobs.source / "0", WHOLE)
    jobs.start(finish_idle=0.0)
    end = jobs.ends()
    assert counts(end) == {"COPIED": 1, "FAILED": 1} and NOTE.format("0") not in end.notices
    assert tree(jobs.source) == tree(jobs.destination)


def test_an_end_that_was_declared_too_early_can_be_taken_back(jobs: Jobs) -> None:
    made(jobs, 3, short=0)
    (jobs.source / "2").unlink()
    running = jobs.start()
    assert jobs.caught_up() and not jobs.now.told_to_finish
    with open(jobs.source / "2", "wb") as held:  # its writer is at work: the end waits for it
        held.write(WHOLE[:4])
        held.flush()
        assert until(lambda: jobs.now.counts[ChunkState.WRITING])
        assert jobs.now.quiet is not None and jobs.now.quiet < 60
        running.order("finish")
        assert until(lambda: jobs.now.state is TargetState.FINISHING and jobs.now.told_to_finish)
        running.order("unfinish")
        assert until(lambda: jobs.now.state in (TargetState.COPYING, TargetState.CAUGHT_UP))
        assert not jobs.now.told_to_finish
        held.write(WHOLE[4:])
    assert until(lambda: (jobs.destination / "2").exists()), "what comes is copied on"
    running.order("finish")
    assert jobs.ends().state is TargetState.COMPLETE
    assert tree(jobs.source) == tree(jobs.destination)


def test_only_the_first_of_many_are_named(jobs: Jobs) -> None:
    made(jobs, 30, short=25)
    jobs.start(finish_idle=0.0)
    notices = jobs.ends().notices
    assert len([notice for notice in notices if notice.endswith(REASON)]) == 20
    assert "not whole at the source (copied as they are): 25 files in all" in notices


class TestWhereNothingTellsOfClosing:
    """A share: only walks see what comes, and a file may still be written to."""

    @pytest.fixture(autouse=True)
    def blind(self, monkeypatch: pytest.MonkeyPatch, jobs: Jobs) -> None:
        watcher = NoWatcher(lambda: None)
        watcher.problem = quote_text("a share")
        monkeypatch.setattr(source_tracker, "make_watcher", lambda *_: watcher)
        monkeypatch.setattr(walk_schedule, "_BLIND_INTERVAL", 0.1)
        monkeypatch.setattr(walk_schedule, "_WALK_INTERVAL", 0.1)

    def test_a_chunk_that_proves_whole_needs_no_quiet_time(self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        from softcopy_napari.engine.job import job_parts

        for module in (source_tracker, job_parts):
            monkeypatch.setattr(module, "QUIET", 30.0)
        make_raw_array(jobs.source, 4)
        write(jobs.source / "0", WHOLE)
        jobs.start()
        assert until(lambda: (jobs.destination / "0").exists())
        write(jobs.source / "1", WHOLE)
        write(jobs.source / "2", WHOLE[:1000])
        write(jobs.source / "3", bytes(2000))  # made of full size: nothing tells whether it was filled
        assert until(lambda: (jobs.destination / "1").exists())
        assert until(lambda: counts(jobs.now) == {"COPIED": 2, "WRITING": 2})
        write(jobs.source / "2", WHOLE)
        assert until(lambda: (jobs.destination / "2").exists())
        assert not (jobs.destination / "3").exists()

    def test_a_chunk_that_is_filled_slowly_is_never_seen_half(self, jobs: Jobs) -> None:
        make_raw_array(jobs.source, 2)
        jobs.start()
        seen = set()
        with open(jobs.source / "0", "wb", buffering=0) as grows, open(jobs.source / "1", "wb", buffering=0) as filled:
            filled.write(bytes(2000))
            filled.seek(0)
            for part in range(20):
                grows.write(WHOLE[part * 100 : part * 100 + 100])
                filled.write(WHOLE[part * 100 : part * 100 + 100])
                deadline = time.monotonic() + 0.1
                while time.monotonic() < deadline:
                    seen |= {content for path, content in tree(jobs.destination).items() if path in ("0", "1")}
        assert jobs.equal()
        assert seen <= {WHOLE}

    def test_a_chunk_that_is_written_over_waits_for_quiet(self, jobs: Jobs) -> None:
        """While it is, its size is right and its end is that of the version before."""
        make_raw_array(jobs.source, 1)
        write(jobs.source / "0", WHOLE, old=True)
        jobs.start()
        assert jobs.equal()
        new = bytes(reversed(WHOLE))
        with open(jobs.source / "0", "r+b", buffering=0) as file:
            for part in range(20):
                file.write(new[part * 100 : part * 100 + 100])
                deadline = time.monotonic() + 0.1
                while time.monotonic() < deadline:
                    assert (jobs.destination / "0").read_bytes() == WHOLE
        assert until(lambda: (jobs.destination / "0").read_bytes() == new)
        assert os.stat(jobs.source / "0").st_mtime_ns == os.stat(jobs.destination / "0").st_mtime_ns
