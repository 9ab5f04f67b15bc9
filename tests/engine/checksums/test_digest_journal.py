"""A copy that goes on after it was stopped or killed takes the checksums that the run before has left."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from softcopy_napari.engine.checksums.digest_journal import DigestJournal, read_run
from softcopy_napari.engine.checksums.known_digests import are_trusted
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.worker.content_checker import TELLS_CHANGES
from tests.engine.checksums.test_read_back_queue import known
from tests.engine.checksums.test_receipt_reader import FORGED, checksums, complete, forge, of_content
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, replace, tree, until, write
from tests.support.command import Softcopy, softcopy
from tests.support.trees import flip

pytestmark = pytest.mark.skipif(not TELLS_CHANGES, reason="needs to be told when a file was changed")


def left(jobs: Jobs) -> list[Path]:
    """The digests of runs that did not come to their end."""
    return sorted((private_folder("digests") / destination_id(jobs.destination)).glob("*.xxh128"))


def forge_left(path: Path, *cells: int) -> None:
    """Have what a run left say something else of some chunk files of its first array."""
    time.sleep(0.02)  # the system's clock for files goes on
    with open(path, "r+b") as file:
        for cell in cells:
            file.seek(cell * len(FORGED))
            assert file.read(1), "nothing is known of it"
            file.seek(cell * len(FORGED))
            file.write(FORGED)


def stopped_with_all_copied(jobs: Jobs, files: int) -> None:
    jobs.start()
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == files and jobs.now.state is TargetState.CAUGHT_UP)
    time.sleep(0.02)  # the system's clock for files goes on: what is as new as the stop would be read back
    jobs.stop()


def fresh(path: Path) -> None:
    """Have an array be one that is still being acquired."""
    os.utime(path / ".zarray")


def test_what_a_stopped_run_has_copied_is_not_read_back(jobs: Jobs) -> None:
    make_array(jobs.source, (30, 20))
    write(jobs.source / "notes", b"text", old=True)
    fresh(jobs.source)
    stopped_with_all_copied(jobs, 600)
    (run,) = left(jobs)
    forge_left(run, 5, 599)
    index = run.with_suffix(".json")
    index.write_text(json.dumps({**json.loads(index.read_text()), "others": {"notes": FORGED.hex()}}))
    complete(jobs)
    found = checksums(jobs)
    assert (found["0.5"], found["29.19"], found["notes"]) == (FORGED, FORGED, FORGED)
    assert found["0.6"] == of_content(jobs.source / "0.6")
    assert found[".zarray"] == of_content(jobs.source / ".zarray")
    assert not left(jobs) and not run.parent.exists(), "there is a receipt now"


def test_what_a_killed_engine_has_copied_is_not_read_back(jobs: Jobs) -> None:
    make_array(jobs.source, (4,))
    fresh(jobs.source)
    with Softcopy("--nprocs", "1", jobs.source, jobs.destination) as copy:
        assert until(lambda: left(jobs) and left(jobs)[0].with_suffix(".json").exists(), 20.0)
        assert until(lambda: left(jobs)[0].stat().st_size == 4 * len(FORGED))
        assert until(lambda: read_run(left(jobs)[0]).since > (jobs.destination / "3").stat().st_ctime_ns)
        copy.process.kill()
    forge_left(left(jobs)[0], 2)
    done = softcopy("--nprocs", "1", "--finish-idle", "0", jobs.source, jobs.destination)
    assert done.returncode == 0, done.stdout
    assert checksums(jobs)["2"] == FORGED
    assert checksums(jobs)["1"] == of_content(jobs.source / "1")


def test_what_has_changed_at_the_destination_since_is_read_back(jobs: Jobs) -> None:
    make_array(jobs.source, (4,))
    fresh(jobs.source)
    stopped_with_all_copied(jobs, 4)
    forge_left(left(jobs)[0], 1, 2)
    time.sleep(0.02)
    flip(jobs.destination / "2")
    complete(jobs)
    assert checksums(jobs)["1"] == FORGED
    assert checksums(jobs)["2"] == of_content(jobs.destination / "2")


def test_chunk_files_of_an_array_that_has_grown_keep_theirs(jobs: Jobs) -> None:
    make_array(jobs.source, (3, 3))
    fresh(jobs.source)
    stopped_with_all_copied(jobs, 9)
    forge_left(left(jobs)[0], 0, 8)
    make_array(jobs.source, (4, 5), chunks=False, old=False)
    write(jobs.source / "3.4", b"new", old=True)
    write(jobs.source / "0.1", b"another version")
    complete(jobs, finish_idle=0.0)
    found = checksums(jobs)
    assert (found["0.0"], found["2.2"]) == (FORGED, FORGED)
    assert all(found[key] == of_content(jobs.source / key) for key in ("1.1", "2.1", "3.4", "0.1"))
    assert tree(jobs.destination) == tree(jobs.source)


def test_several_runs_and_a_receipt_come_together(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    complete(jobs)
    forge(jobs, "0")
    for more in (1, 2):
        make_array(jobs.source, (2 + more,), chunks=False, old=False)
        write(jobs.source / f"{1 + more}", b"more" * more)
        stopped_with_all_copied(jobs, 2 + more)
    first, second = left(jobs)
    forge_left(first, 2)
    forge_left(second, 3)
    complete(jobs)
    found = checksums(jobs)
    assert (found["0"], found["2"], found["3"]) == (FORGED, FORGED, FORGED)
    assert found["1"] == of_content(jobs.source / "1")


def test_nothing_is_left_of_what_was_being_copied_once_more(jobs: Jobs) -> None:
    """Its new version may have arrived, and nobody have been told."""
    make_array(jobs.source, (4,))
    write(jobs.source / "notes", b"text", old=True)
    fresh(jobs.source)
    jobs.start(nprocs=1)
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 4 and jobs.now.state is TargetState.CAUGHT_UP)
    assert known(jobs, "1") == of_content(jobs.source / "1")
    (worker,) = jobs.workers()
    worker.suspend()
    try:
        for path in ("1", "notes"):
            replace(jobs.source / path, b"another version")
        assert until(lambda: known(jobs, "1") == NO_DIGEST)
        assert until(lambda: jobs.job is not None and "notes" not in jobs.job._inventory.digests.others)
        assert known(jobs, "2") == of_content(jobs.source / "2")
    finally:
        worker.resume()
    assert until(lambda: known(jobs, "1") == of_content(jobs.source / "1"))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"arrays": {"": 1}, "others": {}}', '{"arrays": {"": [[4], 99]}, "others": {"x": "zz"}}',
     '{"arrays": {"": [[9, 9], 0]}, "others": {}}', '{"arrays": {"": [[1e400], -1]}, "others": {}}',
     '{"arrays": {"": [[0], 0]}, "others": {}}', '{"arrays": {"": [[4], 99999999999999999999]}, "others": {}}',
     '{"arrays": {"": [[1000], 5000]}, "others": {}}'],
)  # fmt: skip
def test_what_cannot_be_read_of_it_is_read_back(jobs: Jobs, text: str) -> None:
    make_array(jobs.source, (4,))
    fresh(jobs.source)
    stopped_with_all_copied(jobs, 4)
    left(jobs)[0].with_suffix(".json").write_text(text)
    complete(jobs)
    assert all(digest == of_content(jobs.source / path) for path, digest in checksums(jobs).items())


def test_what_lies_there_for_months_is_removed_and_nothing_that_is_not_ours(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    others = private_folder("digests") / "another destination"
    recent = private_folder("digests") / "a recent one"
    for folder in (others, recent):
        for name in ("123.xxh128", "123.json", "123.clock", "notes.json"):
            write(folder / name, b"x")
    os.utime(others, ns=(0, 0))
    complete(jobs)
    assert [path.name for path in others.iterdir()] == ["notes.json"]
    assert len(list(recent.iterdir())) == 4


@pytest.mark.parametrize(
    ("clock", "runs", "trusted"),
    [
        (100, [(70, 80), (40, 50)], [True, True]),
        (100, [], []),
        (100, [(0, 0), (40, 50)], [False, False]),  # nobody knows when the later one began
        (45, [(40, 50)], [False]),  # set back since
        (100, [(45, 80), (40, 50)], [True, False]),  # set back between the two, and past both by now
        (0, [(40, 50)], [False]),
    ],
)
def test_what_was_known_before_a_clock_was_set_back_is_not_believed(
    clock: int, runs: list[tuple[int, int]], trusted: list[bool]
) -> None:
    assert are_trusted(clock, runs) == trusted


def test_a_run_during_which_the_clock_is_set_back_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    journal = DigestJournal(tmp_path / "destination")
    for clock, left_then in ((50, (50, 50)), (60, (50, 60)), (0, (50, 60)), (20, (20, 0)), (70, (20, 0))):
        journal.note_clock(clock)
        write(journal.path.with_suffix(".json"), b'{"arrays": {}, "others": {}}')
        (run,) = DigestJournal(tmp_path / "destination").read_earlier_runs()
        assert (run.begun, run.since) == left_then
