"""The whole of what a target shows in the viewer: with real engines and writers, and with users in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from napari.utils.notifications import notification_manager

import softcopy_napari
from softcopy_napari.engine.client import Copy
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from tests.support.writers import Writer, write

pytestmark = pytest.mark.either_binding

S = ChunkState


class Followed:
    """A copy by a real engine, and the target_layers that is told of it."""

    def __init__(self, qtbot: Any, target_layers: TargetLayers, copy: Copy) -> None:
        self._qtbot, self._layers, self.copy = qtbot, target_layers, copy

    def read_snapshot(self) -> TargetSnapshot:
        snapshot = self.copy.snapshot()
        self._layers.update(snapshot)
        return snapshot

    def until(self, condition: Callable[[TargetSnapshot], object], timeout: int = 30_000) -> TargetSnapshot:
        self._qtbot.waitUntil(lambda: bool(condition(self.read_snapshot())), timeout=timeout)
        return self.read_snapshot()


@pytest.fixture
def follow(qtbot: Any, target_layers: TargetLayers) -> Iterator[Callable[..., Followed]]:
    """Starts a copy; the engine is ended with the test."""
    processes: list[psutil.Process] = []

    def start(source: Path, destination: Path, **settings: Any) -> Followed:
        copy = softcopy_napari.start(source, destination, nprocs=1, **{"settle": 0.2} | settings)
        processes.append(psutil.Process(copy.engine.run.pid))
        return Followed(qtbot, target_layers, copy)

    yield start
    target_layers.close()
    for process in processes:
        try:
            process.terminate()
            process.wait(5)
        except psutil.NoSuchProcess:
            pass


def ready(qtbot: Any, target_layers: TargetLayers, images: int = 1) -> None:
    qtbot.waitUntil(lambda: target_layers.overlay is not None and len(target_layers.images) == images, timeout=30_000)


def image_metadata(group: zarr.Group, scale: float) -> None:
    """Say that the array `0` of a group is an image."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    moves = [{"type": "scale", "scale": [scale, scale]}]
    datasets = [{"path": "0", "coordinateTransformations": moves}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


# -- with real engines and writers -----------------------------------------------------------------------------


def test_a_growing_acquisition_is_followed_to_its_end(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    before = len(notification_manager.records)
    with Writer("tensorstore", source, frames=6, planes=3, delay=0.05, grow=True, complete=True):
        followed = follow(source, destination)
        followed.until(lambda snapshot: snapshot.arrays)
        target_layers.show(followed.read_snapshot(), "")
        followed.until(lambda _: target_layers.overlay is not None and target_layers.images)
        layers = [*target_layers.images, target_layers.overlay]
        followed.until(lambda snapshot: snapshot.arrays[0].shape[0] == 6)
    end = followed.until(lambda snapshot: snapshot.state.ended)
    assert end.counts[S.COPIED] == 18
    assert viewer.dims.nsteps == (6, 3, 64, 64)
    qtbot.waitUntil(lambda: (np.asarray(target_layers.overlay.data) == S.COPIED).all())
    assert [*target_layers.images, target_layers.overlay] == layers
    pixels = zarr.open_array(source, mode="r")[:]
    viewer.dims.set_current_step(0, 5)
    viewer.dims.set_current_step(1, 2)
    image = target_layers.images[0]
    qtbot.waitUntil(lambda: image.get_value((5, 2, 33, 44)) == pixels[5, 2, 33, 44])
    assert notification_manager.records[before:] == []


def test_a_source_written_in_place_can_be_watched_without_a_complaint(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source = tmp_path / "s.zarr"
    before = len(notification_manager.records)
    with Writer("acquire", source, frames=12, planes=1, delay=0.1):
        followed = follow(source, tmp_path / "d.zarr", finish_idle=1.0)
        followed.until(lambda snapshot: snapshot.arrays)
        target_layers.show(followed.read_snapshot(), "image", "source")
        followed.until(lambda _: target_layers.overlay is not None and target_layers.images)
    followed.until(lambda snapshot: snapshot.state.ended)
    pixels = zarr.open_array(source / "image", mode="r")[:]
    image = target_layers.images[0]
    for step in range(0, len(pixels), 3):
        viewer.dims.set_current_step(0, step)
        qtbot.waitUntil(lambda step=step: image.get_value((step, 40, 50)) == pixels[step, 40, 50], timeout=20_000)
    assert notification_manager.records[before:] == []


def test_a_field_of_a_plate_is_shown_and_then_another(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source = tmp_path / "p.zarr"
    write("plate", source, frames=2, planes=3)
    followed = follow(source, tmp_path / "d.zarr")
    followed.until(lambda snapshot: snapshot.state.ended)
    for well in ("A/1", "B/1"):
        target_layers.show(followed.read_snapshot(), f"{well}/0/0")
        qtbot.waitUntil(
            lambda: len(target_layers.images) == 1 and target_layers.images[0] in viewer.layers, timeout=30_000
        )
        assert target_layers.overlay.metadata["softcopy"]["array"] == f"{well}/0/0"
        assert [layer.name for layer in viewer.layers] == [f"d.zarr/{well}/0/0", "softcopy coverage"]
        assert len(target_layers.images[0].data) == 1, "its levels are of one size, so they are no levels"


def test_ome_metadata_that_its_writer_changes_are_read_again_and_once_more_at_the_end(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    group = zarr.open_group(source, mode="w")
    group.create_array("0", data=np.ones((40, 40), np.uint16), chunks=(20, 20))
    image_metadata(group, 0.5)
    followed = follow(source, destination, settle=3600.0)
    target_layers.show(followed.read_snapshot(), None)
    followed.until(lambda snapshot: [list(layer.scale) for layer in target_layers.images] == [[0.5, 0.5]])
    image_metadata(group, 0.25)
    followed.until(lambda snapshot: [list(layer.scale) for layer in target_layers.images] == [[0.25, 0.25]])
    assert list(target_layers.overlay.metadata["softcopy"].values()) == [str(source), str(destination), "0"]
    target_layers._next_read += 3600  # as after hours, when it hardly ever looks
    image_metadata(group, 0.125)
    followed.copy.finish()
    followed.until(lambda snapshot: snapshot.state.ended)
    followed.until(lambda snapshot: [list(layer.scale) for layer in target_layers.images] == [[0.125, 0.125]])


def test_ome_metadata_that_are_half_written_take_nothing_away(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=np.ones((40, 40), np.uint16), chunks=(20, 20))
    image_metadata(group, 0.5)
    staged_target = staged(tmp_path / "a.zarr", "0")
    target_layers.show(staged_target.snapshot, "0")
    ready(qtbot, target_layers)
    layer = target_layers.images[0]
    (tmp_path / "a.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_ty')
    looks = target_layers._next_read
    qtbot.waitUntil(lambda: target_layers._next_read > looks, timeout=20_000)
    qtbot.waitUntil(lambda: not target_layers._reading)
    assert list(layer.scale) == [0.5, 0.5] and target_layers.images == [layer]
    ended = staged_target.snapshot.model_copy(update={"state": TargetState.COMPLETE})
    looks = target_layers._next_read
    target_layers.update(ended)  # asks at once
    qtbot.waitUntil(lambda: target_layers._next_read > looks and not target_layers._reading, timeout=20_000)
    image_metadata(group, 0.25)
    target_layers._next_read = 0.0
    qtbot.waitUntil(lambda: [list(one.scale) for one in target_layers.images] == [[0.25, 0.25]], timeout=20_000)


# -- with users in between ---------------------------------------------------------------------------------------


def test_layers_of_the_user_are_left_alone(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    mine = viewer.add_image(np.zeros((30, 30)), name="mine")
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "")
    ready(qtbot, target_layers)
    assert list(viewer.layers) == [mine, *target_layers.images, target_layers.overlay]
    target_layers.show(None, None)
    assert list(viewer.layers) == [mine] and target_layers.overlay is None


def test_layers_that_the_user_removes_stay_away_until_they_are_shown_anew(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    viewer.layers.remove(target_layers.overlay)
    viewer.layers.remove(target_layers.images[0])
    target.cells()[0, 0] = S.COPIED
    target_layers.update(target.snapshot)
    qtbot.wait(600)
    assert list(viewer.layers) == [] and target_layers.overlay is None
    target_layers.jump_to(S.COPIED)
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    assert list(viewer.layers) == [*target_layers.images, target_layers.overlay]
    viewer.layers.remove(target_layers.images[0])
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    assert list(viewer.layers) == [*target_layers.images, target_layers.overlay]


@pytest.mark.parametrize(("names", "first"), [(None, 0), (["z", "t", "y", "x"], 1)])
def test_a_viewer_starts_where_the_acquisition_does_also_without_ome_metadata(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    names: Any,
    first: int,
) -> None:
    zarr.create_array(
        tmp_path / "a.zarr", shape=(9, 9, 40, 40), chunks=(1, 1, 20, 20), dtype="uint16", dimension_names=names
    )
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "")
    ready(qtbot, target_layers)
    assert viewer.dims.current_step[first] == 0
    assert viewer.dims.current_step[1 - first] == 4, "not where it is thinnest"


def test_another_array_of_the_same_size_leaves_sliders_and_camera_where_they_are(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    for name in "ab":
        zarr.create_array(tmp_path / "g.zarr" / name, shape=(5, 40, 40), chunks=(1, 20, 20), dtype="uint16")
    target = staged(tmp_path / "g.zarr", "a", "b")
    target_layers.show(target.snapshot, "a")
    ready(qtbot, target_layers)
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    viewer.dims.set_current_step(0, 4)
    camera.center, camera.zoom = (0, 7, 9), 3.0
    first = target_layers.overlay
    target.cells("b")[...] = ChunkState.FAILED
    target_layers.show(target.snapshot, "b")
    ready(qtbot, target_layers)
    assert target_layers.overlay is first, "to add and to remove a layer takes napari a third of a second each"
    assert first.metadata["softcopy"]["array"] == "b" and set(np.ravel(first.data)) == {ChunkState.FAILED}
    assert "b/c/4/" in first.describe_position((4, 7, 9), world=True)
    assert viewer.dims.current_step[0] == 4 and camera.zoom == 3.0 and tuple(camera.center) == (0, 7, 9)
    assert [layer.name for layer in viewer.layers] == ["g.zarr/b", "softcopy coverage"]


def test_a_target_in_other_units_takes_the_place_of_another_without_a_warning(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    """napari warns of layers in the viewer whose units differ."""
    group = zarr.create_group(tmp_path / "um.zarr")
    group.create_array("0", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    image_metadata(group, 0.5)
    zarr.create_array(tmp_path / "pixels.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    said = len(notification_manager.records)
    for name, path in (("um", "0"), ("pixels", ""), ("um", "0")):
        before = target_layers.overlay
        target_layers.show(staged(tmp_path / f"{name}.zarr", path).snapshot, path)
        qtbot.waitUntil(lambda before=before: target_layers.overlay not in (None, before), timeout=30_000)
        ready(qtbot, target_layers)
        viewer.screenshot(flash=False)
    assert [one.message for one in notification_manager.records[said:]] == []


@pytest.mark.parametrize("image", ["destination", "source", "none"])
def test_the_image_is_that_of_the_side_that_was_chosen(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any, image: str
) -> None:
    for name, value in (("s.zarr", 4), ("d.zarr", 8)):
        zarr.create_array(tmp_path / name, data=np.full((40, 40), value, np.uint16), chunks=(20, 20))
    target = staged(tmp_path / "s.zarr", destination=tmp_path / "d.zarr")
    target_layers.show(target.snapshot, "", image)
    ready(qtbot, target_layers, images=image != "none")
    if image != "none":
        wanted = {"source": 4, "destination": 8}[image]
        qtbot.waitUntil(lambda: target_layers.images[0].get_value((30, 30)) == wanted)


def test_jumping_brings_the_first_chunk_in_a_state_into_view(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(7, 9, 350, 500), chunks=(2, 4, 100, 200), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[3, 2, 3, 2] = target.cells()[2, 1, 3, 2] = S.FAILED
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    before = viewer.dims.current_step
    target_layers.jump_to(S.WRITING)
    assert viewer.dims.current_step == before, "there is none: nothing moves"
    target_layers.jump_to(S.FAILED)
    shown = target_layers.overlay.world_to_data(viewer.dims.point)
    assert [round(place) for place in shown[:2]] == [2, 1]
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    assert 300 <= camera.center[-2] < 350 and 400 <= camera.center[-1] < 500
    assert target_layers.overlay.get_value((*viewer.dims.point[:2], *camera.center[-2:]), world=True) == S.FAILED


@pytest.mark.parametrize(("order", "centre"), [((2, 3, 0, 1), (0, 3, 4)), ((1, 2, 0, 3), (0, 3, 29))])
def test_jumping_while_axes_of_another_layer_are_shown_moves_what_there_is_to_move(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    order: tuple[int, ...],
    centre: tuple[float, ...],
) -> None:
    viewer.add_image(np.zeros((5, 6, 40, 40), np.uint8))
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[1, 1] = S.FAILED
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    viewer.dims.order = order
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    camera.center = (0, 3, 4)
    target_layers.jump_to(S.FAILED)
    assert tuple(camera.center) == centre
    assert viewer.dims.point[2] == 29
    viewer.dims.order = (0, 1, 2, 3)


def test_no_image_and_no_metadata_still_give_an_overlay(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr", destination=tmp_path / "b.zarr")
    (tmp_path / "a.zarr").rename(tmp_path / "away.zarr")
    target.cells()[1, 0] = S.COPIED
    target_layers.show(target.snapshot, "")
    qtbot.waitUntil(lambda: target_layers.overlay is not None, timeout=20_000)
    assert target_layers.overlay.describe((1, 0), target_layers.overlay.data[1, 0]) == "copied, chunk file (1, 0)"
    assert target_layers.images == []


def test_pixels_that_cannot_be_shown_are_a_word_and_not_a_traceback(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="complex64")
    said: list[str] = []
    target_layers.problem.connect(said.append)
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "")
    qtbot.waitUntil(lambda: bool(said) and target_layers.overlay is not None, timeout=20_000)
    assert said == ["The image cannot be shown: pixels of the type complex64 cannot be shown"]


def test_a_ledger_that_is_gone_is_told_and_the_image_is_shown_without(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    snapshot = target.snapshot
    target.ledgers[""].path.unlink()
    said: list[str] = []
    target_layers.problem.connect(said.append)
    target_layers.show(snapshot, "")
    qtbot.waitUntil(lambda: len(target_layers.images) == 1, timeout=20_000)
    assert target_layers.overlay is None and len(said) == 1 and "Check coverage" in said[0]


@pytest.mark.parametrize(
    ("shape", "chunks", "what"),
    [
        ((100_000, 100_000), (1000, 1000), "20.0 GB"),
        ((2, 200_000_000), (1, 1_000_000), "200,000,000 pixels in a row"),
    ],
)
def test_an_image_that_is_too_much_for_napari_is_told_and_left_out(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    shape: Any,
    chunks: Any,
    what: str,
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=chunks, dtype="uint16")
    said: list[str] = []
    target_layers.problem.connect(said.append)
    target_layers.show(staged(tmp_path / "a.zarr").snapshot, "")
    qtbot.waitUntil(lambda: bool(said) and target_layers.overlay is not None, timeout=20_000)
    assert f"a plane of it has {what}" in said[0] and target_layers.images == []


def test_a_viewer_that_is_closed_first_is_no_trouble(
    tmp_path: Path, make_napari_viewer: Callable[..., Any], staged: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    target_layers = TargetLayers(viewer)
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    viewer.close()
    target.cells()[...] = S.COPIED
    qtbot.wait(500)
    target_layers.update(target.snapshot)
    target_layers.close()
    target_layers.close()


def test_a_viewer_that_shows_plugins_its_public_side_only_is_enough(
    tmp_path: Path, make_napari_viewer_proxy: Callable[..., Any], staged: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    target_layers = TargetLayers(viewer)
    zarr.create_array(tmp_path / "a.zarr", shape=(5, 35, 50), chunks=(2, 20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[2, 1, 1] = S.FAILED
    target_layers.show(target.snapshot, "")
    ready(qtbot, target_layers)
    target_layers.jump_to(S.FAILED)
    assert viewer.dims.current_step[0] == 4
    viewer.dims.ndisplay = 3
    viewer.layers.remove(target_layers.images[0])
    target_layers.show(target.snapshot, "", "source")
    ready(qtbot, target_layers)
    target_layers.close()
    assert len(viewer.layers) == 0
