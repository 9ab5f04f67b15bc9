"""How long writers hold their locks, by a clock of the test's own, and as a real watcher hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.watch.lock_timer import LockTimer
from softcopy_napari.engine.watch.watcher import make_watcher
from tests.engine.support import replace, until


class Clock:
    """Locks, and the time that a test makes it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.locks = LockTimer(lambda: self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("lock", ["0/0.__lock", "0/0_0123456789abcdef.__lock"], ids=["lockfile", "none"])
def test_a_lock_was_held_until_its_file_has_its_name(clock: Clock, lock: str) -> None:
    clock.locks.note_taken(lock)
    clock.locks.note_taken("0/1.__lock")
    clock.now += 0.02
    clock.locks.note_renamed("0/0")
    clock.now += 0.03
    clock.locks.note_renamed("0/1")
    clock.locks.note_renamed("0/2")  # of another writer, without a lock
    assert clock.locks.pop_hold_times() == pytest.approx([0.02, 0.05])
    assert clock.locks.pop_hold_times() == []


def test_a_lock_that_is_held_for_long_is_told_of_until_it_must_have_been_left_behind(clock: Clock) -> None:
    clock.locks.note_taken("0/0.__lock")
    clock.now += 0.1
    assert clock.locks.pop_hold_times() == []
    clock.now += 4.0
    assert clock.locks.pop_hold_times() == pytest.approx([4.1])
    clock.now += 10.0
    assert clock.locks.pop_hold_times() == []


def test_a_chunk_that_its_writer_deletes_tells_nothing_of_the_disk(clock: Clock) -> None:
    clock.locks.note_taken("0/0.__lock")
    clock.now += 4.0
    clock.locks.note_deleted("0/0.__lock")
    assert clock.locks.pop_hold_times() == []


def test_where_events_are_heard_late_only_long_times_count(clock: Clock) -> None:
    clock.locks.note_taken("0/0.__lock")
    clock.locks.note_taken("0/1.__lock")
    clock.locks.closely = False
    clock.locks.note_taken("0/2.__lock")
    clock.now += 0.01
    clock.locks.note_renamed("0/0")
    clock.locks.note_renamed("0/2")
    clock.now += 1.0
    clock.locks.note_renamed("0/1")
    assert clock.locks.pop_hold_times() == pytest.approx([1.01])


def test_after_a_loss_of_events_nothing_is_made_up(clock: Clock) -> None:
    clock.locks.note_taken("0/0.__lock")
    clock.locks.forget()
    clock.now += 5.0
    clock.locks.note_renamed("0/0")
    assert clock.locks.pop_hold_times() == []


def test_memory_does_not_grow_with_locks_that_are_left_behind(clock: Clock) -> None:
    for number in range(5000):
        clock.locks.note_taken(f"0/{number}.__lock")
        clock.locks.note_renamed(f"1/{number}")
    assert len(clock.locks._taken) <= 1024
    clock.now += 1.0
    clock.locks.note_renamed("0/4999")
    assert clock.locks.pop_hold_times()[0] == 1.0


def test_the_watcher_tells_the_clock(tmp_path: Path) -> None:
    watcher = make_watcher(tmp_path, lambda: None)
    try:
        replace(tmp_path / "0.0", b"a chunk")
        held = until(watcher.locks.pop_hold_times)
        assert isinstance(held, list) and len(held) == 1
        assert 0 <= held[0] < 5
    finally:
        watcher.stop()
