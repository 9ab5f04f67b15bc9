"""The history: what it lists, and what its buttons ask for."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QPushButton

from softcopy_napari.widgets.history_view import HistorySection, PastCopy
from softcopy_napari.widgets.palette import Tone
from tests.widgets.support import child

GOOD = PastCopy("/data/a.zarr", "/nas/a.zarr", Tone.DONE, "Done 15:46: a.zarr, 960 files")
BAD = PastCopy("/data/b.zarr", "/nas/b.zarr", Tone.NEEDS_USER, "Failed Tue 03:12: b.zarr", "The disk was full")


@pytest.fixture
def history(qtbot: QtBot) -> HistorySection:
    made = HistorySection()
    qtbot.addWidget(made)
    made.set_open(True)
    made.show()
    return made


def press(history: HistorySection, qtbot: QtBot, name: str) -> None:
    qtbot.mouseClick(child(history, QPushButton, name), Qt.MouseButton.LeftButton)


def test_each_copy_tells_where_it_went_and_why_it_ended(history: HistorySection) -> None:
    history.set_copies([BAD, GOOD])
    past = child(history, QListWidget, "history_list")
    assert past.isVisible() and past.count() == 2
    assert past.item(1).text() == "Done 15:46: a.zarr, 960 files\n\u2192 /nas/a.zarr"
    assert past.item(0).toolTip() == "/data/b.zarr\n\u2192 /nas/b.zarr\nThe disk was full"
    assert past.item(0).icon().cacheKey() != past.item(1).icon().cacheKey()


def test_without_any_there_are_words_instead_of_an_empty_list(history: HistorySection) -> None:
    assert not child(history, QListWidget, "history_list").isVisible()
    assert not child(history, QPushButton, "history_again").isVisible()


def test_buttons_act_on_what_is_selected(history: HistorySection, qtbot: QtBot) -> None:
    history.set_copies([BAD, GOOD])
    buttons = {name: child(history, QPushButton, f"history_{name}") for name in ("again", "open", "forget")}
    assert not any(button.isEnabled() for button in buttons.values())
    past = child(history, QListWidget, "history_list")
    past.setCurrentRow(1)
    with qtbot.waitSignal(history.again_requested) as asked:
        press(history, qtbot, "history_again")
    assert asked.args == ["/data/a.zarr", "/nas/a.zarr"]
    with qtbot.waitSignal(history.open_requested) as asked:
        press(history, qtbot, "history_open")
    assert asked.args == ["/nas/a.zarr"]
    past.selectAll()
    assert not buttons["again"].isEnabled() and buttons["forget"].isEnabled()
    with qtbot.waitSignal(history.forget_requested) as asked:
        qtbot.keyClick(past, Qt.Key.Key_Delete)
    assert asked.args == [[BAD, GOOD]]


def test_a_newer_list_keeps_what_was_selected(history: HistorySection) -> None:
    history.set_copies([GOOD])
    past = child(history, QListWidget, "history_list")
    past.setCurrentRow(0)
    history.set_copies([BAD, GOOD])
    assert [index.row() for index in past.selectedIndexes()] == [1]
