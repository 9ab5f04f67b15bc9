"""What the coverage part of the panel is told: which array comes first, wells, and counts along an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox

from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.plugin.dock.coverage_panel import CoveragePanel, coverage_along
from softcopy_napari.plugin.dock.plate_wells import array_order, first_array, wells
from softcopy_napari.plugin.dock.view_memory import view_memory
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.coverage_view import CoverageView
from softcopy_napari.widgets.overlay_modes import OverlayMode


def array(path: str, absent: int, copied: int, verified: int = 0) -> ArraySnapshot:
    counts = (absent, 0, 0, 0, copied, verified, 0)
    n = sum(counts)
    return ArraySnapshot(path=path, shape=(n,), chunk_shape=(1,), grid=(n,), dtype="uint16", ledger="", counts=counts)


def test_the_first_array_is_the_first_level_of_the_first_field_by_number() -> None:
    assert first_array(["2", "10", "0", "1"]) == "0"
    assert first_array(["labels/cells/0", "0", "1"]) == "0"
    assert first_array(["B/10/0/0", "B/9/1/0", "B/9/0/1", "B/9/0/0"]) == "B/9/0/0"
    assert first_array([]) == ""
    assert first_array([""]) == ""


def test_arrays_are_offered_in_the_order_of_their_numbers() -> None:
    paths = ["B/10/0/0", "B/9/0/1", "A/1/0/0", "B/9/0/0", "0"]
    assert sorted(paths, key=array_order) == ["0", "A/1/0/0", "B/9/0/0", "B/9/0/1", "B/10/0/0"]


def test_wells_sum_up_their_fields_and_levels() -> None:
    arrays = [array("A/1/0/0", 2, 2), array("A/1/0/1", 0, 1), array("A/1/1/0", 3, 0, 1), array("B/12/0/0", 4, 0)]
    assert wells(arrays) == {"A/1": (4, 9), "B/12": (0, 4)}
    assert wells([array("plates/first.zarr/A/1/0/0", 1, 1)]) == {"plates/first.zarr/A/1": (1, 2)}


def test_arrays_of_no_plate_have_no_wells() -> None:
    assert (
        wells([array("", 1, 1), array("0", 1, 1), array("labels/cells/0", 1, 1), array("images/day1/a/0", 1, 1)]) == {}
    )


def test_counts_along_an_axis() -> None:
    states = np.zeros((3, 2, 2), np.uint8)
    states[0] = ChunkState.COPIED
    states[1] = [[ChunkState.VERIFIED, ChunkState.PENDING], [ChunkState.WRITING, ChunkState.ABSENT]]
    ledger = ledger_folder() / "1" / "1.npy"
    ledger.parent.mkdir(parents=True)
    np.save(ledger, states)
    found = coverage_along(str(ledger), 0)
    assert found is not None
    copied, pending, missing = found
    assert copied.tolist() == [4, 1, 0]
    assert pending.tolist() == [0, 2, 0]
    assert missing.tolist() == [0, 1, 4]
    assert coverage_along(str(ledger), 3) is None


def test_a_ledger_that_has_gone_has_no_counts(tmp_path: Path) -> None:
    assert coverage_along(str(tmp_path / "none.npy"), 0) is None


class Places(QObject):
    """Stands in for the layers: it knows names of axes."""

    follow_changed = Signal(bool)
    overlay_mode = OverlayMode.PROBLEMS
    follow_newest = True
    axis_names: tuple[str, ...] = ()
    time_axis = 0

    def show(self, *_: object) -> None: ...

    def update(self, *_: object) -> None: ...


@pytest.fixture
def plotted(qtbot: Any) -> Iterator[Callable[..., str]]:
    """Along which axis an array of three dimensions is plotted, by what is known of them and what its user chooses."""
    view, layers, queue = CoverageView(), Places(), MainThreadQueue()
    qtbot.addWidget(view)
    coverage = CoveragePanel(view, cast(TargetLayers, layers), queue)
    one = array("0", 8, 0).model_copy(update={"shape": (2, 2, 2), "chunk_shape": (1, 1, 1), "grid": (2, 2, 2)})
    paths = {"source": "/data/a", "destination": "/nas/a"}
    coverage.show_target(TargetSnapshot(id="1", state=TargetState.COPYING, arrays=(one,), **paths))

    def plot(names: tuple[str, ...], time_axis: int, choose: str = "") -> str:
        layers.axis_names, layers.time_axis = names, time_axis
        if choose:
            view.axis_changed.emit(choose)
        coverage._plot()
        qtbot.waitUntil(lambda: not coverage._plotting)
        coverage._plot()
        return view.axis

    yield plot
    coverage.close()
    queue.close()


def test_coverage_is_plotted_along_time_until_another_axis_is_chosen(plotted: Callable[..., str]) -> None:
    assert plotted((), 0) == "axis 0"
    assert plotted(("c", "t", "y"), 1) == "t"
    assert plotted(("c", "t", "y"), 1, "c") == "c"


def test_an_axis_that_was_chosen_before_it_had_a_name_stays(plotted: Callable[..., str]) -> None:
    assert plotted((), 0, "axis 2") == "axis 2"
    assert plotted(("c", "t", "y"), 1) == "y"


def test_the_choosers_of_overlay_and_following_act_on_the_layers_and_are_remembered(
    target_layers: TargetLayers, qtbot: Any
) -> None:
    view, queue = CoverageView(), MainThreadQueue()
    qtbot.addWidget(view)
    coverage = CoveragePanel(view, target_layers, queue)
    assert target_layers.overlay_mode is OverlayMode.PROBLEMS and target_layers.follow_newest
    for mode in OverlayMode:
        chooser = view.findChild(QComboBox, "overlay_mode")
        chooser.setCurrentIndex(chooser.findData(mode.value))
        assert target_layers.overlay_mode is mode
    assert view_memory().overlay == "off"
    box = view.findChild(QCheckBox, "follow_newest")
    target_layers.follow_newest = False  # as a slider that the user moves does
    assert not box.isChecked() and view_memory().follow
    box.click()
    assert target_layers.follow_newest
    box.click()
    assert not target_layers.follow_newest and not view_memory().follow
    coverage.close()
    queue.close()
