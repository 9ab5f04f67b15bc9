"""The log says once what happened, and nothing of what only goes to and fro."""

from __future__ import annotations

from typing import Any

from softcopy_napari.engine.protocol.messages import Failure, TargetSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.dock.event_log import EventLog
from softcopy_napari.widgets.log_view import Level


def seen(state: TargetState = TargetState.COPYING, *, alive: bool = True, **fields: Any) -> SeenTarget:
    if isinstance(reason := fields.pop("reason", None), str):
        fields["why"] = quote_text(reason)
    snapshot = TargetSnapshot(id="1", source="/data/embryo.zarr", destination="/nas/embryo.zarr", state=state, **fields)
    return SeenTarget(7, snapshot, alive)


def test_changes_of_state_are_told_with_their_reason_and_once() -> None:
    log = EventLog()
    waiting = seen(TargetState.WAITING, reason="/data/embryo.zarr does not exist yet")
    (line,) = log.new_lines([waiting])
    assert line.text == "embryo.zarr: Waiting for source (/data/embryo.zarr does not exist yet)"
    assert line.level is Level.INFO and line.ended is None
    assert log.new_lines([seen(TargetState.WAITING, reason="another reason")]) == []


def test_a_live_copy_that_catches_up_again_and_again_fills_no_log() -> None:
    log = EventLog()
    assert len(log.new_lines([seen()])) == 1
    for state in (TargetState.CAUGHT_UP, TargetState.COPYING, TargetState.CAUGHT_UP):
        assert log.new_lines([seen(state)]) == []
    assert len(log.new_lines([seen(TargetState.PAUSED)])) == 1
    assert len(log.new_lines([seen(TargetState.COPYING)])) == 1


def test_an_end_is_told_with_what_was_copied() -> None:
    log = EventLog()
    log.new_lines([seen()])
    counts = (1, 0, 0, 0, 9, 0, 0)
    (line,) = log.new_lines([seen(TargetState.COMPLETE, alive=False, counts=counts, bytes_copied=5_000_000)])
    assert line.ended is not None and line.level is Level.INFO
    assert line.text.startswith("embryo.zarr: Complete; 9 of 10 chunk files at the destination; 5.0 MB copied")
    log = EventLog()
    log.new_lines([seen()])
    (line,) = log.new_lines([seen(TargetState.FAILED, alive=False, reason="a file could not be copied")])
    assert line.ended is not None and line.level is Level.ERROR and "(a file could not be copied)" in line.text


def test_a_source_that_is_watched_on_is_told_with_its_changes_and_its_end() -> None:
    log = EventLog()
    log.new_lines([seen()])
    watched = seen(TargetState.COMPLETE, watching=True, completed=1.7e9)
    (line,) = log.new_lines([watched])
    assert ", watching on; 0 of 0 chunk files" in line.text and line.ended is not None
    (line,) = log.new_lines([seen()])
    assert line.text == "embryo.zarr: Copying again: the source has changed"
    assert line.ended is None
    log.new_lines([watched])
    (line,) = log.new_lines([seen(TargetState.COMPLETE, alive=False, completed=1.7e9)])
    assert line.text == "embryo.zarr: Complete; its source is no longer watched" and line.ended is None


def test_what_ended_before_anybody_looked_is_no_news() -> None:
    assert EventLog().new_lines([seen(TargetState.COMPLETE, alive=False)]) == []
    assert EventLog().new_lines([seen(alive=False)]) == []


def test_a_dead_engine_is_told_once() -> None:
    log = EventLog()
    log.new_lines([seen()])
    (line,) = log.new_lines([seen(alive=False)])
    assert line.ended is not None and line.level is Level.ERROR and "process 7" in line.text and "Resume" in line.text
    assert log.new_lines([seen(alive=False)]) == []


def test_notices_and_failures_are_told_once_each() -> None:
    log = EventLog()
    log.new_lines([seen()])
    failure = Failure(path="c/0/0", why=quote_text("cannot be read: Input/output error"))
    lines = log.new_lines([seen(notes=(quote_text("a stale lock"),), failures=(failure,))])
    assert [(line.level, line.text) for line in lines] == [
        (Level.WARNING, "embryo.zarr: a stale lock"),
        (Level.WARNING, "embryo.zarr: c/0/0 cannot be read: Input/output error"),
    ]
    assert log.new_lines([seen(notes=(quote_text("a stale lock"),), failures=(failure,), files_copied=3)]) == []
