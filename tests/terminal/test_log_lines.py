"""Log lines: what they say of pace and forecast, and when they are printed."""

from __future__ import annotations

import re

import pytest

from softcopy_napari.terminal import log_lines
from softcopy_napari.terminal.log_lines import LogLines
from tests.terminal.snapshots import FINISH_HINT, GIVES_WAY, KEEPS_UP, WAITING, WATCHED, engine, engine_with


def test_a_log_line_has_both(capsys: pytest.CaptureFixture[str]) -> None:
    LogLines().show(engine(), now=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"ETA acquiring, {GIVES_WAY}, {KEEPS_UP}")


def test_a_log_does_not_repeat_a_line_because_a_limit_has_moved(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogLines()
    log.show(engine(), now=True)
    log.show(engine(limit=43e6))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_log_tells_that_a_source_is_watched_on_once_and_that_it_has_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(log_lines.time, "monotonic", lambda: clock[0])
    log = LogLines()
    for snapshot in (engine_with(), engine_with(**WATCHED), engine_with(**WATCHED), engine_with()):
        log.show(snapshot)
        clock[0] += 600.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "/data/a.zarr: Complete 2020-11-20 15:46, watching on, " in lines[1]
    assert "/data/a.zarr: Copying again: the source has changed, " in lines[2]


def test_a_log_line_says_which_command_ends_an_acquisition_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    LogLines().show(engine_with(**WAITING), now=True)
    assert capsys.readouterr().out.splitlines()[0].endswith(FINISH_HINT)


def test_a_log_line_begins_with_date_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    LogLines().show(engine(), now=True)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /data/a.zarr: Copying", capsys.readouterr().out)
