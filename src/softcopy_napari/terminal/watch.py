"""The command `softcopy watch`: stays, and tells when the process behind one of this user's copies has died."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from softcopy_napari.engine.client import EngineGone, EngineHandle, engines
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.notify.crash_reports import report_crashes
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.state_folder.history import Ending, endings
from softcopy_napari.engine.state_folder.run_file import run_files
from softcopy_napari.engine.targets.notify import Notify, read_notify
from softcopy_napari.terminal.signals import collect_signals
from softcopy_napari.terminal.styled import print_line

_POLL = 5.0
"""Seconds between two looks."""
_ANSWER = 3.0
"""Seconds for which engines are waited for when metrics are asked for: Prometheus waits for ten."""
_AT_ONCE = 16
_STEP = 0.2
"""Seconds after which a signal is noticed."""


def run_watch(urls: Sequence[str], metrics: str | None) -> int:
    """Watch this user's engines, and serve their metrics if an address is given; returns the exit code.

    Raises
    ------
    TargetsError
        A URL or the address cannot be used.
    """
    try:
        own = read_notify(list(urls)) if urls else None
    except ValueError as error:
        raise TargetsError(f"--notify {error}") from None
    if metrics is not None:
        from softcopy_napari.terminal.metrics import MetricsServer

        MetricsServer(metrics).engines = RunningEngines()
    return watch_engines(own)


class RunningEngines:
    """Asks all running engines of this user at once, each over a connection of its own, whenever it is called."""

    def __init__(self) -> None:
        self._handles: dict[tuple[int, float], EngineHandle] = {}
        self._asked: dict[tuple[int, float], Future[EngineSnapshot]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._turn = threading.Lock()

    def __call__(self) -> list[EngineSnapshot]:
        """Return what those say that answer in time."""
        with self._turn:
            found = {(engine.run.pid, engine.run.process_started): engine for engine in engines()}
            self._handles = {key: self._handles.get(key, engine) for key, engine in found.items()}
            for key, engine in self._handles.items():
                if key not in self._asked:  # one that still owes an answer is not asked again
                    self._asked[key] = self._pool.submit(engine.snapshot)
            wait(self._asked.values(), _ANSWER)
            answered = {key: asked for key, asked in self._asked.items() if asked.done()}
            for key in answered:
                del self._asked[key]
            snapshots = []
            for key, asked in answered.items():
                with contextlib.suppress(EngineGone, ValueError, OSError):
                    if key in found:
                        snapshots.append(asked.result())
            return snapshots


def watch_engines(own: Notify | None, looks: Callable[[int], bool] = lambda _: True) -> int:
    """Watch this user's engines until a signal comes; returns the exit code.

    Parameters
    ----------
    own : Notify or None
        Where notifications go, besides where each copy sends them.
    looks : callable, optional
        Whether to look once more, given how often that was done.
    """
    shown: set[tuple[int, float, str]] = set()
    count, number = -1, 0
    with collect_signals() as caught:
        while not caught and looks(number):
            number += 1
            running = sum(1 for run in run_files() if run.alive())
            if running != count:
                count = running
                print_line(f"{_clock()}  {count_text(count, 'copy engine')} running")
            found = endings()
            for one in found:
                if one.crashed and (key := (one.pid, one.process_started, one.name)) not in shown:
                    shown.add(key)
                    _show(one)
            report_crashes(found, own)
            deadline = time.monotonic() + _POLL
            while not caught and time.monotonic() < deadline:
                time.sleep(_STEP)
    return 0


def _show(one: Ending) -> None:
    print_line(one.state_text, "red", f"{_clock()}  ", f": {one.source} -> {one.destination}; {one.reason}")


def _clock() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
