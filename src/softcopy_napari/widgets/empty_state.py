"""What the panel shows while there are no targets: two ways to begin, and where to drop folders."""

from __future__ import annotations

from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from softcopy_napari.widgets.buttons import button
from softcopy_napari.widgets.palette import faint

DROP_HERE = "or drop a folder or a targets.yaml here"


class EmptyState(QWidget):
    """Two buttons within a dashed frame; the panel takes what is dropped."""

    copy_requested = Signal()
    sample_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("empty_state")
        title = QLabel("Copy a dataset while it is written.")
        drop = QLabel(DROP_HERE)
        copy = button("Copy an acquisition\u2026", "first_copy_button", "Choose a source and a destination")
        sample = button("Try a simulated one", "sample_button", "See a live copy of a simulated microscope")
        for label in (title, drop):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 20, 16, 20)
        column.setSpacing(10)
        for widget in (title, copy, sample, drop):
            column.addWidget(widget)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        copy.clicked.connect(self.copy_requested)
        sample.clicked.connect(self.sample_requested)

    # Overrides of Qt's methods.

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(faint(self.palette(), 0.4), 1.5, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(3, 3, -3, -3), 6, 6)
        painter.end()
