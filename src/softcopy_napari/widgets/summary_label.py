"""The line above the cards that counts them: what does not fit is left out by whole counts, and is in its tooltip."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QSizePolicy

from softcopy_napari.widgets.card import DOT

_MORE = "\u2026"


class SummaryLabel(QLabel):
    """A label of several counts, which takes the width that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("targets_summary")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, self.sizePolicy().verticalPolicy())

    def show_counts(self, words: str) -> None:
        """Show counts, the most important first."""
        if words != self.text():
            self.setText(words)
            self.setAccessibleName(words)
            self.setToolTip(words)

    @property
    def shown(self) -> str:
        """The part of the text that fits."""
        counts, width = self.text().split(DOT), self.contentsRect().width() - 2 * self.margin()
        for many in range(len(counts), 0, -1):
            words = DOT.join(counts[:many]) + (_MORE if many < len(counts) else "")
            if self.fontMetrics().horizontalAdvance(words) <= width:
                return words
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, width)

    # Overrides of Qt's methods.

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        flags = int(Qt.AlignmentFlag.AlignLeft.value) | int(Qt.AlignmentFlag.AlignVCenter.value)
        painter.drawText(self.contentsRect(), flags, self.shown)
        painter.end()
