"""What is worth a notification: once a thing, whatever flaps, and whoever restarts."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from softcopy_napari.engine.notify.decisions import LONG_REST, REST, Condition, Trace, advance, find_conditions
from softcopy_napari.engine.protocol.messages import ForecastSnapshot, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import EVENTS, Notify, NotifyEvent, notify_rules

RULES = notify_rules(Notify(urls=()))
FULL = make_reason(ReasonCode.DESTINATION_FULL, destination="/nas/a")
STEPS = st.lists(st.tuples(st.floats(0.5, 4000.0), st.booleans()), max_size=60)
"""Seconds until a look, and whether the thing is so then."""


def snapshot(state: TargetState, why: Reason | None = None, **fields: object) -> TargetSnapshot:
    return TargetSnapshot(id="1", source="/data/a", destination="/nas/a", state=state, why=why, **fields)


def events(target: TargetSnapshot, **said: object) -> list[NotifyEvent]:
    return [one.event for one in find_conditions(target, notify_rules(Notify(**said)))]


def play(
    steps: list[tuple[float, bool]], condition: Condition, restarts: frozenset[int] = frozenset()
) -> tuple[list[float], list[tuple[float, bool]]]:
    """Return when it was said, and the times of the looks; before some of them the engine is restarted."""
    traces: dict[str, Trace] = {}
    now, said, looks = 1000.0, [], []
    for number, (pause, is_so) in enumerate(steps):
        now += pause
        if number in restarts:
            kept = TypeAdapter(dict[str, Trace]).validate_json(json.dumps(traces))
            traces = {key: trace._replace(on=False) for key, trace in kept.items()}
        traces, to_say = advance(traces, [condition] if is_so else [], now)
        said += [now] * len(to_say)
        looks.append((now, is_so))
    return said, looks


@given(STEPS, st.sampled_from([0.0, 60.0, 600.0]), st.sampled_from([REST, LONG_REST]))
def test_nothing_is_said_twice_unless_it_was_over_for_long(
    steps: list[tuple[float, bool]], hold: float, rest: float
) -> None:
    said, looks = play(steps, Condition(NotifyEvent.PAUSED, "", FULL, hold, rest))
    so = [now for now, is_so in looks if is_so]
    for first, second in itertools.pairwise(said):
        between = [now for now in so if first <= now <= second]
        assert max(b - a for a, b in itertools.pairwise(between)) >= rest


@given(STEPS, st.sampled_from([0.0, 60.0, 600.0]), st.sets(st.integers(0, 59)))
def test_an_engine_that_is_restarted_says_no_more_than_one_that_is_not(
    steps: list[tuple[float, bool]], hold: float, restarts: set[int]
) -> None:
    condition = Condition(NotifyEvent.PAUSED, "", FULL, hold)
    said, looks = play(steps, condition, frozenset(restarts))
    so = [now for now, is_so in looks if is_so]
    gaps = [b - a for a, b in itertools.pairwise(so)]
    assert len(said) <= 1 + sum(gap >= REST for gap in gaps)


@given(STEPS, st.sampled_from([0.0, 60.0, 600.0]))
def test_what_lasts_is_said(steps: list[tuple[float, bool]], hold: float) -> None:
    lasting = [(30.0, True)] * (math.ceil(hold / 30) + 2)  # one more, as sums of such times are rounded
    before, _ = play(steps, condition := Condition(NotifyEvent.PAUSED, "", FULL, hold))
    said, _ = play([*steps, (REST + 1, False), (REST + 1, False), *lasting], condition)
    assert len(said) == len(before) + 1


@given(st.integers(1, 200), st.floats(1.0, 800.0), st.floats(1.0, 800.0))
def test_a_state_that_flaps_all_night_is_one_message(times: int, on: float, off: float) -> None:
    said, _ = play([(on, True), (off, False)] * times, Condition(NotifyEvent.PAUSED, "", FULL))
    assert len(said) == 1


def test_a_microscope_with_long_pauses_is_one_message_and_not_one_a_time_point() -> None:
    caught_up = snapshot(TargetState.CAUGHT_UP, quiet=3700.0)
    (condition,) = find_conditions(caught_up, RULES)
    night = [(60.0, minute % 120 >= 60) for minute in range(24 * 60)]
    said, _ = play(night, condition)
    assert len(said) == 1


def test_the_same_copy_given_again_with_nothing_to_do_is_no_news_for_ever() -> None:
    (first,) = find_conditions(snapshot(TargetState.COMPLETE, files_copied=9), RULES)
    (again,) = find_conditions(snapshot(TargetState.COMPLETE), RULES)
    traces, said = advance({}, [first], 0.0)
    assert said == [first]
    for day in range(1, 30):
        traces = {key: trace._replace(on=False) for key, trace in traces.items()}
        traces, said = advance(traces, [again], day * 86400.0)
        assert said == []


def test_a_copy_that_was_never_told_of_is_told_even_if_there_was_nothing_to_do() -> None:
    (only,) = find_conditions(snapshot(TargetState.COMPLETE), RULES)
    assert advance({}, [only], 0.0)[1] == [only]


def test_a_service_that_starts_a_failing_copy_all_the_time_is_one_message() -> None:
    failed = snapshot(TargetState.FAILED, make_reason(ReasonCode.SOURCE_NOT_A_FOLDER, source="/data/a"))
    (condition,) = find_conditions(failed, RULES)
    said, _ = play([(10.0, True)] * 1000, condition, frozenset(range(1000)))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (snapshot(TargetState.COMPLETE), ["done"]),
        (snapshot(TargetState.FAILED), ["failed"]),
        (snapshot(TargetState.INCOMPLETE), ["failed"]),
        (snapshot(TargetState.STOPPED), []),
        (snapshot(TargetState.STOPPED, make_reason(ReasonCode.ENDED_BY_SYSTEM)), ["died"]),
        (snapshot(TargetState.COMPLETE, notes=(make_reason(ReasonCode.SOURCE_FREED),)), ["done"]),
        (snapshot(TargetState.COMPLETE, notes=(make_reason(ReasonCode.SOURCE_NOT_FREED),)), ["done", "not_freed"]),
        (snapshot(TargetState.COPYING), []),
        (snapshot(TargetState.PAUSED), []),  # by its user
        (snapshot(TargetState.PAUSED, FULL), ["paused"]),
        (snapshot(TargetState.COPYING, make_reason(ReasonCode.NO_ANSWER, since=0.0)), ["paused"]),
        (snapshot(TargetState.WAITING, make_reason(ReasonCode.SOURCE_GONE, source="/data/a")), ["paused"]),
        (snapshot(TargetState.CAUGHT_UP, quiet=3599.0), []),
        (snapshot(TargetState.CAUGHT_UP, quiet=3600.0), ["quiet"]),
        (snapshot(TargetState.CAUGHT_UP, elapsed=3600.0), ["quiet"]),
        (snapshot(TargetState.WAITING, elapsed=3600.0), ["quiet"]),
        (snapshot(TargetState.COMPLETE, watching=True, quiet=9e9), ["done"]),
        (
            snapshot(
                TargetState.COPYING,
                forecast=ForecastSnapshot(
                    dangers=(
                        make_reason(ReasonCode.NOT_ENOUGH_SPACE, missing=9),
                        make_reason(ReasonCode.NOT_ENOUGH_SPACE_FOR_ALL, missing=10),
                        make_reason(ReasonCode.FALLS_BEHIND, written=2.0, copied=1.0),
                        Reason("of another version"),
                    )
                ),
            ),
            ["no_space"],
        ),
    ],
)
def test_each_event_is_told_from_what_is_normal(target: TargetSnapshot, expected: list[str]) -> None:
    assert events(target, urls=()) == expected


def test_only_what_is_wanted_is_told() -> None:
    assert events(snapshot(TargetState.COMPLETE), events=("failed",)) == []
    assert events(snapshot(TargetState.CAUGHT_UP, quiet=61.0), quiet_minutes=1.0) == ["quiet"]


def test_a_pause_is_told_when_it_has_lasted_for_as_long_as_was_set() -> None:
    (condition,) = find_conditions(snapshot(TargetState.PAUSED, FULL), notify_rules(Notify(paused_minutes=3.0)))
    said, _ = play([(60.0, True)] * 10, condition)
    assert said == [1000.0 + 60.0 + 180.0]


def test_every_event_can_come_from_an_engine_or_from_whoever_notices_that_it_has_died() -> None:
    assert set(EVENTS) == {"done", "failed", "paused", "no_space", "quiet", "died", "not_freed"}
