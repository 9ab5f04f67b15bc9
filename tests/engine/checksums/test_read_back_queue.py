"""Reading back what has arrived: what `verify: checksum` finds, and the checksums of what an earlier run copied."""

from __future__ import annotations

import os
import sys

import pytest
import xxhash

from softcopy_napari.engine.dispatch import local_processes, retries
from softcopy_napari.engine.fs.hashing import LINK_DIGEST
from softcopy_napari.engine.job import copy_job
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, make_torn_shards, replace, tree, until, write
from tests.support.trees import flip


def known(jobs: Jobs, path: str) -> bytes:
    """The digest of a file that the job has noted."""
    assert jobs.job is not None
    inventory = jobs.job._inventory
    files, one = inventory.locate(path)
    return files.digests(inventory.digests, files.ids([one])).tobytes()


def test_what_was_verified_is_called_so(jobs: Jobs) -> None:
    make_array(jobs.source, (3, 2))
    write(jobs.source / "notes", b"x", old=True)
    os.symlink("notes", jobs.source / "link")
    jobs.start(verify="checksum", settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE
    assert end.counts[ChunkState.VERIFIED] == 6
    assert jobs.equal()


@pytest.mark.parametrize("verify", ["size", "checksum"])
def test_a_shard_without_a_whole_index_that_an_earlier_run_copied_is_named_again(jobs: Jobs, verify: str) -> None:
    make_torn_shards(jobs.source, 1)
    for _ in range(2):
        jobs.start(verify=verify).order("finish")
        end = jobs.ends()
        assert end.state is TargetState.COMPLETE and end.counts[ChunkState.FAILED] == 1 and end.failed_files == 0
        reason = "not whole at the source (copied as it is): c/0 is too short for its index"
        assert end.notices.count(reason) == 1, end.notices
        lines = {path: digest for digest, path in read_lines(receipt_paths(jobs.destination)[0], jobs.destination)}
        assert lines["c/0"] == xxhash.xxh3_128_digest((jobs.source / "c" / "0").read_bytes())


def test_copies_of_an_earlier_run_are_compared_with_the_source(jobs: Jobs) -> None:
    """Size and time agree, so that they are not copied again; only reading shows that they are something else."""
    make_array(jobs.source, (4,))
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    flip(jobs.destination / "2")
    jobs.start(verify="checksum", settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and end.counts[ChunkState.VERIFIED] == 4
    assert jobs.equal()
    assert end.files_copied == 1


FLIPPING = """
import os
from softcopy_napari.engine.worker import file_copier, process
copy = file_copier.FileCopier.copy_file
def faulty(self, path, *more):
    result = copy(self, path, *more)
    if path == "1":
        file = os.path.join(self._destination.root, path)
        found = os.stat(file)
        with open(file, "r+b") as opened:
            first = opened.read(1)
            opened.seek(0)
            opened.write(bytes([first[0] ^ 1]))
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    return result
file_copier.FileCopier.copy_file = faulty
process.main()
"""


def test_a_disk_that_keeps_changing_what_is_written_is_named_and_nothing_is_called_complete(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", FLIPPING])
    monkeypatch.setenv("SOFTCOPY_NATIVE", "0")  # what is replaced here is to be called for every file
    monkeypatch.setattr(retries, "_FIRST", 0.02)
    make_array(jobs.source, (3,))
    jobs.start(verify="checksum", settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.FAILED
    assert "different content" in end.reason and "faulty" in end.reason
    assert end.counts[ChunkState.VERIFIED] == 2 and end.counts[ChunkState.FAILED] == 1


def test_checksums_of_what_an_earlier_run_copied_are_found_at_the_end(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_array(jobs.source, (4,))
    write(jobs.source / "notes", b"text", old=True)
    os.symlink("notes", jobs.source / "link")
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    found: dict[str, bytes] = {}
    confirm_end = copy_job.CopyJob._confirm_end

    def check_end(self: copy_job.CopyJob) -> bool:
        found.update({path: known(jobs, path) for path in ("0", "3", "notes", "link")})
        return confirm_end(self)

    monkeypatch.setattr(copy_job.CopyJob, "_confirm_end", check_end)
    jobs.start(settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and end.files_copied == 0
    for path in ("0", "3", "notes"):
        assert found[path] == xxhash.xxh3_128_digest((jobs.source / path).read_bytes())
    assert found["link"] == LINK_DIGEST


def test_digests_keep_their_chunk_files_when_the_array_grows(jobs: Jobs) -> None:
    make_array(jobs.source, (2, 2))
    (jobs.source / "0.1").unlink()  # else it would be complete, and end
    jobs.start()
    assert until(lambda: jobs.now.counts[ChunkState.COPIED] == 3)
    before = {path: known(jobs, path) for path in ("0.0", "1.0", "1.1")}
    make_array(jobs.source, (3, 3), chunks=False)
    assert until(lambda: jobs.now.chunk_files == 9)
    assert {path: known(jobs, path) for path in before} == before
    assert before["1.1"] == xxhash.xxh3_128_digest((jobs.source / "1.1").read_bytes())


def test_a_rewritten_file_is_verified_in_its_last_version(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    running = jobs.start(verify="checksum")
    for version in range(10):
        replace(jobs.source / "0", b"version %d" % version)
        until(lambda: jobs.now.counts[ChunkState.VERIFIED] == 2, 0.3)
    running.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and end.counts[ChunkState.VERIFIED] == 2
    assert tree(jobs.destination) == tree(jobs.source)
