"""What can be done with targets is offered where they are shown, at any width and by keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QContextMenuEvent, QPalette
from qtpy.QtWidgets import QApplication, QMenu, QStyleOptionViewItem

from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.targets_model import Column, Row, TargetsModel
from softcopy_napari.widgets.targets_table import Action, TargetsTable, allowed_actions
from tests.widgets.support import keys, make_row

LOOK = {Action.SHOW, Action.OPEN_SOURCE, Action.OPEN_DESTINATION}
IDLE = {Action.START, Action.CHECK, Action.REMOVE}


@pytest.fixture
def table(qtbot: QtBot) -> TargetsTable:
    made = TargetsTable(TargetsModel())
    made._targets.setParent(made)
    qtbot.addWidget(made)
    made.resize(400, 150)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(table: TargetsTable, *rows: Row) -> None:
    table._targets.update(rows)
    table.select(keys(rows[:1]))


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        (make_row("a"), IDLE),
        (make_row("a", starting=True), set()),
        (make_row("a", TargetState.COPYING), {Action.PAUSE, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.WAITING), {Action.PAUSE, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.PAUSED), {Action.RESUME, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.FINISHING), {Action.PAUSE, Action.STOP}),
        (make_row("a", TargetState.COMPLETE), IDLE),
        (make_row("a", TargetState.COMPLETE, watching=True), IDLE | {Action.STOP}),
        (make_row("a", TargetState.FAILED), IDLE),
        (make_row("a", TargetState.STOPPED), IDLE),
        (make_row("a", TargetState.STOPPED, starting=True), set()),
        (make_row("a", TargetState.COPYING, lost=True, starting=True), set()),
        (make_row("a", TargetState.COPYING, lost=True), {Action.RESUME, Action.CHECK, Action.REMOVE}),
    ],
)
def test_what_is_allowed_follows_from_the_state(row: Row, actions: set[Action]) -> None:
    look = LOOK if row.snapshot is not None else LOOK - {Action.SHOW}  # of what was not started there is nothing
    assert allowed_actions([row]) == look | actions


def test_of_several_targets_those_are_meant_that_allow_it(table: TargetsTable) -> None:
    rows = [make_row("a", TargetState.COPYING), make_row("b", TargetState.PAUSED), make_row("c")]
    show(table, *rows)
    table.selectAll()
    asked: list[tuple[Action, list[object]]] = []
    table.requested.connect(lambda action, which: asked.append((action, which)))
    for action in (Action.PAUSE, Action.RESUME, Action.START, Action.STOP, Action.REMOVE):
        table.request(action)
    assert asked == [
        (Action.PAUSE, keys(rows[:1])),
        (Action.RESUME, keys(rows[1:2])),
        (Action.START, keys(rows[2:])),
        (Action.STOP, keys(rows[:2])),
        (Action.REMOVE, keys(rows[2:])),
    ]


def test_delete_removes_what_has_ended_and_nothing_that_runs(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a", TargetState.COMPLETE), make_row("b", TargetState.COPYING))
    asked: list[object] = []
    table.requested.connect(lambda action, which: asked.append((action, which)))
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert asked == [(Action.REMOVE, [(4711, "a")])]


def test_enter_and_a_double_click_show_a_target(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a", TargetState.COPYING), make_row("b", TargetState.COPYING))
    asked: list[object] = []
    table.requested.connect(lambda action, which: asked.append((action, which)))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    where = table.visualRect(table.model().index(1, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert asked == [(Action.SHOW, [(4711, "a")]), (Action.SHOW, [(4711, "b")])]


def test_tab_leaves_the_table(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a"))
    assert not table.tabKeyNavigation()


@pytest.mark.parametrize(("spare", "said"), [(5, r"Complete .*\d\d:\d\d, watching on"), (-5, "Complete, watching on")])
def test_a_source_that_is_watched_on_is_told_in_fewer_words_where_there_is_little_room(
    table: TargetsTable, spare: int, said: str
) -> None:
    row = make_row("a", TargetState.COMPLETE, watching=True, completed=1.7e9, reason="nothing has changed for 30 s")
    show(table, row)
    option = QStyleOptionViewItem()
    option.fontMetrics = table.fontMetrics()
    option.rect = QRect(0, 0, option.fontMetrics.horizontalAdvance(row.state_text) + spare, 20)
    table.itemDelegateForColumn(Column.STATE).initStyleOption(option, table.model().index(0, Column.STATE))
    assert re.fullmatch(f"{said}: nothing has changed for 30 s", option.text)


def test_to_stop_what_is_complete_is_called_stop_watching(table: TargetsTable, qtbot: QtBot) -> None:
    watched, copying = make_row("a", TargetState.COMPLETE, watching=True), make_row("b", TargetState.COPYING)
    for rows, words in (([watched], "Stop watching"), ([copying], "Stop"), ([watched, copying], "Stop")):
        show(table, *rows)
        table.select(keys(rows))
        menu = table.context_menu()
        assert words in [entry.text() for entry in menu.actions()]
        menu.deleteLater()


def test_the_menu_offers_what_is_allowed(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a", TargetState.PAUSED))
    menu = table.context_menu()
    offered = {entry.text() for entry in menu.actions() if entry.isEnabled() and entry.text()}
    assert offered == {*LOOK, Action.RESUME, Action.FINISH, Action.STOP}
    with qtbot.waitSignal(table.requested) as asked:
        next(entry for entry in menu.actions() if entry.text() == "Open destination folder").trigger()
    assert asked.args == [Action.OPEN_DESTINATION, [(4711, "a")]]
    menu.deleteLater()


@pytest.mark.parametrize("reason", [QContextMenuEvent.Reason.Mouse, QContextMenuEvent.Reason.Keyboard])
def test_the_menu_opens_by_mouse_and_by_keyboard(
    table: TargetsTable, qtbot: QtBot, reason: QContextMenuEvent.Reason
) -> None:
    place = table.viewport().mapToGlobal(QPoint(5, 5))

    def ask() -> None:
        QApplication.sendEvent(table.viewport(), QContextMenuEvent(reason, QPoint(5, 5), place))

    ask()
    assert table.findChildren(QMenu) == [], "nothing is selected"
    show(table, make_row("a"))
    ask()
    (menu,) = table.findChildren(QMenu)
    qtbot.waitUntil(menu.isVisible)
    row = table.viewport().mapToGlobal(table.visualRect(table.currentIndex()).bottomLeft())
    assert menu.pos() == (place if reason == QContextMenuEvent.Reason.Mouse else row)
    with qtbot.waitSignal(table.requested) as asked:
        qtbot.keyClick(menu, Qt.Key.Key_Down)
        qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert asked.args == [Action.START, [(0, "a")]]
    qtbot.waitUntil(lambda: table.findChildren(QMenu) == [])


def test_the_selection_survives_news_and_sorting(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("b"), make_row("a", TargetState.COPYING), make_row("c"))
    table.select([(4711, "a"), (0, "c")])
    table.sortByColumn(Column.TARGET, Qt.SortOrder.DescendingOrder)
    assert table.selected_keys() == [(0, "c"), (4711, "a")]
    rows = [make_row("a", TargetState.COMPLETE), make_row("b"), make_row("c", TargetState.COPYING)]
    table._targets.update(rows)
    assert table.selected_keys() == [(4711, "c"), (4711, "a")]
    table.select([(1, "nothing")])
    assert table.selected_keys() == [(4711, "c"), (4711, "a")]


@pytest.mark.parametrize("width", [160, 260, 320, 460, 900])
def test_no_column_is_cut_off_at_any_width(table: TargetsTable, qtbot: QtBot, width: int) -> None:
    counts = (2_000_000, 0, 0, 0, 8_000_000, 0, 0)
    name = "a_name_that_is_long_2025-03-01.zarr"
    show(table, make_row(name, TargetState.FAILED, reason="no space left", counts=counts, failed_files=1_000))
    table.resize(width, 150)
    QApplication.processEvents()
    shown = [column for column in Column if not table.isColumnHidden(column)]
    assert {Column.TARGET, Column.STATE, Column.PROGRESS} <= set(shown)
    assert sum(table.columnWidth(column) for column in shown) == table.viewport().width()
    assert min(table.columnWidth(column) for column in shown) >= 40
    if width == 900:
        assert shown == list(Column)


def test_it_is_as_high_as_its_rows_within_reason(table: TargetsTable) -> None:
    few = table.sizeHint().height()
    show(table, *(make_row(str(number)) for number in range(6)))
    six = table.sizeHint().height()
    show(table, *(make_row(str(number)) for number in range(60)))
    assert few < six < table.sizeHint().height() < 300


def test_an_empty_table_says_what_to_do(table: TargetsTable, qtbot: QtBot) -> None:
    blank = table.viewport().grab().toImage()
    table.placeholder = "Do this first. " * 20
    table.viewport().update()
    assert table.viewport().grab().toImage() != blank
    narrow = table.fontMetrics().boundingRect(0, 0, 260, 0, Qt.TextFlag.TextWordWrap, table.placeholder).height()
    table.resize(276, 150)
    assert table.sizeHint().height() > narrow


def test_the_bar_is_as_long_as_the_progress(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a", TargetState.COPYING, counts=(3, 0, 0, 0, 1, 0, 0)), make_row("b"))
    table.clearSelection()
    table.resize(600, 150)
    rect = table.visualRect(table.model().index(0, Column.PROGRESS))
    image = table.viewport().grab().toImage()
    row = rect.top() + 4
    blue = [x for x in range(rect.left(), rect.right()) if image.pixelColor(x, row) == QColor(86, 180, 233)]
    assert len(blue) == pytest.approx(rect.width() / 4, abs=4)


def test_dark_text_on_light_follows_the_palette(table: TargetsTable, qtbot: QtBot) -> None:
    show(table, make_row("a", TargetState.FAILED))
    index = table.model().index(0, Column.STATE)
    light = index.data(Qt.ItemDataRole.ForegroundRole)
    palette = QPalette(QColor("#222222"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("white"))
    table.setPalette(palette)
    assert index.data(Qt.ItemDataRole.ForegroundRole).lightness() > light.lightness()


def test_names_come_from_the_path(tmp_path: Path) -> None:
    assert Row((0, "1"), None, str(tmp_path / "a.zarr"), "").name == "a.zarr"
    assert Row((0, "1"), None, "/", "").name == "/"
