"""Reading arrays and metadata in object stores, from real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.plugin.viewer.dataset_files import path_in, read_metadata_of
from softcopy_napari.plugin.viewer.zarr_reader import CannotShow, open_array
from tests.plugin.viewer.stored_arrays import each_stored_array
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore

pytestmark = pytest.mark.either_binding


def _upload(store: ObjectStore, folder: Path, name: str) -> str:
    """Put a folder's files into the store; returns the address."""
    for file in folder.rglob("*"):
        if file.is_file():
            store.write(f"{name}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return str(StoreUrl.parse(store.url(name)))


@each_stored_array
def test_pixels_are_read_as_they_were_written(
    tmp_path: Path, object_store: ObjectStore, kwargs: Any, shape: Any
) -> None:
    if "shards" in kwargs and not object_store.answers_ranges:
        pytest.skip("parts of a shard cannot be read from this server")
    pixels = np.random.default_rng(0).integers(1, 60_000, shape, dtype=np.uint16)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, **kwargs)
    reader = open_array(_upload(object_store, tmp_path / "a.zarr", "lab 1/M\u00e4use.zarr"), kwargs["zarr_format"])
    assert reader is not None and reader.shape == shape and reader.chunk == kwargs["chunks"]
    whole = tuple(slice(0, n) for n in shape)
    np.testing.assert_array_equal(reader.read(whole), pixels)


def test_a_chunk_that_has_not_arrived_has_the_fill_value_until_it_has(
    tmp_path: Path, object_store: ObjectStore
) -> None:
    array = zarr.create_array(tmp_path / "a", shape=(4, 8), chunks=(1, 8), dtype="uint16", fill_value=7)
    array[:] = 9
    chunk = tmp_path / "a/c/1/0"
    content = chunk.read_bytes()
    chunk.unlink()
    reader = open_array(_upload(object_store, tmp_path / "a", "a.zarr"), 3)
    assert reader is not None
    assert reader.read((slice(0, 4), slice(0, 8)))[:, 0].tolist() == [9, 7, 9, 9]
    object_store.write("a.zarr/c/1/0", content)
    assert reader.read((slice(0, 4), slice(0, 8)))[:, 0].tolist() == [9, 9, 9, 9]


def test_an_array_of_an_image_is_found_and_one_that_is_not_there_is_no_error(
    tmp_path: Path, object_store: ObjectStore
) -> None:
    group = zarr.create_group(tmp_path / "image.zarr", attributes={"name": "image"})
    group.create_array("0", shape=(4,), chunks=(2,), dtype="uint8")[:] = 3
    url = _upload(object_store, tmp_path / "image.zarr", "image.zarr")
    reader = open_array(path_in(url, "0"), 3)
    assert reader is not None and reader.read((slice(0, 4),)).tolist() == [3, 3, 3, 3]
    assert open_array(path_in(url, "1"), 3) is None
    assert json.loads(read_metadata_of(url, "")["zarr.json"])["attributes"] == {"name": "image"}
    assert set(read_metadata_of(url, "0")) == {"zarr.json"} and read_metadata_of(url, "1") == {}


def test_what_cannot_be_shown_is_said_with_its_address(tmp_path: Path, object_store: ObjectStore) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="complex64")
    url = _upload(object_store, tmp_path / "a", "a.zarr")
    with pytest.raises(CannotShow, match="complex64"):
        open_array(url, 3)
    object_store.write("a.zarr/zarr.json", b'{"zarr_format": 3, "node_type": "array"}')
    with pytest.raises(CannotShow, match="s3://bucket"):
        open_array(url, 3)


def test_a_store_that_refuses_or_does_not_answer_has_no_array_for_now(
    tmp_path: Path, object_store: ObjectStore, faulty: FaultProxy
) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), chunks=(4,), dtype="uint8")[:] = 3
    _upload(object_store, tmp_path / "a", "a.zarr")
    url = object_store.url("a.zarr", faulty.endpoint)
    faulty.inject(Fault.DENIED)
    assert open_array(url, 3) is None and read_metadata_of(url, "") == {}
    faulty.clear()
    reader = open_array(url, 3)
    assert reader is not None
    faulty.inject(Fault.EXPIRED)
    assert reader.read((slice(0, 4),)).tolist() == [0, 0, 0, 0]
    faulty.clear()
    assert reader.read((slice(0, 4),)).tolist() == [3, 3, 3, 3]
