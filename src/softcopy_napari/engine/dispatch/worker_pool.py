"""Keeps a target's copy workers alive: starts them, hands them tasks, notices when they die or hang.

All methods are for the job's thread; what workers say reaches the job through `post`, from reading threads.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import IO

from softcopy_napari.engine.dispatch.priority import lower_priority, lower_session
from softcopy_napari.engine.errors import NO_THREADS
from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.worker.tasks import (
    Answer,
    CopyTask,
    FlushTask,
    Progress,
    ReleaseFileSystem,
    SetPace,
    Setup,
    SyncTask,
    Task,
    VerifyTask,
    read_message,
    write_message,
)

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari.engine.worker.process"]
OUTSTANDING = 2
"""Tasks of each kind with a worker: one at work, one waiting, so that it never idles."""
_HUNG = 30.0
"""Seconds without a word on an outstanding task after which a worker counts as hung."""
_BACKLOG = 64
"""Answers of all workers that wait for the job at most; then workers wait."""
_LAST_WORDS = 1.0
_AFTER_KILL = 0.3
_GIVE_UP = 1.0
"""Seconds after which a worker that was killed and is not dead has its work taken away."""
_SILENT = 5.0
"""Seconds without a word after which a worker counts as stuck; slow disks are slower than that for a moment only."""
_MAX_PAUSE = 10.0
_MAX_STUCK = 8
"""Processes that may be stuck at once before no others are started: a share that hangs would get them all."""


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


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """One copy process, as its pool sees it."""

    process: subprocess.Popen[bytes]
    writer: _MessageWriter
    temporary: str
    tasks: dict[int, Task] = field(default_factory=dict)
    """Handed over and not answered, by id."""
    heard: float = 0.0
    """Monotonic time of its last word, or of the first task after a silence."""
    hung: bool = False
    killed: float = 0.0
    """Monotonic time at which it was killed because it hung."""
    folders: list[str] = field(default_factory=list)
    """Where its temporary may be, when it has been given up."""

    @property
    def may_hang(self) -> bool:
        """Whether it owes an answer, and not one that may take minutes."""
        return bool(self.tasks) and not any(isinstance(task, FlushTask | SyncTask) for task in self.tasks.values())

    def room(self, kind: type[Task]) -> int:
        """How many more tasks of a kind it takes now."""
        return OUTSTANDING - sum(isinstance(task, kind) for task in self.tasks.values())


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """A worker answered a task."""

    worker: WorkerProcess
    task: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker's process has ended without being told to, or has been given up."""

    worker: WorkerProcess


