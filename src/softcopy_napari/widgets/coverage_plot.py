"""A plot of the coverage along one axis of an array: chunk files copied, pending and absent at each position."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy.typing as npt
from qtpy.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QBrush,
    QColor,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.bars import percent_text
from softcopy_napari.widgets.combo_box import ComboBox
from softcopy_napari.widgets.coverage_bins import Counts, Coverage, stack_heights
from softcopy_napari.widgets.labels import wrapping_label
from softcopy_napari.widgets.palette import chunk_colour, chunk_name, faint

_STATES = (ChunkState.COPIED, ChunkState.PENDING, ChunkState.ABSENT)
_SWATCHES = "\u25a0\u25a0\u25a8"
"""Squares filled as the plot is: what is absent is hatched."""
_EMPTY = Coverage.of([], [], [])


class CoveragePlot(QWidget):
    """A chooser of the axis, the plot, and the figures under the cursor or, without one, of the whole axis."""

    axis_changed = Signal(str)
    """The axis' name."""
    position_clicked = Signal(int)
    """The first of the positions under the mouse, or under the keyboard's cursor at Enter."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("coverage_plot")
        self._axis = ComboBox("coverage_axis", "Axis of the coverage plot", 4)
        self._bars = _Bars()
        self._words = wrapping_label("coverage_words")
        self._words.setTextFormat(Qt.TextFormat.RichText)
        label = QLabel("Alon&g")
        label.setBuddy(self._axis)
        self.chooser = (label, self._axis)
        """The chooser of the axis with its label, which may be laid out elsewhere."""
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self._axis, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._bars, 1)
        column.addWidget(self._words)
        self._axis.currentTextChanged.connect(self._on_axis)
        self._bars.moved.connect(self._describe)
        self._bars.clicked.connect(self.position_clicked)
        self._describe()

    def set_axes(self, names: Sequence[str], chosen: str = "") -> None:
        """Offer these axes, without sending `axis_changed`."""
        self._axis.offer([(name, name) for name in names], chosen)
        self._bars.setAccessibleName(f"Coverage along {self.axis}")

    @property
    def axis(self) -> str:
        """The chosen axis' name."""
        return self._axis.currentText()

    @property
    def compared(self) -> bool:
        """Whether two sides were only compared: then states have other names."""
        return self._bars.compared

    @compared.setter
    def compared(self, compared: bool) -> None:
        if compared is not self._bars.compared:
            self._bars.compared = compared
            self._describe()

    def set_data(self, copied: npt.ArrayLike, pending: npt.ArrayLike, missing: npt.ArrayLike) -> None:
        """Show chunk files at each position of the axis: three 1-D arrays of counts, of one length."""
        self._bars.show_coverage(Coverage.of(copied, pending, missing))
        self._describe()

    def _on_axis(self, name: str) -> None:
        self._bars.setAccessibleName(f"Coverage along {name}")
        self.axis_changed.emit(name)

    def _describe(self) -> None:
        where, counts = self._bars.described()
        if not sum(counts):
            self._words.setText("Nothing to show yet.")
            self._bars.setAccessibleDescription("nothing to show yet")
            return
        names, colours = self._bars.names, _colours(self._bars)
        parts = [
            f'<span style="color:{colour.name()}">{swatch}</span>&nbsp;{name}&nbsp;{_unbroken(text)}'
            for name, text, colour, swatch in zip(names, _shares(counts), colours, _SWATCHES, strict=True)
        ]
        prefix = f"{where}: " if where else ""
        self._words.setText(prefix + ", ".join(parts))
        plain = ", ".join(f"{name} {text}" for name, text in zip(names, _shares(counts), strict=True))
        self._bars.setAccessibleDescription(prefix + plain)

    # Overrides of Qt's methods.

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_words"):
            self._describe()


