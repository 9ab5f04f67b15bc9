"""`softcopy` with a destination in an object store: real servers, and every command that takes a destination."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from softcopy_napari.engine.targets.store_url import StoreUrl
from tests.engine.support import make_old, until
from tests.support.command import Softcopy, softcopy, until_status
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore
from tests.support.writers import Writer, write

QUICK = ("--nprocs", "1", "--finish-idle", "1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write("tensorstore", tmp_path / "source.zarr", frames=2)
    make_old(tmp_path / "source.zarr")
    return tmp_path / "source.zarr"


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_copy_is_equal_and_named_and_given_again_sends_nothing(
    source: Path, object_store: ObjectStore, faulty: FaultProxy
) -> None:
    url = object_store.url("lab 1/a.zarr", faulty.endpoint)
    done = softcopy(*QUICK, source, url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert object_store.objects("lab 1/a.zarr") == files_of(source)
    assert f"receipt: {StoreUrl.parse(url).with_name('a.zarr.xxh128')}" in done.stdout
    assert json.loads(object_store.read("lab 1/a.zarr.receipt.json"))["files"] == len(files_of(source))
    ended = softcopy("status")
    assert url in ended.stdout and "Complete" in ended.stdout
    faulty.forget()
    again = softcopy(*QUICK, source, url)
    assert again.returncode == 0 and "0 files copied" in again.stdout, again.stdout
    assert faulty.count("PUT", r"a\.zarr/") == 0
    checked = softcopy("check", "--nprocs", "1", source, url)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_live_copy_is_found_by_its_address_waited_for_and_finished(tmp_path: Path, object_store: ObjectStore) -> None:
    source, url = tmp_path / "source.zarr", object_store.url("a.zarr")
    with Softcopy("--nprocs", "1", "--settle", "1000", source, url) as copy:
        until(lambda: url in softcopy("status").stdout, 90)
        with Writer("tensorstore", source, frames=2, delay=0.05, grow=True):
            reached = softcopy("wait", url, "--until", "0", "--timeout", "100", timeout=110)
            assert reached.returncode == 0, reached.stderr
            assert any(key.startswith("a.zarr/c/0/") for key in object_store.keys("a.zarr/"))
        paused = softcopy("pause", f"{url}&region=eu-1")
        assert paused.returncode == 0, f"it is the same place: {paused.stderr}"
        assert softcopy("resume", url).returncode == 0
        assert softcopy("finish", url).returncode == 0
        assert copy.wait() == 0, copy.output
    assert object_store.objects("a.zarr") == files_of(source)
    assert softcopy("wait", url, "--until", "end", "--timeout", "50").returncode == 0


def test_expired_credentials_pause_with_words_and_the_copy_goes_on_when_they_are_renewed(
    source: Path, object_store: ObjectStore, faulty: FaultProxy
) -> None:
    faulty.inject(Fault.EXPIRED, key="a.zarr/", after=3)
    url = object_store.url("a.zarr", faulty.endpoint)
    with Softcopy("--nprocs", "1", "--finish-idle", "1", source, url) as copy:
        until(lambda: faulty.count(fault=Fault.EXPIRED))
        until_status("the credentials have expired")
        faulty.clear()
        assert copy.wait() == 0, copy.output
    assert object_store.objects("a.zarr") == files_of(source)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://no-such-bucket/a.zarr", "there is no bucket no-such-bucket"),
        ("s3://bucket", "whole bucket"),
        ("s3://key:hush@bucket/a.zarr", "credentials in its address"),
        ("r2://bucket/a.zarr", "write it as in s3://bucket/name.zarr"),
    ],
)
def test_what_cannot_be_copied_to_is_refused_in_one_line_before_anything_is_touched(
    source: Path, moto_store: ObjectStore, store_keys: None, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_store.endpoint)
    done = softcopy(source, url)
    assert done.returncode == 2 and words in done.stderr and "hush" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_source_of_a_copy_in_a_store_is_not_freed(source: Path, object_store: ObjectStore) -> None:
    url = object_store.url("a.zarr")
    refused = softcopy("free", source, url)
    assert refused.returncode == 2 and "only the source of a copy in a folder can be freed" in refused.stderr


def test_other_peoples_tools_open_the_copy(tmp_path: Path, object_store: ObjectStore) -> None:
    """zarr-python and tensorstore read it from the store, each in its own way."""
    import tensorstore as ts
    from obstore.store import S3Store
    from zarr.storage import ObjectStore as ZarrStore

    pixels = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, chunks=(1, 20, 25))
    make_old(tmp_path / "a.zarr")
    assert softcopy(*QUICK, tmp_path / "a.zarr", object_store.url("lab/a.zarr")).returncode == 0
    bucket = S3Store(object_store.bucket, endpoint=object_store.endpoint, client_options={"allow_http": True})
    array = zarr.open_array(ZarrStore(bucket, read_only=True), path="lab/a.zarr", mode="r")
    np.testing.assert_array_equal(array[:], pixels)
    kvstore = {
        "driver": "s3", "bucket": object_store.bucket, "path": "lab/a.zarr/", "endpoint": object_store.endpoint,
        "aws_region": "us-east-1",
    }  # fmt: skip
    stored = ts.open({"driver": "zarr3", "kvstore": kvstore}, open=True).result()
    np.testing.assert_array_equal(stored.read().result(), pixels)


def test_what_lies_in_the_store_is_verified_and_what_was_changed_there_is_named(
    source: Path, object_store: ObjectStore
) -> None:
    url = object_store.url("a.zarr")
    assert softcopy(*QUICK, source, url).returncode == 0
    verified = softcopy("verify", url)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"OK: all {len(files_of(source))} files match" in verified.stdout
    chunk = next(path for path in sorted(files_of(source)) if path.startswith("c/"))
    object_store.write(f"a.zarr/{chunk}", b"something else")
    changed = softcopy("verify", url)
    assert changed.returncode == 1 and chunk in changed.stdout, changed.stdout
    both = softcopy("verify", source, url)
    assert both.returncode == 1 and chunk in both.stdout, both.stdout + both.stderr
