"""The plot tells copied, pending and absent along an axis, to eyes, mouse, keyboard and screen reader."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHelpEvent, QTextDocument
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QToolTip, QWidget

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.coverage_plot import CoveragePlot
from softcopy_napari.widgets.palette import chunk_colour
from tests.widgets.support import child


@pytest.fixture
def plot(qtbot: QtBot) -> CoveragePlot:
    made = CoveragePlot()
    qtbot.addWidget(made)
    made.set_axes(["t", "z"], "t")
    made.set_data([4, 2, 0, 0], [0, 1, 1, 0], [0, 1, 3, 4])
    made.resize(200, 140)
    made.show()
    qtbot.waitExposed(made)
    return made


def bars(plot: CoveragePlot) -> QWidget:
    return child(plot, QWidget, "coverage_bars")


def words(plot: CoveragePlot) -> str:
    return bars(plot).accessibleDescription()


def test_an_axis_is_chosen(plot: CoveragePlot, qtbot: QtBot) -> None:
    axis = child(plot, QComboBox, "coverage_axis")
    with qtbot.waitSignal(plot.axis_changed) as said:
        qtbot.keyClick(axis, Qt.Key.Key_Down)
    assert said.args == ["z"]
    assert (plot.axis, bars(plot).accessibleName()) == ("z", "Coverage along z")
    with qtbot.assertNotEmitted(plot.axis_changed):
        plot.set_axes(["c", "t"], "t")
    assert plot.axis == "t"


def test_the_sum_is_said_in_words(plot: CoveragePlot) -> None:
    assert words(plot) == "copied 37 %, pending 12 %, absent 50 %"
    assert "copied&nbsp;37&nbsp;%" in child(plot, QLabel, "coverage_words").text()
    plot.set_data([], [], [])
    assert words(plot) == "nothing to show yet"


def test_a_small_share_is_not_taken_for_markup(plot: CoveragePlot) -> None:
    plot.set_data([400], [1], [600])
    shown = QTextDocument()
    shown.setHtml(child(plot, QLabel, "coverage_words").text())
    assert "pending <1 %" in shown.toPlainText().replace("\u00a0", " ")


def test_a_click_goes_to_the_position(plot: CoveragePlot, qtbot: QtBot) -> None:
    area = bars(plot)
    with qtbot.waitSignal(plot.position_clicked) as asked:
        qtbot.mouseClick(area, Qt.MouseButton.LeftButton, pos=QPoint(area.width() * 5 // 8, 10))
    assert asked.args == [2]
    assert words(plot).startswith("2: copied 0 %, pending 25 %")


def test_the_keyboard_goes_along_the_axis(plot: CoveragePlot, qtbot: QtBot) -> None:
    area, seen = bars(plot), []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_End, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Home):
        qtbot.keyClick(area, key)
        seen.append(words(plot)[0])
    assert seen == list("013320")
    with qtbot.waitSignal(plot.position_clicked) as asked:
        qtbot.keyClick(area, Qt.Key.Key_Return)
    assert asked.args == [0]


def test_many_positions_share_a_pixel(plot: CoveragePlot, qtbot: QtBot) -> None:
    number = 100_000
    plot.set_data([1] * number, [0] * number, [0] * number)
    area = bars(plot)
    qtbot.keyClick(area, Qt.Key.Key_End)
    assert "\u201399,999: copied 100 %" in words(plot)
    with qtbot.waitSignal(plot.position_clicked) as asked:
        qtbot.mouseClick(area, Qt.MouseButton.LeftButton, pos=QPoint(area.width() // 2, 10))
    assert asked.args[0] == pytest.approx(number / 2, rel=0.02)


def test_a_shorter_axis_takes_the_cursor_along(plot: CoveragePlot, qtbot: QtBot) -> None:
    qtbot.keyClick(bars(plot), Qt.Key.Key_End)
    plot.set_data([1, 1], [0, 0], [0, 0])
    assert words(plot).startswith("1: ")
    plot.set_data([], [], [])
    qtbot.keyClick(bars(plot), Qt.Key.Key_End)
    plot.grab()


def test_the_tooltip_counts(plot: CoveragePlot, qtbot: QtBot) -> None:
    area = bars(plot)
    qtbot.keyClick(area, Qt.Key.Key_End)
    where = QPoint(3, 3)
    QApplication.sendEvent(area, QHelpEvent(QEvent.Type.ToolTip, where, area.mapToGlobal(where)))
    assert QToolTip.text() == "3: 0 copied, 0 pending, 4 absent chunk files"
    QToolTip.hideText()


def test_bars_are_painted_from_below(plot: CoveragePlot) -> None:
    area = bars(plot)
    image = area.grab().toImage()
    copied, pending = chunk_colour(ChunkState.COPIED), chunk_colour(ChunkState.PENDING)
    bottom = area.height() - area.fontMetrics().height() - 4
    at = [area.width() * (2 * number + 1) // 8 for number in range(4)]
    assert [image.pixelColor(x, bottom) for x in at[:3]] == [copied, copied, pending]
    assert image.pixelColor(at[0], 2) == copied
    assert image.pixelColor(at[1], 2) not in (copied, pending)
