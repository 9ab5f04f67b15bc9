"""Writes messages to a copy process from a thread of its own: a process that does not read never blocks its job."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import IO

from softcopy_napari.engine.worker.tasks import ReleaseFileSystem, SetPace, Setup, Task, write_message


class MessageWriter:
    """What a copy process is sent, in order.

    Messages wait in memory while the process does not read. There are few: a process gets no more tasks than it has
    room for, and of its paces only the last one is kept.

    Parameters
    ----------
    pipe : IO of bytes
        The process's input, unbuffered: to close a buffered one would wait for a write under way.
    name : str
        Of the thread.
    """

    def __init__(self, pipe: IO[bytes], name: str) -> None:
        self._pipe = pipe
        self._waiting: SimpleQueue[Setup | Task | SetPace | ReleaseFileSystem | None] = SimpleQueue()
        self._pace: SetPace | None = None
        """The last one, while it waits."""
        self._lock = threading.Lock()
        threading.Thread(target=self._write, name=name, daemon=True).start()

    def send(self, message: Setup | Task | ReleaseFileSystem) -> None:
        """Send a message when those before it have been read; in vain if the process has ended."""
        self._waiting.put(message)

    def set_pace(self, pace: SetPace) -> None:
        """Send a pace, in place of one that has not been sent yet."""
        with self._lock:
            if self._pace is None:
                self._waiting.put(pace)
            self._pace = pace

    def close(self) -> None:
        """Close the pipe when everything has been sent; the process takes that as its end."""
        self._waiting.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._pipe:  # it has ended
            while (message := self._waiting.get()) is not None:
                if isinstance(message, SetPace):
                    with self._lock:
                        message, self._pace = self._pace, None
                write_message(self._pipe, message)
