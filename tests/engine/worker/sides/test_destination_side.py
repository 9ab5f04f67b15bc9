"""What every side of a destination does: local folders with and without the library, and object stores."""

from __future__ import annotations

import errno
import os
from collections import Counter

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding
from tests.engine.worker.sides.conftest import Sides

LARGE = b"0123456789abcdef" * (40 << 16)
"""40 MiB: sent to a store in parts."""


def outcomes(results: list) -> list[CopyOutcome]:
    return [result.outcome for result in results]


def test_files_arrive_as_they_are_with_their_digests(sides: Sides) -> None:
    contents = {
        "zarr.json": b'{"zarr_format": 3, "node_type": "group"}',
        "0/zarr.json": b"{}",
        "0/c/0/0": b"a" * 1000,
        "0/c/0/1": b"",
        "0/c/10/0": os.urandom(200_000),
        "labels/with blank/\u00e9 #%20+&.txt": b"name",
    }
    for path, content in contents.items():
        sides.write(path, content)
    results = sides.copy(*contents)
    assert outcomes(results) == [CopyOutcome.COPIED] * len(contents)
    assert [result.digest for result in results] == [xxh3_128_digest(content) for content in contents.values()]
    assert [result.size for result in results] == [len(content) for content in contents.values()]
    assert [result.modified for result in results] == [os.stat(sides.source / p).st_mtime_ns for p in contents]
    assert sides.files() == contents


def test_a_large_file_arrives_whole(sides: Sides) -> None:
    sides.write("0/c/0", LARGE + b"end")
    (result,) = sides.copy("0/c/0")
    assert (result.outcome, result.digest) == (CopyOutcome.COPIED, xxh3_128_digest(LARGE + b"end"))
    assert sides.files() == {"0/c/0": LARGE + b"end"}
    assert sides.walk()["0/c"].same == ["0"]


def test_a_walk_tells_what_is_equal_missing_different_and_only_there(sides: Sides) -> None:
    for path in ("a.txt", "0/c/0", "0/c/1", "0/c/2", "1/c/0", "1/gone"):
        sides.write(path, path.encode())
    sides.copy("a.txt", "0/c/0", "0/c/1", "1/c/0", "1/gone")
    sides.write("0/c/1", b"written again")
    (sides.source / "1/gone").unlink()
    (sides.source / "1/c/0").unlink()
    (sides.source / "1/c").rmdir()
    found = sides.walk()
    assert found[""].same == ["a.txt"] and found[""].different == []
    assert found["0/c"].same == ["0"] and sorted(found["0/c"].different) == ["1", "2"]
    assert sorted(found["1"].extra) == ["c/", "gone"]
    assert not any(part.extra for folder, part in found.items() if folder != "1")


def test_a_walk_by_another_process_knows_what_was_copied(sides: Sides) -> None:
    paths = [f"0/c/{number}" for number in range(50)]
    for path in paths:
        sides.write(path, path.encode() * 100)
    sides.copy(*paths)
    sides.start()
    assert sides.reach() is None
    found = sides.walk()["0/c"]
    assert sorted(found.same) == sorted(path[4:] for path in paths) and not found.different


def test_a_new_version_replaces_the_old_one(sides: Sides) -> None:
    sides.write("0/c/0", b"old")
    sides.copy("0/c/0")
    sides.write("0/c/0", b"newer")
    assert sides.walk()["0/c"].different == ["0"]
    assert outcomes(sides.copy("0/c/0")) == [CopyOutcome.COPIED]
    assert sides.files() == {"0/c/0": b"newer"}
    assert sides.walk()["0/c"].same == ["0"]


def test_what_changes_while_it_is_read_is_not_published(sides: Sides) -> None:
    sides.write("0/c/0", LARGE)
    sides.copy("0/c/0")
    there = sides.write("0/c/0", LARGE + b"second version")

    def grow(size: int) -> None:
        if size:
            with there.open("ab") as file:
                file.write(b"more")
            sides.on_block = lambda size: None

    sides.on_block = grow
    assert outcomes(sides.copy("0/c/0")) == [CopyOutcome.CHANGED]
    assert sides.files() == {"0/c/0": LARGE}
    assert sides.walk()["0/c"].different == ["0"]


def test_a_worker_that_is_stopped_leaves_no_part_of_a_file(sides: Sides) -> None:
    sides.write("0/c/0", LARGE)

    def stop(size: int) -> None:
        sides.stopping = sides.stopping or size > 0

    sides.on_block = stop
    assert outcomes(sides.copy("0/c/0")) == [CopyOutcome.STOPPED]
    assert sides.files() == {}


def test_a_torn_chunk_is_published_only_if_nobody_will_complete_it(sides: Sides) -> None:
    sides.write("0/c/0", b"\0" * 100)
    rules = PublishRules(ChunkEncoding("raw", 200))
    (result,) = sides.copy("0/c/0", rules=rules)
    assert result.outcome is CopyOutcome.TORN and result.reason is not None
    assert sides.files() == {}
    assert outcomes(sides.copy("0/c/0", rules=rules._replace(as_it_is=True))) == [CopyOutcome.DAMAGED]
    assert sides.files() == {"0/c/0": b"\0" * 100}


def test_a_file_that_may_still_be_written_waits(sides: Sides) -> None:
    (sides.source / "log.txt").write_bytes(b"half")
    assert outcomes(sides.copy("log.txt", rules=PublishRules(quiet=60.0), unsettled=["log.txt"])) == [CopyOutcome.TORN]
    assert sides.files() == {}


