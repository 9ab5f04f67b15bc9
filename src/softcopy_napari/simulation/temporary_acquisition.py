"""Runs the simulated microscope for napari: it writes into a temporary folder, which goes with the calling process.

The microscope is run by a process of its own, the keeper. When the keeper's standard input is closed, by
`TemporaryAcquisition.end` or because the calling process has ended in whatever way, the keeper ends the microscope and
the copies of what it wrote, and removes the folder.
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
from softcopy_napari.engine.state_folder.history import endings, forget

SOURCE, DESTINATION = "microscope.zarr", "cluster.zarr"

_FAILED = 2
"""Exit code of a keeper whose microscope failed."""
_STOP_TIMEOUT = 5.0
"""Seconds that an engine may take to stop."""
_START_TIMEOUT = 3.0
"""Seconds within which an engine appears that was being started."""
_POLL = 0.05
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_OWN_GROUP: int = _NO_WINDOW | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class TemporaryAcquisition:
    """A simulated acquisition in a temporary folder, with a place for its copy.

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
            [
                sys.executable,
                "-P",
                "-m",
                "softcopy_napari.simulation.temporary_acquisition",
                str(self.folder),
                *arguments,
            ],
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
        """Ask the keeper to end and remove everything; return at once."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()

    def wait(self, timeout: float) -> None:
        """Wait until everything has ended and is removed.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        self._keeper.wait(timeout)


def run_keeper(folder: Path, *arguments: str) -> int:
    """Run a microscope, and keep what it wrote until standard input is closed: the main function of the keeper."""
    source = folder / SOURCE
    microscope = subprocess.Popen(
        [sys.executable, "-P", "-m", "softcopy_napari.simulation.microscope", str(source), *arguments],
        stdin=subprocess.DEVNULL,
        creationflags=_NO_WINDOW,
    )
    input_closed = threading.Event()
    threading.Thread(target=_terminate_at_end_of_stdin, args=(microscope, input_closed), daemon=True).start()
    failed = microscope.wait() != 0 and not input_closed.is_set()  # a microscope that was terminated has not failed
    if not failed:
        input_closed.wait()
    _stop_copies(source)
    forget(one for one in endings() if one.source == str(source))  # nobody wants to know how a demonstration ended
    shutil.rmtree(folder, ignore_errors=True)
    return _FAILED if failed else 0


def _terminate_at_end_of_stdin(microscope: subprocess.Popen[bytes], input_closed: threading.Event) -> None:
    with contextlib.suppress(OSError):
        # Not through sys.stdin: Python cannot end while a thread waits in its lock.
        while os.read(0, 1):
            pass
    input_closed.set()
    microscope.terminate()


def _stop_copies(source: Path) -> None:
    """Stop the copies of a source, and wait until they have stopped: they must not write to the folder any more."""
    copying = False
    deadline = time.monotonic() + _START_TIMEOUT
    while not copying and time.monotonic() < deadline:
        for engine in engines():
            with contextlib.suppress(EngineGone, ValueError):
                copying |= _stop_engine(engine, str(source))
        time.sleep(_POLL)


def _stop_engine(engine: EngineHandle, source: str) -> bool:
    """Stop an engine's copies of a source, and return whether there were any."""
    ids = [target.id for target in engine.snapshot().targets if target.source == source]
    for target in ids:
        engine.ask(Order(do="stop", target=target))
    deadline = time.monotonic() + _STOP_TIMEOUT
    while time.monotonic() < deadline and not _have_ended(engine, ids):
        time.sleep(_POLL)
    return bool(ids)


def _have_ended(engine: EngineHandle, ids: list[str]) -> bool:
    return all(target.over for target in engine.snapshot().targets if target.id in ids)


if __name__ == "__main__":
    sys.exit(run_keeper(Path(sys.argv[1]), *sys.argv[2:]))
