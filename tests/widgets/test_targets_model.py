"""The table's model says honestly how each target stands, and keeps a target's row whatever becomes of it."""

from __future__ import annotations

import random
import re
import time

import pytest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from softcopy_napari.engine.protocol.messages import Failure
from softcopy_napari.engine.reasons import ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import STATES
from softcopy_napari.widgets.targets_model import (
    HEADERS,
    PROGRESS_ROLE,
    ROW_ROLE,
    SORT_ROLE,
    Column,
    Row,
    TargetsModel,
    details,
)
from tests.widgets.support import keys, make_row

HALF = (40, 0, 10, 0, 30, 20, 0)


def shown(row: Row, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> list[str]:
    """What a row's cells show."""
    model = TargetsModel()
    model.update([row])
    return [model.data(model.index(0, column), role) for column in Column]


def test_a_target_that_has_not_been_started() -> None:
    assert shown(make_row("a.zarr")) == ["a.zarr", "Not started", "", "", "", "", ""]
    assert shown(make_row("a.zarr", starting=True))[Column.STATE] == "Starting"
    assert shown(make_row("a.zarr", note="being looked at"))[Column.STATE] == "being looked at"


def test_a_target_that_is_being_copied() -> None:
    row = make_row("a.zarr", TargetState.COPYING, counts=HALF, bytes_per_second=12.34e6, eta=83.0, failed_files=2)
    assert shown(row) == ["a.zarr", "Copying", "50 %", "50/100", "12.3", "1:23 min", "2"]


def test_no_end_is_promised_while_more_is_being_written() -> None:
    assert shown(make_row("a", TargetState.CAUGHT_UP))[Column.ETA] == "acquiring"
    assert shown(make_row("a", TargetState.FINISHING, acquiring=False))[Column.ETA] == ""


@pytest.mark.parametrize("state", [TargetState.WAITING, TargetState.PAUSED])
def test_what_copies_nothing_has_no_speed_and_is_not_called_acquiring(state: TargetState) -> None:
    row = make_row("a", state, reason="no such folder", bytes_per_second=0.3e6, acquiring=True)
    assert (shown(row)[Column.RATE], shown(row)[Column.ETA]) == ("", "")
    assert details(row) == f"{STATES[state]}: no such folder"


def test_a_complete_target_is_all_there_even_if_some_chunks_never_came() -> None:
    row = make_row("a", TargetState.COMPLETE, counts=HALF, elapsed=61.0, bytes_per_second=5e6)
    cells = shown(row)
    assert (cells[Column.PROGRESS], cells[Column.RATE], cells[Column.ETA]) == ("100 %", "", "took 1:01 min")
    assert "40 never written" in shown(row, Qt.ItemDataRole.ToolTipRole)[Column.FILES]


def test_the_reason_stands_with_the_state() -> None:
    row = make_row("a", TargetState.FAILED, reason="no space left on the disk")
    assert shown(row)[Column.STATE] == "Failed: no space left on the disk"


def test_a_stopped_target_says_what_is_left_and_which_button_goes_on() -> None:
    row = make_row(
        "a", TargetState.STOPPED, why=make_reason(ReasonCode.STOPPED), counts=(9, 1, 2, 0, 5, 0, 0), other_waiting=1
    )
    assert row.reason == "4 files left to copy. Press Start to continue"
    assert (
        make_row("a", TargetState.STOPPED, why=make_reason(ReasonCode.STOPPED)).reason == "Press Start to continue"
    ), "nothing is known"


def test_what_waits_for_the_end_says_which_button_tells_it() -> None:
    row = make_row("a", TargetState.CAUGHT_UP, why=make_reason(ReasonCode.CHUNKS_TO_COME, chunks=40))
    assert row.reason == "40 chunks still to come. Over already? Press Acquisition is over"
    assert "softcopy finish" not in "".join(shown(row))


def test_a_target_whose_source_is_watched_on_does_not_count_as_running() -> None:
    row = make_row("a", TargetState.COMPLETE, watching=True, completed=time.time(), counts=HALF, elapsed=61.0)
    assert re.fullmatch(r"Complete \d\d:\d\d, watching on", row.state_text)
    assert row.watched and not row.running
    assert shown(row)[Column.ETA] == "took 1:01 min"
    again = make_row("a", TargetState.COMPLETE, watching=True, starting=True)
    assert again.state_text == "Starting" and not again.watched


@pytest.mark.parametrize(
    ("note", "why"), [("", "Press Resume; nothing is lost"), ("process 7 was killed", "process 7 was killed")]
)
def test_an_engine_that_died_is_not_shown_as_copying(note: str, why: str) -> None:
    row = make_row("a", TargetState.COPYING, counts=HALF, bytes_per_second=5e6, eta=3.0, lost=True, note=note)
    assert shown(row) == ["a", f"Copying crashed: {why}", "50 %", "50/100", "", "", ""]
    assert not row.running
    assert row.state is None


@pytest.mark.parametrize("state", [TargetState.STOPPED, TargetState.COPYING])
def test_what_is_started_again_is_starting(state: TargetState) -> None:
    row = make_row("a", state, reason="3 left", counts=HALF, bytes_per_second=5e6, starting=True, lost=not state.ended)
    assert shown(row) == ["a", "Starting", "50 %", "50/100", "", "", ""]
    assert row.running


def test_tooltips_tell_paths_notices_and_failures() -> None:
    failures = tuple(Failure(path=f"0/{number}", why=quote_text("cannot be read")) for number in range(7))
    row = make_row(
        "a",
        TargetState.COPYING,
        failed_files=9,
        failures=failures,
        notes=(quote_text("one"), quote_text("two")),
        counts=HALF,
    )
    tips = shown(row, Qt.ItemDataRole.ToolTipRole)
    assert tips[Column.TARGET] == "/data/a\n\u2192 /copy/a"
    assert tips[Column.STATE] == "Copying\none\ntwo"
    assert tips[Column.FILES].startswith("40 still to come")
    assert tips[Column.FAILED].splitlines()[0] == "0/0 cannot be read"
    assert tips[Column.FAILED].splitlines()[-1] == "and 4 more"


def test_details_say_what_a_narrow_table_cannot() -> None:
    failure = Failure(path="0/c/1", why=quote_text("cannot be read"))
    fields = {"counts": HALF, "bytes_per_second": 5e6, "eta": 83.0, "failed_files": 1, "failures": (failure,)}
    first, figures, failed = details(make_row("a", TargetState.COPYING, reason="slow disk", **fields)).splitlines()
    assert (first, failed) == ("Copying: slow disk", "0/c/1 cannot be read")
    assert figures.replace("\u00a0", " ").replace("\u2060", "") == (
        "50 of 100 chunk files, 5.0 MB/s, 1:23 min to go, 1 failed"
    )
    assert details(make_row("a")) == "Not started"
    assert "MB" not in details(make_row("a", TargetState.COPYING, lost=True, **fields))


def test_columns_say_what_they_are() -> None:
    model = TargetsModel()
    across = Qt.Orientation.Horizontal
    assert [model.headerData(column, across) for column in Column] == list(HEADERS)
    assert all(model.headerData(column, across, Qt.ItemDataRole.ToolTipRole) for column in Column)
    assert model.headerData(0, Qt.Orientation.Vertical) is None


def test_a_screen_reader_hears_what_a_figure_is() -> None:
    texts = shown(make_row("a", TargetState.COPYING, counts=HALF), Qt.ItemDataRole.AccessibleTextRole)
    assert texts[:4] == ["a", "State: Copying", "Progress: 50 %", "Chunk files: 50/100"]


def test_rows_can_be_sorted_by_every_column() -> None:
    model = TargetsModel()
    model.update([make_row("a"), make_row("b", TargetState.COPYING, counts=HALF, eta=1.0), make_row("C")])
    for column in Column:
        values = [model.data(model.index(row, column), SORT_ROLE) for row in range(3)]
        sorted(values)  # they are of one kind
        assert values[0] != values[1] or column is Column.FAILED


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"bytes_per_second": 9e6}, Column.RATE),
        ({"counts": (0, 0, 10, 0, 90, 0, 0)}, Column.PROGRESS),
        ({"failed_files": 3}, Column.FAILED),
    ],
)
def test_the_view_hears_of_what_has_changed_and_of_nothing_else(fields: dict[str, object], column: Column) -> None:
    model = TargetsModel()
    model.update([make_row("a", TargetState.COPYING, counts=HALF), make_row("b")])
    heard: list[tuple[int, int, int]] = []
    model.dataChanged.connect(lambda one, two, *_: heard.append((one.row(), one.column(), two.column())))
    model.update([make_row("a", TargetState.COPYING, counts=HALF), make_row("b")])
    assert heard == []
    model.update([make_row("a", TargetState.COPYING, **{"counts": HALF, **fields}), make_row("b")])
    ((row, first, last),) = heard
    assert row == 0
    assert first <= column <= last


