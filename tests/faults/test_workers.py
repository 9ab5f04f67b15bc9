"""Copy processes killed, stopped, or stuck in a call that does not return, at any step; and whole shares that hang."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine import patience, pool
from softcopy_napari.engine.lock import DestinationBusy
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets import Settings, Target, make_target
from softcopy_napari.engine.targetsyaml import TargetsError
from tests.engine.support import temporaries, until
from tests.faults.lab import SOON, Lab, make_chunks
from tests.support.faultfs import Rule, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SIDES = ["source", "destination"]
STEPS = {
    "source": ["open", "read", "close"],
    "destination": ["mkdir", "create", "write", "utimens", "rename"],
}
QUICK = [("source", "read"), ("destination", "rename")]
STUCK = [
    pytest.param(side, op, marks=[] if (side, op) in QUICK else pytest.mark.soak)
    for side in SIDES
    for op in STEPS[side]
]
STOP = 3.0
"""Seconds: two are promised, on a machine that has nothing else to do."""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_HUNG", 2.0)
    monkeypatch.setattr(pool, "_SILENT", 1.0)


def where(op: str, number: int) -> str:
    return f"?.zarr/{number}" if op == "mkdir" else f"?.zarr/{number}/*"


@pytest.mark.parametrize("side", SIDES)
def test_workers_killed_at_every_step_of_a_copy_lose_and_leave_nothing(lab: Lab, side: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    cases = [(op, when) for op in STEPS[side] for when in ("before", "after")]
    make_chunks(lab.real_source, 3 * len(cases))
    rules: list[Rule] = []
    for number, (op, when) in enumerate(cases):

        def kill(_: str, number: int = number) -> None:
            os.kill(rules[number].pids[-1], signal.SIGKILL)

        rules.append(faults.call(op, where(op, number), kill, when=when))
    lab.start(settle=0.0, nprocs=3)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert all(rule.met for rule in rules)
    assert sum("died and was replaced" in notice for notice in end.notices) == len({rule.pids[0] for rule in rules})
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@pytest.mark.parametrize(("side", "op"), [("source", "read"), ("destination", "write"), ("destination", "rename")])
def test_a_worker_that_is_stopped_holds_up_nothing_but_what_it_has(lab: Lab, side: str, op: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 30)
    rule = faults.call(op, where(op, 3), lambda path: os.kill(rule.pids[-1], signal.SIGSTOP))
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert f"copy process {rule.pids[0]} did not answer and was replaced" in end.notices
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@pytest.mark.parametrize("for_good", [False, True], ids=["can be killed", "cannot be killed"])
@pytest.mark.parametrize(("side", "op"), STUCK)
def test_a_worker_stuck_in_a_call_that_does_not_return(lab: Lab, side: str, op: str, for_good: bool) -> None:
    """The others go on, the user is told, and what it had is copied: by another one, or when the call returns."""
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 30)
    rule = faults.hang(op, where(op, 3), for_good=for_good, times=1)
    running = lab.start(settle=0.0)
    assert until(lambda: rule.met, SOON)
    words = f"copy process {rule.pids[0]} did not answer"
    assert until(lambda: any(words in notice for notice in lab.now.notices), SOON), lab.words()
    if for_good:
        if op != "mkdir":  # meanwhile the system lets nobody else into the folder in which one is made
            assert until(lambda: lab.now.counts[ChunkState.COPIED] >= 26, SOON), lab.words()
        if op == "read":  # others have copied that, too; but it could still publish what it has read
            assert until(lambda: lab.now.counts[ChunkState.COPIED] == 30, SOON), lab.words()
            assert not running.ended.wait(1.5), lab.words()
        rule.lift()
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@pytest.mark.parametrize(("side", "op"), [("source", "read"), ("source", "listing"), ("destination", "rename")])
def test_stop_ends_at_once_though_a_worker_is_stuck(lab: Lab, side: str, op: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 5, more=1)
    rule = faults.hang(op, "?.zarr/3" if op == "listing" else where(op, 3), for_good=True)
    running = lab.start()
    assert until(lambda: rule.met, SOON)
    started = time.monotonic()
    running.order("stop")
    assert running.ended.wait(STOP), f"not ended after {time.monotonic() - started:.1f} s"
    assert lab.now.state is TargetState.STOPPED
    rule.lift()
    assert until(lambda: not lab.workers()), "it ends when its call returns"

    def starts() -> bool:  # what was stuck held the destination's lock, and lets go of it when it has ended for good
        try:
            lab.start()
        except DestinationBusy:
            return False
        return True

    assert until(starts, SOON)
    lab.finish()
    lab.assert_equal()


@pytest.mark.parametrize("for_good", [False, True], ids=["can be killed", "cannot be killed"])
@pytest.mark.parametrize("side", SIDES)
def test_a_share_that_hangs_as_a_whole_is_waited_for(lab: Lab, side: str, for_good: bool) -> None:
    """Every call to it hangs, those of the engine itself too; then it comes back."""
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 10, more=11)
    lab.start()
    assert lab.caught_up()
    before = {path: path.stat().st_mtime_ns for path in lab.real_destination.rglob("*/0")}
    rule = faults.hang(EVERYTHING, for_good=for_good)
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: rule.met, SOON)
    assert until(lambda: "has not answered since" in lab.now.reason, SOON), lab.words()
    rule.lift()
    lab.finish()
    assert before.items() <= {path: path.stat().st_mtime_ns for path in lab.real_destination.rglob("*/0")}.items()
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


EVERYTHING = "stat listing open create read write close fsync utimens rename unlink mkdir readlink statfs"


@pytest.mark.parametrize("side", SIDES)
def test_stop_ends_at_once_though_a_whole_share_hangs(lab: Lab, side: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 10, more=11)
    running = lab.start()
    assert lab.caught_up()
    rule = faults.hang(EVERYTHING, for_good=True)
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: len(rule.met) > 1, SOON)
    started = time.monotonic()
    running.order("stop")
    assert running.ended.wait(STOP), f"not ended after {time.monotonic() - started:.1f} s"


@pytest.mark.parametrize("act", [make_target, lambda *paths: Engine([made(*paths)])], ids=["paths", "engine"])
@pytest.mark.parametrize("side", SIDES)
def test_a_share_that_hangs_when_a_copy_is_to_be_started_is_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, side: str, act: Callable[..., object]
) -> None:
    monkeypatch.setattr(patience, "_ANSWER", 0.5)
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 2)
    lab.real_destination.mkdir(exist_ok=True)
    rule = faults.hang(EVERYTHING, for_good=True)
    try:
        with pytest.raises(TargetsError, match="has not answered") as caught:
            act(lab.source, lab.destination, Settings())
    finally:
        rule.lift()
    assert rule.met
    assert f"source {lab.source} or destination {lab.destination}" in str(caught.value)


def made(source: Path, destination: Path, settings: Settings) -> Target:
    """A target of which nobody has looked at anything yet."""
    return Target(**settings.model_dump(), source=source, destination=destination)
