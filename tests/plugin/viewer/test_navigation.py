"""Following the newest plane: sliders move by themselves, until the user moves one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.viewer.navigation import newest_cell
from softcopy_napari.plugin.viewer.target_layers import TargetLayers

pytestmark = pytest.mark.either_binding

S = ChunkState


@pytest.fixture
def shown(tmp_path: Path, viewer: Any, target_layers: TargetLayers, staged: Callable[..., Any], qtbot: Any) -> Any:
    """An array of 8 time points of 4 planes each, two in a chunk file, of which none has arrived."""
    zarr.create_array(tmp_path / "a.zarr", shape=(8, 4, 20, 20), chunks=(1, 2, 10, 10), dtype="uint8")
    target = staged(tmp_path / "a.zarr")
    target_layers.follow_newest = True
    target_layers.show(target.snapshot, "", "destination")
    qtbot.waitUntil(lambda: target_layers.overlay is not None and bool(target_layers.images), timeout=20_000)
    return target


def arrive(target_layers: TargetLayers, target: Any, *cells: tuple[int, ...]) -> None:
    for cell in cells:
        target.cells()[cell] = S.COPIED
    target_layers.update(target.snapshot)


def steps(viewer: Any) -> tuple[int, ...]:
    return tuple(viewer.dims.current_step[:2])


def test_the_sliders_go_to_the_newest_plane_that_has_arrived(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    assert target_layers.follow_newest  # opening layers is no move of the user's
    arrive(target_layers, shown, (0, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer) == (0, 1))  # the nearest plane in the chunk file
    arrive(target_layers, shown, (5, 1, 1, 1), (3, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer) == (5, 2))
    shown.cells()[7] = S.PENDING  # not here yet
    target_layers.update(shown.snapshot)
    arrive(target_layers, shown, (6, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer) == (6, 1))


def test_when_the_user_moves_a_slider_it_stays_there_and_a_check_box_can_tell(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    said: list[bool] = []
    target_layers.follow_changed.connect(said.append)
    arrive(target_layers, shown, (2, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer)[0] == 2)
    viewer.dims.set_current_step(0, 1)
    assert not target_layers.follow_newest and said == [False]
    arrive(target_layers, shown, (4, 0, 0, 0))
    qtbot.wait(1000)
    assert steps(viewer)[0] == 1
    target_layers.follow_newest = True
    assert said == [False, True]
    qtbot.waitUntil(lambda: steps(viewer)[0] == 4)


def test_a_click_that_goes_elsewhere_ends_following(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    arrive(target_layers, shown, (2, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer)[0] == 2)
    target_layers.go_to(0, 0)
    assert not target_layers.follow_newest and steps(viewer)[0] == 0


def test_an_array_that_grows_is_followed_and_growing_is_no_move_of_the_user(
    tmp_path: Path, viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    arrive(target_layers, shown, (7, 1, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer)[0] == 7)
    zarr.open_array(tmp_path / "a.zarr").resize((12, 4, 20, 20))
    shown.read()
    arrive(target_layers, shown, (10, 0, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer)[0] == 10, timeout=10_000)
    assert target_layers.follow_newest


def test_in_3d_and_with_other_axes_displayed_the_sliders_that_are_left_follow(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    viewer.dims.ndisplay = 3
    assert target_layers.follow_newest
    arrive(target_layers, shown, (4, 1, 0, 0))
    qtbot.waitUntil(lambda: steps(viewer)[0] == 4)
    viewer.dims.ndisplay = 2  # napari moves the slider that comes back to the middle
    assert target_layers.follow_newest
    qtbot.waitUntil(lambda: steps(viewer) == (4, 2))
    viewer.dims.set_current_step(1, 0)
    assert not target_layers.follow_newest


def test_without_follow_newest_no_slider_moves(
    viewer: Any, target_layers: TargetLayers, shown: Any, qtbot: Any
) -> None:
    target_layers.follow_newest = False
    before = steps(viewer)
    arrive(target_layers, shown, (6, 1, 0, 0))
    qtbot.wait(1000)
    assert steps(viewer) == before


@pytest.mark.parametrize("time_axis", [0, 1])
def test_the_newest_is_the_last_in_the_order_of_acquisition(time_axis: int) -> None:
    grid = (3, 4, 2)
    ledger = Ledger(ledger_folder() / "1/1.npy", grid)
    cells = ledger.flat.reshape(grid)
    assert newest_cell(str(ledger.path), time_axis) is None
    cells[2, 0, 0] = cells[1, 3, 0] = S.VERIFIED
    cells[2, 3, 1] = S.PENDING
    assert newest_cell(str(ledger.path), time_axis) == ((2, 0, 0) if time_axis == 0 else (1, 3, 0))
    assert newest_cell(str(ledger_folder() / "1/2.npy"), 0) is None


def test_ten_million_chunk_files_are_searched_without_copies_of_them() -> None:
    ledger = Ledger(ledger_folder() / "1/1.npy", (10_000, 1_000))
    np.asarray(ledger.flat)[17] = S.COPIED
    assert newest_cell(str(ledger.path), 0) == (0, 17)
