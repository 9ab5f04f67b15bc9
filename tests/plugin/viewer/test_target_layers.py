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
    """A copy by a real engine, and the scene that is told of it."""

    def __init__(self, qtbot: Any, scene: TargetLayers, copy: Copy) -> None:
        self._qtbot, self._scene, self.copy = qtbot, scene, copy

    def look(self) -> TargetSnapshot:
        snapshot = self.copy.snapshot()
        self._scene.update(snapshot)
        return snapshot

    def until(self, condition: Callable[[TargetSnapshot], object], timeout: int = 30_000) -> TargetSnapshot:
        self._qtbot.waitUntil(lambda: bool(condition(self.look())), timeout=timeout)
        return self.look()


@pytest.fixture
def follow(qtbot: Any, scene: TargetLayers) -> Iterator[Callable[..., Followed]]:
    """Starts a copy; the engine is ended with the test."""
    processes: list[psutil.Process] = []

    def start(source: Path, destination: Path, **settings: Any) -> Followed:
        copy = softcopy_napari.start(source, destination, nprocs=1, **{"settle": 0.2} | settings)
        processes.append(psutil.Process(copy.engine.run.pid))
        return Followed(qtbot, scene, copy)

    yield start
    scene.close()
    for process in processes:
        try:
            process.terminate()
            process.wait(5)
        except psutil.NoSuchProcess:
            pass


def ready(qtbot: Any, scene: TargetLayers, images: int = 1) -> None:
    qtbot.waitUntil(lambda: scene.overlay is not None and len(scene.images) == images, timeout=30_000)


