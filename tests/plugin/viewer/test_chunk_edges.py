"""The overlay leaves the image alone: judged by the pixels of screenshots, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import zarr

from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.viewer import coverage_layer
from softcopy_napari.plugin.viewer.chunk_edges import EDGES_NAME, outline
from softcopy_napari.plugin.viewer.geometry import Geometry
from softcopy_napari.plugin.viewer.ome_placement import plain_placement
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.overlay_modes import OverlayMode
from tests.plugin.viewer.test_coverage_layer import picture, pixel_at

pytestmark = pytest.mark.either_binding

S = ChunkState


@pytest.fixture
def shown(tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any) -> Any:
    """A target of 3 x 4 x 5 chunk files, all copied, whose image is shown."""
    pixels = np.random.default_rng(0).integers(1, 200, (6, 40, 50), dtype=np.uint8)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, chunks=(2, 10, 10))
    target = staged(tmp_path / "a.zarr")
    target.cells()[...] = S.COPIED
    target_layers.show(target.snapshot, "", "destination")
    qtbot.waitUntil(lambda: target_layers.overlay is not None and bool(target_layers.images), timeout=20_000)
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: target_layers.images[0].get_value((0, 5, 5)) == pixels[0, 5, 5])
    return target


def place_of(viewer: Any, row: int, column: int) -> tuple[int, int]:
    """The middle of a chunk file on the canvas in 2D."""
    return pixel_at(viewer, picture(viewer), row * 10 + 4.5, column * 10 + 4.5)


def outlines(viewer: Any) -> Any:
    return next((layer for layer in viewer.layers if layer.name == EDGES_NAME), None)


@pytest.mark.parametrize("mode", [OverlayMode.PROBLEMS, OverlayMode.FRONTIER, OverlayMode.OFF])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_where_all_is_copied_no_pixel_of_the_image_is_changed(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any, mode: OverlayMode, ndisplay: int
) -> None:
    assert target_layers.overlay_mode is OverlayMode.PROBLEMS
    target_layers.overlay_mode = mode
    viewer.dims.ndisplay = ndisplay
    pictures = [picture(viewer)]

    def image_is_drawn() -> bool:
        pictures.append(picture(viewer))
        return bool(pictures[-1].max() > 100 and np.array_equal(*pictures[-2:]))

    qtbot.waitUntil(image_is_drawn, timeout=20_000)
    qtbot.wait(300)  # an overlay would come later than this mode was chosen
    with_overlay = picture(viewer)
    viewer.layers.remove(target_layers.overlay)
    np.testing.assert_array_equal(picture(viewer), with_overlay)


def test_by_default_a_problem_is_tinted_and_what_is_copied_beside_it_is_not(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    before = picture(viewer)
    shown.cells()[0, 1, 1], shown.cells()[0, 2, 3] = S.FAILED, S.PENDING
    failed, pending, copied = (place_of(viewer, *cell) for cell in ((1, 1), (2, 3), (0, 0)))
    qtbot.waitUntil(lambda: picture(viewer)[failed][0] - picture(viewer)[failed][2] > 60)
    after = picture(viewer)
    assert after[pending][1] - after[pending][2] > 60
    np.testing.assert_array_equal(after[copied], before[copied])


def test_another_mode_is_one_assignment_away_and_stays_for_the_next_array(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    place = place_of(viewer, 2, 2)
    before = picture(viewer)[place]
    target_layers.overlay_mode = "all"
    qtbot.waitUntil(lambda: np.abs(picture(viewer)[place] - before).max() > 20)
    target_layers.overlay_mode = OverlayMode.OFF
    assert not target_layers.overlay.visible
    target_layers.overlay_mode = OverlayMode.PROBLEMS
    assert target_layers.overlay.visible
    np.testing.assert_array_equal(picture(viewer)[place], before)
    target_layers.overlay_mode = OverlayMode.ALL
    target_layers.show(None, None)
    target_layers.show(shown.snapshot, "", "none")
    qtbot.waitUntil(lambda: target_layers.overlay is not None, timeout=20_000)
    assert target_layers.overlay_mode is OverlayMode.ALL


def test_a_copy_that_ends_unproven_or_failed_marks_what_is_in_doubt(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    shown.cells()[0, 0, 0] = S.ABSENT
    absent, copied = place_of(viewer, 0, 0), place_of(viewer, 2, 2)
    before = picture(viewer)
    target_layers.update(shown.snapshot)
    np.testing.assert_array_equal(picture(viewer), before)
    settings = Settings(verify="checksum")
    target_layers.update(shown.snapshot.model_copy(update={"state": TargetState.FAILED, "settings": settings}))
    after = picture(viewer)
    assert np.abs(after[absent] - before[absent]).max() > 10 and np.abs(after[copied] - before[copied]).max() > 10


def test_the_frontier_outlines_what_is_under_way_and_for_some_seconds_what_has_come(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage_layer, "_RECENT", 1.0)
    target_layers.overlay_mode = OverlayMode.FRONTIER
    selected = set(viewer.layers.selection)
    qtbot.wait(300)
    assert outlines(viewer) is None
    inside = place_of(viewer, 1, 1)
    before = picture(viewer)[inside]
    shown.cells()[0, 1, 1] = S.COPYING
    qtbot.waitUntil(lambda: outlines(viewer) is not None and len(outlines(viewer).data) == 4)
    assert set(viewer.layers.selection) == selected
    assert viewer.layers.index(outlines(viewer)) == viewer.layers.index(target_layers.overlay) + 1
    np.testing.assert_array_equal(picture(viewer)[inside], before)
    blue = outlines(viewer).edge_color[0]
    shown.cells()[0, 1, 1] = S.COPIED
    qtbot.waitUntil(lambda: np.abs(outlines(viewer).edge_color[0] - blue).max() > 0.1)
    qtbot.waitUntil(lambda: len(outlines(viewer).data) == 0)
    target_layers.overlay_mode = OverlayMode.PROBLEMS
    assert outlines(viewer) is None


def test_in_3d_problems_are_the_edges_of_boxes(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    shown.cells()[1, 2, 3] = S.FAILED
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: outlines(viewer) is not None and len(outlines(viewer).data) == 12)
    assert not target_layers.overlay.visible
    said = target_layers.overlay.describe_position((2, 25, 35), world=True)
    assert said == "failed, chunk file (1, 2, 3) c/1/2/3"
    lines = outlines(viewer).data
    ends = np.concatenate([lines[:, 0], lines.sum(axis=1)])
    np.testing.assert_allclose([ends.min(axis=0), ends.max(axis=0)], [[0.5, 1.5, 2.5], [1.5, 2.5, 3.5]])
    viewer.dims.ndisplay = 2
    qtbot.waitUntil(lambda: outlines(viewer) is None)
    assert target_layers.overlay.visible
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: outlines(viewer) is not None)
    viewer.layers.remove(target_layers.overlay)
    assert outlines(viewer) is None


def test_outlines_give_sliders_no_steps_that_the_image_has_not(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    before = viewer.dims.range
    target_layers.overlay_mode = OverlayMode.FRONTIER
    shown.cells()[0] = S.PENDING
    qtbot.waitUntil(lambda: outlines(viewer) is not None)
    assert viewer.dims.range == before
    viewer.dims.set_current_step(0, 4)  # a slice without any
    # Drawing may rest for seconds where it is slow; meanwhile napari shows none of the other slice.
    qtbot.waitUntil(lambda: outlines(viewer) is None or not len(outlines(viewer).data), timeout=20_000)


def _geometry(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Geometry:
    from softcopy_napari.engine.protocol.messages import ArraySnapshot

    grid = tuple(-(-n // size) for n, size in zip(shape, chunk, strict=True))
    counts = (int(np.prod(grid)), 0, 0, 0, 0, 0, 0)
    array = ArraySnapshot(path="", shape=shape, chunk_shape=chunk, grid=grid, dtype="u1", ledger="", counts=counts)
    return Geometry.of(array, plain_placement("", len(shape)))


def test_outlines_end_with_the_image_and_too_many_are_joined() -> None:
    geometry = _geometry((35, 1000), (10, 1))
    marks = np.zeros(geometry.grid, np.uint8)
    marks[3, 7] = 1
    lines, kinds, _ = outline(marks, (slice(None), slice(None)), geometry)
    ends = np.concatenate([lines[:, 0], lines.sum(axis=1)])
    np.testing.assert_allclose([ends.min(axis=0), ends.max(axis=0)], [[2.5, 6.5], [3.0, 7.5]])
    assert kinds.tolist() == [1] * 4
    marks[...] = 1
    marks[0, 0] = 2
    lines, kinds, _ = outline(marks, (slice(None), slice(None)), geometry)
    assert 0 < len(lines) <= 4 * 1000 and set(kinds.tolist()) == {1, 2}
    ends = np.concatenate([lines[:, 0], lines.sum(axis=1)])
    np.testing.assert_allclose([ends.min(axis=0), ends.max(axis=0)], [[-0.5, -0.5], [3.0, 999.5]])


def test_layers_are_of_the_kinds_that_napari_knows(viewer: Any, target_layers: TargetLayers, shown: Any) -> None:
    assert isinstance(target_layers.overlay, napari.layers.Labels)
    assert target_layers.overlay.data.shape == (3, 4, 5)


def test_outlines_stay_while_drawing_rests(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_layers.overlay_mode = OverlayMode.FRONTIER
    shown.cells()[0, 0, 0] = S.COPYING
    qtbot.waitUntil(lambda: outlines(viewer) is not None)
    layer = outlines(viewer)
    monkeypatch.setattr(RedrawBudget, "due", lambda _: False)
    qtbot.wait(500)
    assert outlines(viewer) is layer
    target_layers.overlay.visible = False  # by the user
    qtbot.waitUntil(lambda: outlines(viewer) is None)
