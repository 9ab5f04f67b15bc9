"""The live table: what it shows of pace, forecast and watching."""

from __future__ import annotations

from rich.console import Console

from softcopy_napari.engine.protocol.messages import EngineSnapshot, PaceSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.live_table import draw
from tests.terminal.snapshots import FINISH_HINT, GIVES_WAY, KEEPS_UP, SHORT, WAITING, WATCHED, engine, engine_with


def table(shown: EngineSnapshot, width: int = 100) -> list[str]:
    console = Console(width=width)
    with console.capture() as said:
        console.print(draw(shown, width))
    return [line.rstrip() for line in said.get().splitlines()]


def test_the_table_tells_at_what_pace_it_goes_and_what_is_to_be_expected() -> None:
    assert table(engine())[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]


def test_of_several_targets_each_line_names_its_own() -> None:
    assert table(engine(count=2))[-3:] == [f"a.zarr: {words}" for words in (GIVES_WAY, KEEPS_UP, SHORT)]


def test_without_a_limit_nothing_is_said_of_it() -> None:
    assert table(engine(limit=None))[-2:] == [KEEPS_UP, SHORT]


def test_standing_still_is_told_without_a_figure() -> None:
    assert PaceSnapshot(limit=1.0, why=quote_text("stands still")).words == "stands still"


def test_the_table_tells_how_to_end_watching() -> None:
    assert "watching on" in table(engine_with(**WATCHED))[1]
    assert table(engine_with(**WATCHED))[-1] == "Ctrl-C ends it"
    assert table(engine_with())[-1] != "Ctrl-C ends it"


def test_the_table_says_which_command_ends_an_acquisition_that_is_over() -> None:
    assert table(engine_with(**WAITING))[-1] == FINISH_HINT


def test_a_wide_terminal_has_a_column_for_the_destination_and_a_bar_as_long_as_there_is_room() -> None:
    head, row, *_ = table(engine_with(counts=(1, 0, 0, 0, 9, 0, 0)), 140)
    assert head.split()[:2] == ["target", "destination"] and row.split()[:2] == ["a.zarr", "/nas/a.zarr"]
    assert row.count("━") >= 30


def test_a_narrow_terminal_names_the_destination_below() -> None:
    lines = table(engine(), 80)
    assert lines[2] == "to /nas/a.zarr" and "destination" not in lines[0]


def test_a_long_destination_loses_its_middle_and_never_its_name() -> None:
    long = f"/nas/{'project/' * 20}copy.zarr"
    for width in (60, 80, 140, 200):
        lines = table(engine_with(destination=long), width)
        assert all(len(line) <= width for line in lines)
        assert any("…" in line and "copy.zarr" in line and "/nas/" in line for line in lines)


def test_names_are_no_markup() -> None:
    assert "[b]a" in table(engine_with(source="/data/[b]a"))[1]


def test_of_what_grows_no_total_is_told_until_it_has_ended() -> None:
    growing = engine_with(counts=(1, 0, 0, 0, 75, 0, 0), growing=True)
    row = table(growing)[1]
    assert "75 so far" in row and "75/76" not in row
    ended = table(engine_with(counts=(1, 0, 0, 0, 75, 0, 0), growing=True, state=TargetState.FAILED))[1]
    assert "75/76" in ended


def test_the_time_that_an_ended_copy_took_is_no_time_left() -> None:
    assert "took 3:05 min" in table(engine_with(state=TargetState.COMPLETE, elapsed=185.0))[1]
