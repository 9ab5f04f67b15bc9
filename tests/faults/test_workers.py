"""Copy processes killed, stopped, or stuck in a call that does not return, at any step; and whole shares that hang."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.dispatch import worker_pool
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets import timeout
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.targets.targets_file import load_targets
from tests.engine.support import OLD, copies_under_way, replace, temporaries, until
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.command import Softcopy
from tests.support.faultfs import Rule, why_not
from tests.support.preloaded import workers_of
from tests.support.trees import assert_same

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
SOON_ENOUGH = pytest.mark.parametrize("limit", [3.0, pytest.param(2.0, marks=pytest.mark.soak)], ids=["busy", "alone"])
"""Seconds for a stop: two are promised, on a machine that has nothing else to do."""


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_HUNG", 2.0)
    monkeypatch.setattr(worker_pool, "_SILENT", 1.0)


def where(op: str, number: int) -> str:
    return f"?.zarr/{number}" if op == "mkdir" else f"?.zarr/{number}/*"


def process_of(thread: int) -> int:
    """Return the process of a thread, which is what FUSE tells of."""
    status = Path(f"/proc/{thread}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Tgid:"))


@pytest.mark.parametrize("side", SIDES)
def test_workers_killed_at_every_step_of_a_copy_lose_and_leave_nothing(lab: Lab, side: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    cases = [(op, when) for op in STEPS[side] for when in ("before", "after")]
    make_chunks(lab.real_source, 3 * len(cases))
    rules: list[Rule] = []
    killed: set[int] = set()
    for number, (op, when) in enumerate(cases):

        def kill(_: str, number: int = number) -> None:
            process = process_of(rules[number].pids[-1])
            killed.add(process)
            os.kill(process, signal.SIGKILL)

        rules.append(faults.call(op, where(op, number), kill, when=when))
    lab.start(settle=0.0, nprocs=3)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert all(rule.met for rule in rules)
    assert sum("died and was replaced" in notice for notice in end.notices) == len(killed)
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


def stop_at_last_look(lab: Lab) -> tuple[Rule, list[bytes]]:
    """Have the worker that copies 3/0 stopped when all that is left to do is to publish it.

    Returns the rule that stops it, and what is published under that name, as it comes.
    """
    source, destination = lab.faulty_source(), lab.faulty_destination()
    published: list[bytes] = []
    rule = source.call(
        "stat", where("", 3), lambda _: os.kill(rule.pids[-1], signal.SIGSTOP), since="read", when="after"
    )
    destination.call(
        "rename", "?.zarr/3/0", lambda _: published.append((lab.real_destination / "3/0").read_bytes()),
        when="after", times=0,
    )  # fmt: skip
    return rule, published


def copied(lab: Lab) -> int:
    return lab.now.counts[ChunkState.COPIED]


@pytest.mark.parametrize("replaced", [False, True], ids=["continued in time", "continued when it was replaced"])
def test_while_a_worker_is_stopped_the_others_go_on_and_it_brings_nothing_back_that_is_older(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    if not replaced:
        monkeypatch.setattr(worker_pool, "_HUNG", 300.0)
    rule, published = stop_at_last_look(lab)
    make_chunks(lab.real_source, 30, more=31)
    lab.start()
    assert until(lambda: rule.met, SOON)
    worker = psutil.Process(rule.pids[0])
    with_it = 12  # of its two batches at most
    assert until(lambda: copied(lab) >= 30 - with_it, SOON), lab.words()
    make_chunks(lab.source, 30, start=30, more=1)
    replace(lab.source / "3" / "0", content(3, 1, 5000))
    assert until(lambda: copied(lab) >= 60 - with_it, SOON), lab.words()
    if replaced:
        assert until(lambda: published, SOON), lab.words()
    else:
        assert worker.status() == psutil.STATUS_STOPPED and published == []
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.resume()
    assert until(lambda: copied(lab) == 60 and content(3, 1, 5000) in published, SOON), lab.words()
    lab.finish()
    told = f"copy process {rule.pids[0]} did not answer and was replaced" in lab.now.notices
    assert told == replaced
    older = [] if replaced else [content(3, 0, 5000)]
    assert published in ([content(3, 1, 5000)], [*older, content(3, 1, 5000)])
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@pytest.mark.soak
@pytest.mark.parametrize(("seconds", "replaced"), [(25.0, False), (31.0, True)])
def test_a_worker_that_is_stopped_for_half_a_minute_is_replaced_and_for_less_waited_for(
    tmp_path: Path, seconds: float, replaced: bool
) -> None:
    """Nothing here waits less than it does for a user."""
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    make_chunks(source, 6)
    for file in source.rglob("*/0"):
        file.write_bytes(b"\1" * 80_000_000)
        os.utime(file, (OLD, OLD))
    with Softcopy("--nprocs", "2", "--settle", "0", source, destination) as copy:
        assert until(lambda: len(copies_under_way(destination)) == 2)
        worker = workers_of(copy.process.pid)[0]
        worker.suspend()
        with contextlib.suppress(subprocess.TimeoutExpired):
            copy.wait(seconds)
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.resume()
        assert copy.wait() == 0, copy.output
    assert (f"copy process {worker.pid} did not answer and was replaced" in copy.output) == replaced
    assert "died" not in copy.output
    assert_same(source, destination)
    assert not list(destination.rglob(".softcopy-*"))


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


def ends_within(lab: Lab, limit: float) -> None:
    """Stop, and see that it is over soon."""
    assert lab.job is not None
    started = time.monotonic()
    lab.job.order("stop")
    assert lab.job.ended.wait(limit), f"not ended after {time.monotonic() - started:.1f} s"
    assert lab.now.state is TargetState.STOPPED


@SOON_ENOUGH
def test_stop_ends_at_once_though_a_worker_is_stopped(lab: Lab, limit: float) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 5, more=1)
    rule = faults.call("write", where("", 3), lambda _: os.kill(rule.pids[-1], signal.SIGSTOP))
    lab.start()
    assert until(lambda: rule.met, SOON)
    ends_within(lab, limit)
    assert until(lambda: not lab.workers())
    assert temporaries(lab.real_destination) == []
    lab.start()
    lab.finish()
    lab.assert_equal()


@SOON_ENOUGH
@pytest.mark.parametrize(("side", "op"), [("source", "read"), ("source", "listing"), ("destination", "rename")])
def test_stop_ends_at_once_though_a_worker_is_stuck(lab: Lab, side: str, op: str, limit: float) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 5, more=1)
    rule = faults.hang(op, "?.zarr/3" if op == "listing" else where(op, 3), for_good=True)
    lab.start()
    assert until(lambda: rule.met, SOON)
    ends_within(lab, limit)
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


@SOON_ENOUGH
@pytest.mark.parametrize("side", SIDES)
def test_stop_ends_at_once_though_a_whole_share_hangs(lab: Lab, side: str, limit: float) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 10, more=11)
    lab.start()
    assert lab.caught_up()
    rule = faults.hang(EVERYTHING, for_good=True)
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: len(rule.met) > 1, SOON)
    ends_within(lab, limit)


def load(source: Path, destination: Path, settings: Settings) -> object:
    """Load a targets file that lies on another disk."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets.yaml"
        file.write_text(f"targets:\n- source: {source}\n  destination: {destination}\n")
        return load_targets(file, settings)


@pytest.mark.parametrize(
    "act", [make_target, load, lambda *paths: Engine([made(*paths)])], ids=["paths", "file", "engine"]
)
@pytest.mark.parametrize("side", SIDES)
def test_a_share_that_hangs_when_a_copy_is_to_be_started_is_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, side: str, act: Callable[..., object]
) -> None:
    monkeypatch.setattr(timeout, "SECONDS", 0.5)
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
