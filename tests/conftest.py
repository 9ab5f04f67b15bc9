"""For every test: a state folder of its own, and nothing left running behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

# A test's time depends on what else the machine does; pytest-timeout ends what hangs.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

_GRACE = 2.0
"""Seconds in which what a test has ended may go."""


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Fail a test that leaves child processes or threads that would keep Python from ending."""
    this = psutil.Process()
    children = set(this.children(recursive=True))
    threads = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _GRACE
    while True:
        left = [
            *(set(this.children(recursive=True)) - children),
            *(t for t in threading.enumerate() if t not in threads and not t.daemon),
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    words = [_describe(one) for one in left]
    for one in left:
        if isinstance(one, psutil.Process) and one.is_running():
            one.kill()
    pytest.fail(f"the test left running: {', '.join(words)}")


def _describe(one: psutil.Process | threading.Thread) -> str:
    if isinstance(one, threading.Thread):
        return f"thread {one.name}"
    try:
        return f"process {one.pid} ({one.status()}): {' '.join(one.cmdline())}"
    except psutil.Error:
        return f"process {one.pid}"


@pytest.fixture(autouse=True)
def state_folder_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep run files, locks and ledgers of a test away from everybody else's."""
    folder = tmp_path / "state"
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(folder))
    return folder
