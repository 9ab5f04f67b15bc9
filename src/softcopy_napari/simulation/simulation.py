"""A simulated microscope for napari: it writes into a temporary folder, and goes with the process that wanted it.

A keeper, a process of its own, runs the microscope. When the keeper's input is closed, by `Simulation.end` or because
the other process has ended in whatever way, it ends the microscope and the copies of what that wrote, and removes all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from softcopy_napari.engine.client import EngineGone, EngineHandle, engines
from softcopy_napari.engine.protocol.messages import Order

SOURCE, DESTINATION = "microscope.zarr", "cluster.zarr"

_FAILED = 2
_STOPPED = 5.0
"""Seconds that an engine may take to stop."""
_STARTING = 3.0
"""Seconds after which no engine will appear that was starting."""
_POLL = 0.05
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_OWN_GROUP: int = _NO_WINDOW | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class Simulation:
    """A microscope at work, and the place for its copy.

    Parameters
    ----------
    *arguments : str
        For the microscope, as on its command line.
    """

    def __init__(self, *arguments: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="softcopy-simulated-"))
        self.source = self.folder / SOURCE
        self.destination = self.folder / DESTINATION
        # A group of its own: Ctrl-C in the terminal of napari is not meant for it.
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "softcopy_napari.simulation.simulation", str(self.folder), *arguments],
            stdin=subprocess.PIPE,
            start_new_session=sys.platform != "win32",
            creationflags=_OWN_GROUP,
        )
        threading.Thread(target=self._keeper.wait, name=f"reap-{self._keeper.pid}", daemon=True).start()

    @property
    def failed(self) -> bool:
        """Whether the microscope could not write; stderr says why."""
        return self._keeper.poll() == _FAILED

    def end(self) -> None:
        """Have all of it ended and removed; returns at once."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()

    def wait(self, timeout: float) -> None:
        """Wait until all of it has ended and is removed.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        self._keeper.wait(timeout)


def keep(folder: Path, *arguments: str) -> int:
    """Run a microscope until it is done, and keep what it wrote until stdin is closed; the keeper's main function."""
    source = folder / SOURCE
    microscope = subprocess.Popen(
        [sys.executable, "-P", "-m", "softcopy_napari.simulation.microscope", str(source), *arguments],
        stdin=subprocess.DEVNULL,
        creationflags=_NO_WINDOW,
    )
    unwanted = threading.Event()
    threading.Thread(target=_end_with_stdin, args=(microscope, unwanted), daemon=True).start()
    failed = microscope.wait() != 0 and not unwanted.is_set()  # what is ended by force has not failed
    if not failed:
        unwanted.wait()
    _stop_copies(source)
    shutil.rmtree(folder, ignore_errors=True)
    return _FAILED if failed else 0


def _end_with_stdin(microscope: subprocess.Popen[bytes], unwanted: threading.Event) -> None:
    with contextlib.suppress(OSError):
        # Not through sys.stdin: Python cannot end while a thread waits in there.
        while os.read(0, 1):
            pass
    unwanted.set()
    microscope.terminate()


def _stop_copies(source: Path) -> None:
    """Stop what is copied from there, and wait until it has stopped: it must not write what is removed."""
    copying = False
    deadline = time.monotonic() + _STARTING
    while not copying and time.monotonic() < deadline:
        for engine in engines():
            with contextlib.suppress(EngineGone, ValueError):
                copying |= _stop(engine, str(source))
        time.sleep(_POLL)


def _stop(engine: EngineHandle, source: str) -> bool:
    """Stop an engine's copies from there, and say whether there were any."""
    ids = [target.id for target in engine.snapshot().targets if target.source == source]
    for target in ids:
        engine.ask(Order(do="stop", target=target))
    deadline = time.monotonic() + _STOPPED
    while time.monotonic() < deadline and not _ended(engine, ids):
        time.sleep(_POLL)
    return bool(ids)


def _ended(engine: EngineHandle, ids: list[str]) -> bool:
    return all(target.over for target in engine.snapshot().targets if target.id in ids)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), *sys.argv[2:]))
