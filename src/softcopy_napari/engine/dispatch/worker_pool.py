"""The copy workers of one target: started, handed tasks, listened to, replaced when they die, ended when they hang.

All methods are for the job's thread; what workers say reaches the job through `post`, from reading threads.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from softcopy_napari.engine.dispatch.local_processes import LocalProcesses
from softcopy_napari.engine.dispatch.worker_link import WorkerHost, WorkerLink
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
)

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
"""Workers that may be stuck at once before no others are started: a share that hangs would get them all."""


@dataclass(slots=True, eq=False)
class CopyWorker:
    """One worker, as its pool sees it."""

    group: _HostWorkers
    temporary: str
    link: WorkerLink = field(init=False)
    tasks: dict[int, Task] = field(default_factory=dict)
    """Handed over and not answered, by id."""
    last_answer: float = 0.0
    """Monotonic time of its last word, or of the first task after a silence."""
    hung: bool = False
    killed: float = 0.0
    """Monotonic time at which it was killed because it hung."""
    folders: list[str] = field(default_factory=list)
    """Where its temporary may be, when it has been given up."""

    @property
    def may_hang(self) -> bool:
        """Whether it owes an answer, and not one that may take minutes."""
        if not self.tasks or not self.link.is_at_work:
            return False
        return not any(isinstance(task, FlushTask | SyncTask) for task in self.tasks.values())

    @property
    def is_remote(self) -> bool:
        """Whether it is on another machine, see `WorkerHost.is_remote`."""
        return self.group.host.is_remote

    def takes(self, kind: type[Task]) -> bool:
        """Whether it may be given tasks of a kind now."""
        return self.link.takes(kind)

    def free_slots(self, kind: type[Task]) -> int:
        """How many more tasks of a kind it takes now."""
        if not self.link.takes(kind):
            return 0
        return OUTSTANDING - sum(isinstance(task, kind) for task in self.tasks.values())


@dataclass(slots=True, eq=False)
class _HostWorkers:
    """The workers of one host."""

    host: WorkerHost
    size: int
    deaths: int = 0
    """In a row, without a file copied in between."""
    next_start: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """A worker answered a task."""

    worker: CopyWorker
    task: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker has ended without being told to, or has been given up."""

    worker: CopyWorker
    reason: Reason | None = None
    """What to tell the user of it."""
    at_fault: bool = True
    """Whether the files that it was at may have brought it down."""


