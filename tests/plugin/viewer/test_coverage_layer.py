"""What the overlay shows, where, and what it says: judged by the pixels of screenshots."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.viewer.coverage_layer import OPACITY
from softcopy_napari.plugin.viewer.geometry import Geometry
from softcopy_napari.plugin.viewer.ome_placement import plain_placement
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.overlay_modes import OverlayMode
from softcopy_napari.widgets.palette import CHUNK_COLOURS

S = ChunkState
pytestmark = pytest.mark.either_binding


@pytest.fixture(autouse=True)
def all_states_are_shown(target_layers: TargetLayers) -> None:
    target_layers.overlay_mode = OverlayMode.ALL


def make(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], fill: bool = True, **kwargs: Any) -> Any:
    """A plain zarr array of ones, or an empty one."""
    array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint16", **kwargs)
    if fill:
        array[...] = 1
    return array


def picture(viewer: Any) -> np.ndarray:
    """What the canvas shows."""
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def pixel_at(viewer: Any, image: np.ndarray, y: float, x: float) -> tuple[int, int]:
    """Row and column of the canvas in 2D at a place in the world."""
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    row = image.shape[0] / 2 + (y - camera.center[-2]) * camera.zoom
    column = image.shape[1] / 2 + (x - camera.center[-1]) * camera.zoom
    return int(row), int(column)


def colour(state: ChunkState) -> np.ndarray:
    """A state's colour on black."""
    rgb = CHUNK_COLOURS[state]
    return np.zeros(3) if rgb is None else np.array(rgb) * OPACITY


def bounds(mask: np.ndarray) -> np.ndarray:
    """First and last row and column that are set."""
    rows, columns = np.nonzero(mask)
    assert len(rows), "there is nothing in the picture"
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


def show(qtbot: Any, target_layers: TargetLayers, staged: Any, array: str = "", image: str = "none") -> None:
    target_layers.show(staged.snapshot, array, image)
    qtbot.waitUntil(
        lambda: target_layers.overlay is not None and (image == "none" or bool(target_layers.images)), timeout=20_000
    )


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((40, 60), (10, 20)), ((35, 50), (10, 20)), ((31, 41), (10, 20)), ((9, 7), (10, 20))],
    ids=["even", "ragged", "one pixel more", "one chunk"],
)
def test_every_chunk_has_its_colour_up_to_its_borders(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    shape: Any,
    chunks: Any,
) -> None:
    make(tmp_path / "a.zarr", shape, chunks)
    target = staged(tmp_path / "a.zarr")
    cells = target.cells()
    cells[...] = np.arange(cells.size).reshape(cells.shape) % len(ChunkState)
    show(qtbot, target_layers, target)
    image = picture(viewer)
    inset = 0.15  # of a pixel of the array: that much may the eye be off
    for row, column in np.ndindex(*cells.shape):
        top, left = row * chunks[0] - 0.5, column * chunks[1] - 0.5
        bottom, right = min(top + chunks[0], shape[0] - 0.5), min(left + chunks[1], shape[1] - 0.5)
        for y in (top + inset, bottom - inset):
            for x in (left + inset, right - inset):
                found = image[pixel_at(viewer, image, y, x)]
                expected = colour(ChunkState(int(cells[row, column])))
                assert np.abs(found - expected).max() < 8, ((row, column), (y, x), found, expected)
    beyond = inset * 2
    for y, x in ((shape[0] - 0.5 + beyond, 0), (0, shape[1] - 0.5 + beyond)):
        row, column = pixel_at(viewer, image, y, x)
        if row < image.shape[0] and column < image.shape[1]:
            assert image[row, column].max() == 0, "the overlay goes beyond the image"


