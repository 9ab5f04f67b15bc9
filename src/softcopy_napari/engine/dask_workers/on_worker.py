"""What runs on a Dask worker: it starts copy processes, passes them tasks, and stores what they have written.

They are like those of the engine's own machine, but children of the Dask worker: they end with it, whatever they are
at. Dask may run a task twice, or on a worker that has been started anew: the task then finds no process, and does
nothing. What one says is copied has been flushed by its own machine: no other can do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import pickle
import socket
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue

from distributed import get_worker

from softcopy_napari import __version__
from softcopy_napari.engine.dask_workers.source_evidence import find_identity
from softcopy_napari.engine.dask_workers.worker_messages import (
    TOPIC,
    ProcessAnswer,
    ProcessEnd,
    ProcessRequest,
    ProcessStarted,
    ProcessTask,
)
from softcopy_napari.engine.dispatch.local_processes import LocalProcesses
from softcopy_napari.engine.dispatch.worker_pool import is_final
from softcopy_napari.engine.fs.destination_problem import ProblemKind
from softcopy_napari.engine.fs.file_times import NO_VERSION
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import (
    Answer,
    CopyDone,
    CopyTask,
    Identity,
    Progress,
    ReleaseFileSystem,
    SetPace,
    Synced,
    SyncTask,
    Task,
    VerifyDone,
)

_LOOK = 0.5
"""Seconds between two looks at whether a task is still wanted."""
_SIGN_OF_LIFE = 1.0
_LAST_WORDS = 1.0
"""Seconds that a copy process has to end by itself."""
_IDLE = 60.0
"""Seconds after which a copy process is ended whose engine has gone without a word."""
_WRITTEN = (CopyOutcome.COPIED, CopyOutcome.DAMAGED)


class _HostedProcess:
    """One copy process of this Dask worker."""

    def __init__(self, request: ProcessRequest) -> None:
        self.setup = request.setup
        self._said: SimpleQueue[tuple[int, Answer | list[Answer]] | None] = SimpleQueue()
        self._link = LocalProcesses().start(
            request.setup, lambda task, answer: self._said.put((task, answer)), lambda *_: self._said.put(None)
        )
        self._pace = SetPace(request.setup.rate, request.setup.sleep_time)
        self.used = time.monotonic()
        self._turn = threading.Lock()
        self._identities: dict[Identity, Identity] = {}
        """What the source is known by on the engine's machine, and on this one."""

    def set_pace(self, pace: SetPace) -> None:
        """Say how fast it may go; any thread may call this."""
        if pace != self._pace:
            self._pace = pace
            self._link.set_pace(pace)

    def end(self, at_once: bool = False) -> None:
        """End the process, and wait for that."""
        if at_once:
            self._link.kill()
        self._link.close()
        if not self._link.wait(_LAST_WORDS):
            self._link.kill()
            self._link.wait(_LAST_WORDS)

    def carry_out(self, sent: ProcessTask) -> ProcessAnswer:
        """Carry out a task, one at a time: a Dask worker may have several threads."""
        with self._turn:
            self.used = math.inf
            try:
                return self._carry_out(sent)
            finally:
                self.used = time.monotonic()

    def _carry_out(self, sent: ProcessTask) -> ProcessAnswer:
        task = sent.task
        if sent.source is not None:
            identity = self._identities.get(sent.source.identity) or find_identity(self.setup.source, sent.source)
            if identity is None:
                return ProcessAnswer(over=self._unfit(ReasonCode.DASK_OTHER_SOURCE))
            self._identities[sent.source.identity] = identity
            task = task._replace(source=identity)  # type: ignore[call-arg]
        self.set_pace(sent.pace)
        answers = self._ask(sent.key, task)
        if answers is None:
            return ProcessAnswer(over=self._over())
        if any(map(_is_lost, answers)):
            return ProcessAnswer(over=self._unfit(ReasonCode.DASK_OTHER_SOURCE))
        if any(map(_is_elsewhere, answers)):
            return ProcessAnswer(over=self._unfit(ReasonCode.DASK_OTHER_DESTINATION))
        if isinstance(task, CopyTask) and isinstance(done := answers[-1], CopyDone):
            stored = self._store(sent.key, task, done)
            return ProcessAnswer(over=self._over()) if stored is None else ProcessAnswer([stored])
        return ProcessAnswer(answers)

    def _store(self, key: str, task: CopyTask, done: CopyDone) -> CopyDone | None:
        """Flush what was copied; return the outcome with that, or None if the process died."""
        numbers = [number for number, outcome in enumerate(done.outcomes) if outcome in _WRITTEN]
        if not numbers:
            return done
        answers = self._ask(key, SyncTask(task.id, [task.paths[number] for number in numbers], done.flushed))
        self._link.send(ReleaseFileSystem())
        if answers is None or not isinstance(synced := answers[-1], Synced):
            return None
        return _add_flush(task, done, synced, numbers)

    def _ask(self, key: str, task: Task) -> list[Answer] | None:
        """Have the process do something; return its answers but for reports of progress, or None if it died."""
        worker = get_worker()
        worker.log_event(TOPIC, [key, task.id, 0])
        wanted_as, answers = worker.get_current_task(), list[Answer]()
        told = looked = time.monotonic()
        self._link.send(task)
        while True:
            if time.monotonic() - looked > _LOOK:  # however much it says meanwhile: a file may be copied for hours
                looked = time.monotonic()
                state = worker.state.tasks.get(wanted_as)
                if state is None or state.state == "cancelled":  # its engine has gone, or has given it up
                    self.end()
                    return None
            try:
                said = self._said.get(timeout=_LOOK)
            except Empty:
                continue
            if said is None:
                return None
            size = -1
            for one in said[1] if isinstance(said[1], list) else [said[1]]:
                if isinstance(one, Progress):
                    size = max(size, 0) + one.size
                else:
                    answers.append(one)
            if answers and is_final(answers[-1]):
                return answers
            if size >= 0 or time.monotonic() - told > _SIGN_OF_LIFE:
                told = time.monotonic()
                worker.log_event(TOPIC, [key, task.id, max(size, 0)])

    def _over(self) -> ProcessEnd:
        reason = make_reason(ReasonCode.DASK_PROCESS_DIED, host=socket.gethostname())
        return ProcessEnd(reason, at_fault=True)

    def _unfit(self, code: ReasonCode) -> ProcessEnd:
        reason = make_reason(
            code, host=socket.gethostname(), source=self.setup.source, destination=self.setup.destination
        )
        return ProcessEnd(reason, unfit=True)