class WorkerPool:
    """The copy workers of one target.

    Parameters
    ----------
    setup : Setup
        Common to all; each worker gets its own temporary's name.
    size : int
        Number of workers that copy.
    post : callable
        Takes what workers say; called from reading threads.
    lock : DestinationLock or None
        The destination's, which local processes keep as well.
    cluster : WorkerHost, optional
        Where those workers run. One process of this computer then does what must be seen from here: it looks for the
        source, looks after the destination, and compares folders while a writer is at work.
    problem : Reason, optional
        Why there are fewer of them than were asked for.

    Attributes
    ----------
    lock
        As given.
    work_waits : bool
        Whether anything waits for a worker; to be set by who hands out work.
    """

    def __init__(
        self,
        setup: Setup,
        size: int,
        post: Callable[[WorkerAnswer | WorkerDied], None],
        lock: DestinationLock | None = None,
        cluster: WorkerHost | None = None,
        problem: Reason | None = None,
    ) -> None:
        self.lock = lock
        self.workers: list[CopyWorker] = []
        self.stuck: list[CopyWorker] = []
        """Killed and given up, but not dead: in a call to a disk or share that does not return."""
        self.work_waits = False
        self._problem = problem
        self._setup = setup
        local = LocalProcesses(lock, bulk=cluster is None)
        self._groups = [_HostWorkers(local, size if cluster is None else 1)]
        if cluster is not None:
            self._groups.append(_HostWorkers(cluster, size))
        self._post = post
        self._lost: dict[str, list[str]] = {}
        """Temporaries of remote workers that were lost, and the folders they may be in: they are looked for once more.
        """
        self._ids = itertools.count(1)
        self._serial = itertools.count(1)
        self._backlog = threading.Semaphore(_BACKLOG)
        self._stopped = False

    @property
    def problems(self) -> list[Reason]:
        """Why workers do not run, or not as they should."""
        return [*filter(None, (self._problem, *(group.host.problem for group in self._groups)))]

    @property
    def task_seconds(self) -> float:
        """How long a task of files should take now."""
        return self._groups[-1].host.task_seconds

    def new_id(self) -> int:
        """A task id that was not used before."""
        return next(self._ids)

    def start_missing(self, now: float) -> None:
        """Start missing workers, with growing pauses where they keep dying, and none where all get stuck."""
        for group in self._groups:
            missing = group.size - sum(worker.group is group for worker in self.workers)
            group.host.note_demand(missing, self.work_waits)
            while (
                missing > 0
                and len(self.stuck) < max(_MAX_STUCK, group.size)
                and now >= group.next_start
                and not self._stopped
            ):
                try:
                    worker = self._start(group)
                except (OSError, RuntimeError) as error:
                    problem = error.strerror if isinstance(error, OSError) else NO_THREADS
                    self._problem = make_reason(ReasonCode.WORKERS_CANNOT_START, problem=problem)
                    group.next_start = now + 1.0
                    break
                if worker is None:  # a cluster without a place
                    break
                self.workers.append(worker)
                missing -= 1

    def send(self, worker: CopyWorker, task: Task) -> None:
        """Hand a task to a worker, without waiting for it. One that cannot take it is dying: that will be posted."""
        if not worker.tasks:
            worker.last_answer = time.monotonic()
        worker.tasks[task.id] = task
        worker.link.send(task)

    def broadcast(self, message: ReleaseFileSystem) -> None:
        """Tell all workers something, when they have done what they were handed before."""
        for worker in self.workers:
            worker.link.send(message)

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
            worker.link.set_pace(SetPace(rate, sleep_time, effort))

    @property
    def keeps_manifest(self) -> bool:
        """Whether it is noted what the destination holds, because its listing does not tell what is equal."""
        return bool(self._setup.manifest)

    @property
    def reading(self) -> int:
        """How many workers have files to copy or to read back."""
        return sum(any(isinstance(t, CopyTask | VerifyTask) for t in w.tasks.values()) for w in self.workers)

    def note_answer(self, message: WorkerAnswer, final: bool) -> Task | None:
        """Note an answer; returns the task, which is over if the answer is final. None if it is not known."""
        self._backlog.release()
        message.worker.last_answer = time.monotonic()
        task = message.worker.tasks.get(message.task)
        if final and task is not None:
            del message.worker.tasks[message.task]
            if isinstance(task, CopyTask):
                message.worker.group.deaths = 0
        return task

    def remove_dead(self, worker: CopyWorker) -> list[Task]:
        """Forget a worker that died; returns the tasks it had not answered."""
        if worker in self.workers:
            self.workers.remove(worker)
            group = worker.group
            group.deaths += 1
            # One that dies is replaced at once; where they keep dying, ever more rarely.
            if group.deaths > 1:
                group.next_start = time.monotonic() + min(0.1 * 2 ** min(group.deaths, 10), _MAX_PAUSE)
        worker.link.close()
        tasks = list(worker.tasks.values())
        worker.tasks.clear()
        worker.folders = folders_of(tasks)
        if not worker.link.has_ended:
            self.stuck.append(worker)
        elif worker.is_remote and worker.folders:
            self._lost[worker.temporary] = worker.folders
        return tasks

    def forget_stuck(self, worker: CopyWorker) -> bool:
        """Whether a worker that died is one that was stuck, and has been given up before."""
        if worker in self.stuck:
            self.stuck.remove(worker)
            return True
        return False

    def kill_hung(self, now: float) -> list[CopyWorker]:
        """Kill workers that have not said a word for too long, and give up those whom that does not end."""
        hung = [w for w in self.workers if w.may_hang and not w.hung and now - w.last_answer > _HUNG]
        for worker in hung:
            worker.hung = True
            worker.killed = now
            worker.link.kill()
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
        silence = min(now - worker.last_answer for worker in busy)
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
            worker.link.close()
        slow = _wait_for(self.workers, _LAST_WORDS)
        for worker in slow:
            worker.link.kill()
        _wait_for(slow, _AFTER_KILL)  # in a call to a share that hangs not even that helps
        for group in self._groups:
            group.host.close()
        left = [(worker.temporary, folders_of(list(worker.tasks.values()))) for worker in slow]
        return [*left, *((worker.temporary, worker.folders) for worker in self.stuck), *self._lost.items()]

    def _start(self, group: _HostWorkers) -> CopyWorker | None:
        name = f"{TEMPORARY_PREFIX}{self._setup.run}-{next(self._serial)}{TEMPORARY_SUFFIX}"
        worker = CopyWorker(group, name, last_answer=time.monotonic())

        def post_answers(task: int, answer: Answer | list[Answer]) -> None:
            for one in answer if isinstance(answer, list) else (answer,):
                while not self._stopped and not self._backlog.acquire(timeout=0.2):
                    pass
                if not self._stopped:
                    self._post(WorkerAnswer(worker, task, one))

        link = group.host.start(
            self._setup._replace(temporary=name),
            post_answers,
            lambda reason, at_fault: self._post(WorkerDied(worker, reason, at_fault)),
        )
        if link is None:
            return None
        worker.link = link
        return worker


def _wait_for(workers: list[CopyWorker], seconds: float) -> list[CopyWorker]:
    """Wait until workers have ended; returns those that have not."""
    deadline = time.monotonic() + seconds
    return [worker for worker in workers if not worker.link.wait(max(0.0, deadline - time.monotonic()))]


def least_busy(workers: list[CopyWorker], kind: type[Task]) -> CopyWorker | None:
    """Return the worker with the fewest tasks of those that may be given one of a kind; None where there is none."""
    return min((one for one in workers if one.takes(kind)), key=lambda worker: len(worker.tasks), default=None)


def folders_of(tasks: list[Task]) -> list[str]:
    """Folders in which a worker with these tasks may have had its temporary: theirs, and the top (to try times)."""
    if not tasks:
        return []
    return sorted({"", *(path.rpartition("/")[0] for t in tasks if isinstance(t, CopyTask) for path in t.paths)})


def is_final(answer: Answer) -> bool:
    """Whether a task is over with this answer."""
    return not isinstance(answer, Progress) and bool(getattr(answer, "final", True))
