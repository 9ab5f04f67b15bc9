"""The coverage part offers arrays and images, and has a plate map for plates only."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton, QWidget

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.coverage_view import CoverageView
from softcopy_napari.widgets.legend import Legend
from softcopy_napari.widgets.plate_map import PlateMap
from tests.widgets.support import child


@pytest.fixture
def view(qtbot: QtBot) -> CoverageView:
    made = CoverageView()
    qtbot.addWidget(made)
    made.resize(270, 400)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_an_array_is_chosen_by_its_path(view: CoverageView, qtbot: QtBot) -> None:
    chooser = child(view, QComboBox, "array_chooser")
    assert view.array is None
    with qtbot.assertNotEmitted(view.array_chosen):
        view.set_arrays(["0", "1/label"], "0")
        view.set_arrays(["0", "1/label", "2"], "0")
    with qtbot.waitSignal(view.array_chosen) as asked:
        qtbot.keyClick(chooser, Qt.Key.Key_Down)
    assert asked.args == ["1/label"] == [view.array]


def test_an_array_at_the_root_has_a_name_to_read(view: CoverageView) -> None:
    view.set_arrays([""], "")
    assert view.array == ""
    assert child(view, QComboBox, "array_chooser").currentText() == "(the array itself)"


def test_arrays_can_all_go(view: CoverageView, qtbot: QtBot) -> None:
    view.set_arrays(["0"], "0")
    with qtbot.assertNotEmitted(view.array_chosen):
        view.set_arrays([], "")
    assert view.array is None


def test_the_image_comes_from_the_destination_unless_its_user_says_otherwise(view: CoverageView, qtbot: QtBot) -> None:
    chooser = child(view, QComboBox, "image_chooser")
    assert view.image == "destination"
    said: list[str] = []
    view.image_chosen.connect(said.append)
    qtbot.keyClick(chooser, Qt.Key.Key_Down)
    qtbot.keyClick(chooser, Qt.Key.Key_Down)
    assert said == ["source", "none"]
    view.image = "source"
    assert (view.image, said) == ("source", ["source", "none"])


def test_what_the_overlay_marks_and_whether_the_view_follows_are_chosen(view: CoverageView, qtbot: QtBot) -> None:
    assert (view.overlay, view.follow) == ("problems", False)
    said: list[object] = []
    view.overlay_chosen.connect(said.append)
    view.follow_toggled.connect(said.append)
    view.overlay, view.follow = "frontier", True
    assert said == []
    qtbot.keyClick(child(view, QComboBox, "overlay_mode"), Qt.Key.Key_Down)
    child(view, QCheckBox, "follow_newest").click()
    assert said == ["all", False] == [view.overlay, view.follow]


def test_there_is_a_map_for_plates_only(view: CoverageView, qtbot: QtBot) -> None:
    plate = view.findChild(PlateMap)
    assert plate.isHidden()
    view.set_wells({"A/1": (1, 2)})
    assert plate.isVisible()
    with qtbot.waitSignal(view.well_clicked) as asked:
        qtbot.mouseClick(plate, Qt.MouseButton.LeftButton, pos=plate.cell_rect(0, 0).center())
    assert asked.args == ["A/1"]
    view.set_wells({})
    assert plate.isHidden()


def test_states_axes_and_positions_are_passed_on(view: CoverageView, qtbot: QtBot) -> None:
    view.set_counts((1, 0, 0, 0, 0, 0, 0))
    view.set_axes(["t", "z"], "z")
    view.set_coverage([1, 0], [0, 0], [0, 1])
    assert view.axis == "z"
    legend = view.findChild(Legend)
    qtbot.mouseClick(child(view, QPushButton, "files_button"), Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(view.state_clicked) as asked:
        qtbot.keyClick(legend, Qt.Key.Key_Return)
    assert asked.args == [int(ChunkState.ABSENT)]
    with qtbot.waitSignal(view.axis_changed) as asked:
        qtbot.keyClick(child(view, QComboBox, "coverage_axis"), Qt.Key.Key_Up)
    assert asked.args == ["t"]
    bars = child(view, QWidget, "coverage_bars")
    qtbot.keyClick(bars, Qt.Key.Key_End)
    with qtbot.waitSignal(view.position_clicked) as asked:
        qtbot.keyClick(bars, Qt.Key.Key_Return)
    assert asked.args == [1]
