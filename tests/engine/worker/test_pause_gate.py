"""A copy process beside a writer: it works in pauses alone, or a share of the time, and never not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.activity_board import SIZE, SLOTS, ActivityBoard
from softcopy_napari.engine.state_folder.activity import board_path, claim_slot
from softcopy_napari.engine.worker import pause_gate
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, IN_PAUSES, PauseGate

MS = 1_000_000


class Clock:
    """Stands for the clock and the sleep of the gate and the board: what takes hours takes no time here."""

    def __init__(self) -> None:
        self.now = 10**12
        self.writer: Callable[[], None] = lambda: None
        """Called whenever somebody asks for the time."""

    def monotonic_ns(self) -> int:
        self.writer()
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(1e9 * seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pause_gate, "time", clock)
    monkeypatch.setattr("softcopy_napari.engine.activity_board.time", clock)
    return clock


class Process:
    """A copy process with blocks of 2 ms to copy, beside a writer."""

    def __init__(self, tmp_path: Path, clock: Clock, effort: float = IN_PAUSES) -> None:
        path = str(tmp_path / "activity")
        self.clock = clock
        self.board = ActivityBoard(path)
        self.slot = claim_slot(self.board)
        self.stopped = False
        self.signs = 0
        self.gate = PauseGate(path, effort, lambda: self.stopped, self._alive)

    def _alive(self) -> None:
        self.signs += 1

    def writer_never_pauses(self, firm: bool = True) -> None:
        """Have the writer at work from now on; `firm` says whether it is expected to pause."""

        def work() -> None:
            self.slot.set_busy(self.clock.now + 100 * MS, self.clock.now + 100 * MS if firm else 1)

        self.clock.writer = work

    def works(self, seconds: float) -> float:
        """Return the share of a time in which it works."""
        begin, worked = self.clock.now, 0
        while (now := self.clock.now) < begin + seconds * 1e9:
            self.gate.wait()
            self.clock.now += 2 * MS
            worked += 2 * MS if now < begin + seconds * 1e9 else 0
        return worked / (self.clock.now - begin)


@pytest.fixture
def process(tmp_path: Path, clock: Clock) -> Process:
    return Process(tmp_path, clock)


def test_it_stands_still_while_the_writer_is_at_work_and_goes_on_in_its_pause(process: Process) -> None:
    process.gate.wait()
    until = process.clock.now + 300 * MS
    process.slot.set_busy(until, until)
    process.gate.wait()
    assert until <= process.clock.now < until + MS
    assert process.gate.waited == pytest.approx(0.3, abs=0.002)
    assert process.signs, "the engine must see that it is alive"
    assert process.works(1.0) > 0.99


def test_it_waits_for_every_writer_on_the_board(process: Process) -> None:
    others = [claim_slot(process.board) for _ in range(3)]
    others[1].set_busy(process.clock.now + 50 * MS, 2 * process.clock.now)
    others[2].set_busy(process.clock.now + 20 * MS, 2 * process.clock.now)
    before = process.clock.now
    process.gate.wait()
    assert process.clock.now >= before + 50 * MS


@pytest.mark.parametrize("effort", [1.1, 1.5, 1.9])
def test_an_effort_above_one_takes_a_share_of_the_bursts(process: Process, effort: float) -> None:
    process.writer_never_pauses()
    process.gate.effort = effort
    assert process.works(10.0) == pytest.approx(effort - 1, rel=0.3)


def test_an_effort_below_one_takes_a_share_of_the_pauses(process: Process) -> None:
    process.gate.effort = 0.25
    assert process.works(10.0) == pytest.approx(0.25, rel=0.3)


def test_beside_a_writer_that_never_pauses_it_takes_a_share(process: Process) -> None:
    process.writer_never_pauses(firm=False)
    assert 0.3 < process.works(10.0) < 0.6


def test_it_never_starves_whatever_the_writer_does(process: Process) -> None:
    process.writer_never_pauses()
    assert 0.0 < process.works(60.0) < 0.02
    process.gate.effort = 0.0
    assert 0.0 < process.works(60.0) < 0.02


def test_small_tasks_take_no_more_than_their_share(process: Process) -> None:
    process.writer_never_pauses()
    process.gate.effort = 1.2
    worked, begin = 0, process.clock.now
    for _ in range(200):
        process.gate.wait()
        process.clock.now += MS
        worked += MS
        process.gate.end_work()
    assert worked / (process.clock.now - begin) < 0.3


def test_with_the_highest_effort_it_waits_for_nobody(process: Process) -> None:
    process.writer_never_pauses()
    process.gate.effort = ALL_THE_TIME
    assert process.works(1.0) == 1.0


def test_a_stop_ends_the_wait_at_once(process: Process) -> None:
    process.writer_never_pauses()
    process.stopped = True
    before = process.clock.now
    process.gate.wait()
    assert process.clock.now == before


def test_without_a_board_it_works_all_the_time(clock: Clock, tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "gone" / "activity")):
        PauseGate(path, IN_PAUSES, lambda: False, lambda: None).wait()
    assert clock.now == 10**12


# -- slots --------------------------------------------------------------------------------------------------

CLAIMS = """
import sys, time
from softcopy_napari.engine.activity_board import ActivityBoard
from softcopy_napari.engine.state_folder.activity import board_path, claim_slot
slot = claim_slot(ActivityBoard(board_path()))
slot.set_busy(time.monotonic_ns() + 300_000_000, 2**62)
print(slot.owner, flush=True)
sys.stdin.read()
"""


def test_an_engine_that_is_killed_holds_up_others_for_a_moment_only_and_its_slot_is_free_again() -> None:
    board = ActivityBoard(board_path())
    with subprocess.Popen([sys.executable, "-c", CLAIMS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None and int(engine.stdout.readline()) == engine.pid
        assert any(board.held_until()), "this process sees what that one says"
        engine.kill()
    gate = PauseGate(board_path(), IN_PAUSES, lambda: False, lambda: None)
    gate.wait()
    assert gate.waited < 0.4
    assert engine.pid in [slot.owner for slot in board.slots()]
    for _ in range(SLOTS - 1):
        claim_slot(board)
    assert {slot.owner for slot in board.slots()} == {os.getpid()}


def test_where_all_slots_are_taken_a_source_is_watched_all_the_same() -> None:
    board = ActivityBoard(board_path())
    slots = [claim_slot(board) for _ in range(SLOTS)]
    slots[-1].set_busy(time.monotonic_ns() + 10**9, 0)
    assert board.held_until() == (0, 0), "nobody sees that one"
    for slot in slots:
        slot.release()
    assert not any(slot.owner for slot in board.slots())


def test_what_lies_in_place_of_the_board_stops_no_copy(state_folder_in_tmp: Path) -> None:
    state_folder_in_tmp.mkdir(mode=0o700)
    (state_folder_in_tmp / "activity").mkdir()
    assert board_path() == ""


@pytest.mark.parametrize("word", [b"\xff", b"\x7f", b"\x01"])
def test_a_board_of_nonsense_or_of_before_the_systems_start_holds_up_nobody(tmp_path: Path, word: bytes) -> None:
    path = tmp_path / "activity"
    path.write_bytes(word * (SIZE - 100))
    board = ActivityBoard(str(path))
    assert path.stat().st_size == SIZE
    assert board.held_until() == (0, 0)
    slot = claim_slot(board)
    slot.set_busy(time.monotonic_ns() + 10**9, 0)
    assert any(board.held_until())
