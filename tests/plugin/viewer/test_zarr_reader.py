"""Reading arrays that are being written, with tensorstore, and where that is missing with zarr-python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zarr

from softcopy_napari.plugin import viewer as viewer_package
from softcopy_napari.plugin.viewer import tensorstore_arrays, zarr_python_arrays
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.plugin.viewer.zarr_reader import CannotShow, ZarrReader, load_library, open_array
from tests.plugin.viewer.stored_arrays import each_stored_array

pytestmark = pytest.mark.either_binding


def _hide(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """Let modules fail to be imported, as where their library is not installed."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, None)
        monkeypatch.delattr(viewer_package, module.__name__.rpartition(".")[2])


@pytest.fixture(params=[tensorstore_arrays, zarr_python_arrays], ids=["tensorstore", "zarr-python"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The library that reads, whatever else is installed."""
    if request.param is zarr_python_arrays:
        _hide(monkeypatch, tensorstore_arrays)
    assert load_library() is request.param
    assert isinstance(request.param, ModuleType)
    return request.param


@each_stored_array
def test_pixels_are_read_as_they_were_written(tmp_path: Path, library: ModuleType, kwargs: Any, shape: Any) -> None:
    pixels = np.random.default_rng(0).integers(1, 60_000, shape, dtype=np.uint16)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, **kwargs)
    reader = open_array(str(tmp_path / "a.zarr"), kwargs["zarr_format"])
    assert reader is not None and reader.shape == shape and reader.chunk == kwargs["chunks"]
    whole = tuple(slice(0, n) for n in shape)
    np.testing.assert_array_equal(reader.read(whole), pixels)
    part = tuple(slice(n // 3, n - 1) for n in shape)
    np.testing.assert_array_equal(reader.read(part), pixels[part])


def test_chunks_that_are_missing_or_half_written_have_the_fill_value(tmp_path: Path, library: ModuleType) -> None:
    array = zarr.create_array(tmp_path / "a", shape=(4, 8), chunks=(1, 8), dtype="uint16", fill_value=7)
    array[:3] = 9
    chunk = tmp_path / "a/c/1/0"
    chunk.write_bytes(chunk.read_bytes()[:3])
    reader = open_array(str(tmp_path / "a"), 3)
    assert reader is not None
    assert reader.read((slice(0, 4), slice(0, 8)))[:, 0].tolist() == [9, 7, 9, 7]


def test_what_is_not_there_yet_is_no_error_and_what_cannot_be_shown_says_why(
    tmp_path: Path, library: ModuleType
) -> None:
    assert open_array(str(tmp_path / "nothing"), 3) is None
    zarr.create_group(tmp_path / "group")
    zarr.create_array(tmp_path / "complex", shape=(4,), chunks=(4,), dtype="complex64")
    with pytest.raises(CannotShow, match="complex64 cannot be shown"):
        open_array(str(tmp_path / "complex"), 3)
    zarr.create_array(tmp_path / "unknown", shape=(4,), chunks=(4,), dtype="uint8", compressors=None)
    metadata = tmp_path / "unknown/zarr.json"
    metadata.write_text(metadata.read_text().replace('"bytes"', '"no-such-codec"'))
    with pytest.raises(CannotShow, match="no-such-codec"):
        open_array(str(tmp_path / "unknown"), 3)


def test_an_image_is_shown_where_tensorstore_has_no_wheel(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _hide(monkeypatch, tensorstore_arrays)
    pixels = np.random.default_rng(0).integers(1, 60_000, (3, 50, 70), dtype=np.uint16)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, chunks=(1, 20, 30))
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "", "destination")
    qtbot.waitUntil(lambda: target_layers.overlay is not None and bool(target_layers.images), timeout=20_000)
    image = target_layers.images[0]
    qtbot.waitUntil(lambda: image.get_value((0, 40, 60)) == pixels[0, 40, 60])


def test_an_installation_that_cannot_read_zarr_says_so_and_names_no_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hide(monkeypatch, tensorstore_arrays, zarr_python_arrays)
    with pytest.raises(CannotShow, match="install softcopy-napari again"):
        open_array(str(tmp_path), 3)


def test_the_libraries_agree_on_what_a_reader_needs(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", shape=(4, 8), chunks=(1, 8), dtype="float32", fill_value=1.5)
    one, other = (
        ZarrReader(module.open_stored_array(str(tmp_path / "a"), 3))
        for module in (tensorstore_arrays, zarr_python_arrays)
    )
    for name in ("shape", "chunk", "dtype", "fill"):
        assert getattr(one, name) == getattr(other, name)
