"""When an acquisition counts as finished: too early loses its end, too late keeps its user waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softcopy_napari.engine.source.finish_rules import Against, Objection, SourceFacts, finished_because, waiting_for
from softcopy_napari.engine.wording import describe

GREW = (Objection(Against.GREW, "0"),)
UNKNOWN = (Objection(Against.UNKNOWN_LAYOUT, "img"),)
EVERYTHING_THERE = SourceFacts(
    told_to_finish=False,
    marker=False,
    stale_marker=False,
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
        ({}, 30, None, "every chunk is there and nothing has changed for 30 s"),
        ({"quiet": 30.0}, 30, None, "every chunk is there"),
        ({"quiet": 29.9}, 30, None, ""),
        ({"quiet": 0.0}, 0, None, "every chunk is there"),
        ({"quiet": -3600.0}, 30, None, ""),  # files from the future
        ({"absent": 1, "quiet": 1e9}, 30, None, ""),
        ({"missing_nodes": 1, "quiet": 1e9}, 30, None, ""),
        ({"temporaries": 1, "quiet": 1e9}, 30, None, ""),
        ({"arrays": 0, "quiet": 1e9}, 30, None, ""),
        ({"absent": 5, "quiet": 59.0}, 30, 60, ""),
        ({"absent": 5, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"missing_nodes": 5, "temporaries": 2, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"quiet": 11.0}, 30, 10, "nothing has changed for 10 s"),
        ({"quiet": 31.0}, 30, 300, ""),  # finish_idle replaces the settle rule, and never ends earlier than it says
        ({"objections": GREW, "quiet": 3599.0}, 30, None, ""),
        ({"objections": GREW, "quiet": 3600.0}, 30, None, "every chunk is there and nothing has changed for 1 h"),
        ({"objections": GREW, "quiet": 3600.0, "longest_pause": 1200.0}, 30, None, ""),
        ({"objections": GREW, "quiet": 4800.0, "longest_pause": 1200.0}, 30, None, "every chunk is there"),
        ({"objections": GREW, "quiet": 1e9, "absent": 1}, 30, None, ""),
        ({"objections": (*GREW, *UNKNOWN), "quiet": 1e9}, 30, None, ""),
        ({"objections": UNKNOWN, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"objections": GREW, "quiet": 61.0}, 30, 60, "nothing has changed for 60 s"),
        ({"objections": GREW, "quiet": 0.0, "marker": True}, 30, None, "a file named 'complete'"),
        ({"stale_marker": True, "absent": 1, "quiet": 1e9}, 30, None, ""),
        ({"absent": 5, "quiet": 0.0}, 30, 0, "nothing has changed for 0 s"),
        ({"marker": True, "absent": 9, "quiet": 0.0, "temporaries": 3}, 30, None, "a file named 'complete'"),
        ({"told_to_finish": True, "absent": 9, "quiet": 0.0, "temporaries": 3}, 30, None, "you said"),
        ({"told_to_finish": True, "arrays": 0, "quiet": 0.0}, 30, None, "you said"),
    ],
)
def test_what_counts_as_the_end(change: dict[str, object], settle: float, finish_idle: float | None, why: str) -> None:
    facts = replace(EVERYTHING_THERE, **change)  # type: ignore[arg-type]
    said = describe(finished_because(facts, settle, finish_idle))
    assert said.startswith(why) if why else said == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arrays": 0}, "no zarr array yet"),
        ({"missing_nodes": 3, "absent": 5}, "3 images or wells still to come"),
        ({"absent": 12345}, "12,345 chunks still to come"),
        ({"temporaries": 1, "temporary": "a/0.1"}, "a/0.1 is open or locked by its writer"),
        ({}, "all chunks are there; done after 30 s without a change"),
        ({"objections": GREW}, "array 0 grows while it is acquired; done after 1 h without a change"),
        ({"absent": 1, "stale_marker": True}, "the file named 'complete' is older than the data"),
        *[({"objections": (Objection(kind, "0"),)}, "all chunks are there, but ") for kind in Against],
    ],
)
def test_a_user_is_told_what_is_waited_for(change: dict[str, object], words: str) -> None:
    facts = replace(EVERYTHING_THERE, **change)  # type: ignore[arg-type]
    assert words in describe(waiting_for(facts, 30.0, None))
    if "absent" in change:
        assert "done after 90 s without a change" in describe(waiting_for(facts, 30.0, 90.0))