def test_scale_and_translation_of_ome_metadata_are_the_overlays_too(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    make(tmp_path / "i.zarr" / "0", (4, 35, 50), (3, 10, 20))
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    inner = [{"type": "scale", "scale": [2, 0.5, 0.25]}, {"type": "translation", "translation": [10, 20, 30]}]
    outer = [{"type": "scale", "scale": [1, 2, 2]}]
    levels = [{"path": "0", "coordinateTransformations": inner}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": levels, "coordinateTransformations": outer}],
    }
    target = staged(tmp_path / "i.zarr", "0")
    target.cells("0")[...] = S.COPIED
    show(qtbot, target_layers, target, "0", "destination")
    layer, image = target_layers.overlay, target_layers.images[0]
    np.testing.assert_allclose(image.scale, [2, 1, 0.5])
    np.testing.assert_allclose(image.translate, [10, 40, 60])
    np.testing.assert_allclose(layer.scale, image.scale * [3, 10, 20])
    np.testing.assert_allclose(layer.translate, image.translate + image.scale * (np.array([3, 10, 20]) - 1) / 2)
    assert layer.units == image.units and str(layer.units[0]) == "micrometer"
    assert layer.axis_labels == image.axis_labels == ("z", "y", "x")


@pytest.mark.parametrize(
    ("angles", "translate"),
    [((0, 0, 0), (0.0, 0.0, 0.0)), ((0, 0, 0), (-30.0, 70.0, 11.0)), ((0, 0, 90), (-30.0, 70.0, 11.0)),
     ((0, 90, 0), (-30.0, 70.0, 11.0))],
)  # fmt: skip
def test_in_3d_a_chunk_covers_its_pixels_and_no_others(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    translate: Any,
    angles: Any,
) -> None:
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    shape, chunks = (10, 35, 50), (4, 10, 20)
    array = make(tmp_path / "i.zarr" / "0", shape, chunks, fill=False)
    array[8:, 30:, 40:] = 1000  # the last chunk, ragged in all dimensions
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [3, 1, 1]}, {"type": "translation", "translation": list(translate)}]
    levels = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    target = staged(tmp_path / "i.zarr", "0")
    target.cells("0")[2, 3, 2] = S.COPIED
    show(qtbot, target_layers, target, "0", "destination")
    viewer.dims.ndisplay = 3
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    camera.angles = angles
    image = target_layers.images[0]
    image.interpolation3d = "nearest"
    image.contrast_limits = (0, 1000)
    target_layers.overlay.visible = False
    qtbot.waitUntil(lambda: bool((picture(viewer).sum(-1) > 200).any()), timeout=20_000)
    of_image = bounds(picture(viewer).sum(-1) > 200)
    target_layers.overlay.visible, image.visible = True, False
    of_overlay = bounds(picture(viewer).sum(-1) > 60)
    assert np.abs(of_image - of_overlay).max() <= 2, (of_image, of_overlay)


def test_a_ragged_last_chunk_gives_the_sliders_no_steps_that_the_image_has_not(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (7, 9, 30, 30), (5, 8, 20, 20))
    show(qtbot, target_layers, staged(tmp_path / "a.zarr"), image="none")
    without = viewer.dims.nsteps, viewer.dims.range
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "", "destination")
    qtbot.waitUntil(lambda: bool(target_layers.images), timeout=20_000)
    assert viewer.dims.nsteps == (7, 9, 30, 30) == without[0] and viewer.dims.range == without[1]
    viewer.dims.set_current_step(0, 6)
    viewer.dims.set_current_step(1, 8)
    assert not target_layers.overlay.extent.world[1, 0] > 6