class _Bars(QWidget):
    """The bars of the plot: one for each position, or one for several where there are more positions than pixels."""

    moved = Signal()
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("coverage_bars")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self._coverage = _EMPTY
        self._cursor: int | None = None
        self.compared = False

    @property
    def names(self) -> list[str]:
        return [chunk_name(state, self.compared) for state in _STATES]

    def show_coverage(self, coverage: Coverage) -> None:
        self._coverage = coverage
        if self._cursor is not None:
            self._cursor = min(self._cursor, coverage.positions - 1) if coverage.positions else None
        self.update()

    def described(self) -> tuple[str, list[int]]:
        """Return the positions under the cursor and their counts; without a cursor, those of the whole axis."""
        if self._cursor is None:
            return "", [int(count) for count in self._coverage.counts.sum(axis=1)]
        counts, edges = self._coverage.bins(self._plot().width())
        at = self._bin(self._cursor)
        first, last = int(edges[at]), int(edges[at + 1]) - 1
        where = f"{first:,}" if first == last else f"{first:,}\u2013{last:,}"
        return where, [int(count) for count in counts[:, at]]

    def _plot(self) -> QRect:
        return self.rect().adjusted(0, 1, 0, -self.fontMetrics().height() - 2)

    def _bin(self, position: int) -> int:
        _, edges = self._coverage.bins(self._plot().width())
        return int((edges[1:] <= position).sum())

    def _position(self, x: float) -> int | None:
        counts, edges = self._coverage.bins(self._plot().width())
        at = int(x * counts.shape[1] / max(1, self._plot().width()))
        return int(edges[at]) if 0 <= at < counts.shape[1] else None

    def _set_cursor(self, position: int | None) -> None:
        if position != self._cursor:
            self._cursor = position
            self.update()
            self.moved.emit()

    # Overrides of Qt's methods.

    def sizeHint(self) -> QSize:
        return QSize(280, 72)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, plot = QPainter(self), self._plot()
        painter.fillRect(plot, faint(self.palette(), 0.06))
        counts, _ = self._coverage.bins(plot.width())
        _paint_stack(painter, plot, stack_heights(counts, plot.height()), self)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(ink)
        if self._cursor is not None and counts.shape[1]:
            left, right = (plot.width() * (self._bin(self._cursor) + add) / counts.shape[1] for add in (0, 1))
            painter.setPen(QPen(ink, 2 if self.hasFocus() else 1))
            painter.drawRect(QRectF(left, plot.top(), max(1.0, right - left - 1), plot.height() - 1))
        painter.setPen(ink)
        below = QRect(plot.left() + 1, plot.bottom() + 1, plot.width() - 2, self.height() - plot.bottom() - 1)
        if self._coverage.positions:
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        if self._coverage.positions > 1:
            painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{self._coverage.positions - 1:,}")
        painter.end()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            where, counts = self.described()
            words = ", ".join(f"{count:,} {name}" for name, count in zip(self.names, counts, strict=True))
            QToolTip.showText(event.globalPos(), f"{where}: {words} chunk files" if where else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_cursor(self._position(event.position().x()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if not self.hasFocus():
            self._set_cursor(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (position := self._position(event.position().x())) is not None:
            self._set_cursor(position)
            self.clicked.emit(position)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        counts, edges = self._coverage.bins(self._plot().width())
        last = counts.shape[1] - 1
        if last < 0:
            return
        at = -1 if self._cursor is None else self._bin(self._cursor)
        places: dict[int, int] = {
            Qt.Key.Key_Left: max(0, at - 1),
            Qt.Key.Key_Right: min(last, at + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        if event.key() in places:
            self._set_cursor(int(edges[places[event.key()]]))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._cursor is not None:
            self.clicked.emit(self._cursor)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._set_cursor(None)
        self.update()


def _colours(widget: QWidget) -> tuple[QColor, QColor, QColor]:
    return chunk_colour(ChunkState.COPIED), chunk_colour(ChunkState.PENDING), faint(widget.palette(), 0.5)


def _unbroken(text: str) -> str:
    """Return a text as HTML that stays on one line."""
    return html.escape(text).replace(" ", "&nbsp;")


def _shares(counts: list[int]) -> list[str]:
    total = max(1, sum(counts))
    return [percent_text(count / total) for count in counts]


def _paint_stack(painter: QPainter, plot: QRect, heights: Counts, widget: QWidget) -> None:
    """Paint copied at the bottom, pending above it, absent hatched on top: not told apart by colour alone."""
    colours, number = _colours(widget), heights.shape[1]
    hatched = QBrush(colours[2], Qt.BrushStyle.BDiagPattern)
    brushes = (QBrush(colours[0]), QBrush(colours[1]), hatched)
    edges = [plot.left() + plot.width() * at // max(1, number) for at in range(number + 1)]
    gap = 1 if number and plot.width() / number >= 6 else 0
    painter.setBrushOrigin(QPointF(plot.bottomLeft()))
    for part, brush in enumerate(brushes):
        for at in range(number):
            height = int(heights[part, at])
            if height:
                bottom = plot.bottom() + 1 - int(heights[:part, at].sum())
                painter.fillRect(QRect(edges[at], bottom - height, edges[at + 1] - edges[at] - gap, height), brush)
