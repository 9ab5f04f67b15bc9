"""The `softcopy` command as a user runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil

from softcopy_napari.engine.client import EngineGone, engines
from tests.support.preloaded import start_module

MODULE = "softcopy_napari"
COMMAND = [sys.executable, "-m", MODULE]


def softcopy(*arguments: str | Path, timeout: float = 60, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start_module([MODULE, *map(str, arguments)], cwd or Path.cwd(), environment(), both=False)
    try:
        output, errors = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    assert process.returncode is not None
    return subprocess.CompletedProcess(list(map(str, arguments)), process.returncode, output, errors)


def environment() -> dict[str, str]:
    """The environment, as wide and colourless as a pipe should be."""
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


class Softcopy:
    """The command at work; a context manager that ends it."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = start_module([MODULE, *map(str, arguments)], Path.cwd(), environment())
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end; returns the exit code, and keeps what it printed in `output`."""
        self.output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode

    def interrupt(self) -> float:
        """Press Ctrl-C; returns the seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.wait(10)
        return time.monotonic() - started


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"this did not come true within {timeout} s"
        time.sleep(0.01)


def until_status(words: str) -> None:
    """Wait until `softcopy status` says this: engines are asked until they tell it, for each call starts a process."""
    until(lambda: any(words in line for line in _told()))
    until(lambda: words in softcopy("status").stdout)


def _told() -> Iterator[str]:
    """State, destination and reason of each target that an engine has now."""
    for engine in engines():
        with contextlib.suppress(EngineGone):
            yield from (f"{one.state_text} {one.destination} {one.reason}" for one in engine.snapshot().targets)
        engine.close()


@contextlib.contextmanager
def halted(pid: int) -> Iterator[None]:
    """Stop a process in its tracks, as a system that is out of memory does, and let it go on afterwards.

    A signal is no more than a request: a thread in a call to a disk goes on, and the other threads with it.
    """
    process = psutil.Process(pid)
    process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: process.status() == psutil.STATUS_STOPPED)
        yield
    finally:
        process.send_signal(signal.SIGCONT)