def test_every_step_of_a_slider_shows_the_chunk_that_it_lies_in(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (7, 8, 8), (3, 8, 8))
    target = staged(tmp_path / "a.zarr")
    target.cells()[:, 0, 0] = S.PENDING, S.COPIED, S.FAILED
    show(qtbot, target_layers, target)
    for step in range(7):
        viewer.dims.set_current_step(0, step)
        middle = picture(viewer)[pixel_at(viewer, picture(viewer), 3.5, 3.5)]
        assert np.abs(middle - colour([S.PENDING, S.COPIED, S.FAILED][step // 3])).max() < 8


def test_what_changes_in_the_ledger_is_drawn_by_itself(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (40, 60), (10, 20))
    target = staged(tmp_path / "a.zarr")
    show(qtbot, target_layers, target)
    place = pixel_at(viewer, picture(viewer), 15, 30)
    assert picture(viewer)[place].max() == 0
    for state in (S.WRITING, S.PENDING, S.COPYING, S.COPIED):
        target.cells()[1, 1] = state
        qtbot.waitUntil(lambda state=state: np.abs(picture(viewer)[place] - colour(state)).max() < 8)


def test_nothing_is_drawn_while_only_other_slices_change(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (3, 40, 60), (1, 10, 20))
    target = staged(tmp_path / "a.zarr")
    show(qtbot, target_layers, target)
    viewer.dims.set_current_step(0, 0)
    drawn: list[int] = []
    qtbot.wait(600)
    target_layers.overlay.events.set_data.connect(lambda event: drawn.append(1))
    target.cells()[1:] = S.COPIED
    qtbot.wait(600)
    assert drawn == []
    target.cells()[0, 0, 0] = S.COPIED
    qtbot.waitUntil(lambda: drawn == [1])


def test_the_layer_is_the_ledger_and_says_whose(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (3, 40, 60), (1, 10, 20))
    target = staged(tmp_path / "a.zarr", destination=tmp_path / "b.zarr")
    show(qtbot, target_layers, target)
    layer = target_layers.overlay
    assert layer.metadata["softcopy"] == {
        "source": str(tmp_path / "a.zarr"),
        "destination": str(tmp_path / "b.zarr"),
        "array": "",
    }
    assert layer.data.dtype == np.uint8 and layer.data.shape == (3, 4, 3)
    assert not layer.data.flags.owndata
    target.cells()[2, 3, 2] = S.FAILED
    assert layer.data[2, 3, 2] == S.FAILED
    assert not layer.editable and getattr(layer, "locked", True)


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [({"zarr_format": 3}, "c/1/2/1"), ({"zarr_format": 2}, "1.2.1")],
    ids=["v3", "v2"],
)
def test_the_status_bar_names_state_index_and_file_of_the_chunk_under_the_mouse(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    kwargs: Any,
    name: str,
) -> None:
    make(tmp_path / "g.zarr" / "im", (3, 35, 50), (2, 10, 20), **kwargs)
    target = staged(tmp_path / "g.zarr", "im")
    target.cells("im")[1, 2, 1] = S.FAILED
    show(qtbot, target_layers, target, "im")
    viewer.mouse_over_canvas = True
    viewer.cursor.position = (2, 22, 39.4)
    viewer.update_status_from_cursor()
    text = viewer.status["coordinates"] if isinstance(viewer.status, dict) else viewer.status
    assert f"failed, chunk file (1, 2, 1) im/{name}" in text
    viewer.cursor.position = (2, 39, 39)  # where the last chunk sticks out of the image
    viewer.update_status_from_cursor()
    text = viewer.status["coordinates"] if isinstance(viewer.status, dict) else viewer.status
    assert "chunk file" not in text


def test_the_status_bar_names_the_chunk_file_while_the_image_is_selected_too(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    array = make(tmp_path / "a.zarr", (3, 35, 50), (1, 10, 20))
    array[1] = 77
    target = staged(tmp_path / "a.zarr")
    target.cells()[1] = S.COPIED
    show(qtbot, target_layers, target, image="destination")
    qtbot.waitUntil(lambda: bool(target_layers.images))
    viewer.dims.set_current_step(0, 1)
    (image,) = target_layers.images
    viewer.layers.selection.active = image
    qtbot.waitUntil(lambda: image.get_value((1, 22, 39)) == 77)
    viewer.mouse_over_canvas = True
    viewer.cursor.position = (1, 22, 39)

    def said() -> str:
        viewer.update_status_from_cursor()
        return viewer.status["coordinates"] if isinstance(viewer.status, dict) else viewer.status

    assert "]: 77; copied, chunk file (1, 2, 1) c/1/2/1" in said()
    viewer.cursor.position = (1, 22, 60)  # beside it
    assert "chunk file" not in said()
    viewer.cursor.position = (1, 22, 39)
    target_layers.overlay.visible = False
    assert "]: 77" in said() and "chunk file" not in said()
    viewer.layers.remove(target_layers.overlay)
    assert "]: 77" in said()


def test_in_3d_the_first_chunk_along_the_line_of_sight_is_named(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (5, 6, 35, 50), (1, 2, 10, 20))
    target = staged(tmp_path / "a.zarr")
    target.cells()[3, 1:, 1, 2] = S.COPIED, S.PENDING
    show(qtbot, target_layers, target)
    viewer.dims.set_current_step(0, 3)
    viewer.dims.ndisplay = 3
    ask = {"dims_displayed": [1, 2, 3], "world": True}
    forth = target_layers.overlay.get_status((3, 0, 15, 45), view_direction=np.array([0, 1.0, 0, 0]), **ask)
    back = target_layers.overlay.get_status((3, 0, 15, 45), view_direction=np.array([0, -1.0, 0, 0]), **ask)
    past = target_layers.overlay.get_status((3, 0, 25, 45), view_direction=np.array([0, -1.0, 0, 0]), **ask)
    assert "copied, chunk file (3, 1, 1, 2)" in forth["coordinates"]
    assert "pending, chunk file (3, 2, 1, 2)" in back["coordinates"]
    assert "chunk file" not in past["coordinates"]


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_the_status_bar_may_ask_at_any_moment_while_an_array_grows(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any, ndisplay: int
) -> None:
    """napari asks in a thread of its own: also between the array's new shape and its new ledger."""
    make(tmp_path / "a.zarr", (4, 8, 8), (1, 4, 4))
    target = staged(tmp_path / "a.zarr")
    target.cells()[:] = S.COPIED
    show(qtbot, target_layers, target)
    viewer.dims.ndisplay = ndisplay
    ask = {"view_direction": np.array([0, 0, 1.0]), "dims_displayed": [0, 1, 2][-ndisplay:]}
    layer = target_layers.overlay
    (array,) = target.snapshot.arrays
    grown = array.model_copy(update={"shape": (9, 8, 8), "grid": (9, 2, 2)})
    before, layer.geometry = layer.geometry, Geometry.of(grown, plain_placement("", 3))
    said = [layer.get_status((z, 5, 5), world=True, **ask)["coordinates"] for z in range(10)]
    assert "copied, chunk file (3, 1, " in said[3]
    assert not any("chunk file" in words for words in said[4:])
    layer.geometry = before


def test_chunks_of_unequal_shapes_are_drawn_alike_within_the_image_and_named(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    make(tmp_path / "a.zarr", (4, 60), (1, 20))
    metadata = json.loads((tmp_path / "a.zarr" / "zarr.json").read_bytes())
    metadata["chunk_grid"] = {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": [1, [5, 50, 5]]},
    }
    metadata["chunk_key_encoding"] = {"name": "suffix", "configuration": {"suffix": ".tiff", "base_encoding": "v2"}}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(metadata))
    target = staged(tmp_path / "a.zarr")
    target.cells()[1, 2] = S.FAILED
    said: list[str] = []
    target_layers.problem.connect(said.append)
    target_layers.show(target.snapshot, "", "destination")
    qtbot.waitUntil(lambda: target_layers.overlay is not None and bool(said), timeout=20_000)
    assert target_layers.overlay.extent.world.tolist() == [[0, 0], [3, 59]]
    assert target_layers.overlay.describe_position((1, 45), world=True) == "failed, chunk file (1, 2) 1.2.tiff"
    assert target_layers.overlay.describe_position((1, 35), world=True) == "absent, chunk file (1, 1) 1.1.tiff"
    target_layers.jump_to(S.FAILED)
    assert len(said) == 1 and said[0].startswith("The image cannot be shown: ")


@pytest.mark.parametrize("shape", [(), (7,)])
def test_arrays_with_less_than_two_dimensions_are_shown_too(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    shape: tuple[int, ...],
) -> None:
    make(tmp_path / "a.zarr", shape, (3,) * len(shape))
    target = staged(tmp_path / "a.zarr")
    target.ledgers[""].flat[-1] = S.COPIED
    show(qtbot, target_layers, target, image="destination")
    assert target_layers.overlay.data.reshape(-1)[-1] == S.COPIED
    assert target_layers.images[0].data.shape == (1,) * (2 - len(shape)) + shape
    file = "c/2" if shape else "c"
    assert f"{file}" in target_layers.overlay.describe((0, 2) if shape else (0, 0), S.COPIED)
