"""A card says honestly how its target stands: in words, by an icon and by a tone, and never more than is known."""

from __future__ import annotations

import dataclasses
import re
import time

import pytest

from softcopy_napari.engine.protocol.messages import Failure, ForecastSnapshot, PaceSnapshot, WatermarkSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.card import Arrival, Icon, make_card
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.target_row import Action, Row, allowed_actions, only_freed, only_watched
from tests.widgets.support import make_row

HALF = (40, 0, 10, 0, 30, 20, 0)
TIME = Arrival("t 86 of 600")


def obstacle(code: ReasonCode, **fields: str | int | float) -> Row:
    return make_row("a", TargetState.PAUSED, why=make_reason(code, **fields), counts=HALF, bytes_per_second=5e6)


@pytest.mark.parametrize(
    ("row", "tone", "icon", "headline"),
    [
        (make_row("a"), Tone.IDLE, Icon.CIRCLE, "Not started"),
        (make_row("a", starting=True), Tone.LIVE, Icon.ARROW, "Starting"),
        (make_row("a", problem="is a file"), Tone.NEEDS_USER, Icon.ALARM, "Cannot start"),
        (make_row("a", TargetState.COPYING, lost=True), Tone.NEEDS_USER, Icon.ALARM, "Copying crashed"),
        (make_row("a", TargetState.WAITING), Tone.WAITS, Icon.CLOCK, "Waiting for the microscope"),
        (make_row("a", TargetState.COPYING), Tone.LIVE, Icon.ARROW, "Copying"),
        (make_row("a", TargetState.CAUGHT_UP), Tone.LIVE, Icon.ARROW, "Live, up to date"),
        (make_row("a", TargetState.FINISHING), Tone.LIVE, Icon.ARROW, "Checking the copy"),
        (make_row("a", TargetState.FINISHING, told_to_finish=True), Tone.LIVE, Icon.ARROW, "Finishing"),
        (make_row("a", TargetState.PAUSED), Tone.PAUSED, Icon.BARS, "Paused"),
        (make_row("a", TargetState.STOPPED), Tone.PAUSED, Icon.SQUARE, "Stopped"),
        (make_row("a", TargetState.INCOMPLETE), Tone.NEEDS_USER, Icon.ALARM, "Differs"),
        (make_row("a", TargetState.FAILED), Tone.NEEDS_USER, Icon.ALARM, "Failed"),
        (make_row("a", TargetState.STOPPED, starting=True), Tone.LIVE, Icon.ARROW, "Starting"),
    ],
)
def test_every_state_has_its_tone_its_icon_and_its_words(row: Row, tone: Tone, icon: Icon, headline: str) -> None:
    card = make_card(row)
    assert (card.tone, card.icon, card.headline) == (tone, icon, headline)


@pytest.mark.parametrize(
    ("code", "headline"),
    [
        (ReasonCode.DESTINATION_FULL, "Disk full"),
        (ReasonCode.DESTINATION_QUOTA, "Quota used up"),
        (ReasonCode.DESTINATION_NO_FILES, "Disk takes no more files"),
        (ReasonCode.DESTINATION_READ_ONLY, "Destination is read-only"),
        (ReasonCode.DESTINATION_UNREACHABLE, "Destination is away"),
    ],
)
def test_states_of_the_world_do_not_look_like_a_pause_by_the_user(code: ReasonCode, headline: str) -> None:
    card = make_card(obstacle(code, destination="/nas", needed=682e6, files=3))
    assert (card.tone, card.icon, card.headline) == (Tone.NEEDS_USER, Icon.ALARM, headline)
    assert "MB/s" not in card.facts and card.facts.endswith("resumes by itself")
    assert card.actions == (Action.OPEN_DESTINATION, Action.STOP)
    assert make_card(make_row("a", TargetState.PAUSED)).tone is Tone.PAUSED


def test_a_full_disk_says_how_much_is_missing() -> None:
    card = make_card(obstacle(ReasonCode.DESTINATION_FULL, destination="/nas", needed=682e6, files=3))
    assert card.facts == "682 MB needed \u00b7 resumes by itself"


def test_a_source_that_has_gone_needs_somebody() -> None:
    gone = make_row("a", TargetState.WAITING, why=make_reason(ReasonCode.SOURCE_GONE, source="/data/a"))
    assert (make_card(gone).tone, make_card(gone).headline) == (Tone.NEEDS_USER, "Source is gone")


