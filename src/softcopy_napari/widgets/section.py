"""A section of the panel that its title, which is a button, opens and closes."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

_OPEN, _CLOSED = "\u25bc", "\u25b6"


class Section(QWidget):
    """A section that is closed at first.

    Parameters
    ----------
    title : str
    name : str
        For what is remembered, and with `_button` behind it the object name of its button.
    """

    toggled = Signal(bool)
    """Whether it has been opened or closed."""

    def __init__(self, title: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._title = title
        self._button, self._content = QPushButton(), QWidget()
        self._button.setObjectName(f"{name}_button")
        self._button.setStyleSheet("text-align: left;")
        self._inner = QVBoxLayout(self._content)
        column = QVBoxLayout(self)
        for layout in (self._inner, column):
            layout.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._button)
        column.addWidget(self._content)
        self._content.hide()
        self._button.clicked.connect(lambda: self.set_open(not self.is_open))
        self._show_title()

    @property
    def is_open(self) -> bool:
        """Whether its content is shown."""
        return not self._content.isHidden()

    def add(self, widget: QWidget) -> None:
        """Add a widget to its content."""
        self._inner.addWidget(widget)

    def set_open(self, is_open: bool) -> None:
        """Open or close the section."""
        if is_open != self.is_open:
            self._content.setVisible(is_open)
            self._show_title()
            self.toggled.emit(is_open)

    @property
    def title(self) -> str:
        """The title, which stands on the button."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._show_title()

    def _show_title(self) -> None:
        self._button.setText(f"{_OPEN if self.is_open else _CLOSED} {self._title}")
        self._button.setAccessibleName(f"{self._title}, {'open' if self.is_open else 'closed'}")
