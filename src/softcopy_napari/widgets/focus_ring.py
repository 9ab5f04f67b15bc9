"""A frame around the widget that the keyboard is at: napari's themes do not show it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QFocusEvent, QPainter, QPaintEvent, QPalette, QRegion
from qtpy.QtWidgets import QWidget

_BY_KEYBOARD = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)
_WIDTH = 2


class FocusRing(QWidget):
    """A frame that follows the keyboard focus among the widgets that its first parent has at the start.

    It is a child of the widget that it is painted on, and so moves with it.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        for widget in parent.findChildren(QWidget):
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                widget.installEventFilter(self)

    def _show_on(self, widget: QWidget) -> None:
        self.setParent(widget)
        self._fit(widget)
        self.show()
        self.raise_()

    def _fit(self, widget: QWidget) -> None:
        rect = widget.rect()
        self.setGeometry(rect)
        # What is not in the mask cannot hide the widget, whatever a style sheet says about backgrounds.
        self.setMask(QRegion(rect) - QRegion(rect.adjusted(_WIDTH, _WIDTH, -_WIDTH, -_WIDTH)))

    # Overrides of Qt's methods.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(watched, QWidget):
            kind = event.type()
            if kind == QEvent.Type.FocusIn and isinstance(event, QFocusEvent) and event.reason() in _BY_KEYBOARD:
                self._show_on(watched)
            elif kind in (QEvent.Type.FocusOut, QEvent.Type.MouseButtonPress):
                self.hide()
            elif kind == QEvent.Type.Resize and watched is self.parentWidget():
                self._fit(watched)
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.WindowText))
        painter.end()
