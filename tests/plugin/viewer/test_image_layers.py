"""The image of a dataset that is being written: it comes by itself, never waits, and never complains."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication, QComboBox

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.live_array import LiveArray
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.plugin.viewer.zarr_reader import ZarrReader, blocks, open_array
from softcopy_napari.simulation.microscope import write_acquisition
from softcopy_napari.simulation.settings import MicroscopeSettings
from tests.plugin.viewer.stored_arrays import each_stored_array

pytestmark = pytest.mark.either_binding

S = ChunkState


def brightest(viewer: Any) -> int:
    """The brightest value in the picture."""
    return int(viewer.screenshot(canvas_only=True, flash=False)[..., :3].max())


def show(qtbot: Any, target_layers: TargetLayers, staged: Any, array: str = "", image: str = "destination") -> None:
    target_layers.show(staged.snapshot, array, image)
    qtbot.waitUntil(lambda: target_layers.overlay is not None and bool(target_layers.images), timeout=20_000)


@each_stored_array
def test_pixels_are_those_of_the_array(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    kwargs: Any,
    shape: Any,
) -> None:
    pixels = np.random.default_rng(0).integers(1, 60_000, shape, dtype=np.uint16)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, **kwargs)
    show(qtbot, target_layers, staged(tmp_path / "a.zarr"))
    data = target_layers.images[0].data
    assert data.shape == shape and data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(data), pixels)
    if len(shape) == 3:
        viewer.dims.set_current_step(0, 2)
        qtbot.waitUntil(lambda: np.array_equal(data[2, 10:20, 5:25], pixels[2, 10:20, 5:25]))
        qtbot.waitUntil(lambda: target_layers.images[0].get_value((2, 40, 60)) == pixels[2, 40, 60])


def test_an_empty_dataset_is_seen_as_soon_as_chunks_arrive(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 40, 40), chunks=(1, 20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    show(qtbot, target_layers, target)
    target_layers.overlay.visible = False
    viewer.dims.set_current_step(0, 1)
    assert brightest(viewer) == 0
    array[1, :20, 20:] = np.random.default_rng(0).integers(90, 120, (20, 20))  # few of 65535: black, if not adapted
    target.cells()[1, 0, 1] = S.COPIED
    qtbot.waitUntil(lambda: brightest(viewer) > 200)
    array[1, 20:, :20] = 5000
    target.cells()[1, 1, 0] = S.VERIFIED
    qtbot.waitUntil(lambda: target_layers.images[0].get_value((1, 30, 10)) == 5000)
    qtbot.waitUntil(lambda: target_layers.images[0].contrast_limits[1] > 4000)


def test_new_pixels_are_seen_where_napari_slices_in_threads(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(get_settings().experimental, "async_", True)
    try:
        array = zarr.create_array(tmp_path / "a.zarr", shape=(2, 40, 40), chunks=(1, 20, 20), dtype="uint16")
        target = staged(tmp_path / "a.zarr")
        show(qtbot, target_layers, target)
        for frame, value in ((0, 3000), (1, 5000)):
            viewer.dims.set_current_step(0, frame)
            array[frame, :20, :20] = value
            target.cells()[frame, 0, 0] = S.COPIED
            qtbot.waitUntil(lambda: target_layers.images[0]._slice.image.raw.max() == value, timeout=20_000)  # noqa: B023
        viewer.dims.set_current_step(0, 0)
        qtbot.waitUntil(lambda: target_layers.images[0]._slice.image.raw.max() == 3000, timeout=20_000)
    finally:
        monkeypatch.undo()
        viewer._layer_slicer.shutdown()
        viewer._layer_slicer._executor = ThreadPoolExecutor(max_workers=1)  # for whoever has this viewer next


def test_contrast_limits_of_the_user_stay(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(40, 40), chunks=(20, 20), dtype="uint16")
    target = staged(tmp_path / "a.zarr")
    show(qtbot, target_layers, target)
    target_layers.images[0].contrast_limits = (7, 77)
    array[:20, :20] = 5000
    target.cells()[0, 0] = S.COPIED
    qtbot.waitUntil(lambda: target_layers.images[0].get_value((3, 3)) == 5000)
    assert list(target_layers.images[0].contrast_limits) == [7, 77]


def test_the_image_appears_when_the_destination_does(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=np.full((40, 40), 9, np.uint16), chunks=(20, 20))
    target = staged(tmp_path / "a.zarr", destination=tmp_path / "b.zarr")
    target_layers.show(target.snapshot, "")
    qtbot.waitUntil(lambda: target_layers.overlay is not None, timeout=20_000)
    assert target_layers.images == []
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    qtbot.waitUntil(lambda: bool(target_layers.images), timeout=20_000)
    qtbot.waitUntil(lambda: target_layers.images[0].get_value((30, 30)) == 9)
    assert list(viewer.layers) == [*target_layers.images, target_layers.overlay], "the overlay lies on top"
    assert viewer.layers.selection.active is target_layers.overlay


@pytest.mark.parametrize("damage", ["cut off", "rubbish", "missing"])
@pytest.mark.parametrize("shards", [None, (1, 20, 20)])
def test_a_missing_or_half_written_chunk_is_fill_value_and_raises_no_notification(
    tmp_path: Path,
    viewer: Any,
    target_layers: TargetLayers,
    staged: Callable[..., Any],
    qtbot: Any,
    damage: str,
    shards: Any,
) -> None:
    pixels = np.random.default_rng(0).integers(1, 60_000, (2, 40, 40), dtype=np.uint16)
    chunks = (1, 20, 20) if shards is None else (1, 10, 10)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, chunks=chunks, shards=shards)
    bad = tmp_path / "a.zarr" / "c" / "0" / "1" / "0"
    whole = bad.read_bytes()
    if damage == "missing":
        bad.unlink()
    else:
        bad.write_bytes(whole[: len(whole) // 2] if damage == "cut off" else b"\xff" * len(whole))
    target = staged(tmp_path / "a.zarr")
    before = len(notification_manager.records)
    show(qtbot, target_layers, target, image="source")
    viewer.dims.set_current_step(0, 0)
    image = target_layers.images[0]
    qtbot.waitUntil(lambda: image.get_value((0, 39, 39)) == pixels[0, 39, 39])
    assert image.get_value((0, 5, 5)) == pixels[0, 5, 5] and image.get_value((0, 30, 5)) == 0
    expected = pixels.copy()
    expected[0, 20:, :20] = 0
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    bad.write_bytes(whole)
    target.cells()[0, 1, 0] = S.PENDING  # at the source, that is what tells
    qtbot.waitUntil(lambda: image.get_value((0, 30, 5)) == pixels[0, 30, 5])
    assert notification_manager.records[before:] == []


def test_channels_are_layers_that_are_seen_together_and_so_are_their_chunk_files(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(frames=2, rate=0, size=(4, 32, 32), slab=2, channels=3))
    target = staged(tmp_path / "a.zarr", "0", "1")
    target.cells("0")[0, :, 0] = np.array([S.COPIED, S.PENDING, S.FAILED])[:, None, None]
    show(qtbot, target_layers, target, "0")
    assert [layer.name for layer in target_layers.images] == [f"a.zarr/0 channel {n}" for n in (1, 2, 3)]
    assert [tuple(layer.contrast_limits) for layer in target_layers.images] == [(100, 2500)] * 3
    assert {layer.ndim for layer in viewer.layers} == {5}
    pixels = zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[:]
    viewer.dims.set_point(2, 0)
    assert viewer.dims.nsteps[1] == 1  # no slider that changes nothing
    for channel, layer in enumerate(target_layers.images):
        qtbot.waitUntil(
            lambda layer=layer, channel=channel: layer.get_value((0, 0, 0, 5, 5))[1] == pixels[0, channel, 0, 5, 5]
        )
    np.testing.assert_array_equal(np.asarray(target_layers.images[1].data[0])[:, 0], pixels[:, 1])
    overlay, cells = target_layers.overlay, target.cells("0")
    assert overlay.get_value((0, 0, 0, 0, 0)) == S.FAILED
    assert overlay.describe_position((0, 0, 0, 5, 5), world=True).startswith("failed, chunk file (0, 2, 0, 0, 0)")
    np.testing.assert_array_equal(np.asarray(overlay.data), cells)
    assert [overlay.data[0, channel, 0, 0, 0] for channel in range(3)] == [S.COPIED, S.PENDING, S.FAILED]
    cells[0, 2, 0] = S.COPIED
    qtbot.waitUntil(lambda: overlay.get_value((0, 0, 0, 0, 0)) == S.PENDING)
    viewer.dims.ndisplay = 3
    ask = {"view_direction": np.array([0, 0, 1.0, 0, 0]), "dims_displayed": [2, 3, 4], "world": True}
    assert overlay.describe_position((0, 0, 0, 5, 5), **ask).startswith("pending, chunk file (0, 1, 0, 0, 0)")
    target_layers.jump_to(S.PENDING)
    assert viewer.dims.nsteps[1] == 1 and viewer.dims.current_step[1] == 0


def test_channels_stay_what_they_are_when_one_is_removed_and_a_coarser_level_comes(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(frames=2, rate=0, size=(4, 64, 64), slab=2, channels=3))
    coarser = (tmp_path / "a.zarr" / "1").rename(tmp_path / "later")
    target = staged(tmp_path / "a.zarr", "0")
    show(qtbot, target_layers, target, "0")
    assert len(target_layers.images[0].data) == 1
    viewer.layers.remove(target_layers.images[0])
    coarser.rename(tmp_path / "a.zarr" / "1")
    qtbot.waitUntil(lambda: len(target_layers.images[0].data) == 2, timeout=20_000)
    pixels = zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[:]
    for layer, channel in zip(target_layers.images, (1, 2), strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data[0])[:, 0], pixels[:, channel])


def test_a_channel_axis_within_one_chunk_gets_no_slider(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    pixels = np.arange(2 * 20 * 20, dtype=np.uint16).reshape(2, 20, 20)
    group.create_array("0", data=pixels, chunks=(2, 10, 10))
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    target = staged(tmp_path / "i.zarr", "0")
    target.cells("0")[...] = S.COPIED
    show(qtbot, target_layers, target, "0")
    assert viewer.dims.nsteps == (1, 20, 20)
    assert target_layers.overlay.get_value((0, 1, 1)) == S.COPIED
    assert len(target_layers.images) == 2
    np.testing.assert_array_equal(np.asarray(target_layers.images[1].data)[0], pixels[1])


def test_levels_are_one_multiscale_layer_even_if_one_lags_behind(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(frames=3, rate=0, size=(4, 64, 64), slab=2, channels=1))
    metadata = tmp_path / "a.zarr" / "1" / "zarr.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**content, "shape": [2, *content["shape"][1:]]}))
    target = staged(tmp_path / "a.zarr", "0", "1")
    show(qtbot, target_layers, target, "0")
    layer = target_layers.images[0]
    assert layer.multiscale and [level.shape for level in layer.data] == [(3, 1, 4, 64, 64), (3, 1, 2, 32, 32)]
    fine = zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[:]
    np.testing.assert_array_equal(np.asarray(layer.data[0]), fine)
    target_layers.show(target.snapshot, "1")
    qtbot.waitUntil(lambda: bool(target_layers.images) and target_layers.images[0] is not layer, timeout=20_000)
    np.testing.assert_allclose(target_layers.images[0].scale[2:], [4, 0.8, 0.8])
    assert list(viewer.layers) == [*target_layers.images, target_layers.overlay]


def test_an_array_that_grows_gets_longer_sliders_and_its_new_pixels(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2, 20, 20), chunks=(1, 10, 10), dtype="uint16")
    array[:] = 3
    target = staged(tmp_path / "a.zarr")
    show(qtbot, target_layers, target)
    viewer.dims.set_current_step(0, 1)
    layers = [*target_layers.images, target_layers.overlay]
    array.resize((5, 20, 20))
    array[4] = 7
    target.read()
    target.cells()[4] = S.COPIED
    target_layers.update(target.snapshot)
    assert viewer.dims.nsteps[0] == 5 and viewer.dims.current_step[0] == 1
    viewer.dims.set_current_step(0, 4)
    qtbot.waitUntil(lambda: target_layers.images[0].get_value((4, 15, 15)) == 7)
    assert target_layers.overlay.get_value((4, 1, 1)) == S.COPIED
    assert [*target_layers.images, target_layers.overlay] == layers, (
        "the same layers, with whatever the user has set there"
    )


# -- live_array by itself --------------------------------------------------------------------------------------


class Held:
    """A stored array whose reads end when the test lets them."""

    def __init__(self, reader: ZarrReader) -> None:
        self._reader = reader
        self.shape, self.chunk, self.dtype, self.fill = reader.shape, reader.chunk, reader.dtype, reader.fill
        self.waiting: list[Callable[[], None]] = []
        self.asked: list[Sequence[Any]] = []

    def begin(self, region: Any, base: Any, pieces: Sequence[Any], then: Callable[[Any], object]) -> None:
        self.asked.append(pieces)
        self.waiting.append(lambda: self._reader.begin(region, base, pieces, then))

    def let(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one()


class Marks:
    """Chunk files that the test changes."""

    chunk = (1, 10, 10)

    def __init__(self) -> None:
        self.cells = np.zeros((4, 2, 4), np.uint8)

    def marks(self, region: Any) -> Any:
        cells = [slice(part.start // n, -(-part.stop // n)) for part, n in zip(region, self.chunk, strict=True)]
        return self.cells[tuple(cells)].copy()


@pytest.fixture
def held(tmp_path: Path, qtbot: Any) -> Any:
    """A live array of (4, 20, 40) pixels, plane t all t + 1, with the stored array, marks and what it said."""
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 20, 40), chunks=(1, 10, 10), dtype="uint16")
    array[:] = np.broadcast_to(np.arange(1, 5)[:, None, None], array.shape)
    reader = open_array(str(tmp_path / "a.zarr"), 3)
    assert reader is not None
    held, marks, said = Held(reader), Marks(), []
    queue = MainThreadQueue()
    live = LiveArray(held, array.shape, queue, marks, said.append)  # type: ignore[arg-type]
    yield live, held, marks, said, array
    queue.close()


def test_the_main_thread_gets_what_is_there_and_is_told_when_more_is(held: Any, qtbot: Any) -> None:
    live, reader, _, said, _ = held
    assert live[2].max() == 0 and live[2].shape == (20, 40)
    assert len(reader.waiting) == 1, "asking twice reads once"
    reader.let()
    qtbot.waitUntil(lambda: len(said) == 1)
    assert (live[2] == 3).all()
    assert reader.waiting == []


def test_while_a_slice_is_read_the_one_before_stands_in_for_a_moment_only(held: Any, qtbot: Any) -> None:
    live, reader, _, said, _ = held
    live[0]
    reader.let()
    qtbot.waitUntil(lambda: len(said) == 1)
    assert (live[0] == 1).all()
    assert (live[1] == 1).all(), "no flicker between two slices"
    qtbot.waitUntil(lambda: live.refresh_shown() is None and len(said) == 2)
    assert (live[1] == 0).all(), "and no lie for long"
    reader.let()
    qtbot.waitUntil(lambda: len(said) == 3)
    assert (live[1] == 2).all()


def test_only_chunk_files_that_have_changed_are_read_again(held: Any, qtbot: Any) -> None:
    live, reader, marks, said, array = held
    live[1]
    reader.let()
    qtbot.waitUntil(lambda: len(said) == 1)
    live[1]
    array[1, :10, :10] = 9
    marks.cells[1, 0, 0] = 1
    marks.cells[3] = 1  # not in the picture
    qtbot.waitUntil(lambda: live.refresh_shown() is None and len(reader.waiting) == 1)
    assert reader.asked[-1] == [(slice(1, 2), slice(0, 10), slice(0, 10))]
    assert (live[1] == 2).all(), "the old pixels stay until the new ones are there"
    reader.let()
    qtbot.waitUntil(lambda: len(said) == 2)
    assert (live[1][:10, :10] == 9).all() and (live[1][10:] == 2).all()


def test_a_region_is_cut_along_the_borders_of_chunks() -> None:
    region = slice(5, 25), slice(0, 7)
    rows, columns = (slice(5, 10), slice(10, 20), slice(20, 25)), (slice(0, 4), slice(4, 7))
    assert blocks(region, (10, 4)) == [(row, column) for row in rows for column in columns]
    assert blocks((), ()) == [()]
    wanted = np.array([[False, False], [False, True], [True, False]])
    assert blocks(region, (10, 4), wanted) == [(rows[1], columns[1]), (rows[2], columns[0])]


def test_finding_a_changed_chunk_file_among_millions_takes_no_time() -> None:
    wanted = np.zeros((2000, 2000), bool)
    wanted[1999, 7] = True
    began = time.perf_counter()
    assert blocks((slice(0, 2000), slice(0, 2000)), (1, 1), wanted) == [(slice(1999, 2000), slice(7, 8))]
    assert time.perf_counter() - began < 1, "some milliseconds, but the machine may be busy"


def test_other_threads_and_numpy_get_the_pixels_themselves(held: Any, qtbot: Any) -> None:
    live, _, _, _, array = held
    reader = live._reader._reader
    live._reader = reader
    np.testing.assert_array_equal(np.asarray(live), array[:])


@pytest.mark.parametrize(
    "key",
    [
        np.s_[1],
        np.s_[..., 3],
        np.s_[-1, 2:7],
        np.s_[:, ::3, 5],
        np.s_[1:3, 4, ::-1],
        np.s_[[0, 2], 1],
        np.s_[:, :, :],
        np.s_[2, 3, 4],
        np.s_[1:1],
    ],
    ids=str,
)
def test_it_is_indexed_as_numpy_arrays_are(held: Any, qtbot: Any, key: Any) -> None:
    live, reader, _, said, array = held
    expected = array[:][key]
    assert np.asarray(live[key]).shape == expected.shape
    reader.let()
    if expected.size:
        qtbot.waitUntil(lambda: len(said) == 1)
    np.testing.assert_array_equal(np.asarray(live[key]), expected)
    np.testing.assert_array_equal(np.asarray(live[1:3][0, 2:5]).shape, (3, 40))


def test_an_index_beyond_it_is_an_error_as_everywhere(held: Any) -> None:
    live = held[0]
    with pytest.raises(IndexError, match="out of bounds"):
        live[4]
    with pytest.raises(IndexError, match="too many"):
        live[0, 0, 0, 0]


def test_napari_s_chooser_of_the_resolution_does_not_widen_its_dock(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any
) -> None:
    write_acquisition(tmp_path / "a.zarr", MicroscopeSettings(frames=2, rate=0, size=(4, 64, 64), slab=2, channels=1))
    show(qtbot, target_layers, staged(tmp_path / "a.zarr", "0", "1"), "0")
    viewer.layers.selection.active = target_layers.images[0]
    boxes = [one for one in QApplication.allWidgets() if isinstance(one, QComboBox)]
    long = [one for one in boxes if any("4 \u00d7 64 \u00d7 64" in one.itemText(at) for at in range(one.count()))]
    if not long:
        pytest.skip("this napari has no such chooser")
    entry = f"0: {'1000 x ' * 20}"
    for box in long:
        before = box.sizeHint().width()
        box.addItem(entry)
        assert box.sizeHint().width() == before < box.fontMetrics().horizontalAdvance(entry) / 4
