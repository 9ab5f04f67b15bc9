"""The pace of what is being copied is seen, and changed by mouse and by keyboard; what is typed is not lost."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QPalette, QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QDoubleSpinBox, QLabel, QLineEdit, QWidget

from softcopy_napari.engine.protocol.messages import Changes, PaceSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.pace_bar import PaceBar
from softcopy_napari.widgets.target_row import Row
from tests.widgets.support import child, make_row

COPYING = TargetState.COPYING


def row(name: str = "a", state: TargetState | None = COPYING, **pace: object) -> Row:
    return make_row(name, state, pace=PaceSnapshot.model_validate(pace)) if state else make_row(name)


class Bar:
    """The bar, in a window 280 px wide, and what it asks for."""

    def __init__(self, qtbot: QtBot) -> None:
        self.window, self.bar = QWidget(), PaceBar()
        self.bar.setParent(self.window)
        qtbot.addWidget(self.window)
        self.window.resize(280, 120)
        self.bar.resize(280, 120)
        self.window.show()
        self.way = child(self.bar, QCheckBox, "give_way_box")
        self.rate = child(self.bar, QLineEdit, "max_rate_edit")
        self.sleep = child(self.bar, QDoubleSpinBox, "sleep_time_box")
        self.problem = child(self.bar, QLabel, "pace_problem")
        self.asked: list[Changes] = []
        self.bar.changed.connect(self.asked.append)


@pytest.fixture
def bar(qtbot: QtBot) -> Bar:
    return Bar(qtbot)


@pytest.mark.parametrize(
    "rows",
    [[], [make_row("a")], [make_row("a", TargetState.COMPLETE)], [make_row("a", TargetState.CHECKING)]],
    ids=["nothing", "not started", "ended", "a check"],
)
def test_it_takes_no_room_where_nothing_is_copied(bar: Bar, rows: list[Row]) -> None:
    bar.bar.set_rows([row()])
    assert bar.bar.isVisible()
    bar.bar.set_rows(rows)
    assert not bar.bar.isVisible()


def test_it_shows_the_pace_of_the_first_target_that_is_being_copied(bar: Bar) -> None:
    bar.bar.set_rows([make_row("n"), row(mode="full", max_rate="50 MB/s", sleep_time=0.5), row("b")])
    assert (bar.way.isChecked(), bar.rate.text(), bar.sleep.value()) == (False, "50 MB/s", 0.5)
    bar.bar.set_rows([row("b")])
    assert (bar.way.isChecked(), bar.rate.text(), bar.sleep.value()) == (True, "full", 0.0)
    assert bar.asked == [], "to show something is not to ask for it"


def test_what_is_changed_is_asked_for_by_mouse(bar: Bar, qtbot: QtBot) -> None:
    bar.bar.set_rows([row()])
    # On the box itself: some styles take no click beside it.
    place = bar.way.rect().center()
    place.setX(8)
    qtbot.mouseClick(bar.way, Qt.MouseButton.LeftButton, pos=place)
    bar.sleep.stepUp()
    assert bar.asked == [Changes(pace="full"), Changes(sleep_time=0.1)]


def test_what_is_changed_is_asked_for_by_keyboard(bar: Bar, qtbot: QtBot) -> None:
    bar.bar.set_rows([row()])
    bar.way.setFocus()
    qtbot.keyClick(bar.way, Qt.Key.Key_Space)
    qtbot.keyClick(bar.way, Qt.Key.Key_Tab)
    qtbot.keyClick(bar.sleep, Qt.Key.Key_Tab)
    assert bar.window.focusWidget() is bar.rate
    bar.rate.selectAll()
    qtbot.keyClicks(bar.rate, "20MB/s")
    assert bar.asked == [Changes(pace="full")], "not at every letter"
    qtbot.keyClick(bar.rate, Qt.Key.Key_Return)
    assert bar.asked[1:] == [Changes.model_validate({"max_rate": "20 MB/s"})]
    assert bar.rate.text() == "20 MB/s"
    bar.sleep.setFocus()
    bar.sleep.selectAll()
    qtbot.keyClicks(bar.sleep, "2")
    qtbot.keyClick(bar.sleep, Qt.Key.Key_Return)
    assert bar.asked[2:] == [Changes(sleep_time=2.0)]


def test_an_empty_rate_is_no_limit(bar: Bar, qtbot: QtBot) -> None:
    bar.bar.set_rows([row(max_rate="5 MB/s")])
    bar.rate.setFocus()
    bar.rate.selectAll()
    qtbot.keyClick(bar.rate, Qt.Key.Key_Delete)
    qtbot.keyClick(bar.rate, Qt.Key.Key_Return)
    assert bar.asked == [Changes.model_validate({"max_rate": "full"})]
    assert bar.rate.text() == "full"


def test_a_rate_that_is_none_is_explained_in_place(bar: Bar, qtbot: QtBot) -> None:
    bar.bar.set_rows([row()])
    bar.rate.setFocus()
    bar.rate.selectAll()
    qtbot.keyClicks(bar.rate, "20 MB")
    qtbot.keyClick(bar.rate, Qt.Key.Key_Return)
    assert bar.asked == []
    assert bar.problem.isVisible()
    assert bar.problem.text().endswith('not the text "20 MB"; did you mean "20 MB/s"?')
    qtbot.keyClicks(bar.rate, "/s")
    assert not bar.problem.isVisible()
    qtbot.keyClick(bar.rate, Qt.Key.Key_Return)
    assert len(bar.asked) == 1


def test_news_of_the_copy_do_not_disturb_what_is_being_typed(bar: Bar, qtbot: QtBot) -> None:
    bar.bar.set_rows([row()])
    bar.rate.setFocus()
    bar.rate.selectAll()
    qtbot.keyClicks(bar.rate, "20 M")
    bar.bar.set_rows([row(limit=1e7, why=quote_text("gives way"))])
    qtbot.keyClicks(bar.rate, "B/s")
    qtbot.keyClick(bar.rate, Qt.Key.Key_Return)
    bar.bar.set_rows([row()])  # what the engine said before it heard of it
    assert bar.rate.text() == "20 MB/s"
    bar.bar.set_rows([row(max_rate="20 MB/s")])
    bar.bar.set_rows([row(max_rate="30 MB/s")])  # somebody else's change
    assert bar.rate.text() == "30 MB/s"


def test_the_wheel_that_scrolls_the_panel_changes_nothing(bar: Bar) -> None:
    bar.bar.set_rows([row()])
    bar.sleep.setFocus()
    turn = QWheelEvent(
        QPointF(bar.sleep.rect().center()),
        QPointF(bar.sleep.mapToGlobal(bar.sleep.rect().center())),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(bar.sleep, turn)
    assert (bar.sleep.value(), bar.asked) == (0.0, [])


@pytest.mark.parametrize("dark", [False, True])
def test_it_takes_its_colours_from_the_theme(bar: Bar, dark: bool) -> None:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor("#262930" if dark else "#efebe9"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("white" if dark else "black"))
    bar.window.setPalette(palette)
    bar.bar.set_rows([row()])
    assert not bar.bar.styleSheet()
    for widget in bar.bar.findChildren(QLabel):
        assert widget.palette().color(QPalette.ColorRole.WindowText) == palette.color(QPalette.ColorRole.WindowText)
