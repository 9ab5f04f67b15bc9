"""A map of a plate: how much of each well is at the destination; a click on a well asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from qtpy.QtGui import QFocusEvent, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.bars import paint_bar, percent_text
from softcopy_napari.widgets.palette import chunk_colour, faint
from softcopy_napari.widgets.plate_layout import PlateLayout, Well, lay_out

_MAX_CELL = 56
_MOVES: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class PlateMap(QWidget):
    """A grid of wells; each fills from below as it is copied, and is green once it is complete."""

    well_clicked = Signal(str)
    """The well's path."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plate_map")
        self.setAccessibleName("Wells of the plate")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._plate: PlateLayout = lay_out({})
        self._data: dict[str, tuple[int, int]] = {}
        self._current: tuple[int, int] | None = None

    def set_wells(self, wells: Mapping[str, tuple[int, int]]) -> None:
        """Show these wells: path -> chunk files copied, and in all."""
        if dict(wells) == self._data:
            return
        known, self._data = self._data.keys(), dict(wells)
        new_places = known != self._data.keys()
        self._plate = lay_out(self._data)
        if self._current not in self._plate.wells:
            self._current = next(iter(self._plate.wells), None)
        if new_places:
            self.updateGeometry()
        self._describe()
        self.update()

    @property
    def current(self) -> str | None:
        """Path of the well under the keyboard cursor."""
        well = self._well(self._current)
        return well.path if well else None

    def _well(self, at: tuple[int, int] | None) -> Well | None:
        return self._plate.wells.get(at) if at else None

    def _describe(self) -> None:
        well = self._well(self._current)
        self.setAccessibleDescription(well_text(well) if well else "no wells")

    # Positions.

    def _margins(self) -> tuple[int, int]:
        """Return the space for the names of the rows and of the columns, in pixels."""
        metrics = self.fontMetrics()
        return max((metrics.horizontalAdvance(name) for name in self._plate.rows), default=0) + 8, metrics.height() + 2

    def _cell_for(self, width: int) -> int:
        left = self._margins()[0]
        return max(3, min(_MAX_CELL, (width - left - 1) // max(1, len(self._plate.columns))))

    def _cell(self) -> int:
        top = self._margins()[1]
        return max(3, min(self._cell_for(self.width()), (self.height() - top - 1) // max(1, len(self._plate.rows))))

    def cell_rect(self, row: int, column: int) -> QRect:
        """Return the rectangle in which a well is painted."""
        (left, top), cell = self._margins(), self._cell()
        gap = 2 if cell > 12 else 1
        return QRect(left + column * cell, top + row * cell, cell - gap, cell - gap)

    def _at(self, place: QPoint) -> tuple[int, int] | None:
        (left, top), cell = self._margins(), self._cell()
        at = (place.y() - top) // cell, (place.x() - left) // cell
        return at if at in self._plate.wells else None

    # Overrides of Qt's methods.

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._margins()[1] + self._cell_for(width) * max(1, len(self._plate.rows)) + 1

    def sizeHint(self) -> QSize:
        return QSize(280, self.heightForWidth(280))

    def minimumSizeHint(self) -> QSize:
        left, top = self._margins()
        return QSize(min(240, left + 3 * len(self._plate.columns)), top + 3 * max(1, len(self._plate.rows)))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        if not self._plate.wells:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No wells yet.")
            return
        self._paint_names(painter)
        empty = faint(self.palette(), 0.08)
        for row in range(len(self._plate.rows)):
            for column in range(len(self._plate.columns)):
                rect = self.cell_rect(row, column)
                if well := self._plate.wells.get((row, column)):
                    self._paint_well(painter, rect, well)
                else:
                    painter.setPen(empty)
                    painter.drawRect(rect.adjusted(0, 0, -1, -1))
        if self.hasFocus() and self._current:
            pen = QPen(self.palette().color(QPalette.ColorRole.WindowText), 2)
            painter.setPen(pen)
            painter.drawRect(self.cell_rect(*self._current))
        painter.end()

    def _paint_names(self, painter: QPainter) -> None:
        left, top = self._margins()
        cell, metrics = self._cell(), self.fontMetrics()
        widest = max(metrics.horizontalAdvance(name) for name in self._plate.columns) + 4
        every = -(-widest // cell)
        for at in range(0, len(self._plate.columns), every):
            rect = QRect(left + at * cell - widest, 0, cell + 2 * widest, top)
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._plate.columns[at])
        every = -(-metrics.ascent() // cell)
        for at in range(0, len(self._plate.rows), every):
            rect = QRect(2, top + at * cell - top, left - 6, cell + 2 * top)
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._plate.rows[at])

    def _paint_well(self, painter: QPainter, rect: QRect, well: Well) -> None:
        height = rect.height() if well.complete else min(round(rect.height() * well.fraction), rect.height() - 1)
        height = max(height, 1 if well.copied else 0)
        filled = QRect(rect.left(), rect.bottom() + 1 - height, rect.width(), height)
        colour = chunk_colour(ChunkState.COPIED if well.complete else ChunkState.COPYING)
        room, metrics = rect.width() - 4, self.fontMetrics()
        text = percent_text(well.fraction)
        if metrics.horizontalAdvance("100 %") > room:  # in all wells alike
            text = text.removesuffix(" %") if metrics.horizontalAdvance("100") <= room else ""
        paint_bar(painter, rect, filled, colour, self.palette(), text)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            well = self._well(self._at(event.pos()))
            if well:
                QToolTip.showText(event.globalPos(), well_text(well), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if at := self._at(event.position().toPoint()):
            self._go(at)
            self.well_clicked.emit(self._plate.wells[at].path)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._at(event.position().toPoint()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._current is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.well_clicked.emit(self._plate.wells[self._current].path)
        elif step := _MOVES.get(event.key()):
            self._step(*step)
        else:
            super().keyPressEvent(event)

    def _step(self, down: int, right: int) -> None:
        """Go to the next well in a direction, over places without one."""
        assert self._current is not None
        row, column = self._current
        while True:
            row, column = row + down, column + right
            if not (0 <= row < len(self._plate.rows) and 0 <= column < len(self._plate.columns)):
                return
            if (row, column) in self._plate.wells:
                self._go((row, column))
                return

    def _go(self, at: tuple[int, int]) -> None:
        self._current = at
        self._describe()
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()


def well_text(well: Well) -> str:
    """Return a sentence about the coverage of a well."""
    return f"{well.path}: {well.copied:,} of {well.total:,} chunk files copied ({percent_text(well.fraction)})"