def image_metadata(group: zarr.Group, scale: float) -> None:
    """Say that the array `0` of a group is an image."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    moves = [{"type": "scale", "scale": [scale, scale]}]
    datasets = [{"path": "0", "coordinateTransformations": moves}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


# -- with real engines and writers -----------------------------------------------------------------------------


def test_a_growing_acquisition_is_followed_to_its_end(
    tmp_path: Path, viewer: Any, scene: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    before = len(notification_manager.records)
    with Writer("tensorstore", source, frames=6, planes=3, delay=0.05, grow=True, complete=True):
        followed = follow(source, destination)
        followed.until(lambda snapshot: snapshot.arrays)
        scene.show(followed.look(), "")
        followed.until(lambda _: scene.overlay is not None and scene.images)
        layers = [*scene.images, scene.overlay]
        followed.until(lambda snapshot: snapshot.arrays[0].shape[0] == 6)
    end = followed.until(lambda snapshot: snapshot.state.ended)
    assert end.counts[S.COPIED] == 18
    assert viewer.dims.nsteps == (6, 3, 64, 64)
    qtbot.waitUntil(lambda: (np.asarray(scene.overlay.data) == S.COPIED).all())
    assert [*scene.images, scene.overlay] == layers
    pixels = zarr.open_array(source, mode="r")[:]
    viewer.dims.set_current_step(0, 5)
    viewer.dims.set_current_step(1, 2)
    image = scene.images[0]
    qtbot.waitUntil(lambda: image.get_value((5, 2, 33, 44)) == pixels[5, 2, 33, 44])
    assert notification_manager.records[before:] == []


def test_a_source_written_in_place_can_be_watched_without_a_complaint(
    tmp_path: Path, viewer: Any, scene: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source = tmp_path / "s.zarr"
    before = len(notification_manager.records)
    with Writer("acquire", source, frames=12, planes=1, delay=0.1):
        followed = follow(source, tmp_path / "d.zarr", finish_idle=1.0)
        followed.until(lambda snapshot: snapshot.arrays)
        scene.show(followed.look(), "image", "source")
        followed.until(lambda _: scene.overlay is not None and scene.images)
    followed.until(lambda snapshot: snapshot.state.ended)
    pixels = zarr.open_array(source / "image", mode="r")[:]
    image = scene.images[0]
    for step in range(0, len(pixels), 3):
        viewer.dims.set_current_step(0, step)
        qtbot.waitUntil(lambda step=step: image.get_value((step, 40, 50)) == pixels[step, 40, 50], timeout=20_000)
    assert notification_manager.records[before:] == []


def test_a_field_of_a_plate_is_shown_and_then_another(
    tmp_path: Path, viewer: Any, scene: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source = tmp_path / "p.zarr"
    write("plate", source, frames=2, planes=3)
    followed = follow(source, tmp_path / "d.zarr")
    followed.until(lambda snapshot: snapshot.state.ended)
    for well in ("A/1", "B/1"):
        scene.show(followed.look(), f"{well}/0/0")
        qtbot.waitUntil(lambda: len(scene.images) == 1 and scene.images[0] in viewer.layers, timeout=30_000)
        assert scene.overlay.metadata["softcopy"]["array"] == f"{well}/0/0"
        assert [layer.name for layer in viewer.layers] == [f"d.zarr/{well}/0/0", "softcopy coverage"]
        assert len(scene.images[0].data) == 1, "its levels are of one size, so they are no levels"


def test_ome_metadata_that_its_writer_changes_are_read_again_and_once_more_at_the_end(
    tmp_path: Path, viewer: Any, scene: TargetLayers, follow: Callable[..., Followed], qtbot: Any
) -> None:
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    group = zarr.open_group(source, mode="w")
    group.create_array("0", data=np.ones((40, 40), np.uint16), chunks=(20, 20))
    image_metadata(group, 0.5)
    followed = follow(source, destination, settle=3600.0)
    scene.show(followed.look(), None)
    followed.until(lambda snapshot: [list(layer.scale) for layer in scene.images] == [[0.5, 0.5]])
    image_metadata(group, 0.25)
    followed.until(lambda snapshot: [list(layer.scale) for layer in scene.images] == [[0.25, 0.25]])
    assert list(scene.overlay.metadata["softcopy"].values()) == [str(source), str(destination), "0"]
    scene._next_look += 3600  # as after hours, when it hardly ever looks
    image_metadata(group, 0.125)
    followed.copy.finish()
    followed.until(lambda snapshot: snapshot.state.ended)
    followed.until(lambda snapshot: [list(layer.scale) for layer in scene.images] == [[0.125, 0.125]])


def test_ome_metadata_that_are_half_written_take_nothing_away(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=np.ones((40, 40), np.uint16), chunks=(20, 20))
    image_metadata(group, 0.5)
    staged_target = staged(tmp_path / "a.zarr", "0")
    scene.show(staged_target.snapshot, "0")
    ready(qtbot, scene)
    layer = scene.images[0]
    (tmp_path / "a.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_ty')
    looks = scene._next_look
    qtbot.waitUntil(lambda: scene._next_look > looks, timeout=20_000)
    qtbot.waitUntil(lambda: not scene._looking)
    assert list(layer.scale) == [0.5, 0.5] and scene.images == [layer]
    ended = staged_target.snapshot.model_copy(update={"state": TargetState.COMPLETE})
    looks = scene._next_look
    scene.update(ended)  # asks at once
    qtbot.waitUntil(lambda: scene._next_look > looks and not scene._looking, timeout=20_000)
    image_metadata(group, 0.25)
    scene._next_look = 0.0
    qtbot.waitUntil(lambda: [list(one.scale) for one in scene.images] == [[0.25, 0.25]], timeout=20_000)


# -- with users in between ---------------------------------------------------------------------------------------


def test_layers_of_the_user_are_left_alone(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    mine = viewer.add_image(np.zeros((30, 30)), name="mine")
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    scene.show(staged(tmp_path / "a.zarr").snapshot, "")
    ready(qtbot, scene)
    assert list(viewer.layers) == [mine, *scene.images, scene.overlay]
    scene.show(None, None)
    assert list(viewer.layers) == [mine] and scene.overlay is None


def test_layers_that_the_user_removes_stay_away_until_they_are_shown_anew(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    viewer.layers.remove(scene.overlay)
    viewer.layers.remove(scene.images[0])
    target.cells()[0, 0] = S.COPIED
    scene.update(target.snapshot)
    qtbot.wait(600)
    assert list(viewer.layers) == [] and scene.overlay is None
    scene.jump_to(S.COPIED)
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    assert list(viewer.layers) == [*scene.images, scene.overlay]
    viewer.layers.remove(scene.images[0])
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    assert list(viewer.layers) == [*scene.images, scene.overlay]


@pytest.mark.parametrize(("names", "first"), [(None, 0), (["z", "t", "y", "x"], 1)])
def test_a_viewer_starts_where_the_acquisition_does_also_without_ome_metadata(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any, names: Any, first: int
) -> None:
    zarr.create_array(
        tmp_path / "a.zarr", shape=(9, 9, 40, 40), chunks=(1, 1, 20, 20), dtype="uint16", dimension_names=names
    )
    scene.show(staged(tmp_path / "a.zarr").snapshot, "")
    ready(qtbot, scene)
    assert viewer.dims.current_step[first] == 0
    assert viewer.dims.current_step[1 - first] == 4, "not where it is thinnest"


def test_another_array_of_the_same_size_leaves_sliders_and_camera_where_they_are(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    for name in "ab":
        zarr.create_array(tmp_path / "g.zarr" / name, shape=(5, 40, 40), chunks=(1, 20, 20), dtype="uint16")
    target = staged(tmp_path / "g.zarr", "a", "b")
    scene.show(target.snapshot, "a")
    ready(qtbot, scene)
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    viewer.dims.set_current_step(0, 4)
    camera.center, camera.zoom = (0, 7, 9), 3.0
    first = scene.overlay
    scene.show(target.snapshot, "b")
    qtbot.waitUntil(lambda: scene.overlay not in (None, first) and len(scene.images) == 1, timeout=30_000)
    assert viewer.dims.current_step[0] == 4 and camera.zoom == 3.0 and tuple(camera.center) == (0, 7, 9)
    assert [layer.name for layer in viewer.layers] == ["g.zarr/b", "softcopy coverage"]


@pytest.mark.parametrize("image", ["destination", "source", "none"])
def test_the_image_is_that_of_the_side_that_was_chosen(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any, image: str
) -> None:
    for name, value in (("s.zarr", 4), ("d.zarr", 8)):
        zarr.create_array(tmp_path / name, data=np.full((40, 40), value, np.uint16), chunks=(20, 20))
    target = staged(tmp_path / "s.zarr", destination=tmp_path / "d.zarr")
    scene.show(target.snapshot, "", image)
    ready(qtbot, scene, images=image != "none")
    if image != "none":
        wanted = {"source": 4, "destination": 8}[image]
        qtbot.waitUntil(lambda: scene.images[0].get_value((30, 30)) == wanted)


def test_jumping_brings_the_first_chunk_in_a_state_into_view(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(7, 9, 350, 500), chunks=(2, 4, 100, 200), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[3, 2, 3, 2] = target.cells()[2, 1, 3, 2] = S.FAILED
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    before = viewer.dims.current_step
    scene.jump_to(S.WRITING)
    assert viewer.dims.current_step == before, "there is none: nothing moves"
    scene.jump_to(S.FAILED)
    shown = scene.overlay.world_to_data(viewer.dims.point)
    assert [round(place) for place in shown[:2]] == [2, 1]
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    assert 300 <= camera.center[-2] < 350 and 400 <= camera.center[-1] < 500
    assert scene.overlay.get_value((*viewer.dims.point[:2], *camera.center[-2:]), world=True) == S.FAILED


@pytest.mark.parametrize(("order", "centre"), [((2, 3, 0, 1), (0, 3, 4)), ((1, 2, 0, 3), (0, 3, 29))])
def test_jumping_while_axes_of_another_layer_are_shown_moves_what_there_is_to_move(
    tmp_path: Path,
    viewer: Any,
    scene: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    order: tuple[int, ...],
    centre: tuple[float, ...],
) -> None:
    viewer.add_image(np.zeros((5, 6, 40, 40), np.uint8))
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[1, 1] = S.FAILED
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    viewer.dims.order = order
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    camera.center = (0, 3, 4)
    scene.jump_to(S.FAILED)
    assert tuple(camera.center) == centre
    assert viewer.dims.point[2] == 29
    viewer.dims.order = (0, 1, 2, 3)


def test_no_image_and_no_metadata_still_give_an_overlay(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr", destination=tmp_path / "b.zarr")
    (tmp_path / "a.zarr").rename(tmp_path / "away.zarr")
    target.cells()[1, 0] = S.COPIED
    scene.show(target.snapshot, "")
    qtbot.waitUntil(lambda: scene.overlay is not None, timeout=20_000)
    assert scene.overlay.describe((1, 0), scene.overlay.data[1, 0]) == "copied, chunk file (1, 0)"
    assert scene.images == []


def test_pixels_that_cannot_be_shown_are_a_word_and_not_a_traceback(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="complex64")
    said: list[str] = []
    scene.problem.connect(said.append)
    scene.show(staged(tmp_path / "a.zarr").snapshot, "")
    qtbot.waitUntil(lambda: bool(said) and scene.overlay is not None, timeout=20_000)
    assert said == ["The image cannot be shown: pixels of the type complex64 cannot be shown"]


def test_a_ledger_that_is_gone_is_told_and_the_image_is_shown_without(
    tmp_path: Path, viewer: Any, scene: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    snapshot = target.snapshot
    target.ledgers[""].path.unlink()
    said: list[str] = []
    scene.problem.connect(said.append)
    scene.show(snapshot, "")
    qtbot.waitUntil(lambda: len(scene.images) == 1, timeout=20_000)
    assert scene.overlay is None and len(said) == 1 and "Check coverage" in said[0]


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
    scene: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    shape: Any,
    chunks: Any,
    what: str,
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=chunks, dtype="uint16")
    said: list[str] = []
    scene.problem.connect(said.append)
    scene.show(staged(tmp_path / "a.zarr").snapshot, "")
    qtbot.waitUntil(lambda: bool(said) and scene.overlay is not None, timeout=20_000)
    assert f"a plane of it has {what}" in said[0] and scene.images == []


def test_a_viewer_that_is_closed_first_is_no_trouble(
    tmp_path: Path, make_napari_viewer: Callable[..., Any], staged: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    scene = TargetLayers(viewer)
    zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    viewer.close()
    target.cells()[...] = S.COPIED
    qtbot.wait(500)
    scene.update(target.snapshot)
    scene.close()
    scene.close()


def test_a_viewer_that_shows_plugins_its_public_side_only_is_enough(
    tmp_path: Path, make_napari_viewer_proxy: Callable[..., Any], staged: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    scene = TargetLayers(viewer)
    zarr.create_array(tmp_path / "a.zarr", shape=(5, 35, 50), chunks=(2, 20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    target.cells()[2, 1, 1] = S.FAILED
    scene.show(target.snapshot, "")
    ready(qtbot, scene)
    scene.jump_to(S.FAILED)
    assert viewer.dims.current_step[0] == 4
    viewer.dims.ndisplay = 3
    viewer.layers.remove(scene.images[0])
    scene.show(target.snapshot, "", "source")
    ready(qtbot, scene)
    scene.close()
    assert len(viewer.layers) == 0
