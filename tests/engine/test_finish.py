"""When an acquisition counts as finished: too early loses its end, too late keeps its user waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softcopy_napari.engine.finish import Facts, finished_because, waiting_for

EVERYTHING_THERE = Facts(
    told_to_finish=False,
    complete_file=False,
    arrays=2,
    absent=0,
    missing_nodes=0,
    temporaries=0,
    temporary="",
    quiet=31.0,
)


@pytest.mark.parametrize(
    ("change", "settle", "finish_idle", "why"),
    [
        ({}, 30, None, "every chunk file is there and nothing has changed for 30 s"),
        ({"quiet": 30.0}, 30, None, "every chunk file is there"),
        ({"quiet": 29.9}, 30, None, ""),
        ({"quiet": 0.0}, 0, None, "every chunk file is there"),
        ({"quiet": -3600.0}, 30, None, ""),  # files from the future
        ({"absent": 1, "quiet": 1e9}, 30, None, ""),
        ({"missing_nodes": 1, "quiet": 1e9}, 30, None, ""),
        ({"temporaries": 1, "quiet": 1e9}, 30, None, ""),
        ({"arrays": 0, "quiet": 1e9}, 30, None, ""),
        ({"absent": 5, "quiet": 59.0}, 30, 60, ""),
        ({"absent": 5, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"missing_nodes": 5, "temporaries": 2, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"quiet": 11.0}, 30, 10, "nothing has changed for 10 s"),
        ({"absent": 5, "quiet": 0.0}, 30, 0, "nothing has changed for 0 s"),
        ({"complete_file": True, "absent": 9, "quiet": 0.0, "temporaries": 3}, 30, None, "a file named 'complete'"),
        ({"told_to_finish": True, "absent": 9, "quiet": 0.0, "temporaries": 3}, 30, None, "you said"),
        ({"told_to_finish": True, "arrays": 0, "quiet": 0.0}, 30, None, "you said"),
    ],
)
def test_what_counts_as_the_end(change: dict[str, object], settle: float, finish_idle: float | None, why: str) -> None:
    facts = replace(EVERYTHING_THERE, **change)  # type: ignore[arg-type]
    said = finished_because(facts, settle, finish_idle)
    assert said.startswith(why) if why else said == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arrays": 0}, "no zarr array yet"),
        ({"missing_nodes": 3, "absent": 5}, "promised images or wells that have not come yet: 3"),
        ({"absent": 12345}, "chunk files that have not come yet: 12,345; ends when a file named 'complete' appears"),
        ({"temporaries": 1, "temporary": "a/0.1"}, "a writer still has files open or locked (a/0.1)"),
        ({}, "waiting for 30 s of quiet"),
    ],
)
def test_a_user_is_told_what_is_waited_for(change: dict[str, object], words: str) -> None:
    facts = replace(EVERYTHING_THERE, **change)  # type: ignore[arg-type]
    assert words in waiting_for(facts, 30.0, None)
    if "absent" in change:
        assert "after 90 s without a change" in waiting_for(facts, 30.0, 90.0)
