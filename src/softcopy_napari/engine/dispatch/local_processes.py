"""Copy processes of this computer, as the workers of a pool: reached through pipes, they end with who started them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import IO

from softcopy_napari.engine.dispatch.priority import lower_priority, lower_session
from softcopy_napari.engine.dispatch.worker_link import AnswerHandler, EndHandler
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.worker.tasks import (
    BULK_TASKS,
    ReleaseFileSystem,
    SetPace,
    Setup,
    Task,
    read_message,
    write_message,
)

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari.engine.worker.process"]


class _MessageWriter:
    """Sends a copy process messages, in order, from a thread of its own: one that does not read blocks nobody.

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


class CopyProcess:
    """One copy process of this computer.

    Parameters
    ----------
    process : subprocess.Popen
    setup : Setup
        Its first message.
    on_answer, on_end : callable
        See `WorkerHost.start`.
    bulk : bool
        Whether it takes tasks that read data.

    Attributes
    ----------
    process
        As given.

    Raises
    ------
    RuntimeError
        The system gives no more threads; then the process has been ended.
    """

    is_at_work = True

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        setup: Setup,
        on_answer: AnswerHandler,
        on_end: EndHandler,
        bulk: bool = True,
    ) -> None:
        self.process = process
        self._bulk = bulk
        assert process.stdin is not None
        pipe = process.stdin.detach()  # type: ignore[attr-defined]
        try:
            self.writer = _MessageWriter(pipe, f"tell-{process.pid}")
            self.writer.send(setup)
            threading.Thread(
                target=self._listen, args=(on_answer, on_end), name=f"listen-{process.pid}", daemon=True
            ).start()
        except RuntimeError:
            process.kill()
            process.wait()
            raise

    @property
    def name(self) -> str:
        """What to call it."""
        return f"copy process {self.process.pid}"

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def takes(self, kind: type[Task]) -> bool:
        """Whether it may be given tasks of a kind."""
        return self._bulk or not issubclass(kind, BULK_TASKS)

    def send(self, message: Task | ReleaseFileSystem) -> None:
        """Give it something to do."""
        self.writer.send(message)

    def set_pace(self, pace: SetPace) -> None:
        """Say how fast it may go from now on."""
        self.writer.set_pace(pace)

    def close(self) -> None:
        """Close its input, which it takes as its end."""
        self.writer.close()

    def kill(self) -> None:
        """Kill it; in a call to a share that hangs not even that helps."""
        self.process.kill()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def _listen(self, on_answer: AnswerHandler, on_end: EndHandler) -> None:
        stdout = self.process.stdout
        assert stdout is not None
        lower_session(self.process.pid)
        with contextlib.suppress(EOFError, OSError):
            while True:
                on_answer(*read_message(stdout))
        stdout.close()
        self.process.wait()
        on_end(make_reason(ReasonCode.WORKER_DIED, pid=self.process.pid), True)


class LocalProcesses:
    """Starts copy processes of this computer.

    Parameters
    ----------
    lock : DestinationLock or None
        The destination's, which the processes keep as well.
    bulk : bool
        Whether they take tasks that read data; not where a cluster does that.

    Attributes
    ----------
    problem : Reason or None
        Why they do not run at low priority; None where they do.
    """

    task_seconds = 0.04
    is_remote = False

    def __init__(self, lock: DestinationLock | None = None, bulk: bool = True) -> None:
        self.problem: Reason | None = None
        self._lock = lock
        self._bulk = bulk

    def note_demand(self, missing: int, waiting: bool) -> None:
        """Do nothing: processes can always be started."""

    def start(self, setup: Setup, on_answer: AnswerHandler, on_end: EndHandler) -> CopyProcess:
        """Start a process; see `WorkerHost.start`."""
        keep = (self._lock.fileno(),) if self._lock is not None and os.name == "posix" else ()
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=keep,
            # Out of the terminal's process group: Ctrl-C is the engine's business.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        link = CopyProcess(process, setup, on_answer, on_end, self._bulk)
        self.problem = lower_priority(process.pid) or self.problem
        return link

    def close(self) -> None:
        """Do nothing: they share nothing."""
