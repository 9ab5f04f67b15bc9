"""Copies beside a writer at work: no engine copies while it writes, and orders are obeyed all the same."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari import start
from softcopy_napari.engine.activity_board import ActivityBoard
from softcopy_napari.engine.state_folder.activity import board_path, claim_slot
from softcopy_napari.engine.states import TargetState
from tests.engine.support import make_array, tree, until

BURSTS, FILES = 25, 6
WRITER = f"""
import json, os, sys, time
phases = []
for burst in range({BURSTS}):
    began = time.time()
    for file in range({FILES}):
        path = os.path.join(sys.argv[1], f"{{burst}}.{{file}}")
        with open(path + ".__lock", "wb") as lock:
            lock.write(os.urandom(50_000))
            time.sleep(0.01)
            lock.flush()
            os.rename(path + ".__lock", path)
    phases.append((began, time.time()))
    time.sleep(0.25)
print(json.dumps(phases))
"""


def write_bursts(source: Path) -> list[tuple[float, float]]:
    """Have a process write bursts of files through locks; return when it was at work."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, source], capture_output=True, text=True, check=True, timeout=100
    )
    return [(began, ended) for began, ended in json.loads(done.stdout)]


def arrived_meanwhile(files: list[Path], phases: list[tuple[float, float]]) -> list[Path]:
    """Files that came while the writer was at work, not counting the first moment of it."""
    times = [(path, path.stat().st_ctime) for path in files]
    return [path for path, at in times if any(began + 0.02 < at < ended - 0.005 for began, ended in phases)]


def test_nothing_is_copied_while_the_writer_writes_and_all_of_it_in_its_pauses(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    make_array(source, (BURSTS, FILES), chunks=False)
    copy = start(source, destination, nprocs=2, linger=0.0)
    try:
        assert until(lambda: (destination / ".zarray").exists())
        phases = write_bursts(source)
        files = [path for path in destination.iterdir() if path.name[0] != "."]
        assert len(files) >= (BURSTS - 2) * FILES, "each burst is copied before the next"
        assert len(arrived_meanwhile(files, phases)) <= len(files) // 10
        assert copy.snapshot().pace.reason == "copying in the microscope's pauses: keeping up"
        assert copy.finish(timeout=30.0).state is TargetState.COMPLETE
    finally:
        copy.stop()
    assert tree(source) == tree(destination)


def test_another_engine_on_the_same_computer_waits_for_the_writer_as_well(tmp_path: Path) -> None:
    source, old = tmp_path / "source.zarr", make_array(tmp_path / "old.zarr", (60, 50))
    make_array(source, (BURSTS, FILES), chunks=False)
    live = start(source, tmp_path / "live", nprocs=1, linger=0.0)
    other = None
    try:
        assert until(lambda: (tmp_path / "live" / ".zarray").exists())
        # So slowly that it lasts as long as the writer.
        other = start(old, tmp_path / "copy", nprocs=1, linger=0.0, sleep_time=0.003)
        phases = write_bursts(source)
        files = [path for path in (tmp_path / "copy").iterdir() if path.name[0] != "."]
        assert len(files) > 100
        assert len(arrived_meanwhile(files, phases)) <= len(files) // 10
        assert until(lambda: other.snapshot().files_copied == 3001)
    finally:
        live.stop()
        if other is not None:
            other.stop()


@pytest.fixture
def writer_that_never_pauses() -> Iterator[None]:
    """Say on the board that somebody writes all the time, and is expected to pause."""
    slot, over = claim_slot(ActivityBoard(board_path())), threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            slot.set_busy(time.monotonic_ns() + 500_000_000, time.monotonic_ns() + 500_000_000)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()
    slot.release()


@pytest.mark.usefixtures("writer_that_never_pauses")
def test_what_waits_for_a_pause_is_paused_resumed_and_stopped_at_once(tmp_path: Path) -> None:
    source, destination = make_array(tmp_path / "source.zarr", (50, 50)), tmp_path / "destination"
    copy = start(source, destination, nprocs=1)
    try:
        assert until(lambda: copy.snapshot().files_copied), "it never starves"
        assert copy.snapshot().files_copied < 2000
        assert "in the pauses of another acquisition" in copy.snapshot().pace.reason
        copy.pause()
        assert until(lambda: copy.snapshot().state is TargetState.PAUSED)
        copy.resume()
        assert until(lambda: copy.snapshot().state is TargetState.COPYING)
    finally:
        copy.stop()
    assert copy.snapshot().state is TargetState.STOPPED
    assert not list(destination.glob(".softcopy-*"))


@pytest.mark.usefixtures("writer_that_never_pauses")
def test_a_user_who_wants_no_waiting_gets_none(tmp_path: Path) -> None:
    source, destination = make_array(tmp_path / "source.zarr", (50, 50)), tmp_path / "destination"
    copy = start(source, destination, nprocs=1, settle=0.0, linger=0.0, pace="full")
    try:
        assert copy.wait(20.0).state is TargetState.COMPLETE
    finally:
        copy.stop()
    assert tree(source) == tree(destination)
