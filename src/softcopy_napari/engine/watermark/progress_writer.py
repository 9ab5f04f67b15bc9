"""Writes a progress file in a thread of its own: a disk that hangs holds up nobody else.

Parts of a target's job call this from its thread; answers reach that thread as messages.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from enum import Enum, auto

from softcopy_napari.engine.watermark.progress_file import DestinationAway, ProgressFile
from softcopy_napari.engine.watermark.progress_lines import ProgressState

log = logging.getLogger(__name__)


class Outcome(Enum):
    """What became of lines."""

    WRITTEN = auto()
    REMOVED = auto()
    """They could not be written, and the file was removed: it says nothing any more."""
    AWAY = auto()
    """The destination is not there."""
    FAILED = auto()
    """They could not be written, and what the file has said before is still there."""


Done = Callable[[ProgressState | None, Outcome, str], None]
"""Is told what a file said before, if it was begun; what came of it; and the system's words if that failed."""


class ProgressWriter:
    """Adds lines to one progress file, in the order in which they come.

    Parameters
    ----------
    file : ProgressFile
    post : callable
        Has a function called in the job's thread.
    """

    def __init__(self, file: ProgressFile, post: Callable[[Callable[[], None]], None]) -> None:
        self._file, self._post = file, post
        self._waiting: queue.SimpleQueue[tuple[Callable[[], ProgressState | None], Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, line: bytes, anew: bool, done: Done) -> None:
        """Begin the file, see `ProgressFile.begin`; `done` is told what it said before."""
        self._enqueue(lambda: self._file.begin(line, anew), done)

    def add(self, lines: bytes, durable: bool, done: Done) -> None:
        """Add lines, see `ProgressFile.add`."""
        self._enqueue(lambda: self._file.add(lines, durable), done)

    def _enqueue(self, write: Callable[[], ProgressState | None], done: Done) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="progress-file", daemon=True)
            self._thread.start()
        self._waiting.put((write, done))

    def _run(self) -> None:
        while True:
            try:
                work = self._waiting.get(timeout=self._file.due_in)
            except queue.Empty:
                self._file.store_late()
                continue
            if work is None:
                break
            self._write(*work)
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, write: Callable[[], ProgressState | None], done: Done) -> None:
        """Write; where that fails the file is removed, if possible: what it says may not be true any more."""
        before: ProgressState | None = None
        outcome, problem = Outcome.WRITTEN, ""
        try:
            before = write()
        except DestinationAway:
            outcome = Outcome.AWAY
        except Exception as error:
            if not isinstance(error, OSError):
                log.exception("unexpected error in the progress file")
            outcome, problem = self._remove(), getattr(error, "strerror", None) or str(error)
        self._post(lambda: done(before, outcome, problem))

    def _remove(self) -> Outcome:
        try:
            self._file.remove()
        except DestinationAway:
            return Outcome.AWAY
        except OSError:
            return Outcome.FAILED
        return Outcome.REMOVED

    def close(self, timeout: float) -> None:
        """End the thread when everything is written; wait for that, but not for ever."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(timeout)
