"""A copy that is run again takes checksums from the receipt of the one before, and only those that still hold."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.checksums import receipt_reader
from softcopy_napari.engine.checksums.read_back_queue import ReadBackQueue, VerifyBatch
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import find_receipt, write_receipt
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, tree, write
from tests.support.trees import flip

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not tell when a file was changed")

FORGED = b"\x5a" * 16
"""No file's checksum: whatever has it was not read."""


def complete(jobs: Jobs, **settings: object) -> None:
    jobs.start(**{"finish_idle": 0.0, **settings})
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE, end.reason


def checksums(jobs: Jobs) -> dict[str, bytes]:
    return {path: digest for digest, path in read_lines(find_receipt(jobs.destination)[0], jobs.destination)}


def forge(jobs: Jobs, *paths: str) -> None:
    """Have the receipt say something else of some files, as if it had always done so."""
    found, facts = find_receipt(jobs.destination)
    assert facts is not None
    lines = [(FORGED if path in paths else digest, path) for path, digest in checksums(jobs).items()]
    time.sleep(0.02)  # the system's clock for files goes on
    assert write_receipt(jobs.destination, lines, facts) == found


def of_content(path: Path) -> bytes:
    return xxh3_128_digest(path.read_bytes())


def test_what_has_not_changed_is_not_read_back(jobs: Jobs) -> None:
    make_array(jobs.source, (40, 30))
    write(jobs.source / "notes", b"text", old=True)
    os.symlink("notes", jobs.source / "link")
    complete(jobs)
    before = checksums(jobs)
    forge(jobs, "7.7", "39.29", "notes")
    complete(jobs)
    assert checksums(jobs) == {**before, "7.7": FORGED, "39.29": FORGED, "notes": FORGED}
    assert "link" not in before


@pytest.mark.parametrize("changed", ["nothing", "permissions"])
def test_no_file_is_looked_at_once_more_where_none_has_changed_since_the_receipt(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """The comparison has just looked at all of them."""
    make_array(jobs.source, (4, 3))
    write(jobs.source / "notes", b"text", old=True)
    complete(jobs)
    if changed == "permissions":
        time.sleep(0.02)
        (jobs.destination / "2.1").chmod(0o600)
    looked_at: list[str] = []
    take_batch = ReadBackQueue.take_batch

    def record(queue: ReadBackQueue, limit: int, now: float) -> VerifyBatch | None:
        if (taken := take_batch(queue, limit, now)) is not None:
            looked_at.extend(taken.batch.paths)
        return taken

    monkeypatch.setattr(ReadBackQueue, "take_batch", record)
    before = checksums(jobs)
    complete(jobs)
    assert checksums(jobs) == before
    assert bool(looked_at) == (changed != "nothing")


def test_what_was_changed_at_the_destination_since_is_read_back(jobs: Jobs) -> None:
    make_array(jobs.source, (4,))
    complete(jobs)
    forge(jobs, "1", "2")
    time.sleep(0.02)
    flip(jobs.destination / "2")
    complete(jobs)
    assert checksums(jobs)["1"] == FORGED
    assert checksums(jobs)["2"] == of_content(jobs.destination / "2")


def test_what_was_copied_since_has_the_checksum_of_its_last_version(jobs: Jobs) -> None:
    make_array(jobs.source, (2, 2))
    complete(jobs)
    forge(jobs, "0.0", "0.1", "1.1")
    write(jobs.source / "0.1", b"another version")
    make_array(jobs.source, (3, 3), chunks=False, old=False)  # it has grown
    write(jobs.source / "2.2", b"new", old=True)
    complete(jobs, finish_idle=0.0)
    found = checksums(jobs)
    assert (found["0.0"], found["1.1"]) == (FORGED, FORGED)
    assert found["0.1"] == of_content(jobs.source / "0.1")
    assert found["2.2"] == of_content(jobs.source / "2.2")
    assert tree(jobs.destination) == tree(jobs.source)


def test_a_receipt_that_somebody_has_changed_is_not_believed(jobs: Jobs) -> None:
    make_array(jobs.source, (3,))
    complete(jobs)
    before = checksums(jobs)
    sums = find_receipt(jobs.destination)[0]
    sums.write_bytes(sums.read_bytes().replace(before["1"].hex().encode(), FORGED.hex().encode()))
    complete(jobs)
    assert checksums(jobs) == before


def test_a_receipt_without_facts_is_not_believed(jobs: Jobs) -> None:
    make_array(jobs.source, (3,))
    complete(jobs)
    before = checksums(jobs)
    forge(jobs, "1")
    jobs.destination.with_name("destination.receipt.json").unlink()
    complete(jobs)
    assert checksums(jobs) == before


def test_who_asks_for_checksums_gets_everything_read(jobs: Jobs) -> None:
    make_array(jobs.source, (3,))
    complete(jobs)
    before = checksums(jobs)
    forge(jobs, "1")
    complete(jobs, verify="checksum")
    assert jobs.now.counts[ChunkState.VERIFIED] == 3
    assert checksums(jobs) == before


def test_a_job_that_is_stopped_while_a_long_receipt_is_read_ends(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_reader, "_BLOCK", 1)
    make_array(jobs.source, (100,))
    complete(jobs)
    taken = []
    take = receipt_reader.ReceiptReader._add_lines

    def slow(self: receipt_reader.ReceiptReader, *block: object) -> None:
        taken.append(block)
        if len(taken) == 3:
            assert jobs.job is not None
            jobs.job.order("stop")
        take(self, *block)  # type: ignore[arg-type]

    monkeypatch.setattr(receipt_reader.ReceiptReader, "_add_lines", slow)
    jobs.start(settle=0.0)
    assert jobs.ends().state in (TargetState.STOPPED, TargetState.COMPLETE)
