"""Calls that wait are made at once, those that work one after the other; nothing is lost either way."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.fs.own_files import MOST_LANES, TEMPORARY_PREFIX, TEMPORARY_SUFFIX, temporaries_of
from softcopy_napari.engine.worker.lanes import Lanes, split


def spin(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_results_come_in_the_order_of_the_calls_which_are_under_way_together() -> None:
    lanes, together = Lanes(), threading.Barrier(5, timeout=20)

    def call(number: int) -> int:
        together.wait()  # for all others
        return number

    for _ in range(3):
        assert lanes.run([partial(call, number) for number in range(5)]) == list(range(5))


def test_how_many_are_worth_having_follows_from_what_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes()
    for _ in range(30):
        lanes.run([partial(time.sleep, 0.005)])
    assert lanes.count == MOST_LANES
    monkeypatch.setattr(time, "perf_counter", time.thread_time)  # as where nothing else uses the processor
    for _ in range(30):
        lanes.run([partial(spin, 0.001)])
    assert lanes.count == 1


def test_what_a_call_raises_is_raised_when_all_have_ended() -> None:
    lanes, ended = Lanes(), list[int]()

    def fail() -> None:
        raise OSError("a share that went away")

    with pytest.raises(OSError, match="went away"):
        lanes.run([fail, partial(ended.append, 1), partial(ended.append, 2)])
    assert sorted(ended) == [1, 2]


@given(st.integers(0, 100), st.integers(-1, 40))
def test_parts_hold_everything_once_and_are_of_about_one_size(count: int, parts: int) -> None:
    found = split(count, parts)
    assert [number for first, size in found for number in range(first, first + size)] == list(range(count))
    assert len(found) <= max(1, parts) and max(size for _, size in found) <= min(size for _, size in found) + 1


def test_each_lane_has_a_temporary_of_its_own() -> None:
    own = f"{TEMPORARY_PREFIX}0123abcd-7{TEMPORARY_SUFFIX}"
    names = temporaries_of(own)
    assert names[0] == own and len(set(names)) == MOST_LANES
    other = set(temporaries_of(f"{TEMPORARY_PREFIX}0123abcd-71{TEMPORARY_SUFFIX}"))
    assert other.isdisjoint(names)
