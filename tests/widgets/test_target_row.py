"""What can be done with a target follows from its state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from softcopy_napari.engine.protocol.messages import Findings
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.card import make_card
from softcopy_napari.widgets.target_row import Action, Row, allowed_actions
from tests.widgets.support import make_row

LOOK = {Action.SHOW, Action.OPEN_SOURCE, Action.OPEN_DESTINATION}
IDLE = {Action.START, Action.CHECK, Action.REMOVE}
FULL = make_reason(ReasonCode.DESTINATION_FULL, destination="/nas")


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        (make_row("a"), IDLE),
        (make_row("a", problem="is a file"), IDLE),
        (make_row("a", starting=True), set()),
        (make_row("a", TargetState.COPYING), {Action.PAUSE, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.WAITING), {Action.PAUSE, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.PAUSED), {Action.RESUME, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.PAUSED, why=FULL), {Action.PAUSE, Action.FINISH, Action.STOP}),
        (make_row("a", TargetState.FINISHING), {Action.PAUSE, Action.STOP}),
        (make_row("a", TargetState.FINISHING, told_to_finish=True), {Action.PAUSE, Action.STOP, Action.UNFINISH}),
        (make_row("a", TargetState.COPYING, told_to_finish=True), {Action.PAUSE, Action.STOP, Action.UNFINISH}),
        (make_row("a", TargetState.COMPLETE), IDLE | {Action.FREE}),
        (make_row("a", TargetState.COMPLETE, findings=Findings()), IDLE),  # only compared
        (make_row("a", TargetState.COMPLETE, watching=True), IDLE | {Action.FREE, Action.STOP}),
        (make_row("a", TargetState.FAILED), IDLE),
        (make_row("a", TargetState.STOPPED), IDLE),
        (make_row("a", TargetState.STOPPED, starting=True), set()),
        (make_row("a", TargetState.COPYING, lost=True, starting=True), set()),
        (make_row("a", TargetState.COPYING, lost=True), {Action.RESUME, Action.CHECK, Action.REMOVE}),
    ],
)
def test_what_is_allowed_follows_from_the_state(row: Row, actions: set[Action]) -> None:
    look = LOOK if row.snapshot is not None else LOOK - {Action.SHOW}  # of what was not started there is nothing
    assert allowed_actions([row]) == look | actions


def test_a_target_whose_source_is_watched_on_does_not_count_as_running() -> None:
    row = make_row("a", TargetState.COMPLETE, watching=True)
    assert row.watched and not row.running
    again = make_row("a", TargetState.COMPLETE, watching=True, starting=True)
    assert again.running and not again.watched


def test_a_full_disk_is_no_pause_of_the_user() -> None:
    assert make_row("a", TargetState.PAUSED, why=FULL).blocked
    assert not make_row("a", TargetState.PAUSED).blocked
    assert not make_row("a", TargetState.PAUSED, why=FULL, lost=True).blocked


def test_names_come_from_the_path(tmp_path: Path) -> None:
    assert Row((0, "1"), None, str(tmp_path / "a.zarr"), "").name == "a.zarr"
    assert Row((0, "1"), None, "/", "").name == "/"


@pytest.mark.parametrize("state", [None, TargetState.COPYING, TargetState.COMPLETE])
def test_a_destination_in_a_store_has_no_folder_to_open_and_its_source_is_not_freed(state: TargetState | None) -> None:
    row = replace(make_row("a", state), destination="s3://bucket/a.zarr?endpoint=http://nas:9000")
    folder = make_row("a", state)
    assert allowed_actions([row]) == allowed_actions([folder]) - {Action.OPEN_DESTINATION, Action.FREE}
    assert Action.OPEN_DESTINATION in allowed_actions([row, folder])
    card = make_card(row)
    assert card.destination == "s3://bucket/a.zarr on nas:9000" and Action.OPEN_DESTINATION not in card.actions
    assert "s3://bucket/a.zarr?endpoint=http://nas:9000" in card.tip
