"""What the command shows of pace and forecast: in the table, in log lines, and in `softcopy status`."""

from __future__ import annotations

import time

import pytest
from rich.console import Console

from softcopy_napari.engine.protocol.messages import EngineSnapshot, ForecastSnapshot, PaceSnapshot, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal import terminal
from softcopy_napari.terminal.live_table import draw

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


WATCHED = {
    "state": TargetState.COMPLETE,
    "completed": time.mktime((2020, 11, 20, 15, 46, 0, 0, 0, -1)),
    "watching": True,
}
WAITING = {"state": TargetState.CAUGHT_UP, "reason": "chunk files still to come: 99"}


def one(**changes: object) -> EngineSnapshot:
    """An engine with one target, of which nothing is to be expected."""
    (target,) = engine().targets
    nothing = {"pace": PaceSnapshot(), "forecast": ForecastSnapshot()}
    return engine().model_copy(update={"targets": (target.model_copy(update={**nothing, **changes}),)})


def test_a_log_tells_that_a_source_is_watched_on_once_and_that_it_has_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    log = terminal._Log()
    for snapshot in (one(), one(**WATCHED), one(**WATCHED), one()):
        log.show(snapshot)
        clock[0] += 600.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "/data/a.zarr: complete 2020-11-20 15:46, watching on, " in lines[1]
    assert "/data/a.zarr: copying again: the source has changed, " in lines[2]


def test_the_table_tells_how_to_end_watching(capsys: pytest.CaptureFixture[str]) -> None:
    assert "watching on" in table(one(**WATCHED))[1]
    assert table(one(**WATCHED))[-1] == "Ctrl-C ends it"
    assert table(one())[-1] != "Ctrl-C ends it"


def test_a_terminal_says_which_command_ends_an_acquisition_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    words = "chunk files still to come: 99. Over already? `softcopy finish`"
    assert table(one(**WAITING))[-1] == words
    terminal._Log().show(one(**WAITING), now=True)
    terminal.show_status([one(**WAITING)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(words) and said[-1].strip() == words


def test_status_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_status([engine()])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]
