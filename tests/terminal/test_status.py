"""The status of running copies, and what they say of pace and forecast."""

from __future__ import annotations

import time

import pytest

from softcopy_napari.engine.protocol.messages import EngineSnapshot, WatermarkSnapshot
from softcopy_napari.engine.state_folder.history import HistoryWriter, endings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.status import show_endings, show_status
from tests.terminal.snapshots import FINISH_HINT, GIVES_WAY, KEEPS_UP, SHORT, WAITING, engine, engine_with


def test_status_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine()])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]


def test_status_says_which_command_ends_an_acquisition_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine_with(**WAITING)])
    assert capsys.readouterr().out.splitlines()[-1].strip() == FINISH_HINT


def test_status_says_up_to_where_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    for mark, words in (
        ({"axis": "t", "copied": 121, "of": 600}, "  time points 0 to 120 complete at the destination\n"),
        ({"axis": "t", "of": 600}, None),
    ):
        show_status([engine_with(watermark=WatermarkSnapshot.model_validate(mark))])
        said = capsys.readouterr().out
        assert (words in said) if words else ("at the destination" not in said)


def test_the_target_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine()])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("a.zarr  Copying  ")
    assert second == "  /data/a.zarr -> /nas/a.zarr  (process 7)"


def _ended(destination: str, state: TargetState, completed: float = 0.0) -> EngineSnapshot:
    shown = engine_with(destination=destination, state=state, completed=completed)
    HistoryWriter(False).note(shown.targets[0])
    return shown


def test_what_has_ended_is_listed_failures_first_and_not_what_is_shown_as_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = time.time()
    for number in range(12):
        _ended(f"/nas/{number}", TargetState.COMPLETE, now - number)
    _ended("/nas/bad", TargetState.FAILED)
    watched = _ended("/nas/watched", TargetState.COMPLETE, now)
    show_endings(endings(), [watched])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["Ended:", lines[2], "  /data/a.zarr -> /nas/bad"] and lines[2].startswith("a.zarr  Failed  ")
    assert "  /data/a.zarr -> /nas/0" in lines and "  /data/a.zarr -> /nas/11" not in lines
    assert lines[-2:] == [
        "and 2 more: softcopy status --all",
        "1 failure shown until dismissed: softcopy status --dismiss",
    ]
    assert not any("watched" in line for line in lines)


def test_where_nothing_has_ended_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show_endings([], [])
    assert capsys.readouterr().out == ""


def test_of_what_grows_only_what_has_arrived_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine_with(counts=(1, 0, 0, 0, 75, 0, 0), growing=True)])
    assert "  75 chunk files so far  " in capsys.readouterr().out.splitlines()[0]
