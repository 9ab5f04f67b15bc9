"""What OME-Zarr metadata say of an array, and what becomes of those that say nonsense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.zarr_layout.probe import read_metadata
from softcopy_napari.plugin.viewer.ome_placement import Placement, read_placement
from softcopy_napari.simulation.microscope import write_acquisition
from softcopy_napari.simulation.settings import MicroscopeSettings


def in_tree(files: Mapping[str, Any], array: str) -> Placement | None:
    """Read an array among metadata files that are given by their paths."""

    def read(folder: str) -> dict[str, bytes]:
        prefix = f"{folder}/" if folder else ""
        names = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
        return {name: json.dumps(files[prefix + name]).encode() for name in names if prefix + name in files}

    return read_placement(array, read)


def zarray(*shape: int) -> dict[str, Any]:
    return {
        "zarr_format": 2, "shape": shape, "chunks": [max(1, n) for n in shape], "dtype": "<u2", "compressor": None,
        "filters": None, "fill_value": 0, "order": "C",
    }  # fmt: skip


def image(**changes: Any) -> dict[str, Any]:
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    return {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}], **changes}]}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_both_versions_of_ome_zarr_say_the_same(tmp_path: Path, zarr_format: int) -> None:
    settings = MicroscopeSettings(frames=1, rate=0, size=(4, 8, 8), channels=2, zarr_format=zarr_format, plate=(1, 1))
    write_acquisition(tmp_path / "a.zarr", settings)
    found = read_placement("A/1/0/1", lambda folder: read_metadata(str(tmp_path / "a.zarr"), folder))
    assert found is not None and found.in_image
    assert found.axis_names == ("t", "c", "z", "y", "x")
    assert found.units == ("second", "pixel", "micrometer", "micrometer", "micrometer")
    assert found.scale == (1, 1, 4, 0.8, 0.8) and found.translate == (0, 0, 1, 0.2, 0.2)
    assert [level.path for level in found.levels] == ["A/1/0/1"]
    assert (found.time_axis, found.channel_axis) == (0, 1)
    assert [(channel.name, channel.colour, channel.window) for channel in found.channels] == [
        ("channel 1", "00FF66", (100, 2500)),
        ("channel 2", "FF33CC", (100, 2500)),
    ]
    finest = read_placement("A/1/0/0", lambda folder: read_metadata(str(tmp_path / "a.zarr"), folder))
    assert finest is not None and [level.path for level in finest.levels] == ["A/1/0/0", "A/1/0/1"]


def test_an_array_that_is_not_there_has_no_placement() -> None:
    assert in_tree({}, "0") is None
    assert in_tree({"0/.zgroup": {"zarr_format": 2}}, "0") is None


def test_names_of_dimensions_are_taken_from_wherever_they_stand() -> None:
    found = in_tree({"a/.zarray": zarray(2, 3), "a/.zattrs": {"_ARRAY_DIMENSIONS": ["lat", "lon"]}}, "a")
    assert found is not None and found.axis_names == ("lat", "lon") and not found.in_image
    assert found.scale == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": "zyx"},
        {"axes": [{"name": "x"}]},
        {"axes": [1, 2, 3]},
        {"coordinateTransformations": [{"type": "scale", "scale": [0, float("1e400"), 1]}]},
        {"coordinateTransformations": [{"type": "scale", "scale": [1, 2]}, {"type": "rotation"}, 7]},
        {"coordinateTransformations": {"type": "scale"}},
        {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [True, "a", None]}]}]},
        {"datasets": [{"path": 3}, {"path": "0"}, None]},
    ],
)
def test_what_is_odd_in_metadata_is_passed_over(changes: Any) -> None:
    attributes = {**image(**changes), "omero": {"channels": [{"color": "red", "window": {"start": 5, "end": 5}}, 4]}}
    found = in_tree({".zattrs": attributes, "0/.zarray": zarray(2, 4, 4)}, "0")
    assert found is not None
    assert found.scale == (1, 1, 1) and found.translate == (0, 0, 0)
    assert all(channel.colour == "" and channel.window is None for channel in found.channels)


def test_a_scale_of_zero_is_one_and_an_unknown_unit_a_pixel() -> None:
    axes = [{"name": "z", "unit": "furlong per"}, {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": 4}]
    steps = [{"type": "scale", "scale": [0, 2, 3]}]
    found = in_tree({".zattrs": image(axes=axes, coordinateTransformations=steps), "0/.zarray": zarray(2, 4, 4)}, "0")
    assert found is not None and found.scale == (1, 2, 3) and found.units == ("pixel", "micrometer", "pixel")


def test_a_spectrum_is_not_split_into_layers() -> None:
    found = in_tree({".zattrs": image(), "0/.zarray": zarray(200, 4, 4)}, "0")
    assert found is not None and found.channel_axis is None and len(found.channels) == 1


def test_a_level_deep_in_its_image_is_found() -> None:
    attributes = image(datasets=[{"path": "scale0/image"}, {"path": "scale1/image"}])
    found = in_tree({"im/.zattrs": attributes, "im/scale0/image/.zarray": zarray(2, 4, 4)}, "im/scale0/image")
    assert found is not None and [one.path for one in found.levels] == ["im/scale0/image", "im/scale1/image"]
