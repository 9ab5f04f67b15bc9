"""Copies into object stores, as a whole: two real servers, real faults between, real kills."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import find_unchanged_receipt
from softcopy_napari.engine.state_folder.destination_lock import manifest_path
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.store_jobs import NAME, StoreJobs, jobs_over
from tests.engine.support import make_array, until, write
from tests.support.fault_proxy import Fault, FaultProxy

KEYS = rf"{NAME}/"

jobs = jobs_over((3, 4, 5))


def test_a_copy_is_complete_with_receipt_and_the_next_one_sends_nothing(jobs: StoreJobs) -> None:
    jobs.complete()
    assert jobs.objects() == jobs.source_files()
    receipt = json.loads(jobs.store.read(f"{NAME}.receipt.json"))
    assert receipt["files"] == len(jobs.source_files())
    assert re.fullmatch(rf"s3://{jobs.store.bucket}/{NAME}\?endpoint=.*", receipt["destination"])
    lines = dict(reversed(line.split("  ")) for line in jobs.store.read(f"{NAME}.xxh128").decode().splitlines())
    assert lines == {f"copy.zarr/{path}": xxh3_128_hexdigest(data) for path, data in jobs.source_files().items()}
    progress = [json.loads(line) for line in jobs.store.read(f"{NAME}.progress.jsonl").splitlines()]
    assert progress[0]["event"] == "begin" and progress[-1]["event"] == "complete"
    assert find_unchanged_receipt(FilesBesideStore(jobs.url).fetch_receipts())[1] is not None
    jobs.complete()
    assert jobs.now.files_copied == 0
    assert jobs.objects() == jobs.source_files()


def test_another_computer_goes_on_with_the_manifest(
    jobs: StoreJobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs.complete()
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(tmp_path / "another"))
    write(jobs.source / "0.0.0", b"new content", old=True)
    jobs.complete()
    assert jobs.now.files_copied == 1
    assert jobs.objects() == jobs.source_files()


def test_a_manifest_beside_the_dataset_is_believed_where_the_store_says_the_same(
    jobs: StoreJobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faulty: FaultProxy
) -> None:
    jobs.complete()
    jobs.store.write(f"{NAME}/1.2.3", b"somebody else's")
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(tmp_path / "another"))
    jobs.endpoint = faulty.endpoint
    jobs.start()
    assert until(lambda: any(failure.path == "1.2.3" for failure in jobs.now.failures), 30.0)
    assert jobs.now.files_copied == 0
    assert faulty.count("PUT", KEYS) == 0


def test_a_copy_without_a_manifest_is_recognised_by_its_objects(jobs: StoreJobs) -> None:
    jobs.complete()
    manifest_path(jobs.url).unlink()
    jobs.store.delete(f"{NAME}.softcopy-manifest.gz")
    jobs.complete()
    assert jobs.now.files_copied == 0


def test_equal_objects_that_others_have_put_there_are_taken_over(jobs: StoreJobs) -> None:
    for path, content in jobs.source_files().items():
        jobs.store.write(f"{NAME}/{path}", content)
    jobs.complete(overwrite=True)
    assert jobs.now.files_copied == 0
    assert jobs.store.read(f"{NAME}.receipt.json")


def test_an_object_that_another_has_changed_is_named_and_kept(jobs: StoreJobs) -> None:
    jobs.complete()
    jobs.store.write(f"{NAME}/1.2.3", b"somebody else's")
    jobs.start()
    assert until(lambda: any(failure.path == "1.2.3" for failure in jobs.now.failures), 30.0)
    (failure,) = jobs.now.failures
    assert "which no copy brought there" in str(failure.reason)
    assert jobs.objects()["1.2.3"] == b"somebody else's"
    assert jobs.now.state is not TargetState.COMPLETE
    jobs.stop()
    jobs.complete(overwrite=True)
    assert jobs.objects() == jobs.source_files()


def test_another_datasets_objects_are_not_overwritten(jobs: StoreJobs, tmp_path: Path) -> None:
    jobs.complete()
    before = jobs.objects()
    shutil.rmtree(jobs.source)
    make_array(jobs.source, (2, 2, 2))
    for path in jobs.source.iterdir():
        os.utime(path, (1.5e9, 1.5e9))
    jobs.start()
    end = jobs.ends(30.0)
    assert end.state is TargetState.FAILED and "another dataset" in str(end.reason)
    assert jobs.objects() == before
    jobs.complete(overwrite=True)
    assert jobs.objects() == jobs.source_files()


def test_what_is_verified_is_read_or_told_by_the_store(jobs: StoreJobs) -> None:
    jobs.complete(verify="checksum")
    assert json.loads(jobs.store.read(f"{NAME}.receipt.json"))["verified"] == "checksum"
    assert "checksums match" in str(jobs.now.reason)


def test_a_writer_is_followed(jobs: StoreJobs) -> None:
    (jobs.source / "2.3.4").unlink()
    jobs.start(settle=1000.0, finish_idle=None)
    assert jobs.caught_up(), jobs.now.reason
    write(jobs.source / "0.0.0", b"rewritten")
    (jobs.source / "0.0.1").unlink()
    assert until(lambda: jobs.objects().get("0.0.0") == b"rewritten", 30.0)
    write(jobs.source / "sub" / "notes.txt", b"text", old=True)
    assert until(lambda: jobs.objects().get("sub/notes.txt") == b"text", 30.0)


def objects_put(proxy: FaultProxy) -> list[str]:
    """Return the paths in the dataset of all objects that were put, in that order.

    rclone answers 500 to some of many requests that have it make folders; those are made again, and do not count.
    """
    put = [request for request in proxy.requests if request.method == "PUT" and request.status == 200]
    paths = [request.key.partition(KEYS)[2] for request in put]
    return [path for path in paths if path]


def test_metadata_follow_the_chunk_files_that_they_promise(jobs: StoreJobs, faulty: FaultProxy) -> None:
    for number in range(30):
        make_array(jobs.source / "more" / str(number), (2, 2))
    jobs.endpoint = faulty.endpoint
    jobs.complete()
    put = objects_put(faulty)
    assert sorted(put) == sorted(jobs.source_files())
    assert {path.rpartition("/")[2] for path in put[-31:]} == {".zarray"}, put


def test_during_an_acquisition_metadata_come_when_nothing_waits(jobs: StoreJobs, faulty: FaultProxy) -> None:
    chunk_files = sorted(jobs.source_files().keys() - {".zarray"})
    for path in chunk_files:
        (jobs.source / path).unlink()
    jobs.endpoint = faulty.endpoint
    job = jobs.start(settle=1000.0, finish_idle=None)
    assert until(lambda: list(jobs.objects()) == [".zarray"], 30.0)
    assert jobs.caught_up(), jobs.now.reason
    job.order("pause")
    for path in chunk_files:
        write(jobs.source / path, b"new", old=True)
    write(jobs.source / ".zattrs", b"{}", old=True)
    assert until(lambda: jobs.now.counts[ChunkState.PENDING] == len(chunk_files), 30.0)
    job.order("resume")
    assert jobs.equal()
    assert objects_put(faulty)[-1] == ".zattrs"


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.BROKEN, Fault.DROP, Fault.DROP_ANSWER])
def test_what_passes_is_tried_again(jobs: StoreJobs, faulty: FaultProxy, fault: Fault) -> None:
    jobs.endpoint = faulty.endpoint
    faulty.inject(fault, method="PUT", key=KEYS, after=5, times=10)
    jobs.complete()
    assert faulty.count("PUT", KEYS, fault) == 10
    assert jobs.objects() == jobs.source_files()


def test_an_answer_that_ends_early_is_no_answer(jobs: StoreJobs, faulty: FaultProxy) -> None:
    jobs.endpoint = faulty.endpoint
    faulty.inject(Fault.TRUNCATE, method="GET", times=3)
    jobs.complete(verify="checksum")
    assert jobs.objects() == jobs.source_files()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.EXPIRED, "the credentials have expired"),
        (Fault.DENIED, "refuses: Access Denied"),
        (Fault.SKEWED, "refuses this computer's clock"),
    ],
)
def test_a_refusal_pauses_the_copy_in_words_and_it_goes_on_by_itself(
    jobs: StoreJobs, faulty: FaultProxy, fault: Fault, words: str
) -> None:
    jobs.endpoint = faulty.endpoint
    faulty.inject(fault, key=KEYS, method="PUT", after=10)
    jobs.start()
    assert until(lambda: words in str(jobs.now.reason), 30.0), str(jobs.now.reason)
    faulty.clear()
    end = jobs.ends(60.0)
    assert end.state is TargetState.COMPLETE, str(end.reason)
    assert jobs.objects() == jobs.source_files()


def test_a_server_that_is_away_is_waited_for(jobs: StoreJobs, faulty: FaultProxy) -> None:
    jobs.endpoint = faulty.endpoint
    faulty.inject(Fault.EXPIRED)
    jobs.start()
    assert until(lambda: "the credentials have expired" in str(jobs.now.reason), 30.0), str(jobs.now.reason)
    faulty.clear()
    assert jobs.ends(60.0).state is TargetState.COMPLETE
    assert jobs.objects() == jobs.source_files()


def test_workers_that_are_killed_lose_and_double_nothing(jobs: StoreJobs) -> None:
    for number in range(300):
        write(jobs.source / "files" / f"{number}.bin", os.urandom(2000), old=True)
    jobs.start(finish_idle=3.0)
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline and not jobs.job.ended.is_set():
        for worker in jobs.workers():
            worker.kill()
        time.sleep(0.3)
    assert jobs.ends(90.0).state is TargetState.COMPLETE
    assert jobs.objects() == jobs.source_files()
