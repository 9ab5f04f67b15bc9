"""The legend names every state, counts its chunk files, and goes to the first of them."""

from __future__ import annotations

import pytest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.legend import Legend, LegendModel
from softcopy_napari.widgets.palette import chunk_colour

COUNTS = (12_345_678, 2, 30, 4, 500, 0, 7)


@pytest.fixture
def legend(qtbot: QtBot) -> Legend:
    made = Legend()
    qtbot.addWidget(made)
    made.resize(266, 100)
    made.set_counts(COUNTS)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_model_keeps_what_qt_asks_of_models(qtmodeltester: ModelTester) -> None:
    model = LegendModel()
    qtmodeltester.check(model)
    assert model.set_counts(COUNTS)
    assert not model.set_counts(list(COUNTS))
    qtmodeltester.check(model)
    with pytest.raises(ValueError, match="7 counts are needed"):
        model.set_counts((1, 2))


def test_states_and_counts_are_read_out(legend: Legend) -> None:
    texts = [legend.model().index(at, 0).data(Qt.ItemDataRole.AccessibleTextRole) for at in range(len(ChunkState))]
    assert texts[0] == "absent: 12,345,678 chunk files"
    assert all(state.name.lower() in text for state, text in zip(ChunkState, texts, strict=True))
    assert "Click" in legend.model().index(1, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "Click" not in legend.model().index(5, 0).data(Qt.ItemDataRole.ToolTipRole)


@pytest.mark.parametrize("state", list(ChunkState))
def test_a_click_asks_for_the_state(legend: Legend, qtbot: QtBot, state: ChunkState) -> None:
    where = legend.visualRect(legend.model().index(state, 0)).center()
    with qtbot.waitSignal(legend.state_clicked) as asked:
        qtbot.mouseClick(legend.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert asked.args == [state]


def test_the_keyboard_asks_too(legend: Legend, qtbot: QtBot) -> None:
    asked: list[ChunkState] = []
    legend.state_clicked.connect(asked.append)
    qtbot.keyClick(legend, Qt.Key.Key_Return)
    qtbot.keyClick(legend, Qt.Key.Key_Right)
    qtbot.keyClick(legend, Qt.Key.Key_Space)
    assert asked == [ChunkState.ABSENT, ChunkState.WRITING]


@pytest.mark.parametrize("width", [120, 180, *range(240, 290, 3), 465, 466, 467, 468, 1200])
def test_every_state_is_seen_at_any_width(legend: Legend, width: int) -> None:
    legend.resize(width, legend.height())
    QApplication.processEvents()
    rects = [legend.visualRect(legend.model().index(at, 0)) for at in range(len(ChunkState))]
    room = legend.viewport().rect()
    assert all(room.contains(rect) for rect in rects)
    assert len({(rect.x(), rect.y()) for rect in rects}) == len(rects)


def test_swatches_have_the_colours_of_the_overlay(legend: Legend) -> None:
    image = legend.viewport().grab().toImage()
    for state in list(ChunkState)[1:]:
        rect = legend.visualRect(legend.model().index(state, 0))
        assert image.pixelColor(rect.left() + 10, rect.center().y()) == QColor(chunk_colour(state)), state
