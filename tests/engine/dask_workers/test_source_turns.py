"""Tasks for a cluster wait for the writer's pauses here, and for one another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.activity_board import ActivityBoard, ActivitySlot
from softcopy_napari.engine.dask_workers.source_turns import SourceTurns
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, IN_PAUSES
from tests.engine.support import until


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "activity"


@pytest.fixture
def slot(board: Path) -> ActivitySlot:
    """The slot of a writer."""
    whole = ActivityBoard(str(board))
    whole.note_used(1)
    return whole.slots()[0]


@pytest.fixture
def turns(board: Path) -> Iterator[SourceTurns]:
    turns = SourceTurns("/data/a.zarr", str(board), IN_PAUSES, 3)
    yield turns
    turns.stop()


def work(slot: ActivitySlot, seconds: float) -> None:
    """Have the writer work for so long, and be expected to."""
    until_ = time.monotonic_ns() + int(seconds * 1e9)
    slot.set_busy(until_, until_)


def take_in_thread(turns: SourceTurns, count: int) -> list[float]:
    """Take turns in a thread; returns the times at which they were given."""
    times: list[float] = []

    def acquire() -> None:
        for _ in range(count):
            if turns.acquire():
                times.append(time.monotonic())

    threading.Thread(target=acquire, daemon=True).start()
    return times


def test_without_a_writer_tasks_go_at_once_and_not_more_than_allowed(turns: SourceTurns) -> None:
    times = take_in_thread(turns, 4)
    assert until(lambda: len(times) == 3)
    time.sleep(0.2)
    assert len(times) == 3
    turns.release()
    assert until(lambda: len(times) == 4)


def test_targets_with_one_source_share_its_limit_and_others_do_not(board: Path, turns: SourceTurns) -> None:
    same = SourceTurns("/data/a.zarr", str(board), IN_PAUSES, 2)
    other = SourceTurns("/data/b.zarr", str(board), IN_PAUSES, 2)
    for _ in range(3):
        turns.acquire()
    waiting, free = take_in_thread(same, 1), take_in_thread(other, 2)
    assert until(lambda: len(free) == 2)
    assert waiting == []
    turns.release()
    assert until(lambda: len(waiting) == 1)
    same.stop()
    other.stop()


def test_tasks_wait_for_the_end_of_a_burst(turns: SourceTurns, slot: ActivitySlot) -> None:
    work(slot, 0.5)
    ends = time.monotonic() + 0.5
    times = take_in_thread(turns, 2)
    assert until(lambda: len(times) == 2)
    assert min(times) >= ends - 0.01
    assert turns.writer_is_at_work, "for some seconds more"


def test_in_a_burst_nothing_more_goes_while_something_is_under_way(turns: SourceTurns, slot: ActivitySlot) -> None:
    work(slot, 0.05)
    assert turns.acquire()
    work(slot, 0.4)
    ends = time.monotonic() + 0.4
    times = take_in_thread(turns, 1)
    assert until(lambda: len(times) == 1)
    assert times[0] >= ends - 0.01


def test_with_full_pace_nobody_is_given_way_to(board: Path, slot: ActivitySlot) -> None:
    turns = SourceTurns("/data/c.zarr", str(board), ALL_THE_TIME, 2)
    work(slot, 30.0)
    started = time.monotonic()
    assert turns.acquire() and turns.acquire()
    assert time.monotonic() - started < 5.0
    assert not turns.writer_is_at_work
    turns.stop()


def test_a_stop_ends_the_waiting(turns: SourceTurns, slot: ActivitySlot) -> None:
    work(slot, 1.9)
    given: list[bool] = []
    thread = threading.Thread(target=lambda: given.append(turns.acquire()), daemon=True)
    thread.start()
    turns.stop()
    thread.join(10)
    assert given == [False]


def test_what_is_forgotten_is_not_waited_for(turns: SourceTurns) -> None:
    for _ in range(3):
        turns.acquire()
    turns.forget()
    turns.release()  # somebody hears of it after all
    times = take_in_thread(turns, 3)
    assert until(lambda: len(times) == 3)
