"""Before an acquisition is declared over, its user reads what is missing and whether the source still changes."""

from __future__ import annotations

from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.finish_prompt import finish_question

pytestmark = pytest.mark.either_binding


def target(**fields: Any) -> TargetSnapshot:
    return TargetSnapshot(id="1", source="/a", destination="/b", state=TargetState.CAUGHT_UP, **fields)


def first_line(**fields: Any) -> str:
    return finish_question([("a.zarr", target(**fields))]).splitlines()[0]


def test_what_is_missing_is_told() -> None:
    counts = (64, 0, 0, 0, 36, 0, 0)
    assert first_line(counts=counts) == "a.zarr: 36 of 100 chunks copied, 64 still missing."
    assert first_line(counts=counts, growing=True) == "a.zarr: 36 chunks copied."
    missing = first_line(counts=counts, nodes_missing=8)
    assert missing == "a.zarr: 36 of 100 chunks copied, 8 images or wells still missing."
    assert first_line() == "a.zarr: nothing has come yet."


def test_whether_the_source_still_changes_is_told() -> None:
    writing = finish_question([("a.zarr", target(quiet=2.0))])
    assert "source changed 2 s ago" in writing and "The microscope seems to be writing." in writing
    still = finish_question([("a.zarr", target(quiet=600.0))])
    assert "source changed 10 min ago" in still and "seems to be writing" not in still


def test_that_it_can_be_taken_back_is_told_and_a_long_list_is_cut() -> None:
    words = finish_question([(f"{number}.zarr", target()) for number in range(9)])
    assert "you can take this back" in words and "And 4 more." in words and "5.zarr" not in words
