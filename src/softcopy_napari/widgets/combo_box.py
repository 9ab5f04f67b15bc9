"""A combo box for the panel: narrow, named, and not changed by the wheel that scrolls the panel."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QComboBox, QWidget


class ComboBox(QComboBox):
    """A combo box of texts, each of which stands for a value.

    Parameters
    ----------
    object_name, accessible_name : str
        Names for scripts and for screen readers.
    letters : int
        Minimum width in letters.
    """

    def __init__(self, object_name: str, accessible_name: str, letters: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(object_name)
        self.setAccessibleName(accessible_name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(letters)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._offered: tuple[tuple[str, object], ...] = ()

    def offer(self, choices: Sequence[tuple[str, object]], chosen: object) -> None:
        """Offer these texts and values, and choose one value, without sending signals."""
        blocked = self.blockSignals(True)
        if tuple(choices) != self._offered:
            self._offered = tuple(choices)
            self.clear()
            for text, value in choices:
                self.addItem(text, value)
        place = next((at for at, (_, value) in enumerate(self._offered) if value == chosen), 0)
        self.setCurrentIndex(place if self._offered else -1)
        self.blockSignals(blocked)

    # Overrides of Qt's methods.

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