def test_while_all_folders_are_looked_through_that_is_said() -> None:
    row = make_row("a", TargetState.COPYING, why=Reason(ReasonCode.SCANNING))
    assert make_card(row).headline == "Scanning"
    copying = make_row("a", TargetState.COPYING, why=Reason(ReasonCode.SCANNING), files_copied=1)
    assert make_card(copying).headline == "Copying", "that matters more"


def test_a_target_that_is_being_copied_says_how_far_it_is_and_how_fast() -> None:
    row = make_row("a", TargetState.COPYING, counts=HALF, bytes_per_second=12.34e6, eta=83.0, failed_files=2)
    card = make_card(row)
    assert card.facts == "2 failed \u00b7 50 of 100 chunks \u00b7 12.3 MB/s \u00b7 1:23 min left"
    assert card.fraction == 0.5 and not card.striped
    assert make_card(row, TIME).facts.startswith("2 failed \u00b7 t 86 of 600 \u00b7 12.3 MB/s")


def test_its_details_say_up_to_where_all_is_there() -> None:
    mark = WatermarkSnapshot(axis="t", copied=121, of=600)
    words = "Time points 0 to 120 complete at the destination"
    for state in (TargetState.COPYING, TargetState.PAUSED, TargetState.STOPPED, TargetState.FAILED):
        assert words in make_card(make_row("a", state, watermark=mark)).details.splitlines()
    assert words not in make_card(make_row("a", TargetState.COMPLETE, watermark=mark)).details, "then all is"


@pytest.mark.parametrize(
    ("fields", "arrival", "facts"),
    [
        ({"growing": True, "counts": HALF}, None, "50 chunks"),
        ({"growing": True, "counts": HALF}, Arrival("75 time points", open_ended=True), "75 time points"),
        ({"nodes_missing": 8, "counts": HALF}, Arrival("4 of 12 wells", open_ended=True), "4 of 12 wells"),
        ({}, None, ""),
    ],
)
def test_where_the_total_is_unknown_no_share_is_told(
    fields: dict[str, object], arrival: Arrival | None, facts: str
) -> None:
    for state in (TargetState.COPYING, TargetState.CAUGHT_UP):
        card = make_card(make_row("a", state, **fields), arrival)
        assert (card.fraction, card.striped, card.facts) == (None, True, facts)
        assert "%" not in card.text
    paused = make_card(make_row("a", TargetState.PAUSED, **fields), arrival)
    assert (paused.fraction, paused.striped) == (None, False), "nothing moves"


def test_a_complete_target_is_all_there_even_if_some_chunks_never_came() -> None:
    why = make_reason(ReasonCode.COMPLETE_BY_CHECKSUM, chunks=50, why=quote_text("x"))
    fields = {"counts": HALF, "elapsed": 61.0, "bytes_per_second": 5e6, "completed": time.time(), "other_files": 3}
    card = make_card(make_row("a", TargetState.COMPLETE, why=why, watching=True, growing=True, **fields))
    assert re.fullmatch(r"Done \d\d:\d\d", card.headline)
    assert card.facts == "53 files \u00b7 verified \u00b7 watching on"
    assert (card.fraction, card.striped) == (1.0, False)
    assert "1:01" not in card.text, "time that has passed is no time that is left"


def test_what_is_paused_forecasts_nothing_and_has_no_speed() -> None:
    forecast = ForecastSnapshot(completion=quote_text("Keeping up"), dangers=(quote_text("Not enough space"),))
    pace = PaceSnapshot(limit=42e6, why=quote_text("yields"))
    fields = {"counts": HALF, "bytes_per_second": 5e6, "forecast": forecast, "pace": pace}
    paused = make_card(make_row("a", TargetState.PAUSED, **fields))
    assert "MB/s" not in paused.text and "Keeping up" not in paused.details
    assert "Not enough space" in paused.details, "that stays true"
    live = make_card(make_row("a", TargetState.COPYING, **fields))
    assert live.details.splitlines() == ["At most 42.0 MB/s: yields", "Keeping up", "Not enough space"]


def test_a_stopped_target_says_what_is_left_and_which_button_goes_on() -> None:
    stopped = {"why": make_reason(ReasonCode.STOPPED), "counts": (9, 1, 2, 0, 5, 0, 0), "other_waiting": 1}
    card = make_card(make_row("a", TargetState.STOPPED, **stopped))
    assert card.facts == "4 files left to copy. Press Start to continue"
    assert Action.START in card.actions


