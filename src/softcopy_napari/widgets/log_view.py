"""The log: what happened, newest last; follows its tail unless its reader has scrolled up."""

from __future__ import annotations

import time as clock
from collections import deque
from enum import IntEnum

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFontDatabase, QGuiApplication, QTextCharFormat, QTextCursor
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from softcopy_napari.engine.formatting import count_text
from softcopy_napari.widgets.combo_box import ComboBox
from softcopy_napari.widgets.palette import Tone, is_dark, tone_colour
from softcopy_napari.widgets.section import Section

MAX_LINES = 5_000
_MINUTE = 60_000
"""Milliseconds."""


class Level(IntEnum):
    """How much a line matters; the numbers are those of `logging`."""

    INFO = 20
    WARNING = 30
    ERROR = 40


_FILTERS = (("Everything", Level.INFO), ("Warnings and errors", Level.WARNING), ("Errors", Level.ERROR))
_WORDS = {Level.INFO: "", Level.WARNING: "warning: ", Level.ERROR: "error: "}


class LogView(QWidget):
    """Lines with a time, a date if it is not today's, and a level; a filter, and a button that copies what is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("log_view")
        self._lines: deque[tuple[Level, float | None, str]] = deque(maxlen=MAX_LINES)
        """Level, time and text of each line; continuation lines have no time."""
        self._today = clock.localtime()[:3]
        self._date_timer = QTimer(self)
        self._date_timer.setInterval(_MINUTE)
        self._date_timer.timeout.connect(self._update_dates)
        self._date_timer.start()
        self._filter = ComboBox("log_level", "Which lines the log shows", 4)
        self._filter.offer(_FILTERS, Level.INFO)
        self._copy = QPushButton("Copy")
        self._copy.setObjectName("log_copy")
        self._copy.setToolTip("Copy the lines shown")
        self._text = QPlainTextEdit()
        self._text.setObjectName("log_text")
        self._text.setAccessibleName("Log")
        self._text.setReadOnly(True)
        self._text.setTabChangesFocus(True)
        self._text.setUndoRedoEnabled(False)
        self._text.setMaximumBlockCount(MAX_LINES)
        self._text.setPlaceholderText("Nothing has happened yet.")
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.SmallestReadableFont))
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._text.setMinimumHeight(3 * self.fontMetrics().lineSpacing())
        self._to_newest = False
        """Whether it was just opened: it gets its height in steps, and shall come to rest at the newest line."""
        self._lay_out()
        bar = self._text.verticalScrollBar()
        bar.rangeChanged.connect(self._on_range)
        bar.actionTriggered.connect(self._on_scrolled)
        self._filter.currentIndexChanged.connect(self._show_all)
        self._copy.clicked.connect(self.copy)

    def _lay_out(self) -> None:
        label = QLabel("Show")
        label.setBuddy(self._filter)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self._filter, 1)
        row.addWidget(self._copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._text, 1)

    def append(self, level: int, time: float, text: str) -> None:
        """Add a line.

        Parameters
        ----------
        level : int
            A `Level`, or a number of `logging`'s.
        time : float
            Unix time.
        text : str
            What happened; line breaks make lines of their own.
        """
        rank = Level.ERROR if level >= Level.ERROR else Level.WARNING if level >= Level.WARNING else Level.INFO
        self._update_dates()
        first, *more = text.splitlines() or [""]
        for line in ((rank, time, f"{_WORDS[rank]}{first}"), *((rank, None, f"    {one}") for one in more)):
            self._lines.append(line)
            if rank >= self.level:
                self._show(*line)

    @property
    def level(self) -> Level:
        """The least level that is shown."""
        return Level(self._filter.currentData())

    @level.setter
    def level(self, level: Level) -> None:
        self._filter.setCurrentIndex(self._filter.findData(level))

    def toPlainText(self) -> str:
        """The lines that are shown."""
        return self._text.toPlainText()

    def show_newest(self) -> None:
        """Go to the newest line, and stay there while the log gets its height."""
        self._to_newest = True
        self._on_range()

    def _on_range(self) -> None:
        if self._to_newest:
            bar = self._text.verticalScrollBar()
            bar.setValue(bar.maximum())

    def _on_scrolled(self) -> None:
        self._to_newest = False

    def copy(self) -> None:
        """Put the lines that are shown, or those selected, on the clipboard."""
        selected = self._text.textCursor().selection().toPlainText()
        QGuiApplication.clipboard().setText(selected or self.toPlainText())

    def clear(self) -> None:
        """Remove all lines."""
        self._lines.clear()
        self._text.clear()

    def _update_dates(self) -> None:
        """Show the date of lines from earlier days."""
        if (today := clock.localtime()[:3]) != self._today:
            self._today = today
            self._show_all()

    def _stamp(self, time: float | None) -> str:
        if time is None:
            return ""
        local = clock.localtime(time)
        return clock.strftime("%H:%M:%S " if local[:3] == self._today else "%Y-%m-%d %H:%M:%S ", local)

    def _show(self, level: Level, time: float | None, text: str) -> None:
        bar, document = self._text.verticalScrollBar(), self._text.document()
        place, follow = bar.value(), self._to_newest or bar.value() >= bar.maximum()
        # What scrolls out at the top must not move what is being read.
        leaving = document.firstBlock().lineCount() if document.blockCount() >= MAX_LINES else 0
        cursor = QTextCursor(document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if not document.isEmpty():
            cursor.insertBlock()
        cursor.insertText(self._stamp(time) + text, self._format(level))
        bar.setValue(bar.maximum() if follow else max(0, place - leaving))

    def _show_all(self) -> None:
        self._text.setUpdatesEnabled(False)
        self._text.clear()
        for line in self._lines:
            if line[0] >= self.level:
                self._show(*line)
        self._text.setUpdatesEnabled(True)
        bar = self._text.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _format(self, level: Level) -> QTextCharFormat:
        style = QTextCharFormat()
        if level > Level.INFO:
            tone = Tone.NEEDS_USER if level is Level.ERROR else Tone.WAITS
            style.setForeground(QColor(tone_colour(tone, is_dark(self.palette()))))
        return style

    # Overrides of Qt's methods.

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_copy"):
            self._show_all()

    def sizeHint(self) -> QSize:
        return QSize(280, 10 * self.fontMetrics().lineSpacing())


class LogSection(Section):
    """The log, collapsed at first; its title counts the errors and warnings that have not been seen yet."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Log", "log", parent)
        self._unseen = {"error": 0, "warning": 0}
        self._view = LogView()
        self.add(self._view)
        self.toggled.connect(self._on_toggle)

    def append(self, level: int, text: str) -> None:
        """Add a line that happened now."""
        self._view.append(level, clock.time(), text)
        if level >= Level.WARNING:
            self._unseen["error" if level >= Level.ERROR else "warning"] += 1
            self._update_title()

    def _on_toggle(self) -> None:
        if self.is_open:
            self._view.show_newest()
        self._update_title()

    def _update_title(self) -> None:
        if self.is_open:
            self._unseen = dict.fromkeys(self._unseen, 0)
        counts = ", ".join(count_text(count, what) for what, count in self._unseen.items() if count)
        self.title = f"Log ({counts})" if counts else "Log"
