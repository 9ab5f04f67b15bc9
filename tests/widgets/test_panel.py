"""The panel as a user meets it: add, select, start, look, and be told what is wrong; narrow, and by keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QListView,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QWidget,
)

from softcopy_napari.engine.protocol.messages import Changes, ForecastSnapshot, PaceSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.new_copy import Preview
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.target_row import Action, Key, Row
from softcopy_napari.widgets.targets_view import TargetsView
from tests.widgets.support import child, choose_in, dialog_answered, drop, make_row

COPYING = make_row("a", TargetState.COPYING, counts=(1, 0, 2, 0, 1, 0, 0), reason="the disk is slow")
NAMES = {
    "source_edit": QLineEdit,
    "destination_edit": QLineEdit,
    "new_copy_button": QPushButton,
    "start_copy_button": QPushButton,
    "add_target": QAction,
    "check_coverage": QAction,
    "load_targets_button": QPushButton,
    "save_targets": QAction,
    "targets_table": QListView,
    "targets_summary": QLabel,
    "target_details": QPlainTextEdit,
    "start_button": QPushButton,
    "pause_button": QPushButton,
    "finish_button": QPushButton,
    "stop_button": QPushButton,
    "give_way_box": QCheckBox,
    "max_rate_edit": QLineEdit,
    "sleep_time_box": QDoubleSpinBox,
    "array_chooser": QComboBox,
    "image_chooser": QComboBox,
    "overlay_mode": QComboBox,
    "follow_newest": QCheckBox,
    "log_view": QWidget,
    "legend": QWidget,
    "plate_map": QWidget,
    "coverage_plot": QWidget,
    "banner": QWidget,
}


@pytest.fixture
def panel(qtbot: QtBot) -> Panel:
    made = Panel()
    qtbot.addWidget(made)
    made.resize(280, 768)
    made.show()
    qtbot.waitExposed(made)
    return made


def press(panel: Panel, qtbot: QtBot, name: str) -> None:
    qtbot.mouseClick(child(panel, QPushButton, name), Qt.MouseButton.LeftButton)


def cards(panel: Panel) -> TargetsView:
    return panel.findChild(TargetsView)


def trigger(panel: Panel, name: str) -> None:
    child(panel, QAction, name).trigger()


def message(panel: Panel) -> str:
    return child(panel, QLabel, "banner_text").accessibleName()


def asked(panel: Panel) -> list[tuple[Action, list[Key]]]:
    """What the panel asks for from now on."""
    seen: list[tuple[Action, list[Key]]] = []
    panel.action_requested.connect(lambda action, which: seen.append((action, which)))
    return seen


def fill(panel: Panel) -> None:
    """Show everything that there is to show."""
    panel.set_rows([COPYING, make_row("b")])
    panel.coverage.set_arrays(["0", "1"], "0")
    panel.coverage.set_counts((1, 2, 3, 4, 5, 6, 7))
    panel.coverage.set_wells({f"{row}/{column}": (1, 2) for row in "ABCDEFGH" for column in range(1, 13)})
    panel.coverage.set_axes(["t", "z"], "t")
    panel.coverage.set_coverage([1, 1], [0, 1], [1, 0])


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_scripts_find_everything_by_name(panel: Panel, name: str, kind: type[QWidget]) -> None:
    assert isinstance(child(panel, kind, name), kind)


def test_a_newcomer_is_offered_two_ways_to_begin(panel: Panel, qtbot: QtBot) -> None:
    empty = child(panel, QWidget, "empty_state")
    assert empty.isVisible() and not cards(panel).isVisible() and not child(panel, QWidget, "legend").isVisible()
    with qtbot.waitSignal(panel.sample_requested):
        press(panel, qtbot, "sample_button")
    press(panel, qtbot, "first_copy_button")
    assert not empty.isVisible()
    assert panel.focusWidget() is child(panel, QLineEdit, "source_edit")
    press(panel, qtbot, "cancel_copy_button")
    assert empty.isVisible() and not child(panel, QWidget, "new_copy").isVisible()
    panel.set_rows([make_row("a")])
    assert not empty.isVisible() and cards(panel).isVisible()


def test_a_new_copy_is_started_by_keyboard_alone(panel: Panel, qtbot: QtBot) -> None:
    press(panel, qtbot, "new_copy_button")
    qtbot.keyClicks(panel.focusWidget(), "/data/a")
    qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Return)
    assert panel.focusWidget().objectName() == "destination_edit"
    qtbot.keyClicks(panel.focusWidget(), "/copy/a")
    with qtbot.waitSignal(panel.preview_requested) as asked:
        qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Return)
    panel.show_preview(*asked.args, Preview(lines=("Will create /copy/a",)))
    with qtbot.waitSignal(panel.start_requested) as wanted:
        qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Return)
    assert wanted.args == ["/data/a", "/copy/a"]
    panel.close_new_copy()
    assert child(panel, QLineEdit, "source_edit").text() == ""


def test_select_and_start_by_keyboard_alone(panel: Panel, qtbot: QtBot) -> None:
    done = asked(panel)
    panel.set_rows([make_row("a")])
    child(panel, QPushButton, "new_copy_button").setFocus()
    while panel.focusWidget().objectName() != "start_button":
        qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Tab)
    qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Space)
    assert done == [(Action.START, [(0, "a")])]


def test_tab_goes_through_all_of_it_from_top_to_bottom(panel: Panel, qtbot: QtBot) -> None:
    fill(panel)
    panel.open_sections = "files speed"
    press(panel, qtbot, "new_copy_button")
    panel.set_paths("/data/x", "/copy/x")
    panel.select([COPYING.key])
    first = child(panel, QLineEdit, "source_edit")
    first.setFocus()
    way = []
    while (focus := panel.focusWidget()) is not first or not way:
        way.append(focus)
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
        assert len(way) < 50
    names = [widget.objectName() for widget in way]
    expected = [
        "source_edit",
        "source_edit_browse",
        "destination_edit",
        "destination_edit_browse",
        "start_copy_button",
        "cancel_copy_button",
        "new_copy_menu",
        "targets_table",
        "pause_button",
        "stop_button",
        "finish_button",
        "array_chooser",
        "image_chooser",
        "follow_newest",
        "overlay_mode",
        "coverage_axis",
        "plate_map",
        "coverage_bars",
        "files_button",
        "legend",
        "speed_button",
        "give_way_box",
        "sleep_time_box",
        "max_rate_edit",
        "history_button",
        "log_button",
        "load_targets_button",
        "panel_menu",
    ]
    assert names == expected
    assert all(widget.accessibleName() for widget in way if not isinstance(widget, QAbstractButton))


def test_mnemonics_are_unlike_each_other_and_naparis_menus(panel: Panel) -> None:
    texts = [one.text() for one in panel.findChildren(QPushButton)]
    texts += [label.text() for label in panel.findChildren(QLabel) if label.buddy() is not None]
    before = child(panel, QPushButton, "pause_button").text()
    panel.set_rows([make_row("a", TargetState.PAUSED)])
    after = child(panel, QPushButton, "pause_button").text()
    assert before != after
    assert before[before.index("&") + 1] == after[after.index("&") + 1], "it is one button"
    letters = [found[1].upper() for text in set(texts) if (found := re.search("&(.)", text))]
    assert len(letters) == len(set(letters)) >= 13
    assert not set("FVLPWH") & set(letters)


def test_a_target_that_was_added_is_selected(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING])
    assert panel.current == COPYING.key, "the first one is looked at"
    with qtbot.waitSignal(panel.selection_changed) as said:
        panel.set_rows([COPYING, make_row("b"), make_row("c")])
    assert said.args == [(0, "b")]
    assert panel.selected_keys() == [(0, "b"), (0, "c")]


def test_a_target_stays_selected_when_it_is_started(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([make_row("a"), make_row("b")])
    panel.select([(0, "b")])
    panel.set_rows([make_row("a"), make_row("b", starting=True)])
    with qtbot.waitSignal(panel.selection_changed) as said:
        panel.set_rows([make_row("a"), make_row("b", TargetState.COPYING)])
    assert said.args == [(4711, "b")] == panel.selected_keys()


def test_news_do_not_move_the_selection(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING, make_row("b", TargetState.COPYING)])
    panel.select([(4711, "b")])
    with qtbot.assertNotEmitted(panel.selection_changed):
        panel.set_rows([COPYING, make_row("b", TargetState.COMPLETE), make_row("x", TargetState.COPYING, pid=1)])
    assert panel.current == (4711, "b")


def test_after_a_removal_the_keyboard_goes_on(panel: Panel, qtbot: QtBot) -> None:
    rows, done = [make_row(name, TargetState.COMPLETE) for name in "abc"], asked(panel)
    panel.set_rows(rows)
    panel.select([rows[1].key])
    qtbot.keyClick(cards(panel), Qt.Key.Key_Delete)
    assert done == [(Action.REMOVE, [rows[1].key])]
    said: list[Key | None] = []
    panel.selection_changed.connect(said.append)
    panel.set_rows([rows[0], rows[2]])
    assert said in ([rows[0].key], [rows[2].key])
    panel.set_rows([])
    assert (said[-1], panel.current) == (None, None)
    assert not child(panel, QAction, "save_targets").isEnabled()


def test_details_are_those_of_the_selected_target(panel: Panel) -> None:
    text = child(panel, QPlainTextEdit, "target_details")
    assert not text.isVisible()
    panel.set_rows([COPYING, make_row("b", TargetState.COPYING, lost=True)])
    assert text.toPlainText() == "The disk is slow"
    panel.select([(4711, "b")])
    assert "Press Resume; nothing is lost" in text.toPlainText()


def test_a_narrow_panel_has_one_line_a_target_and_figures_below(panel: Panel) -> None:
    panel.set_rows([COPYING, make_row("b")])
    panel.select([COPYING.key])
    assert "1 of 4" not in child(panel, QPlainTextEdit, "target_details").toPlainText()
    wide = cards(panel).height()
    panel.resize(panel.minimumSizeHint().width(), 768)
    QApplication.processEvents()
    assert panel.width() < 280 and cards(panel).compact and cards(panel).height() < wide / 2
    assert child(panel, QPlainTextEdit, "target_details").toPlainText().startswith("Copying. 1 of 4 chunks")


def test_buttons_stay_where_they_are_while_a_live_copy_catches_up_again_and_again(panel: Panel, qtbot: QtBot) -> None:
    def rests_at(row: Row) -> object:
        panel.set_rows([row])
        QApplication.sendPostedEvents()
        QApplication.processEvents()
        names = ("stop_button", "finish_button", "log_button")
        return [child(panel, QPushButton, name).mapTo(panel, QPoint(0, 0)) for name in names]

    panel.resize(280, 768)
    short = make_row("a", TargetState.COPYING)
    long = make_row("a", TargetState.CAUGHT_UP, reason="chunk files that have not come yet: 13,346; " * 9)
    first = rests_at(short)
    assert [rests_at(row) for row in (long, short, long, make_row("a", TargetState.FINISHING))] == [first] * 4


def test_a_summary_counts_the_targets(panel: Panel) -> None:
    panel.set_rows([COPYING, make_row("b", TargetState.COMPLETE), make_row("c", TargetState.FAILED)])
    assert child(panel, QLabel, "targets_summary").text() == "1 copying \u00b7 1 done \u00b7 1 needs you"


def test_a_lost_engine_offers_to_resume(panel: Panel, qtbot: QtBot) -> None:
    done = asked(panel)
    panel.set_rows([make_row("a", TargetState.COPYING, lost=True)])
    press(panel, qtbot, "pause_button")
    assert done == [(Action.RESUME, [(4711, "a")])]


def test_buttons_act_on_what_is_selected(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING, make_row("b"), make_row("c", TargetState.COPYING)])
    done = asked(panel)
    panel.select([COPYING.key, (4711, "c")])
    press(panel, qtbot, "stop_button")
    press(panel, qtbot, "start_button")
    cards(panel).selectAll()
    press(panel, qtbot, "finish_button")
    press(panel, qtbot, "start_button")
    both = [COPYING.key, (4711, "c")]
    assert done == [(Action.STOP, both), (Action.FINISH, both), (Action.START, [(0, "b")])]


def test_a_pace_is_asked_for_the_selected_targets_that_are_being_copied(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING, make_row("b"), make_row("c", TargetState.COPYING)])
    cards(panel).selectAll()
    with qtbot.waitSignal(panel.pace_requested) as said:
        child(panel, QCheckBox, "give_way_box").toggle()
    assert said.args == [[COPYING.key, (4711, "c")], Changes(pace="full")]


def test_the_pace_and_what_is_to_be_expected_are_told(panel: Panel) -> None:
    pace = PaceSnapshot(limit=42e6, why=quote_text("gives way to the acquisition"))
    forecast = ForecastSnapshot(completion=quote_text("Keeping up"), dangers=(quote_text("Not enough space"),))
    panel.set_rows([make_row("a", TargetState.COPYING, pace=pace, forecast=forecast)])
    lines = child(panel, QPlainTextEdit, "target_details").toPlainText().splitlines()
    assert lines[-3:] == [
        "At most 42.0 MB/s: gives way to the acquisition",
        "Keeping up",
        "Not enough space",
    ]


def test_coverage_is_checked_of_what_is_typed_or_of_a_target_in_the_list(panel: Panel, qtbot: QtBot) -> None:
    checked: list[tuple[str, str]] = []
    panel.check_requested.connect(lambda source, destination: checked.append((source, destination)))
    press(panel, qtbot, "new_copy_button")
    trigger(panel, "check_coverage")
    assert checked == []
    assert child(panel, QLabel, "source_edit_problem").isVisible()
    panel.set_rows([COPYING, make_row("b", TargetState.COMPLETE)])
    cards(panel).selectAll()
    cards(panel).request(Action.CHECK)
    panel.set_paths("/x", "/y")
    trigger(panel, "check_coverage")
    assert checked == [("/data/b", "/copy/b"), ("/x", "/y")], "what is being copied need not be checked"


def test_a_list_of_targets_is_opened(panel: Panel, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text("targets: []")
    panel.set_problem("", "an old problem")
    with qtbot.waitSignal(panel.load_requested) as said, dialog_answered(lambda dialog: choose_in(dialog, file)):
        press(panel, qtbot, "load_targets_button")
    assert said.args == [str(file)]
    assert panel.banner.messages == ()
    with qtbot.assertNotEmitted(panel.load_requested), dialog_answered(QDialog.reject):
        press(panel, qtbot, "load_targets_button")


def test_a_list_of_targets_is_saved_with_its_ending(panel: Panel, qtbot: QtBot, tmp_path: Path) -> None:
    panel.set_rows([make_row("a")])
    with (
        qtbot.waitSignal(panel.save_requested) as said,
        dialog_answered(lambda one: choose_in(one, tmp_path / "today")),
    ):
        trigger(panel, "save_targets")
    assert said.args == [str(tmp_path / "today.yaml")]
    with qtbot.assertNotEmitted(panel.save_requested), dialog_answered(QDialog.reject):
        trigger(panel, "save_targets")


def test_all_that_have_ended_are_removed_at_once(panel: Panel) -> None:
    done = asked(panel)
    panel.set_rows([COPYING, make_row("b", TargetState.COMPLETE), make_row("c"), make_row("d", TargetState.FAILED)])
    trigger(panel, "remove_ended")
    assert done == [(Action.REMOVE, [(4711, "b"), (4711, "d")])]


def test_what_went_wrong_stays_until_it_is_dismissed_or_something_else_is_done(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING])
    panel.banner.add(Message(Tone.DONE, "Done 15:46: b"))
    panel.set_problem("", "/nas/a does not exist yet")
    assert child(panel, QWidget, "banner").isVisible() and message(panel) == "/nas/a does not exist yet"
    press(panel, qtbot, "stop_button")
    assert message(panel) == "Done 15:46: b", "an ending stays until it is dismissed"
    press(panel, qtbot, "banner_dismiss")
    assert not child(panel, QWidget, "banner").isVisible()


def test_problems_of_a_new_copy_stand_with_it(panel: Panel, qtbot: QtBot) -> None:
    press(panel, qtbot, "new_copy_button")
    panel.set_problem("source", "there is no such folder")
    panel.set_problem("new", "both are one folder")
    assert child(panel, QLabel, "source_edit_problem").isVisible()
    assert child(panel, QLabel, "form_problem").accessibleName() == "both are one folder"
    assert panel.banner.messages == ()


def test_open_sections_are_told_and_opened_again(panel: Panel, qtbot: QtBot) -> None:
    panel.set_rows([COPYING])
    with qtbot.waitSignal(panel.sections_changed) as said:
        press(panel, qtbot, "log_button")
    assert said.args == ["log"]
    panel.open_sections = "speed files"
    assert set(panel.open_sections.split()) == {"speed", "files"}


def test_coverage_is_shown_once_there_is_an_array(panel: Panel, qtbot: QtBot) -> None:
    legend = child(panel, QWidget, "legend")
    panel.open_sections = "files"
    panel.set_rows([COPYING])
    assert not legend.isVisible()
    panel.coverage.set_arrays(["0", "1"], "1")
    assert legend.isVisible()
    assert (panel.coverage.array, panel.coverage.image, panel.coverage.axis) == ("1", "destination", "")
    panel.coverage.set_arrays([])
    assert not legend.isVisible()
    assert panel.coverage.array is None


def test_everything_asked_of_coverage_leaves_by_signals(panel: Panel, qtbot: QtBot) -> None:
    fill(panel)
    panel.open_sections = "files"
    with qtbot.waitSignal(panel.coverage.array_chosen) as said:
        qtbot.keyClick(child(panel, QComboBox, "array_chooser"), Qt.Key.Key_Down)
    assert said.args == ["1"]
    with qtbot.waitSignal(panel.coverage.image_chosen) as said:
        qtbot.keyClick(child(panel, QComboBox, "image_chooser"), Qt.Key.Key_End)
    assert said.args == ["none"] == [panel.coverage.image]
    with qtbot.waitSignal(panel.coverage.state_clicked) as said:
        qtbot.keyClick(child(panel, QWidget, "legend"), Qt.Key.Key_Return)
    assert said.args == [int(ChunkState.ABSENT)]
    with qtbot.waitSignal(panel.coverage.well_clicked) as said:
        qtbot.keyClick(child(panel, QWidget, "plate_map"), Qt.Key.Key_Return)
    assert said.args == ["A/1"]
    with qtbot.waitSignal(panel.coverage.axis_changed) as said:
        qtbot.keyClick(child(panel, QComboBox, "coverage_axis"), Qt.Key.Key_Down)
    assert said.args == ["z"] == [panel.coverage.axis]
    bars = child(panel, QWidget, "coverage_bars")
    qtbot.keyClick(bars, Qt.Key.Key_End)
    with qtbot.waitSignal(panel.coverage.position_clicked) as said:
        qtbot.keyClick(bars, Qt.Key.Key_Return)
    assert said.args == [1]
    panel.coverage.image = "source"
    assert panel.coverage.image == "source"


def test_a_targets_file_is_dropped_anywhere(panel: Panel, qtbot: QtBot, tmp_path: Path) -> None:
    for where in (child(panel, QLineEdit, "source_edit"), cards(panel).viewport(), panel):
        with qtbot.waitSignal(panel.load_requested) as said:
            assert drop(where, [tmp_path / "targets.yaml"])
        assert said.args == [str(tmp_path / "targets.yaml")]


def test_folders_dropped_anywhere_are_source_then_destination(panel: Panel, tmp_path: Path) -> None:
    assert drop(cards(panel).viewport(), [tmp_path / "a"])
    assert drop(panel, [tmp_path / "b"])
    assert child(panel, QLineEdit, "source_edit").text() == str(tmp_path / "a")
    assert child(panel, QLineEdit, "destination_edit").text() == str(tmp_path / "b" / "a"), "it is to lie in there"


def test_two_folders_dropped_at_once_are_source_and_destination(panel: Panel, tmp_path: Path) -> None:
    panel.set_recent([], ["/nas/last.zarr"])  # beside which a destination would be proposed
    assert drop(panel, [tmp_path / "a", tmp_path / "b"])
    assert child(panel, QLineEdit, "source_edit").text() == str(tmp_path / "a")
    assert child(panel, QLineEdit, "destination_edit").text() == str(tmp_path / "b" / "a"), "it is to lie in there"


def test_of_more_folders_dropped_at_once_the_first_is_taken_and_that_is_said(panel: Panel, tmp_path: Path) -> None:
    assert drop(panel, [tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert child(panel, QLineEdit, "source_edit").text() == str(tmp_path / "a")
    assert child(panel, QLineEdit, "destination_edit").text() == ""
    words = child(panel, QLabel, "source_edit_problem").text()
    assert words == "3 paths were given; only the first is used."


def test_recent_paths_are_offered(panel: Panel) -> None:
    panel.set_recent(["/c", "/a"], ["/d", "/b"])
    assert (panel._new.source.recent, panel._new.destination.recent) == (["/c", "/a"], ["/d", "/b"])


@pytest.mark.parametrize("agree", [True, False])
def test_a_question_is_answered(panel: Panel, qtbot: QtBot, agree: bool) -> None:
    def answer(box: QMessageBox) -> None:
        assert box.text() == "/copy/a holds files."
        assert box.defaultButton().text() == "Cancel"
        buttons = {one.text(): one for one in box.buttons()}
        qtbot.mouseClick(buttons["Copy into it" if agree else "Cancel"], Qt.MouseButton.LeftButton)

    with dialog_answered(answer):
        assert panel.ask("Not empty", "/copy/a holds files.", "Copy into it") is agree


def test_escape_means_no(panel: Panel, qtbot: QtBot) -> None:
    with dialog_answered(lambda box: qtbot.keyClick(box, Qt.Key.Key_Escape)):
        assert not panel.ask("Not empty", "/copy/a holds files.", "Copy into it")


@pytest.mark.parametrize("size", [QSize(280, 768), QSize(200, 400), QSize(480, 1000)])
def test_nothing_is_cut_off(panel: Panel, qtbot: QtBot, size: QSize) -> None:
    fill(panel)
    press(panel, qtbot, "new_copy_button")
    long = "/data/" + "a-very_long/" * 12
    panel.set_paths(long, long)
    for where in ("source", "destination", "new", ""):
        panel.set_problem(where, f"{long} lies inside its source; choose another destination")
    panel.log(40, long)
    panel.open_sections = "files speed log"
    panel.resize(size.expandedTo(QSize(panel.minimumSizeHint().width(), size.height())))
    for _ in range(4):  # layouts pass their sizes on to those around them
        QApplication.processEvents()
    content = panel.findChild(QScrollArea).widget()
    assert content.width() <= panel.findChild(QScrollArea).viewport().width()
    for widget in content.findChildren(QWidget):
        if widget.isVisible() and not widget.isWindow():
            assert widget.parentWidget().rect().contains(widget.geometry()), widget.objectName()
    assert panel.minimumSizeHint().width() <= 280
    for button in content.findChildren(QPushButton):
        assert button.width() >= button.fontMetrics().horizontalAdvance(button.text().replace("&", "")), button.text()
    for label in (one for one in content.findChildren(QLabel) if one.isVisible() and one.text()):
        assert label.height() >= label.heightForWidth(label.width()), label.text()