def _is_lost(answer: Answer) -> bool:
    return isinstance(answer, CopyDone | VerifyDone | FolderDiff) and answer.lost


def _is_elsewhere(answer: Answer) -> bool:
    obstacle = answer.obstacle if isinstance(answer, CopyDone | VerifyDone | FolderDiff) else None
    return obstacle is not None and obstacle.kind is ProblemKind.GONE


def _add_flush(task: CopyTask, done: CopyDone, synced: Synced, numbers: list[int]) -> CopyDone:
    """Return the outcome of copying where files that were copied may not have been stored: they are copied again."""
    failed = synced.failed
    if not failed and synced.files == len(numbers):
        return done._replace(seconds=done.seconds + synced.seconds)
    outcomes, digests, versions = bytearray(done.outcomes), bytearray(done.digests), bytearray(done.versions)
    reasons = dict(done.reasons)
    for place, number in enumerate(numbers):
        path = task.paths[number]
        if place < synced.files and path not in failed:
            continue
        outcomes[number] = CopyOutcome.FAILED if path in failed else CopyOutcome.STOPPED
        digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE] = NO_DIGEST
        versions[number * len(NO_VERSION) : (number + 1) * len(NO_VERSION)] = NO_VERSION
        reasons.pop(number, None)
        if path in failed:
            reasons[number] = make_reason(ReasonCode.NOT_FLUSHED, problem=failed[path])
    return done._replace(
        outcomes=bytes(outcomes),
        digests=bytes(digests),
        versions=bytes(versions),
        reasons=reasons,
        seconds=done.seconds + synced.seconds,
        obstacle=done.obstacle or synced.obstacle,
    )


_processes: dict[str, _HostedProcess] = {}
_over: deque[str] = deque(maxlen=1000)
"""Processes that were ended, perhaps before they were started."""
_opening = threading.Lock()
_janitors: list[threading.Thread] = []


def start_process(message: bytes) -> bytes:
    """Start a copy process; takes a `ProcessRequest` and returns an `ProcessStarted`, both pickled."""
    request: ProcessRequest = pickle.loads(message)
    host, problem = socket.gethostname(), None
    if request.version != __version__:
        problem = make_reason(ReasonCode.DASK_OTHER_VERSION, host=host, here=request.version, there=__version__)
    else:
        try:
            with _opening:
                if request.key not in _over:
                    _processes[request.key] = _HostedProcess(request)
                if not _janitors:
                    _janitors.append(threading.Thread(target=_end_idle_processes, name="softcopy-idle", daemon=True))
                    _janitors[0].start()
        except (OSError, RuntimeError) as error:
            problem = make_reason(ReasonCode.DASK_CANNOT_START, host=host, problem=str(error))
    return pickle.dumps(ProcessStarted(host, time.time(), problem))


def _end_idle_processes() -> None:
    """End the processes of engines that have gone without a word, for as long as this Dask worker lives."""
    while True:
        time.sleep(_IDLE / 10)
        for key, process in list(_processes.items()):
            if time.monotonic() - process.used > _IDLE and _processes.pop(key, None) is not None:
                process.end()


def carry_out(message: bytes) -> bytes:
    """Have a copy process do something; takes a `ProcessTask` and returns a `ProcessAnswer`, both pickled."""
    sent: ProcessTask = pickle.loads(message)
    process = _processes.get(sent.key)
    if process is None:  # this Dask worker was started anew
        return pickle.dumps(ProcessAnswer(over=ProcessEnd()))
    answer = process.carry_out(sent)
    if answer.over is not None and _processes.pop(sent.key, None) is not None:
        process.end()
    return pickle.dumps(answer)


def keep_processes(keys: list[str]) -> None:
    """Keep copy processes that have nothing to do: their engine is still there. Called outside of Dask's tasks."""
    for key in keys:
        if (process := _processes.get(key)) is not None:
            process.used = max(process.used, time.monotonic())


def set_pace(keys: list[str], pace: SetPace) -> None:
    """Change the pace of copy processes, even of those at work. Called outside of Dask's tasks."""
    for key in keys:
        if (process := _processes.get(key)) is not None:
            process.set_pace(pace)


async def end_processes(keys: list[str], at_once: bool = False) -> list[str]:
    """End copy processes; return the keys of those that were here. Called outside of Dask's tasks."""
    with _opening:
        _over.extend(keys)
        ending = [(key, process) for key in keys if (process := _processes.pop(key, None)) is not None]
    loop = asyncio.get_running_loop()
    with contextlib.suppress(RuntimeError):  # the worker itself ends
        await asyncio.gather(*(loop.run_in_executor(None, process.end, at_once) for _, process in ending))
    return [key for key, _ in ending]
