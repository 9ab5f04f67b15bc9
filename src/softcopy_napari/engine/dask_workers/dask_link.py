"""A copy process on a cluster, as a pool's worker: it keeps its tasks until they may go, one after another."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from softcopy_napari.engine.dask_workers.scheduler import DaskWorker
from softcopy_napari.engine.dask_workers.worker_messages import (
    ProcessAnswer,
    ProcessEnd,
    ProcessRequest,
    ProcessStarted,
)
from softcopy_napari.engine.dispatch.worker_link import AnswerHandler, EndHandler
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.tasks import BULK_TASKS, CompareTask, Progress, ReleaseFileSystem, SetPace, Task

if TYPE_CHECKING:
    from distributed import Future

_CALLED = "Dask worker {} on {}"


class LinkHost(Protocol):
    """What a link asks of its host."""

    @property
    def compares(self) -> bool:
        """Whether folders may be compared on the cluster now."""

    def wake(self) -> None:
        """Look for tasks that may go."""

    def end_process(self, link: DaskLink, at_once: bool) -> None:
        """Have a copy process ended."""

    def spread_pace(self, pace: SetPace) -> None:
        """Tell all copy processes a pace, even those at work."""


class DaskLink:
    """One copy process, as its pool reaches it.

    Parameters
    ----------
    request : ProcessRequest
    place : DaskWorker
        Where it is.
    host : LinkHost
    on_answer, on_end : callable
        See `WorkerHost.start`.

    Attributes
    ----------
    request, place
        As given.
    under_way : dict of int to Future
        What the cluster has been given and has not answered, by the task's id.
    machine : str
        The name of its machine, as far as that is known.
    asked_at : float
        Unix time at which the process was asked for.
    waits_since : float
        Monotonic time at which the cluster was given what it has not begun yet; 0 while there is no such thing.
    """

    def __init__(
        self,
        request: ProcessRequest,
        place: DaskWorker,
        host: LinkHost,
        on_answer: AnswerHandler,
        on_end: EndHandler,
    ) -> None:
        self.request, self.place = request, place
        self.under_way: dict[int, Future[Any]] = {}
        self.opening: Future[Any] | None = None
        self.waits_since = time.monotonic()
        self.machine = place.host
        self.asked_at = 0.0
        self._host = host
        self._on_answer, self._on_end = on_answer, on_end
        self._waiting: deque[Task] = deque()
        self._begun: set[int] = set()
        self._open = False
        self._closing = False
        self._ended = threading.Event()
        self._once = threading.Lock()

    @property
    def name(self) -> str:
        """What to call it."""
        return _CALLED.format(self.place.address, self.machine)

    @property
    def is_at_work(self) -> bool:
        """Whether it has begun what it was given."""
        return bool(self._begun)

    @property
    def has_ended(self) -> bool:
        """Whether it can do nothing any more, as far as that is known."""
        return self._ended.is_set()

    def takes(self, kind: type[Task]) -> bool:
        """Whether it may be given tasks of a kind now."""
        if not self._open or self._closing or self.has_ended:
            return False
        return issubclass(kind, BULK_TASKS) or (issubclass(kind, CompareTask) and self._host.compares)

    def send(self, message: Task | ReleaseFileSystem) -> None:
        """Give it something to do."""
        if not isinstance(message, ReleaseFileSystem):
            self._waiting.append(message)
            self._host.wake()

    def set_pace(self, pace: SetPace) -> None:
        """Say how fast all of them may go from now on."""
        self._host.spread_pace(pace)

    def close(self) -> None:
        """Have its process end, in time."""
        if not self._closing:
            self._closing = True
            self._host.end_process(self, at_once=False)

    def kill(self) -> None:
        """Have its process end at once."""
        self._host.end_process(self, at_once=True)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        return self._ended.wait(seconds)

    # -- for its host ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return a task that may go to the cluster, if there is one, which it then has."""
        return self._waiting.popleft() if self.has_tasks else None

    @property
    def has_tasks(self) -> bool:
        """Whether a task may go to the cluster.

        A Dask worker with one thread has the next one ready; with more, another thread would wait for the first.
        """
        most = 2 if self.place.threads == 1 else 1
        return bool(self._waiting) and len(self.under_way) < most and not self.has_ended

    def pop_futures(self) -> list[Future[Any]]:
        """Return what the cluster has not answered, to be cancelled."""
        futures = list(self.under_way.values())
        if self.opening is not None:
            futures.append(self.opening)
        return futures

    def note_sent(self, task: Task, future: Future[Any]) -> None:
        """Note that the cluster has a task."""
        if not self.under_way:
            self.waits_since = time.monotonic()
        self.under_way[task.id] = future

    def note_begun(self, task: int, size: int) -> None:
        """Note a sign of life, and the bytes that were copied meanwhile."""
        if task in self.under_way:
            self._begun.add(task)
            self.waits_since = 0.0
            self._on_answer(task, Progress(size))

    def note_opened(self, opened: ProcessStarted) -> None:
        """Note that its process runs."""
        self.machine, self._open = opened.host, True
        self.opening, self.waits_since = None, 0.0

    def note_answer(self, task: int, answer: ProcessAnswer) -> ProcessEnd | None:
        """Note what became of a task; return the process's end, if it is that."""
        self.under_way.pop(task, None)
        self._begun.discard(task)
        self.waits_since = time.monotonic() if self.under_way and not self._begun else 0.0
        if answer.over is not None:
            return answer.over
        self._on_answer(task, list(answer.answers))
        return None

    def end(self, reason: Reason | None = None, at_fault: bool = False) -> bool:
        """Note that it has ended; return whether that is news."""
        with self._once:
            if self._ended.is_set():
                return False
            self._ended.set()
        self._waiting.clear()
        self._on_end(reason, at_fault)
        return True
