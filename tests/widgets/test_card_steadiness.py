"""A state is shown when it has lasted; what comes and goes within moments is not, and what a user does is at once."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.card import Card, make_card
from softcopy_napari.widgets.card_steadiness import HOLD, SteadyCards
from softcopy_napari.widgets.target_row import Row
from tests.widgets.support import make_row

ONE = ("/data/a", "/copy/a")
COUNTS = (10, 0, 0, 0, 10, 0, 0)
COPYING = make_row("a", TargetState.COPYING, counts=COUNTS)
LIVE = make_row("a", TargetState.CAUGHT_UP, counts=COUNTS)
FULL = make_row("a", TargetState.PAUSED, why=make_reason(ReasonCode.DESTINATION_FULL, destination="/copy"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cards(clock: Clock) -> SteadyCards:
    return SteadyCards(clock)


def show(cards: SteadyCards, row: Row) -> Card:
    return cards.steady({ONE: make_card(row)})[ONE]


def test_a_live_copy_that_catches_up_again_and_again_keeps_its_state(cards: SteadyCards, clock: Clock) -> None:
    assert show(cards, LIVE).headline == "Live, up to date"
    for _ in range(20):
        for row in (COPYING, LIVE):
            clock.now += 0.6
            assert show(cards, row).headline == "Live, up to date"


def test_a_state_that_lasts_is_shown(cards: SteadyCards, clock: Clock) -> None:
    show(cards, LIVE)
    assert show(cards, COPYING).headline == "Live, up to date"
    assert cards.due == HOLD
    clock.now += HOLD - 0.1
    assert show(cards, COPYING).headline == "Live, up to date"
    clock.now += 0.2
    assert show(cards, COPYING).headline == "Copying"
    assert cards.due is None


def test_a_state_that_is_over_is_not_held_by_others_that_alternate(cards: SteadyCards, clock: Clock) -> None:
    assert show(cards, make_row("a", TargetState.WAITING)).headline == "Waiting for the microscope"
    for _ in range(4):
        for row in (COPYING, LIVE):
            clock.now += 0.4
            shown = show(cards, row)
    assert shown.headline in ("Copying", "Live, up to date")


def test_what_has_begun_waits_no_longer_and_does_not_fall_back_for_a_moment(cards: SteadyCards, clock: Clock) -> None:
    waiting = make_row("a", TargetState.WAITING)
    assert show(cards, waiting).headline == "Waiting for the microscope"
    assert show(cards, COPYING).headline == "Copying"
    clock.now += 0.2
    assert show(cards, waiting).headline == "Copying"


def test_figures_are_the_present_ones_while_a_state_is_held(cards: SteadyCards, clock: Clock) -> None:
    show(cards, LIVE)
    more = make_row("a", TargetState.COPYING, counts=(9, 0, 0, 0, 11, 0, 0), bytes_per_second=3e6)
    shown = show(cards, more)
    assert shown.headline == "Live, up to date" and shown.facts == "11 of 20 chunks \u00b7 3.0 MB/s"


def test_a_moment_without_space_is_no_alarm_and_the_other_way_round(cards: SteadyCards, clock: Clock) -> None:
    show(cards, COPYING)
    assert show(cards, FULL).headline == "Copying"
    clock.now += 1
    assert show(cards, COPYING).headline == "Copying" and cards.due is None
    show(cards, FULL)
    clock.now += HOLD
    full = show(cards, FULL)
    assert full.headline == "Disk full"
    assert show(cards, COPYING) == full, "figures of copying do not stand beside a full disk"


@pytest.mark.parametrize("state", [TargetState.PAUSED, TargetState.STOPPED, TargetState.COMPLETE, TargetState.FAILED])
def test_what_a_user_does_and_what_is_final_is_shown_at_once(cards: SteadyCards, state: TargetState) -> None:
    show(cards, COPYING)
    row = make_row("a", state)
    assert show(cards, row) == make_card(row)
    assert show(cards, COPYING) == make_card(COPYING)


def test_a_target_that_is_gone_is_forgotten(cards: SteadyCards, clock: Clock) -> None:
    show(cards, LIVE)
    show(cards, COPYING)
    cards.steady({})
    assert cards.due is None
    assert show(cards, COPYING).headline == "Copying"
