"""Someone without a mouse sees where the keyboard is; someone with one is not bothered."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QFocusEvent, QPalette
from qtpy.QtWidgets import QApplication, QLineEdit, QPushButton, QVBoxLayout, QWidget

from softcopy_napari.widgets.focus_ring import FocusRing


class Form(QWidget):
    """Three widgets and the ring."""

    def __init__(self) -> None:
        super().__init__()
        self.edit, self.one, self.two = QLineEdit(), QPushButton("one"), QPushButton("two")
        column = QVBoxLayout(self)
        for widget in (self.edit, self.one, self.two):
            column.addWidget(widget)
        self.ring = FocusRing(self)


@pytest.fixture
def form(qtbot: QtBot) -> Form:
    made = Form()
    qtbot.addWidget(made)
    made.resize(200, 200)
    made.show()
    qtbot.waitExposed(made)
    return made


def focus(widget: QWidget, reason: Qt.FocusReason) -> None:
    """Give a widget the focus as Qt does, also where no window manager makes its window the active one."""
    before = widget.window().focusWidget()
    widget.setFocus(reason)
    if not widget.isActiveWindow():
        if before is not None:
            QApplication.sendEvent(before, QFocusEvent(QEvent.Type.FocusOut, reason))
        QApplication.sendEvent(widget, QFocusEvent(QEvent.Type.FocusIn, reason))


def test_it_goes_with_the_keyboard(form: Form) -> None:
    focus(form.edit, Qt.FocusReason.MouseFocusReason)
    assert not form.ring.isVisible()
    for widget, reason in (
        (form.one, Qt.FocusReason.TabFocusReason),
        (form.two, Qt.FocusReason.ShortcutFocusReason),
        (form.one, Qt.FocusReason.BacktabFocusReason),
    ):
        focus(widget, reason)
        assert form.ring.isVisible()
        assert form.ring.parentWidget() is widget
    form.resize(300, 200)
    QApplication.processEvents()
    assert form.ring.geometry() == form.one.rect()


def test_the_mouse_takes_it_away_and_works_through_it(form: Form, qtbot: QtBot) -> None:
    focus(form.one, Qt.FocusReason.TabFocusReason)
    assert form.childAt(form.one.geometry().topLeft()) is form.one
    qtbot.mouseClick(form.one, Qt.MouseButton.LeftButton)
    assert not form.ring.isVisible()
    focus(form.edit, Qt.FocusReason.OtherFocusReason)
    assert not form.ring.isVisible()


@pytest.mark.parametrize("sheet", ["", "QWidget { background-color: #222222; color: #eeeeee; }"])
def test_it_hides_nothing_of_the_widget(form: Form, sheet: str) -> None:
    form.setStyleSheet(sheet)
    focus(form.one, Qt.FocusReason.OtherFocusReason)
    before = form.one.grab().toImage()
    focus(form.edit, Qt.FocusReason.OtherFocusReason)
    focus(form.one, Qt.FocusReason.TabFocusReason)
    after = form.one.grab().toImage()
    middle = before.height() // 2
    assert after.pixelColor(0, middle) == form.one.palette().color(QPalette.ColorRole.WindowText)
    across = range(before.width() // 3, before.width() * 2 // 3)
    assert len({before.pixelColor(x, middle).name() for x in across}) > 1, "its text"
    assert [before.pixelColor(x, middle) for x in across] == [after.pixelColor(x, middle) for x in across]
