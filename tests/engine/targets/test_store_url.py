"""Addresses of object stores: what names a place in one, and what is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softcopy_napari.engine.errors import ReasonError, TargetsError
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.targets.build import check_targets, make_target
from softcopy_napari.engine.targets.store_url import StoreUrl, StoreUrlError, destination_of, name_of
from softcopy_napari.engine.targets.target import Settings, targets_from_json, targets_to_json
from softcopy_napari.engine.targets.targets_file import dump_targets, load_targets
from softcopy_napari.engine.targets.user_paths import find_address, spell_path, written_destination
from softcopy_napari.engine.wording import describe

ENDPOINT = "http://127.0.0.1:9000"


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("s3://bucket/a.zarr", "s3://bucket/a.zarr"),
        ("S3://bucket/lab/a.zarr/", "s3://bucket/lab/a.zarr"),
        (" 'gs://bucket/a.zarr' ", "gs://bucket/a.zarr"),
        ("az://raw-data/a.zarr?account=lab", "az://raw-data/a.zarr?account=lab"),
        (f"s3://b-1/a?region=eu-1&endpoint={ENDPOINT}/", f"s3://b-1/a?endpoint={ENDPOINT}&region=eu-1"),
        ("s3://bucket/M\u00e4use 3.zarr", "s3://bucket/M\u00e4use 3.zarr"),
        ("s3://bucket/100%.zarr", "s3://bucket/100%.zarr"),
    ],
)
def test_an_address_is_read_and_spelled_in_one_way(written: str, address: str) -> None:
    found = written_destination(written, Path("/here"))
    assert isinstance(found, StoreUrl) and str(found) == address
    assert destination_of(address) == found and find_address(written, is_destination=True) is None
    assert written_destination(spell_path(found), Path("/here")) == found


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("s3://", "names no bucket"),
        ("s3:///a.zarr", "names no bucket"),
        ("s3://bucket", "whole bucket"),
        ("az://container/a.zarr", "names no storage account"),
        ("s3://bucket/", "whole bucket"),
        ("s3://bucket//a.zarr", "empty part"),
        ("s3://bucket/../a.zarr", "empty part"),
        ("s3://bucket/" + "a" * 1000, "too long"),
        ("s3://bucket/a\n.zarr", "no address"),
        ("s3:/bucket/a.zarr", "s3://bucket/name.zarr"),
        ("s3a://bucket/a.zarr", "s3://bucket/name.zarr"),
        ("abfs://container/a.zarr", "az://container/name.zarr"),
        ("s3://bucket/a.zarr?color=red", '"color"'),
        ("gs://bucket/a.zarr?region=x", '"region"'),
        ("s3://bucket/a.zarr?region=a b", "unusable region"),
        ("s3://bucket/a.zarr?endpoint=nas:9000", "unusable endpoint"),
        ("https://bucket/a.zarr", "a web address"),
    ],
)
def test_what_names_no_place_in_a_store_is_refused_with_an_example(written: str, words: str) -> None:
    assert words in describe(find_address(written, is_destination=True))
    with pytest.raises(ReasonError) as refused:
        written_destination(written, Path("/here"))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "written",
    [
        "s3://AKIAKEY:hush@bucket/a.zarr",
        "s3://bucket/a.zarr?secret_access_key=hush",
        "s3://bucket/a.zarr?X-Amz-Signature=hush",
        "az://container/a.zarr?sig=hush",
        "s3://bucket/a.zarr?endpoint=http://user:hush@nas:9000",
    ],
)
def test_credentials_in_an_address_are_refused_and_never_repeated(written: str) -> None:
    with pytest.raises(StoreUrlError) as refused:
        StoreUrl.parse(written)
    words = describe(refused.value.reason)
    assert "credentials" in words and "hush" not in words and "hush" not in str(refused.value)


def test_the_endpoint_of_the_environment_belongs_to_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ENDPOINT)
    found = written_destination("s3://bucket/a.zarr", Path())
    assert str(found) == f"s3://bucket/a.zarr?endpoint={ENDPOINT}"
    other = written_destination("s3://bucket/a.zarr?endpoint=https://other", Path())
    assert str(other) == "s3://bucket/a.zarr?endpoint=https://other"
    assert destination_id(found) != destination_id(other)


def test_one_place_is_one_destination_whoever_writes_there() -> None:
    plain, other = map(StoreUrl.parse, ("s3://bucket/a.zarr", "s3://bucket/a.zarr?profile=lab&region=eu-1"))
    assert plain != other and destination_id(plain) == destination_id(other)
    assert destination_id(plain) != destination_id(StoreUrl.parse("gs://bucket/a.zarr"))


def test_what_lies_beside_and_below_keeps_the_options() -> None:
    found = StoreUrl.parse(f"s3://bucket/lab/a.zarr?endpoint={ENDPOINT}")
    assert found.name == name_of(str(found)) == "a.zarr"
    assert str(found.with_name("a.zarr.receipt.json")) == f"s3://bucket/lab/a.zarr.receipt.json?endpoint={ENDPOINT}"
    assert found.below("0/c/1").prefix == "lab/a.zarr/0/c/1"


def test_a_target_goes_to_another_process_and_into_a_file_with_its_address(tmp_path: Path) -> None:
    target = make_target(tmp_path / "a.zarr", f"s3://bucket/a.zarr?endpoint={ENDPOINT}", Settings())
    sent = targets_to_json([target])
    assert json.loads(sent)[0]["destination"] == f"s3://bucket/a.zarr?endpoint={ENDPOINT}"
    assert targets_from_json(sent) == (target,)
    dump_targets([target], tmp_path / "targets.yaml")
    assert load_targets(tmp_path / "targets.yaml", Settings()) == (target,)


def test_a_source_in_a_store_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match="only a destination may be in an object store"):
        make_target("s3://bucket/a.zarr", tmp_path / "a.zarr", Settings())


def test_a_path_object_of_an_address_is_no_folder_either(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match="write it as in s3://bucket/name"):
        make_target(tmp_path / "a.zarr", Path("s3://bucket/a.zarr"), Settings())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("s3://bucket/lab", "lies inside"),
        ("s3://bucket/lab/a.zarr/labels", "lies inside"),
        ("s3://bucket/lab/a.zarr?profile=x", "the destination of target 2 is the destination of target 1"),
    ],
)
def test_two_targets_must_not_write_into_one_another(tmp_path: Path, other: str, words: str) -> None:
    targets = [
        make_target(tmp_path / "a", "s3://bucket/lab/a.zarr", Settings()),
        make_target(tmp_path / "b", other, Settings()),
    ]
    with pytest.raises(TargetsError, match=words):
        check_targets(targets)
    beside = make_target(tmp_path / "b", "s3://bucket/lab/a.zarr2", Settings())
    check_targets([targets[0], beside])