def test_a_file_that_its_writer_lets_nobody_open_waits(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(RootFolder, "open_for_reading", refuse)
    (sides.source / "log.txt").write_bytes(b"half")
    assert outcomes(sides.copy("log.txt", rules=PublishRules(quiet=60.0), unsettled=["log.txt"])) == [CopyOutcome.TORN]


def test_only_what_its_writer_deleted_is_deleted(sides: Sides) -> None:
    for path in ("0/c/0", "0/c/1", "0/c/2"):
        sides.write(path, path.encode())
    sides.copy("0/c/0", "0/c/1", "0/c/2")
    (sides.source / "0/c/0").unlink()
    (sides.source / "0/c/1").unlink()
    assert outcomes(sides.copy("0/c/0", "0/c/1", gone=["0/c/1"])) == [CopyOutcome.VANISHED, CopyOutcome.DELETED]
    assert sides.files() == {"0/c/0": b"0/c/0", "0/c/2": b"0/c/2"}
    assert sides.walk()["0/c"].extra == ["0"]


def test_metadata_that_others_edited_are_kept(sides: Sides) -> None:
    sides.write("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    (result,) = sides.copy("zarr.json")
    edited = b'{"zarr_format": 3, "node_type": "group", "attributes": {"seen": "by eye"}}'
    sides.change("zarr.json", edited)
    assert sides.walk()[""].different == ["zarr.json"]
    rules = PublishRules(copied_metadata={"zarr.json": result.digest})
    (kept,) = sides.copy("zarr.json", rules=rules)
    assert (kept.outcome, kept.reason) == (CopyOutcome.KEPT, None)
    sides.write("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}')
    (both,) = sides.copy("zarr.json", rules=rules)
    assert both.outcome is CopyOutcome.KEPT and both.reason is not None
    assert both.reason.code == ReasonCode.EDITED_ON_BOTH_SIDES
    assert sides.files() == {"zarr.json": edited}
    sides.start(overwrite=True)
    assert sides.reach() is None
    assert outcomes(sides.copy("zarr.json")) == [CopyOutcome.COPIED]
    assert sides.files() == {"zarr.json": (sides.source / "zarr.json").read_bytes()}


def test_what_is_read_back_is_compared_byte_for_byte(sides: Sides) -> None:
    paths = ["0/c/0", "0/c/1", "0/c/2", "0/c/3"]
    for path in paths:
        sides.write(path, path.encode() * 10)
    digests = [result.digest for result in sides.copy(*paths)]
    sides.change("0/c/1", b"X" + b"0/c/1" * 10)
    sides.change("0/c/2", b"0/c/2" * 9 + b"0/c/X")
    sides.write("0/c/4", b"never copied")
    done = sides.verify(*paths, "0/c/4", digests=[*digests, xxh3_128_digest(b"never copied")])
    assert list(done.outcomes) == [
        CheckOutcome.EQUAL, CheckOutcome.CHANGED, CheckOutcome.CHANGED, CheckOutcome.EQUAL, CheckOutcome.MISSING
    ]  # fmt: skip
    assert set(done.reasons) == {1, 2}
    assert done.digests[:16] == digests[0]


def test_digests_that_are_not_known_are_found(sides: Sides) -> None:
    sides.write("0/c/0", b"content")
    sides.copy("0/c/0")
    done = sides.verify("0/c/0")
    assert list(done.outcomes) == [CheckOutcome.HASHED] and done.digests == xxh3_128_digest(b"content")
    done = sides.verify("0/c/0", against_source=True)
    assert list(done.outcomes) == [CheckOutcome.EQUAL] and done.digests == xxh3_128_digest(b"content")


def test_many_files_arrive_in_any_number_of_requests(sides: Sides) -> None:
    contents = {f"0/c/{number // 20}/{number % 20}": os.urandom(number * 10) for number in range(200)}
    for path, content in contents.items():
        sides.write(path, content)
    assert Counter(outcomes(sides.copy(*contents))) == {CopyOutcome.COPIED: 200}
    assert sides.files() == contents


def test_a_source_that_cannot_be_read_is_named(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(sides.source / "fifo")
    sides.write("good", b"good")
    results = sides.copy("fifo", "good")
    assert outcomes(results) == [CopyOutcome.FAILED, CopyOutcome.COPIED] and results[0].reason is not None
    assert sides.files() == {"good": b"good"}


def test_an_error_of_the_source_is_not_taken_for_one_of_the_destination(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    sides.write("0/c/0", LARGE)
    monkeypatch.setattr(os, "pread", fail)
    (result,) = sides.copy("0/c/0", rules=PublishRules(ChunkEncoding("zstd")))
    assert result.outcome is CopyOutcome.FAILED and result.reason is not None
    assert result.reason.code is ReasonCode.READ_FAILED


def test_a_destination_that_is_taken_away_is_a_problem_not_a_failure_of_files(sides: Sides) -> None:
    sides.write("0/c/0", b"content")
    sides.take_away()
    problem = sides.reach(claim=False)
    if problem is None:  # a store is asked with each request
        (result,) = sides.copy("0/c/0")
        assert result.outcome is CopyOutcome.BLOCKED and result.error is not None
        problem = sides.side.diagnose(result.error)
    assert problem.out_of_reach
    problem = sides.reach(claim=False)
    assert problem is not None and problem.out_of_reach


def test_there_is_nothing_left_to_flush_or_sweep(sides: Sides) -> None:
    sides.write("0/c/0", b"content")
    sides.copy("0/c/0")
    assert sides.side.open() is None
    sides.side.remove_temporaries(["", "0/c"], ".softcopy-run-1.tmp")
    count, failed = sides.side.flush_files(["0/c/0"], lambda: True)
    assert (count, failed) == (1, {}) and sides.side.flush() == ""
    sides.side.release()
    sides.side.close()
    assert sides.files() == {"0/c/0": b"content"}
    assert sides.side.measure_free_space().source_free > 0
