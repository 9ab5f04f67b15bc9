"""The simulated microscope writes every chunk and valid metadata, and leaves folders that are in use alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import zarr

from softcopy_napari.simulation.microscope import LOG, write_acquisition
from softcopy_napari.simulation.settings import MicroscopeError, MicroscopeSettings

SMALL: dict[str, Any] = {"frames": 2, "rate": 0.0, "channels": 1, "size": (4, 16, 16), "blobs": 2}


@pytest.fixture(params=["tensorstore", "zarr-python"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes: tensorstore where it is installed, and otherwise zarr-python."""
    if request.param == "zarr-python":
        monkeypatch.setitem(sys.modules, "tensorstore", None)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    "settings",
    [{}, {"zarr_format": 2}, {"shards": True, "slab": 2}, {"grow": True}, {"tile": 8}],
    ids=["zarr 3", "zarr 2", "shards", "growing", "tiles"],
)
def test_every_pixel_is_written_so_that_every_chunk_has_a_file(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(**SMALL, **settings))
    levels = [zarr.open_array(tmp_path / "a.zarr" / level, mode="r")[:] for level in ("0", "1")]
    assert [level.shape for level in levels] == [(2, 1, 4, 16, 16), (2, 1, 2, 8, 8)]
    assert all(level.min() > 0 for level in levels)
    assert (tmp_path / "a.zarr" / "complete").exists()


@pytest.mark.parametrize("settings", [{}, {"zarr_format": 2}, {"shards": True, "slab": 2}, {"grow": True}])
def test_both_libraries_write_the_same_pixels_into_files_of_the_same_names(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_acquisition(tmp_path / "one", MicroscopeSettings(**SMALL, **settings))
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    write_acquisition(tmp_path / "other", MicroscopeSettings(**SMALL, **settings))
    names = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in tmp_path.iterdir()]
    assert names[0] == names[1]
    for level in ("0", "1"):
        one, other = (zarr.open_array(tmp_path / name / level, mode="r") for name in ("one", "other"))
        assert (one[:] == other[:]).all() and one.metadata.to_dict().keys() == other.metadata.to_dict().keys()


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_acquisition(tmp_path / name, MicroscopeSettings(**SMALL, seed=seed))
    first, same, other = (zarr.open_array(tmp_path / name / "0", mode="r")[:] for name in "abc")
    assert (first == same).all() and (first != other).any()


def test_a_plate_names_wells_in_its_metadata_and_writes_each(tmp_path: Path) -> None:
    settings = MicroscopeSettings(**SMALL, plate=(1, 2))
    write_acquisition(tmp_path / "plate.zarr", settings)
    wells = zarr.open_group(tmp_path / "plate.zarr", mode="r").attrs["ome"]["plate"]["wells"]
    assert [well["path"] for well in wells] == ["A/1", "A/2"] == list(settings.wells)
    assert all((tmp_path / "plate.zarr" / well / "0" / "0" / "zarr.json").exists() for well in settings.wells)


def test_an_aborted_acquisition_says_so_and_is_not_complete(tmp_path: Path) -> None:
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 2

    assert not write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(**SMALL), stop)
    assert json.loads((tmp_path / "a.zarr" / LOG).read_text())["status"] == "aborted"
    assert not (tmp_path / "a.zarr" / "complete").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MicroscopeError, match="exists already"):
        write_acquisition(tmp_path, MicroscopeSettings(**SMALL))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frames": 0}, "at least 1"),
        ({"rate": float("inf")}, "at least 0"),
        ({"zarr_format": 4}, "there is no zarr format 4"),
        ({"zarr_format": 2, "shards": True}, "has no shards"),
        ({"shards": True, "tile": 8}, "either shards or a tile"),
        ({"plate": (27, 1)}, "at most 26 rows"),
    ],
)
def test_impossible_settings_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(MicroscopeError, match=words):
        MicroscopeSettings(**settings)
