"""A new copy is looked at before it starts: what would happen, what is wrong and where, and a better place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softcopy_napari.engine.destination import store_access
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock.copy_preview import datasets_beside, find_parents_of_datasets, preview_copy
from softcopy_napari.widgets.new_copy import Preview
from tests.engine.support import make_array
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore
from tests.support.writers import write

pytestmark = pytest.mark.either_binding


def read_preview(source: Path, destination: Path) -> Preview:
    return preview_copy(str(source), str(destination), Settings(), [])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_array(tmp_path / "cam1.zarr", (4, 2))


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """A folder in which copies of others lie."""
    for name in ("a.zarr", "b.zarr"):
        make_array(tmp_path / "nas" / name, (1, 1))
    return tmp_path / "nas"


def test_what_would_be_made_and_how_much_space_there_is(source: Path, nas: Path) -> None:
    preview = read_preview(source, nas / "cam1.zarr")
    assert preview.possible and preview.suggestion == ""
    assert preview.lines[0].startswith("Source: zarr array, 8 \u00d7 4")
    assert preview.lines[1].startswith(f"Will create {nas / 'cam1.zarr'}. ") and preview.lines[1].endswith("B free")
    assert not (nas / "cam1.zarr").exists(), "it only looks"


def test_the_parent_of_other_datasets_is_no_destination(source: Path, nas: Path) -> None:
    preview = read_preview(source, nas)
    assert not preview.possible
    assert preview.destination_problem.startswith("holds 2 other datasets (a.zarr, b.zarr): the files of cam1.zarr")
    assert preview.suggestion == str(nas / "cam1.zarr")
    assert read_preview(source, Path(preview.suggestion)).possible
    found = find_parents_of_datasets([make_target(source, nas, Settings())])
    assert list(found) == [nas] and found[nas].startswith(f"{nas} holds 2 other datasets")


def test_a_copy_that_holds_several_datasets_is_no_stranger_to_itself(tmp_path: Path) -> None:
    for side in ("data", "nas"):
        make_array(tmp_path / side / "run7" / "a.zarr", (1, 1))
    target = make_target(tmp_path / "data" / "run7", tmp_path / "nas" / "run7", Settings())
    assert datasets_beside(target) == []
    make_array(tmp_path / "nas" / "run7" / "b.zarr", (1, 1))
    assert datasets_beside(target) == ["b.zarr"]


def test_a_dataset_that_holds_arrays_is_a_destination(source: Path, tmp_path: Path) -> None:
    group = tmp_path / "copy.zarr"
    make_array(group / "0", (4, 2))
    (group / ".zgroup").write_text('{"zarr_format": 2}')
    assert datasets_beside(make_target(source, group, Settings())) == []


def test_another_dataset_is_named_and_asked_about_at_the_start(tmp_path: Path) -> None:
    source, other = tmp_path / "new.zarr", tmp_path / "old.zarr"
    write("tensorstore", other, frames=2, seed=1)
    write("tensorstore", source, frames=2, seed=2)
    preview = read_preview(source, other)
    assert preview.possible and preview.lines[1].startswith("Asks first: destination")


def test_a_copy_that_is_there_is_continued(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert read_preview(source, tmp_path / "empty").lines[1].startswith("Will fill the empty folder")


def test_a_source_that_is_still_to_come_is_waited_for(tmp_path: Path) -> None:
    preview = read_preview(tmp_path / "late.zarr", tmp_path / "copy.zarr")
    assert preview.possible and preview.lines[0] == "The source does not exist yet: its copy will wait for it"


def test_what_is_wrong_is_told_at_the_field_that_it_is_about(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.touch()
    assert "is a file" in read_preview(file, tmp_path / "copy.zarr").source_problem
    assert "is a file" in read_preview(source, file).destination_problem
    assert "lies inside" in read_preview(source, source / "inside").destination_problem
    assert "S3 bucket" in preview_copy("s3://b/a.zarr", "/nas/a.zarr", Settings(), []).source_problem


def test_a_destination_that_another_target_has_is_refused(source: Path, tmp_path: Path) -> None:
    others = [make_target(tmp_path / "other.zarr", tmp_path / "copies", Settings())]
    preview = preview_copy(str(source), str(tmp_path / "copies" / "x"), Settings(), others)
    assert "lies inside" in preview.destination_problem


def test_a_folder_with_files_and_no_zarr_metadata_can_be_copied_as_one_of_any_files(tmp_path: Path) -> None:
    source, destination = tmp_path / "run7", tmp_path / "copy"
    source.mkdir()
    assert not read_preview(source, destination).any_files, "there is nothing in it yet"
    (source / "a.tif").write_bytes(b"II*")
    preview = read_preview(source, destination)
    assert preview.any_files and preview.lines[0].startswith("No zarr metadata there yet")
    preview = preview_copy(str(source), str(destination), Settings(kind="folder"), [])
    assert preview.any_files and preview.possible and preview.lines[0] == "Source: a folder of any files"
    assert not read_preview(make_array(tmp_path / "cam1.zarr", (1, 1)), destination).any_files


def test_a_place_in_a_store_is_looked_at_and_nothing_is_put_there(
    source: Path, object_store: ObjectStore, faulty: FaultProxy
) -> None:
    url = object_store.url("cam1.zarr", faulty.endpoint)
    preview = preview_copy(str(source), url, Settings(), [])
    assert preview.possible
    assert preview.lines[-1].startswith(f"Will create s3://{object_store.bucket}/cam1.zarr on 127.0.0.1:")
    assert "Times, links and permissions are not kept" in preview.lines[-1]
    assert faulty.requests and faulty.count("PUT") == 0
    other = {**json.loads((source / ".zarray").read_bytes()), "dtype": "<f8"}
    object_store.write("cam1.zarr/.zarray", json.dumps(other).encode())
    assert preview_copy(str(source), url, Settings(), []).lines[-1].startswith("Asks first: ")
    object_store.write("cam1.zarr/.zarray", (source / ".zarray").read_bytes())
    assert "what is equal is not copied again" in preview_copy(str(source), url, Settings(), []).lines[-1]


def test_a_store_that_cannot_be_used_is_told_at_the_destination_and_one_that_is_away_is_waited_for(
    source: Path, object_store: ObjectStore, faulty: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_access, "_PATIENCE", 0.5)
    url = object_store.url("cam1.zarr", faulty.endpoint)
    missing = url.replace(object_store.bucket, "no-such-bucket")
    assert "there is no bucket no-such-bucket" in preview_copy(str(source), missing, Settings(), []).destination_problem
    faulty.inject(Fault.DENIED)
    assert "cannot be listed" in preview_copy(str(source), url, Settings(), []).destination_problem
    faulty.clear()
    faulty.inject(Fault.SLOW_DOWN)
    preview = preview_copy(str(source), url, Settings(), [])
    assert preview.possible and "does not answer now" in preview.lines[-1]
    assert "whole bucket" in preview_copy(str(source), "s3://bucket", Settings(), []).destination_problem
