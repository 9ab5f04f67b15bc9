"""The map of a plate shows how full each well is, and a click or the keyboard opens one."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import QApplication, QToolTip

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.palette import chunk_colour
from softcopy_napari.widgets.plate_map import PlateMap

WELLS = {"A/1": (10, 10), "A/3": (5, 10), "B/1": (0, 10), "C/3": (1, 1000)}


@pytest.fixture
def plate(qtbot: QtBot) -> PlateMap:
    made = PlateMap()
    qtbot.addWidget(made)
    made.set_wells(WELLS)
    made.resize(200, made.heightForWidth(200))
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.mark.parametrize(("row", "column", "path"), [(0, 0, "A/1"), (0, 2, "A/3"), (2, 2, "C/3")])
def test_a_click_asks_for_the_well(plate: PlateMap, qtbot: QtBot, row: int, column: int, path: str) -> None:
    with qtbot.waitSignal(plate.well_clicked) as asked:
        qtbot.mouseClick(plate, Qt.MouseButton.LeftButton, pos=plate.cell_rect(row, column).center())
    assert asked.args == [path]
    assert plate.current == path


def test_where_no_well_is_a_click_asks_for_nothing(plate: PlateMap, qtbot: QtBot) -> None:
    asked: list[str] = []
    plate.well_clicked.connect(asked.append)
    for place in (plate.cell_rect(1, 1).center(), QPoint(1, 1)):
        qtbot.mouseClick(plate, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseClick(plate, Qt.MouseButton.RightButton, pos=plate.cell_rect(0, 0).center())
    assert asked == []


def test_arrows_go_from_well_to_well(plate: PlateMap, qtbot: QtBot) -> None:
    way = [plate.current]
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Down):
        qtbot.keyClick(plate, key)
        way.append(plate.current)
    assert way == ["A/1", "A/3", "A/3", "C/3", "A/3", "A/1", "B/1"]
    with qtbot.waitSignal(plate.well_clicked) as asked:
        qtbot.keyClick(plate, Qt.Key.Key_Return)
    assert asked.args == ["B/1"]


def test_the_current_well_is_described(plate: PlateMap, qtbot: QtBot) -> None:
    qtbot.keyClick(plate, Qt.Key.Key_Right)
    assert plate.accessibleDescription() == "A/3: 5 of 10 chunk files copied (50 %)"
    plate.set_wells({**WELLS, "A/3": (9, 10)})
    assert "9 of 10" in plate.accessibleDescription()
    plate.set_wells({"A/1": (1, 1)})
    assert plate.current == "A/1"
    plate.set_wells({})
    assert (plate.current, plate.accessibleDescription()) == (None, "no wells")
    qtbot.keyClick(plate, Qt.Key.Key_Return)
    plate.grab()


def test_the_tooltip_names_the_well(plate: PlateMap, qtbot: QtBot) -> None:
    at = plate.cell_rect(2, 2).center()
    QApplication.sendEvent(plate, QHelpEvent(QEvent.Type.ToolTip, at, plate.mapToGlobal(at)))
    assert QToolTip.text() == "C/3: 1 of 1,000 chunk files copied (<1 %)"
    QApplication.sendEvent(plate, QHelpEvent(QEvent.Type.ToolTip, QPoint(1, 1), plate.mapToGlobal(QPoint(1, 1))))
    QToolTip.hideText()


def test_wells_are_filled_as_far_as_they_are_copied(plate: PlateMap) -> None:
    plate.clearFocus()
    image = plate.grab().toImage()
    copied, copying = chunk_colour(ChunkState.COPIED), chunk_colour(ChunkState.COPYING)

    def column(row: int, at: int) -> list[object]:
        rect = plate.cell_rect(row, at)
        return [image.pixelColor(rect.left() + 1, y) for y in range(rect.top(), rect.bottom() + 1)]

    assert set(map(str, (one.name() for one in column(0, 0)))) == {copied.name()}
    half = column(0, 2)
    assert half.count(copying) == pytest.approx(len(half) / 2, abs=1)
    assert half[-1] == copying
    assert half[0] != copying
    assert copying not in column(1, 0)
    assert column(2, 2).count(copying) == 1, "the first chunk file of many is seen"


@pytest.mark.parametrize("width", [150, 262, 480])
def test_a_plate_of_384_wells_fits(plate: PlateMap, width: int) -> None:
    plate.set_wells({f"{row}/{column}": (1, 2) for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)})
    plate.resize(width, plate.heightForWidth(width))
    last = plate.cell_rect(15, 23)
    assert plate.rect().contains(last)
    assert last.width() > 1
    assert plate.minimumSizeHint().width() <= 240
    plate.grab()


def test_all_wells_tell_their_share_or_none_does(plate: PlateMap) -> None:
    """Where 100 does not fit there would be figures in the empty wells, and none in the full ones."""
    plate.clearFocus()
    plain = dict.fromkeys(("A/1", "A/2"), (0, 10))
    told = set()
    for width in range(30, 200):
        plate.set_wells({**plain, "A/3": (10, 10)})
        plate.resize(width, plate.heightForWidth(width))
        image = plate.grab().toImage()
        inked = [
            len(
                {
                    image.pixelColor(x, y).name()
                    for x in range(r.left(), r.right() + 1)
                    for y in range(r.top(), r.bottom() + 1)
                }
            )
            for r in (plate.cell_rect(0, column) for column in (0, 2))
        ]
        assert (inked[0] > 1) == (inked[1] > 1), f"{width} pixels: {inked}"
        told.add(inked[0] > 1)
    assert told == {True, False}
