"""The legend: what the colours over the image mean, with counts; a click asks for the first such chunk file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent, QPainter, QPalette, QPen, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QSizePolicy,
    QStyle,
    QStyleOptionViewItem,
    QWidget,
)

from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.item_delegate import ItemDelegate
from softcopy_napari.widgets.palette import chunk_colour, chunk_name, mix

COUNT_ROLE = int(Qt.ItemDataRole.UserRole) + 1
STATE_ROLE = COUNT_ROLE + 1


class LegendModel(QAbstractListModel):
    """A list model with a row for each `ChunkState`, and its count."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._counts: tuple[int, ...] = (0,) * len(ChunkState)
        self.compared = False
        """Whether two sides were only compared: then states have other names."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunk files in each state."""
        return self._counts

    def set_counts(self, counts: Sequence[int], compared: bool = False) -> bool:
        """Show these counts, one for each state; return whether anything has changed."""
        new = tuple(int(count) for count in counts)
        if len(new) != len(ChunkState):
            raise ValueError(f"{len(ChunkState)} counts are needed, one a state, not {len(new)}")
        renamed = compared is not self.compared
        changed = [at for at in range(len(new)) if renamed or new[at] != self._counts[at]]
        self._counts, self.compared = new, compared
        for at in changed:
            self.dataChanged.emit(self.index(at, 0), self.index(at, 0))
        return bool(changed)

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(ChunkState)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        state = ChunkState(index.row())
        count = self._counts[state]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return chunk_name(state, self.compared)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{chunk_name(state, self.compared)}: {count_text(count, 'chunk file')}"
            case Qt.ItemDataRole.ToolTipRole:
                meaning = (self.compared and _COMPARED.get(state)) or _MEANINGS[state]
                return f"{meaning}\nClick to go to the first one." if count else meaning
            case _ if role == COUNT_ROLE:
                return count
            case _ if role == STATE_ROLE:
                return state
        return None


_MEANINGS = {
    ChunkState.ABSENT: "Expected; no file yet.",
    ChunkState.WRITING: "The microscope is writing it.",
    ChunkState.PENDING: "Written, and waiting to be copied.",
    ChunkState.COPYING: "Being copied.",
    ChunkState.COPIED: "At the destination; size and time agree with the source.",
    ChunkState.VERIFIED: "At the destination, read back and compared.",
    ChunkState.FAILED: "Could not be copied yet; retried.",
}
_COMPARED = {
    ChunkState.ABSENT: "Not at the source.",
    ChunkState.PENDING: "At the source; missing at the destination, or different there.",
    ChunkState.COPIED: "Equal at both sides.",
}
"""Meanings where two sides were only compared."""


class _Delegate(ItemDelegate):
    """Paints a swatch, the name and the count; states without chunk files are faint."""

    def __init__(self, legend: QListView) -> None:
        super().__init__(legend)
        self._legend = legend

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        full = self.paint_background(painter, option, index)
        count, rect, palette = index.data(COUNT_ROLE), full.rect, full.palette
        selected = bool(full.state & QStyle.StateFlag.State_Selected)
        text = palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.WindowText)
        side = painter.fontMetrics().ascent()
        painter.save()
        swatch = QRect(rect.left() + 5, rect.center().y() - side // 2, side, side)
        _paint_swatch(painter, swatch, index.data(STATE_ROLE), text)
        if not count and not selected:
            text = mix(palette.color(QPalette.ColorRole.Window), text, 0.7)
        painter.setPen(text)
        words = rect.adjusted(side + 11, 0, -7, 0)
        painter.drawText(words, _flags(Qt.AlignmentFlag.AlignLeft), full.text)
        painter.drawText(words, _flags(Qt.AlignmentFlag.AlignRight), f"{count:,}")
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return self._legend.gridSize()


def _flags(alignment: Qt.AlignmentFlag) -> int:
    return int(alignment.value) | int(Qt.AlignmentFlag.AlignVCenter.value)


def _paint_swatch(painter: QPainter, rect: QRect, state: ChunkState, line: Any) -> None:
    colour = chunk_colour(state)
    if colour.alpha():
        painter.fillRect(rect, colour)
    else:  # transparent: an empty frame
        pen = QPen(line)
        pen.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(pen)
        painter.drawRect(rect.adjusted(0, 0, -1, -1))


class Legend(QListView):
    """A view of all states, in as many columns as there is room for."""

    state_clicked = Signal(object)
    """The `ChunkState` that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("legend")
        self.setAccessibleName("Chunk files in each state")
        self._model = LegendModel(self)
        self.setModel(self._model)
        self.setItemDelegate(_Delegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setMovement(QListView.Movement.Static)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCurrentIndex(self._model.index(0, 0))
        self.clearSelection()
        self.clicked.connect(self._ask)

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunk files in each state."""
        return self._model.counts

    def set_counts(self, counts: Sequence[int], compared: bool = False) -> None:
        """Show how many chunk files are in each `ChunkState`; compared says whether two sides were only compared."""
        if self._model.set_counts(counts, compared):
            self._fit()

    def _ask(self, index: QModelIndex) -> None:
        self.state_clicked.emit(ChunkState(index.row()))

    def _line(self) -> int:
        return self.fontMetrics().height() + 6

    def _fit(self) -> None:
        """Choose the columns, and be as high as they need."""
        metrics = self.fontMetrics()
        # Of each line by itself: the longest name seldom has the largest count. Room for four digits in any case, so
        # that columns do not come and go while chunk files arrive.
        least, width = metrics.horizontalAdvance("0,000"), metrics.horizontalAdvance
        lines = (
            width(chunk_name(state, self._model.compared)) + max(width(f"{self.counts[state]:,}"), least)
            for state in ChunkState
        )
        cell = max(lines) + metrics.ascent() + 18 + metrics.averageCharWidth()
        room = self.viewport().width() - 1  # the view breaks a line that just fits
        columns = max(1, min(len(ChunkState), room // cell))
        rows = -(-len(ChunkState) // columns)
        columns = -(-len(ChunkState) // rows)
        grid = QSize(min(max(1, room // columns), 2 * cell), self._line())
        if grid != self.gridSize():
            self.setGridSize(grid)
            self.doItemsLayout()  # by itself it waits until resizing has come to rest
        height = rows * self._line() + 2 * self.frameWidth() + 4
        if height != self.maximumHeight():
            self.setFixedHeight(height)

    # Overrides of Qt's methods.

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        asks = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if event.key() in asks and self.currentIndex().isValid():
            self._ask(self.currentIndex())
            event.accept()
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self._line())

    def sizeHint(self) -> QSize:
        return QSize(280, self.maximumHeight() if self.maximumHeight() < 10_000 else 4 * self._line())