def test_what_waits_for_the_end_says_which_button_tells_it() -> None:
    card = make_card(make_row("a", TargetState.CAUGHT_UP, why=make_reason(ReasonCode.CHUNKS_TO_COME, chunks=40)))
    assert card.details == "40 chunks still to come. Over already? Press Acquisition is over"
    assert "softcopy finish" not in card.tip


def test_a_target_that_cannot_be_started_says_why_in_its_card() -> None:
    card = make_card(make_row("a", problem="source /data/a is a file, not a folder"))
    assert card.facts == "Source a is a file, not a folder", "its end may be cut off"
    assert card.details == "Source /data/a is a file, not a folder"


def test_an_engine_that_died_says_what_to_press() -> None:
    card = make_card(make_row("a", TargetState.COPYING, counts=HALF, bytes_per_second=5e6, eta=3.0, lost=True))
    assert card.facts == "Press Resume; nothing is lost" and card.actions == (Action.RESUME, Action.REMOVE)
    assert card.fraction == 0.5 and "MB" not in card.text


def test_tooltips_tell_paths_notices_and_failures() -> None:
    failures = tuple(Failure(path=f"0/{number}", why=quote_text("cannot be read")) for number in range(7))
    notes = (quote_text("one"), quote_text("two"))
    row = make_row("a", TargetState.COPYING, failed_files=9, failures=failures, notes=notes, counts=HALF)
    lines = make_card(row).tip.splitlines()
    assert lines[:2] == ["/data/a", "\u2192 /copy/a"]
    assert {"one", "two", "0/0 cannot be read", "0/4 cannot be read", "and 4 more"} <= set(lines)


def test_a_screen_reader_hears_all_of_it() -> None:
    card = make_card(make_row("a", TargetState.COPYING, counts=HALF), TIME)
    assert card.text == "a: Copying. t 86 of 600"


@pytest.mark.parametrize("asked_here", [True, False])
def test_while_its_source_is_freed_a_card_says_how_far_that_is_and_offers_only_to_stop_it(asked_here: bool) -> None:
    how_far = make_reason(ReasonCode.FREEING_SOURCE, files=1200, total=4800)
    row = make_row("a", TargetState.COMPLETE, completed=1.7e9, watching=not asked_here)
    if asked_here:
        row = dataclasses.replace(row, freeing=how_far)
    else:
        row = make_row("a", TargetState.COMPLETE, completed=1.7e9, watching=True, why=how_far)
    card = make_card(row)
    assert (card.headline, card.facts) == ("Freeing the source", "1,200 of 4,800 files moved")
    assert card.fraction == 0.25 and card.actions == (Action.STOP,)
    allowed = allowed_actions([row])
    assert Action.STOP in allowed and not allowed & {Action.START, Action.FREE, Action.REMOVE, Action.CHECK}
    assert only_freed([row]) and not only_watched([row])


def test_what_became_of_the_source_is_on_the_card() -> None:
    for code, words in ((ReasonCode.SOURCE_FREED, "source freed"), (ReasonCode.SOURCE_NOT_FREED, "source not freed")):
        why = quote_text("somebody writes there")
        card = make_card(make_row("a", TargetState.COMPLETE, notes=(make_reason(code, why=why),)))
        assert card.tone is Tone.DONE and words in card.facts
    assert "The source was not freed: somebody writes there" in card.details


def test_what_the_system_ended_needs_its_user() -> None:
    card = make_card(make_row("a", TargetState.STOPPED, why=make_reason(ReasonCode.ENDED_BY_SYSTEM)))
    assert (card.tone, card.headline) == (Tone.NEEDS_USER, "Interrupted")
    assert card.facts == "Press Start to continue"
    assert card.details == "The system ended it, as at logout or shutdown. Press Start to continue"


@pytest.mark.parametrize(
    ("row", "short"),
    [
        (make_row("a", TargetState.WAITING), "Waiting"),
        (make_row("a", TargetState.CAUGHT_UP), "Live"),
        (make_row("a", TargetState.FINISHING), "Checking"),
        (make_row("a", TargetState.COPYING, lost=True), "Crashed"),
        (obstacle(ReasonCode.DESTINATION_READ_ONLY, destination="/nas"), "Read-only"),
        (make_row("a", TargetState.COPYING), "Copying"),
    ],
)
def test_where_the_name_needs_the_room_the_state_is_told_in_one_word(row: Row, short: str) -> None:
    assert make_card(row).short == short
