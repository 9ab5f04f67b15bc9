"""The details of the selected target: its reason in full, buttons, coverage, and speed."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent, QTextCursor
from qtpy.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from softcopy_napari.engine.formatting import count_text
from softcopy_napari.widgets.actions_bar import ActionsBar
from softcopy_napari.widgets.card import Card
from softcopy_napari.widgets.coverage_view import CoverageView
from softcopy_napari.widgets.pace_bar import PaceBar, can_be_paced
from softcopy_napari.widgets.palette import faint
from softcopy_napari.widgets.section import Section
from softcopy_napari.widgets.target_row import Row

_LINES = 5
"""Lines of the reason that are seen without scrolling; it has their height whatever it says."""
_STYLE_BORDER = 3


class _Title(QWidget):
    """A name with a line behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("details_title")
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.fontMetrics().height() + 4)

    def show_text(self, text: str) -> None:
        self._text = text
        self.setAccessibleName(text)
        self.setToolTip(text)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        metrics, width = painter.fontMetrics(), self.width()
        words = metrics.elidedText(self._text, Qt.TextElideMode.ElideMiddle, width - 20)
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter.value), words)
        left, middle = metrics.horizontalAdvance(words) + 8, self.height() // 2
        painter.fillRect(left, middle, max(0, width - left), 1, faint(self.palette(), 0.35))
        painter.end()


class Details(QWidget):
    """Shows the first of the selected targets; its buttons and the speed act on all of them."""

    action_clicked = Signal(object)
    """The `Action` that was asked for."""
    pace_changed = Signal(object)
    """The `Changes` wanted of the selected targets that are being copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = _Title()
        self._reason = QPlainTextEdit()
        self._actions, self._pace = ActionsBar(), PaceBar()
        self.coverage = CoverageView()
        """The coverage of the target."""
        self.speed = Section("Speed", "speed")
        self.speed.add(self._pace)
        self._set_up_reason()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for part in (self._title, self._reason, self._actions, self.coverage, self.speed):
            column.addWidget(part)
        self.coverage.hide()
        self._actions.clicked.connect(self.action_clicked)
        self._pace.changed.connect(self.pace_changed)
        self.show_targets([], None)

    def _set_up_reason(self) -> None:
        reason = self._reason
        reason.setObjectName("target_details")
        reason.setAccessibleName("State of the selected target")
        reason.setReadOnly(True)
        reason.setFrameShape(QFrame.Shape.NoFrame)
        reason.setTabChangesFocus(True)
        reason.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        reason.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # its lines are wrapped
        reason.document().setDocumentMargin(0)  # flush with the title
        # Whole lines, and what napari's style sheets have around them: of one more nothing is seen.
        reason.setFixedHeight(_LINES * reason.fontMetrics().lineSpacing() + _STYLE_BORDER)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that can be opened."""
        return (self.coverage.files, self.speed)

    def show_targets(self, rows: Sequence[Row], card: Card | None, with_figures: bool = False) -> None:
        """Show the selected targets, and what the card of the first of them has no room for.

        Parameters
        ----------
        rows : sequence of Row
        card : Card or None
            None where there are no targets.
        with_figures : bool
            Whether the card itself has no room for its figures.
        """
        self.setVisible(bool(rows))
        self._actions.set_rows(rows)
        self._pace.set_rows(rows)
        self.speed.setVisible(any(map(can_be_paced, rows)))
        if not rows or card is None:
            return
        others = f" and {count_text(len(rows) - 1, 'more', 'more')}" if len(rows) > 1 else ""
        self._title.show_text(card.name + others)
        figures = f"{card.headline}. {card.facts}" if card.facts else card.headline
        shown = [figures] if with_figures or not card.details else []
        text = "\n".join(shown + [card.details] * (bool(card.details) and card.details != card.facts)) or card.details
        if text != self._reason.toPlainText():
            place = self._reason.verticalScrollBar().value()
            cursor = QTextCursor(self._reason.document())
            cursor.select(QTextCursor.SelectionType.Document)
            cursor.insertText(text)  # unlike setPlainText, it leaves the reader where he is
            self._reason.verticalScrollBar().setValue(place)
