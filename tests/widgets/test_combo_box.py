"""A chooser offers values without asking back, and is not changed by scrolling over it."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from softcopy_napari.widgets.combo_box import ComboBox


def make(qtbot: QtBot) -> ComboBox:
    chooser = ComboBox("array_chooser", "Array", 8)
    qtbot.addWidget(chooser)
    return chooser


def test_offering_says_nothing_and_choosing_does(qtbot: QtBot) -> None:
    chooser, said = make(qtbot), []
    chooser.currentIndexChanged.connect(said.append)
    chooser.offer([("zero", "0"), ("one", "1")], "1")
    assert (chooser.currentData(), said) == ("1", [])
    qtbot.keyClick(chooser, Qt.Key.Key_Up)
    assert (chooser.currentData(), said) == ("0", [0])


def test_what_is_not_offered_cannot_be_chosen(qtbot: QtBot) -> None:
    chooser = make(qtbot)
    chooser.offer([("zero", "0")], "gone")
    assert chooser.currentData() == "0"
    chooser.offer([], "0")
    assert chooser.currentIndex() == -1


def test_the_same_offer_again_leaves_an_open_list_alone(qtbot: QtBot) -> None:
    chooser, resets = make(qtbot), []
    chooser.offer([("zero", "0"), ("one", "1")], "0")
    chooser.model().rowsRemoved.connect(lambda *_: resets.append(1))
    chooser.offer([("zero", "0"), ("one", "1")], "1")
    assert (chooser.currentData(), resets) == ("1", [])


def test_scrolling_the_panel_over_it_does_not_change_it(qtbot: QtBot) -> None:
    chooser = make(qtbot)
    chooser.offer([("zero", "0"), ("one", "1")], "0")
    middle = QPointF(chooser.rect().center())
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(middle, middle, QPoint(), QPoint(0, -120), *none, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(chooser, event)
    assert chooser.currentData() == "0"
    assert not event.isAccepted(), "what it lies in scrolls"
