"""Buttons and menus of the panel, and a layout that wraps them."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton, QToolButton, QWidget
from superqt.utils import QFlowLayout


def button(text: str, object_name: str, tip: str) -> QPushButton:
    """Make a button with a mnemonic in its text."""
    made = QPushButton(text)
    made.setObjectName(object_name)
    made.setToolTip(tip)
    made.setAccessibleName(text.replace("&", ""))
    made.setAccessibleDescription(tip)
    return made


def flow(widgets: Sequence[QWidget]) -> QFlowLayout:
    """Make a layout that wraps to another line where there is no room."""
    layout = QFlowLayout()
    layout.setHorizontalSpacing(4)
    layout.setVerticalSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


class MenuButton(QToolButton):
    """A button with three dots that opens a menu of rare actions.

    Parameters
    ----------
    object_name : str
    words : str
        What the menu is about, for tooltips and screen readers.
    """

    def __init__(self, object_name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(object_name)
        self.setText("\u22ef")
        self.setToolTip(words)
        self.setAccessibleName(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedWidth(2 * self.fontMetrics().height())
        self.entries = QMenu(self)
        # No menu of the button's own: style sheets would draw an arrow for it.
        self.clicked.connect(lambda: self.entries.popup(self.mapToGlobal(self.rect().bottomLeft())))

    def add(self, text: str, object_name: str) -> QAction:
        """Add an entry to the menu."""
        entry = QAction(text, self)
        entry.setObjectName(object_name)
        self.entries.addAction(entry)
        return entry
