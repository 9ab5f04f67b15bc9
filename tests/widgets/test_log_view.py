"""The log follows its tail, keeps the place of someone who reads it, and can be filtered and copied."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QGuiApplication, QPalette
from qtpy.QtWidgets import QApplication, QComboBox, QPlainTextEdit, QPushButton

from softcopy_napari.widgets.log_view import MAX_LINES, Level, LogSection, LogView
from tests.widgets.support import child


@pytest.fixture
def log(qtbot: QtBot) -> LogView:
    made = LogView()
    qtbot.addWidget(made)
    made.resize(300, 150)
    made.show()
    qtbot.waitExposed(made)
    return made


def lines(log: LogView) -> list[str]:
    return [line[len("1970-01-01 00:00:00 ") :] for line in log.toPlainText().splitlines()]


def text_of(log: LogView) -> QPlainTextEdit:
    return child(log, QPlainTextEdit, "log_text")


def test_lines_say_how_bad_they_are(log: LogView) -> None:
    for level, text in ((logging.DEBUG, "a"), (logging.INFO, "b"), (logging.WARNING, "c"), (logging.CRITICAL, "d")):
        log.append(level, 0.0, text)
    assert lines(log) == ["a", "b", "warning: c", "error: d"]


def test_a_text_of_several_lines_stays_together(log: LogView) -> None:
    log.append(Level.WARNING, 0.0, "one\ntwo")
    log.append(Level.INFO, 0.0, "")
    assert log.toPlainText().splitlines()[1] == "    two"
    log.level = Level.WARNING
    assert len(log.toPlainText().splitlines()) == 2


def test_what_is_not_of_today_has_a_date(log: LogView, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.mktime((2025, 3, 1, 23, 59, 0, 0, 0, -1))]
    monkeypatch.setattr(time, "localtime", partial(_localtime, now))
    log.append(Level.INFO, now[0], "late\nstill late")
    assert log.toPlainText().splitlines() == ["23:59:00 late", "    still late"]
    now[0] += 61.0
    log._date_timer.timeout.emit()
    assert log.toPlainText().splitlines() == ["2025-03-01 23:59:00 late", "    still late"]
    log.append(Level.INFO, now[0], "early")
    assert log.toPlainText().splitlines()[2] == "00:00:01 early"


def _localtime(now: list[float], at: float | None = None, _real: Any = time.localtime) -> time.struct_time:
    local: time.struct_time = _real(now[0] if at is None else at)
    return local


def test_a_filter_hides_and_brings_back(log: LogView, qtbot: QtBot) -> None:
    log.append(Level.INFO, 0.0, "a")
    log.append(Level.ERROR, 0.0, "b")
    chooser = child(log, QComboBox, "log_level")
    qtbot.keyClick(chooser, Qt.Key.Key_Down)
    assert (log.level, lines(log)) == (Level.WARNING, ["error: b"])
    log.append(Level.INFO, 0.0, "c")
    assert lines(log) == ["error: b"]
    qtbot.keyClick(chooser, Qt.Key.Key_Up)
    assert lines(log) == ["a", "error: b", "c"]


def test_what_is_shown_or_selected_is_copied(log: LogView, qtbot: QtBot) -> None:
    log.append(Level.INFO, 0.0, "a")
    log.append(Level.ERROR, 0.0, "b")
    button = child(log, QPushButton, "log_copy")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == log.toPlainText()
    cursor = text_of(log).textCursor()
    cursor.movePosition(cursor.MoveOperation.Start)
    cursor.select(cursor.SelectionType.LineUnderCursor)
    text_of(log).setTextCursor(cursor)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == log.toPlainText().splitlines()[0]


def test_the_tail_is_followed_unless_someone_reads_further_up(log: LogView) -> None:
    bar = text_of(log).verticalScrollBar()
    for number in range(100):
        log.append(Level.INFO, 0.0, f"line {number}")
    assert bar.value() == bar.maximum() > 0
    bar.setValue(20)
    first = text_of(log).firstVisibleBlock().text()
    log.append(Level.INFO, 0.0, "new")
    assert text_of(log).firstVisibleBlock().text() == first
    bar.setValue(bar.maximum())
    log.append(Level.INFO, 0.0, "newer")
    assert bar.value() == bar.maximum()


def test_the_log_opens_at_its_newest_line(qtbot: QtBot) -> None:
    section = LogSection()
    qtbot.addWidget(section)
    section.resize(300, 200)
    section.show()
    qtbot.waitExposed(section)
    for number in range(100):
        section.append(Level.INFO, f"line {number}")
    qtbot.mouseClick(section.findChild(QPushButton, "log_button"), Qt.MouseButton.LeftButton)
    bar = section.findChild(QPlainTextEdit).verticalScrollBar()
    qtbot.waitUntil(lambda: section.findChild(QPlainTextEdit).height() > 50)
    QApplication.processEvents()
    assert bar.value() == bar.maximum() > 0
    bar.triggerAction(bar.SliderAction.SliderToMinimum)
    section.append(Level.INFO, "new")
    assert bar.value() == 0, "its reader has gone there"


def test_a_long_day_does_not_fill_the_memory_or_move_the_reader(log: LogView) -> None:
    for number in range(MAX_LINES):
        log.append(Level.INFO, 0.0, f"line {number}")
    bar = text_of(log).verticalScrollBar()
    bar.setValue(1_000)
    first = text_of(log).firstVisibleBlock().text()
    for number in range(10):
        log.append(Level.INFO, 0.0, f"more {number}")
    assert text_of(log).firstVisibleBlock().text() == first
    assert text_of(log).blockCount() == MAX_LINES
    log.level = Level.ERROR
    log.level = Level.INFO
    assert lines(log)[-1] == "more 9"
    assert len(lines(log)) == MAX_LINES


def test_a_theme_changes_the_colours_of_what_is_there(log: LogView) -> None:
    log.append(Level.ERROR, 0.0, "b")

    def colour() -> QColor:
        return text_of(log).document().firstBlock().begin().fragment().charFormat().foreground().color()

    light = colour()
    palette = QPalette(QColor("#222222"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("white"))
    log.setPalette(palette)
    assert colour().lightness() > light.lightness()


def test_tab_leaves_the_log(log: LogView, qtbot: QtBot) -> None:
    text_of(log).setFocus()
    assert log.focusWidget() is text_of(log)
    qtbot.keyClick(text_of(log), Qt.Key.Key_Tab)
    assert log.focusWidget() is not text_of(log)


def test_it_can_be_emptied(log: LogView) -> None:
    log.append(Level.INFO, 0.0, "a")
    log.clear()
    assert log.toPlainText() == ""


def test_a_closed_log_says_that_there_is_something_to_look_at(qtbot: QtBot) -> None:
    section = LogSection()
    qtbot.addWidget(section)
    section.show()
    view, button = section.findChild(LogView), child(section, QPushButton, "log_button")
    assert not section.is_open
    section.append(Level.INFO, "all is well")
    assert section.title == "Log"
    section.append(Level.WARNING, "a")
    section.append(Level.ERROR, "b")
    assert section.title == "Log (1 error, 1 warning)"
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: view.height() > 50)
    assert section.title == "Log"
    section.append(Level.ERROR, "c")
    assert section.title == "Log"
    assert len(lines(view)) == 4