def test_a_target_keeps_its_row_when_it_is_started() -> None:
    model = TargetsModel()
    model.update([make_row("a"), make_row("b")])
    gone: list[int] = []
    model.rowsRemoved.connect(lambda _parent, first, _last: gone.append(first))
    model.rowsInserted.connect(lambda _parent, first, _last: gone.append(first))
    model.update([make_row("a"), make_row("b", TargetState.COPYING)])
    assert gone == []
    assert keys(model.rows) == [(0, "a"), (4711, "b")]
    assert model.find((4711, "b")).running
    assert model.find((0, "b")) is None


def test_colours_follow_the_theme(qtbot: QtBot) -> None:
    model = TargetsModel()
    model.update([make_row("a", TargetState.FAILED, failed_files=1), make_row("b", TargetState.COPYING, lost=True)])

    def colours() -> list[str]:
        cells = ((0, Column.STATE), (0, Column.FAILED), (1, Column.STATE))
        return [model.data(model.index(*cell), Qt.ItemDataRole.ForegroundRole).name() for cell in cells]

    light = colours()
    with qtbot.waitSignal(model.dataChanged):
        model.set_dark(True)
    dark = colours()
    assert len(set(light)) == len(set(dark)) == 1, "a lost engine is as bad as a failure"
    assert light != dark


def test_it_keeps_what_qt_asks_of_models(qtmodeltester: ModelTester) -> None:
    model, rng = TargetsModel(), random.Random(1)
    qtmodeltester.check(model)
    states = [None, *TargetState]
    for _ in range(200):
        names = rng.sample("abcdefgh", rng.randrange(9))
        wanted = [make_row(name, rng.choice(states), pid=rng.choice((1, 2))) for name in names]
        model.update(wanted)
        assert list(model.rows) == wanted
        assert [model.data(model.index(at, 0), ROW_ROLE) for at in range(len(wanted))] == wanted
        assert model.data(model.index(0, 0), PROGRESS_ROLE) in (None, 1.0)
    qtmodeltester.check(model)


def test_one_key_is_one_row() -> None:
    model = TargetsModel()
    model.update([make_row("a"), make_row("a", note="again")])
    assert [row.note for row in model.rows] == ["again"]