class WorkerPool:
    """The copy workers of one target.

    Parameters
    ----------
    setup : Setup
        Common to all; each worker gets its own temporary's name.
    size : int
        Number of processes.
    post : callable
        Takes what workers say; called from reading threads.
    lock : DestinationLock or None
        The destination's, which the workers keep as well.

    Attributes
    ----------
    lock
        As given.
    """

    def __init__(
        self,
        setup: Setup,
        size: int,
        post: Callable[[WorkerAnswer | WorkerDied], None],
        lock: DestinationLock | None = None,
    ) -> None:
        self.lock = lock
        self.workers: list[WorkerProcess] = []
        self.stuck: list[WorkerProcess] = []
        """Killed and given up, but not dead: in a call to a disk or share that does not return."""
        self.problem: Reason | None = None
        """Why workers do not run, or not at low priority; None where they do."""
        self._setup = setup
        self._size = size
        self._post = post
        self._ids = itertools.count(1)
        self._serial = itertools.count(1)
        self._backlog = threading.Semaphore(_BACKLOG)
        self._deaths = 0
        self._next_start = 0.0
        self._stopped = False

    def new_id(self) -> int:
        """A task id that was not used before."""
        return next(self._ids)

    def start_missing(self, now: float) -> None:
        """Start missing workers, with growing pauses where they keep dying, and none where all get stuck."""
        while (
            len(self.workers) < self._size
            and len(self.stuck) < max(_MAX_STUCK, self._size)
            and now >= self._next_start
            and not self._stopped
        ):
            try:
                self.workers.append(self._start())
            except (OSError, RuntimeError) as error:
                problem = error.strerror if isinstance(error, OSError) else NO_THREADS
                self.problem = make_reason(ReasonCode.WORKERS_CANNOT_START, problem=problem)
                self._next_start = now + 1.0

    def send(self, worker: WorkerProcess, task: Task) -> None:
        """Hand a task to a worker, without waiting for it. One that cannot take it is dying: that will be posted."""
        if not worker.tasks:
            worker.heard = time.monotonic()
        worker.tasks[task.id] = task
        worker.writer.send(task)

    def tell_all(self, message: ReleaseFileSystem) -> None:
        """Tell all workers something, when they have done what they were handed before."""
        for worker in self.workers:
            worker.writer.send(message)

    def set_pace(self, rate: float, sleep_time: float, effort: float = 1.0) -> None:
        """Say how fast each worker may go from now on; those at work heed it at once, those to come from the start.

        Parameters
        ----------
        rate : float
            Bytes a second, of each; inf for no limit.
        sleep_time : float
            Seconds that each sleeps between copies.
        effort : float
            How much is done while a writer is at work, see pause_gate.py.
        """
        if (rate, sleep_time, effort) == (self._setup.rate, self._setup.sleep_time, self._setup.effort):
            return
        self._setup = self._setup._replace(rate=rate, sleep_time=sleep_time, effort=effort)
        for worker in self.workers:
            worker.writer.set_pace(SetPace(rate, sleep_time, effort))

    @property
    def keeps_manifest(self) -> bool:
        """Whether it is noted what the destination holds, because its listing does not tell what is equal."""
        return bool(self._setup.manifest)

    @property
    def reading(self) -> int:
        """How many workers have files to copy or to read back."""
        return sum(any(isinstance(t, CopyTask | VerifyTask) for t in w.tasks.values()) for w in self.workers)

    def note_answer(self, heard: WorkerAnswer, final: bool) -> Task | None:
        """Note an answer; returns the task, which is over if the answer is final. None if it is not known."""
        self._backlog.release()
        heard.worker.heard = time.monotonic()
        task = heard.worker.tasks.get(heard.task)
        if final and task is not None:
            del heard.worker.tasks[heard.task]
            if isinstance(task, CopyTask):
                self._deaths = 0
        return task

    def remove_dead(self, worker: WorkerProcess) -> list[Task]:
        """Forget a worker that died; returns the tasks it had not answered."""
        if worker in self.workers:
            self.workers.remove(worker)
            self._deaths += 1
            # One that dies is replaced at once; where they keep dying, ever more rarely.
            if self._deaths > 1:
                self._next_start = time.monotonic() + min(0.1 * 2 ** min(self._deaths, 10), _MAX_PAUSE)
        worker.writer.close()
        tasks = list(worker.tasks.values())
        worker.tasks.clear()
        worker.folders = folders_of(tasks)
        if worker.process.poll() is None:
            self.stuck.append(worker)
        return tasks

    def forget_stuck(self, worker: WorkerProcess) -> bool:
        """Whether a worker that died is one that was stuck, and has been given up before."""
        if worker in self.stuck:
            self.stuck.remove(worker)
            return True
        return False

    def kill_hung(self, now: float) -> list[WorkerProcess]:
        """Kill workers that have not said a word for too long, and give up those whom that does not end."""
        hung = [w for w in self.workers if w.may_hang and not w.hung and now - w.heard > _HUNG]
        for worker in hung:
            worker.hung = True
            worker.killed = now
            worker.process.kill()
        for worker in self.workers:
            if worker.killed and now - worker.killed > _GIVE_UP:
                worker.killed = 0.0
                self._post(WorkerDied(worker))
        return hung

    def silent_for(self, now: float) -> float:
        """Seconds for which none of the workers that have something to do has got anywhere, where that is long."""
        busy = [worker for worker in self.workers if worker.may_hang or worker.hung] or self.stuck
        if not busy:
            return 0.0
        silence = min(now - worker.heard for worker in busy)
        return silence if silence > _SILENT else 0.0

    def stop(self) -> list[tuple[str, list[str]]]:
        """End all workers, within about a second.

        Returns
        -------
        list of tuple of str and list of str
            Temporaries that killed workers may have left, each with the folders it may be in.
        """
        self._stopped = True
        for worker in self.workers:
            worker.writer.close()
        slow = _wait_for(self.workers, _LAST_WORDS)
        for worker in slow:
            worker.process.kill()
        _wait_for(slow, _AFTER_KILL)  # in a call to a share that hangs not even that helps
        left = [(worker.temporary, folders_of(list(worker.tasks.values()))) for worker in slow]
        return left + [(worker.temporary, worker.folders) for worker in self.stuck]

    def _start(self) -> WorkerProcess:
        name = f"{TEMPORARY_PREFIX}{self._setup.run}-{next(self._serial)}{TEMPORARY_SUFFIX}"
        keep = (self.lock.fileno(),) if self.lock is not None and os.name == "posix" else ()
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
        assert process.stdin is not None
        pipe = process.stdin.detach()  # type: ignore[attr-defined]
        try:
            worker = WorkerProcess(process, _MessageWriter(pipe, f"tell-{process.pid}"), name, heard=time.monotonic())
            worker.writer.send(self._setup._replace(temporary=name))
            threading.Thread(target=self._listen, args=(worker,), name=f"listen-{process.pid}", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            process.kill()
            process.wait()
            raise
        self.problem = lower_priority(process.pid) or self.problem
        return worker

    def _listen(self, worker: WorkerProcess) -> None:
        stdout = worker.process.stdout
        assert stdout is not None
        lower_session(worker.process.pid)
        try:
            while True:
                task, answer = read_message(stdout)
                for one in answer if isinstance(answer, list) else (answer,):
                    while not self._stopped and not self._backlog.acquire(timeout=0.2):
                        pass
                    if not self._stopped:
                        self._post(WorkerAnswer(worker, task, one))
        except (EOFError, OSError):
            pass
        stdout.close()
        worker.process.wait()
        self._post(WorkerDied(worker))


def _wait_for(workers: list[WorkerProcess], seconds: float) -> list[WorkerProcess]:
    """Wait until workers have ended; returns those that have not."""
    deadline = time.monotonic() + seconds
    left = []
    for worker in workers:
        try:
            worker.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            left.append(worker)
    return left


def folders_of(tasks: list[Task]) -> list[str]:
    """Folders in which a worker with these tasks may have had its temporary: theirs, and the top (to try times)."""
    if not tasks:
        return []
    return sorted({"", *(path.rpartition("/")[0] for t in tasks if isinstance(t, CopyTask) for path in t.paths)})


def is_final(answer: Answer) -> bool:
    """Whether a task is over with this answer."""
    return not isinstance(answer, Progress) and bool(getattr(answer, "final", True))
