"""The buttons offer what the selected targets allow."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QPushButton

from softcopy_napari.engine.protocol.messages import Findings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.actions_bar import ActionsBar
from softcopy_napari.widgets.target_row import Action, Row
from tests.widgets.support import child, make_row

NAMES = ("start", "pause", "finish", "stop", "compare")
PAUSED = make_row("a", TargetState.PAUSED)
COPYING = make_row("b", TargetState.COPYING)
DIFFERS = make_row("c", TargetState.INCOMPLETE, findings=Findings(chunk_files_different=3, chunk_files_times=3))
"""A check found files of which only the times differ."""


def buttons(bar: ActionsBar) -> dict[str, QPushButton]:
    return {name: child(bar, QPushButton, f"{name}_button") for name in NAMES}


@pytest.mark.parametrize(
    ("rows", "enabled", "pause"),
    [
        ([], "", "Pause"),
        ([make_row("a")], "start", "Pause"),
        ([COPYING], "pause finish stop", "Pause"),
        ([PAUSED], "pause finish stop", "Resume"),
        ([PAUSED, COPYING], "pause finish stop", "Pause"),
        ([make_row("a"), COPYING], "start pause finish stop", "Pause"),
        ([make_row("a", TargetState.COMPLETE, watching=True)], "start stop", "Pause"),
        ([make_row("a", TargetState.COPYING, lost=True)], "pause", "Resume"),
        ([DIFFERS], "start compare", "Pause"),
        ([make_row("a", TargetState.COPYING, starting=True)], "", "Pause"),
    ],
)
def test_buttons_follow_the_selection(qtbot: QtBot, rows: list[Row], enabled: str, pause: str) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    bar.set_rows(rows)
    found = buttons(bar)
    usable = [name for name in NAMES if found[name].isEnabled() and not found[name].isHidden()]
    assert usable == enabled.split()
    assert found["pause"].text().replace("&", "") == found["pause"].accessibleName() == pause


@pytest.mark.parametrize(
    ("name", "row", "action"),
    [
        ("start", make_row("a"), Action.START),
        ("pause", COPYING, Action.PAUSE),
        ("pause", PAUSED, Action.RESUME),
        ("finish", COPYING, Action.FINISH),
        ("stop", COPYING, Action.STOP),
        ("compare", DIFFERS, Action.COMPARE),
    ],
)
def test_a_click_asks_for_the_action(qtbot: QtBot, name: str, row: Row, action: Action) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    bar.set_rows([row])
    with qtbot.waitSignal(bar.clicked) as asked:
        qtbot.mouseClick(buttons(bar)[name], Qt.MouseButton.LeftButton)
    assert asked.args == [action]


def test_start_and_pause_share_a_place_and_nothing_beside_it_moves(qtbot: QtBot) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    bar.resize(400, 60)
    bar.show()
    found, places = buttons(bar), set()
    for row in (make_row("a"), make_row("a", starting=True), COPYING, PAUSED, make_row("b", TargetState.COMPLETE)):
        bar.set_rows([row])
        QApplication.processEvents()
        shown = [name for name in ("start", "pause") if found[name].isVisible()]
        assert len(shown) == 1, row
        lefts = [found[name].mapTo(bar, QPoint(0, 0)).x() for name in ("stop", "finish", shown[0])]
        places.add((*lefts, found[shown[0]].width()))
    assert len(places) == 1
    bar.set_rows([make_row("a"), COPYING])
    assert found["start"].isVisible() and found["pause"].isVisible(), "both are of use"


def test_the_end_of_an_acquisition_can_be_taken_back(qtbot: QtBot) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    bar.set_rows([make_row("a", TargetState.FINISHING, told_to_finish=True)])
    with qtbot.waitSignal(bar.clicked) as asked:
        qtbot.mouseClick(buttons(bar)["finish"], Qt.MouseButton.LeftButton)
    assert asked.args == [Action.UNFINISH]


def test_the_stop_button_tells_that_it_only_ends_watching(qtbot: QtBot) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    watched = make_row("a", TargetState.COMPLETE, watching=True)
    for rows, only in (([watched], True), ([watched, COPYING], False), ([COPYING], False)):
        bar.set_rows(rows)
        assert ("stop watching" in buttons(bar)["stop"].toolTip()) is only


def test_the_bar_wraps_where_there_is_no_room(qtbot: QtBot) -> None:
    bar = ActionsBar()
    qtbot.addWidget(bar)
    bar.resize(160, bar.heightForWidth(160))
    bar.show()
    shown = [one for one in buttons(bar).values() if one.isVisible()]
    assert all(bar.rect().contains(one.geometry()) for one in shown)
    assert len({one.y() for one in shown}) > 1
