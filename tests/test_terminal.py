"""What the command shows of pace and forecast: in the table, in log lines, and in `softcopy status`."""

from __future__ import annotations

import pytest
from rich.console import Console

from softcopy_napari import terminal
from softcopy_napari.engine.messages import EngineSnapshot, ForecastSnapshot, PaceSnapshot, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.livetable import draw

GIVES_WAY = "at most 42.0 MB/s: gives way to the acquisition"
KEEPS_UP = "the copy keeps up with the acquisition"
SHORT = "the destination will not fit: about 1.2 TB short"


def engine(state: TargetState = TargetState.COPYING, *, limit: float | None = 42e6, count: int = 1) -> EngineSnapshot:
    held = PaceSnapshot(limit=limit, reason="gives way to the acquisition" if limit is not None else "")
    target = TargetSnapshot(
        id="1",
        source="/data/a.zarr",
        destination="/nas/a.zarr",
        state=state,
        pace=held,
        forecast=ForecastSnapshot(words=KEEPS_UP, warnings=(SHORT,)),
    )
    return EngineSnapshot(pid=7, version="1", started=0.0, targets=(target,) * count)


def table(shown: EngineSnapshot) -> list[str]:
    console = Console(width=100)
    with console.capture() as said:
        console.print(draw(shown, 100))
    return [line.rstrip() for line in said.get().splitlines()]


def test_the_table_tells_at_what_pace_it_goes_and_what_is_to_be_expected() -> None:
    assert table(engine())[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]


def test_of_several_targets_each_line_names_its_own() -> None:
    assert table(engine(count=2))[-3:] == [f"a.zarr: {words}" for words in (GIVES_WAY, KEEPS_UP, SHORT)]


def test_without_a_limit_nothing_is_said_of_it() -> None:
    assert table(engine(limit=None))[-2:] == [KEEPS_UP, SHORT]


def test_standing_still_is_told_without_a_figure() -> None:
    assert PaceSnapshot(limit=1.0, reason="stands still").words == "stands still"


def test_a_log_line_has_both(capsys: pytest.CaptureFixture[str]) -> None:
    terminal._Log().show(engine(), now=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"ETA acquiring, {GIVES_WAY}, {KEEPS_UP}")


def test_a_log_does_not_repeat_a_line_because_a_limit_has_moved(capsys: pytest.CaptureFixture[str]) -> None:
    log = terminal._Log()
    log.show(engine(), now=True)
    log.show(engine(limit=43e6))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_status_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_status([engine()])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]
