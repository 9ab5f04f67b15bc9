"""Starts a target's workers on a Dask cluster, passes tasks on in time, and notices which workers come and go.

A thread submits tasks, when the source may be read; one takes in what Dask says; one looks once a second which workers
there are, and does what takes a round trip. A lost worker is a dead copy process. One that does not begin what it was
given, because other people's tasks keep it busy, is asked again later.
"""

from __future__ import annotations

import logging
import pickle
import queue
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from softcopy_napari import __version__
from softcopy_napari.engine.dask_workers import on_worker
from softcopy_napari.engine.dask_workers.cluster import Cluster
from softcopy_napari.engine.dask_workers.dask_link import DaskLink
from softcopy_napari.engine.dask_workers.demand import Demand
from softcopy_napari.engine.dask_workers.scheduler import call_in_background, close, connect, list_workers
from softcopy_napari.engine.dask_workers.source_evidence import gather_evidence
from softcopy_napari.engine.dask_workers.source_turns import SourceTurns
from softcopy_napari.engine.dask_workers.worker_messages import (
    TOPIC,
    ProcessEnd,
    ProcessRequest,
    ProcessStarted,
    ProcessTask,
    SourceEvidence,
)
from softcopy_napari.engine.dispatch.worker_link import AnswerHandler, EndHandler
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.tasks import Identity, SetPace, Setup, Task

if TYPE_CHECKING:
    from distributed import Client, Future

_TICK = 1.0
_SKEW = 1.0
"""Seconds by which the clock of a machine may differ: what changes at the source is told by times."""
_PATIENCE = 20.0
"""Seconds that a Dask worker may be busy with other things before what it was given goes elsewhere."""
_SMALL, _USUAL = 0.08, 0.25
"""Seconds that a task takes beside a writer, and when there is none: submitting one takes about a millisecond."""
_GATHERED = 64
"""Results that are fetched together at most."""
_RECONNECT = 5.0
_CLOSE = 2.0
_KEEP = 15.0
"""Seconds after which Dask workers are told that the engine is still there."""

log = logging.getLogger(__name__)


class DaskHost:
    """The cluster's side of one target.

    Parameters
    ----------
    scheduler : str
        Its address, or the path of its file.
    setup : Setup
        The target's.
    size : int
        Workers that are wanted.

    Attributes
    ----------
    problem : Reason or None
        Why there are no workers, or which of them cannot be used.
    """

    is_remote = True

    def __init__(self, scheduler: str, setup: Setup, size: int) -> None:
        self.problem: Reason | None = None
        self._scheduler = scheduler
        self._turns = SourceTurns(setup.source, setup.board, setup.effort, 2 * size)
        self._pace = SetPace(setup.rate, setup.sleep_time)
        self._source = setup.source
        self._evidence: SourceEvidence | None = None
        self._client: Client | None = None
        self._cluster = Cluster(scheduler)
        self._links: dict[str, DaskLink] = {}
        self._demand = Demand(size)
        self._lock = threading.Lock()
        """Held while `_links` is changed."""
        self._messages: queue.SimpleQueue[tuple[DaskLink | str, int, Any] | None] = queue.SimpleQueue()
        """What Dask says: the link or its key, the task (0 for the opening), and a future or a number of bytes."""
        self._ready = threading.Event()
        """Set when a task may be there to be sent."""
        self._stopping = False
        self._kept = 0.0
        for work in (self._watch, self._submit, self._listen):
            threading.Thread(target=work, name=f"dask-{work.__name__}", daemon=True).start()

    # -- for the pool ---------------------------------------------------------------------------------

    @property
    def task_seconds(self) -> float:
        """How long a task should take now."""
        return _SMALL if self._turns.writer_is_at_work else _USUAL

    @property
    def compares(self) -> bool:
        """Whether folders may be compared on the cluster now: a comparison takes no notice of a writer there."""
        return not self._turns.writer_is_at_work

    def note_demand(self, missing: int, waiting: bool) -> None:
        """Note how many workers are missing, and whether there is work for them."""
        self._demand.note(missing if waiting else 0)

    def start(self, setup: Setup, on_answer: AnswerHandler, on_end: EndHandler) -> DaskLink | None:
        """Begin to start a copy process where there is a place; see `WorkerHost.start`."""
        with self._lock:
            taken = [link.place.address for link in self._links.values()]
        place = self._cluster.find_place(taken)
        if self._client is None or place is None or self._stopping:
            return None
        self._turns.effort = setup.effort
        key = uuid.uuid4().hex
        # The activity board is one of this machine.
        request = ProcessRequest(key, setup._replace(board=""), __version__)
        link = DaskLink(request, place, self, on_answer, on_end)
        with self._lock:
            self._links[key] = link
        self._cluster.add_request("start", link)
        return link

    def close(self) -> None:
        """Let go of the cluster."""
        self._stopping = True
        self._turns.stop()
        self._ready.set()
        self._cluster.end_requests()
        self._messages.put(None)

    # -- for the links --------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look for tasks that may go."""
        self._ready.set()

    def end_process(self, link: DaskLink, at_once: bool) -> None:
        """Have a copy process ended."""
        self._cluster.add_request("kill" if at_once else "end", link)

    def spread_pace(self, pace: SetPace) -> None:
        """Tell all copy processes a pace; it is called for each of them, and done once."""
        self._turns.effort = pace.effort
        new = SetPace(pace.rate, pace.sleep_time)
        if new != self._pace:
            self._pace = new
            self._cluster.add_request("pace", None)

    # -- submitting -----------------------------------------------------------------------------------

    def _submit(self) -> None:
        while not self._stopping:
            self._ready.wait()
            self._ready.clear()
            while (link := self._next_link()) is not None and self._turns.acquire():
                task = link.next_task()
                if task is None or not self._send(link, task):
                    self._turns.release()

    def _next_link(self) -> DaskLink | None:
        with self._lock:
            able = [link for link in self._links.values() if link.has_tasks]
        return min(able, key=lambda link: len(link.under_way), default=None)

    def _send(self, link: DaskLink, task: Task) -> bool:
        client = self._client
        source: Identity | None = getattr(task, "source", None)
        if client is None:
            return False
        message = ProcessTask(link.request.key, task, self._pace, self._evidence_of(source) if source else None)
        kind = type(task).__name__.removesuffix("Task").lower()
        try:
            future = self._call(client, link, kind, on_worker.carry_out, message)
        except Exception as error:  # the client is being closed, and says so in several ways
            log.info("%s: %s", link.name, error)
            return False
        link.note_sent(task, future)
        future.add_done_callback(lambda future: self._messages.put((link, task.id, future)))
        return True

    def _call(self, client: Client, link: DaskLink, what: str, function: Any, message: object) -> Future[Any]:
        return client.submit(
            function,
            pickle.dumps(message, pickle.HIGHEST_PROTOCOL),
            key=f"softcopy-{what}-{uuid.uuid4()}",
            workers=[link.place.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _evidence_of(self, source: Identity) -> SourceEvidence:
        if self._evidence is None or self._evidence.identity != source:
            self._evidence = gather_evidence(self._source, source)
        return self._evidence

    # -- listening ------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while (first := self._messages.get()) is not None:
            messages = [first]
            while len(messages) < _GATHERED:
                try:
                    more = self._messages.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    return
                messages.append(more)
            results = self._gather([what for _, _, what in messages if not isinstance(what, int)])
            for whose, task, what in messages:
                if isinstance(what, int):
                    link = self._links.get(whose) if isinstance(whose, str) else None
                    if link is not None:
                        link.note_begun(task, what)
                elif isinstance(whose, DaskLink):
                    self._apply(whose, task, what, results.get(what.key))

    def _gather(self, futures: list[Future[Any]]) -> dict[str, bytes]:
        """Fetch results; those that cannot be had are left out."""
        client = self._client
        done = [future for future in futures if future.status == "finished"]
        if client is None or not done:
            return {}
        try:
            return dict(client.gather({future.key: future for future in done}, errors="skip"))
        except Exception as error:  # the worker, or the scheduler, has just gone: Dask raises what its parts raise
            log.info("results were lost: %s", error)
            return {}

    def _apply(self, link: DaskLink, task: int, future: Future[Any], result: bytes | None) -> None:
        """Take in the result of a task, or its loss."""
        if task:
            self._turns.release()
        if result is None and future.status == "error":
            problem = _first_line(str(future.exception(timeout=_CLOSE)))
            reason = make_reason(ReasonCode.DASK_CANNOT_START, host=link.machine, problem=problem)
            self._end(link, ProcessEnd(reason, unfit=True))
        elif result is None:
            self._end(link, self._loss_of(link))
        elif not task:
            self._apply_opened(link, pickle.loads(result))
        elif over := link.note_answer(task, pickle.loads(result)):
            self._end(link, over)
        else:
            self._cluster.note_success(link.place.address)
        self._ready.set()

    def _apply_opened(self, link: DaskLink, opened: ProcessStarted) -> None:
        problem = opened.problem
        skew = max(opened.clock - time.time(), link.asked_at - opened.clock)
        if problem is None and skew > _SKEW:
            problem = make_reason(ReasonCode.DASK_CLOCK, host=opened.host, seconds=round(skew))
        if problem is None:
            link.note_opened(opened)
        else:
            self._end(link, ProcessEnd(problem, unfit=True))

    def _loss_of(self, link: DaskLink) -> ProcessEnd:
        reason = make_reason(ReasonCode.DASK_WORKER_LOST, worker=link.place.address, host=link.machine)
        return ProcessEnd(reason if link.is_at_work else None, at_fault=link.is_at_work)

    def _end(self, link: DaskLink, over: ProcessEnd) -> None:
        """Note that a copy process is no more, and leave nothing of it on the cluster."""
        reason = over.reason
        if over.unfit and reason is not None and not self._cluster.hold(link.place.address, reason):
            reason = None  # it may be a matter of seconds
        with self._lock:
            self._links.pop(link.request.key, None)
        if link.end(reason, over.at_fault):
            self._cluster.add_request("end", link)

    # -- the cluster's side ---------------------------------------------------------------------------

    def _watch(self) -> None:
        next_poll = 0.0
        while (requests := self._cluster.wait_for_requests(max(0.01, next_poll - time.monotonic()))) is not None:
            client = self._client
            if client is not None:
                self._do(client, requests)
            if time.monotonic() >= next_poll:
                self._poll_workers()
                next_poll = time.monotonic() + _TICK
        if (client := self._client) is not None:
            self._demand.withdraw()
            close(client)

    def _do(self, client: Client, requests: list[tuple[str, DaskLink | None]]) -> None:
        for what, link in requests:
            if what == "start" and link is not None and not link.has_ended:
                link.asked_at = time.time()
                try:
                    future = self._call(client, link, "start", on_worker.start_process, link.request)
                except Exception as error:  # as above
                    log.info("%s: %s", link.name, error)
                    self._end(link, ProcessEnd())
                    continue
                link.opening = future
                future.add_done_callback(lambda future, link=link: self._messages.put((link, 0, future)))
        for what in ("end", "kill"):
            if ending := [link for one, link in requests if one == what and link is not None]:
                call_in_background(self._end_processes, client, ending, what == "kill")
        if any(what == "pace" for what, _ in requests):
            keys = self._processes()
            call_in_background(
                client.run, on_worker.set_pace, list(keys), self._pace, workers=list(set(keys.values())),
                on_error="ignore",
            )  # fmt: skip

    def _processes(self) -> dict[str, str]:
        """Return the keys of all copy processes, and where they are."""
        with self._lock:
            return {link.request.key: link.place.address for link in self._links.values()}

    def _keep_processes(self, client: Client) -> None:
        """Say now and then that their engine is still there."""
        now = time.monotonic()
        if now - self._kept > _KEEP and (processes := self._processes()):
            self._kept = now
            addresses = list(set(processes.values()))
            call_in_background(
                client.run, on_worker.keep_processes, list(processes), workers=addresses, on_error="ignore"
            )

    def _end_processes(self, client: Client, links: list[DaskLink], at_once: bool) -> None:
        """End copy processes, and take back what they were given; returns when they have ended."""
        futures = [future for link in links for future in link.pop_futures()]
        if futures:
            client.cancel(futures)
        keys, addresses = [link.request.key for link in links], list({link.place.address for link in links})
        client.run(on_worker.end_processes, keys, at_once, workers=addresses, on_error="ignore")
        for link in links:
            if not at_once:  # else what it was at tells of its end
                self._end(link, ProcessEnd())

    def _poll_workers(self) -> None:
        """See which workers there are, and that they begin what they were given."""
        client = self._client
        try:
            if client is None:
                client = self._connect()
            self._cluster.workers = list_workers(client)
        except (OSError, TimeoutError, TargetsError, RuntimeError) as error:
            self._lose_scheduler(str(error))
            return
        there, now = {worker.address for worker in self._cluster.workers}, time.monotonic()
        with self._lock:
            links = list(self._links.values())
        for link in links:
            if link.place.address not in there:
                self._end(link, self._loss_of(link))
            elif link.waits_since and now - link.waits_since > _PATIENCE:
                self._cluster.hold(link.place.address, None)
                self._end(link, ProcessEnd())
        self._keep_processes(client)
        self._demand.update(client, len(links))
        self.problem = self._cluster.problem

    def _connect(self) -> Client:
        client = connect(self._scheduler, timeout=_RECONNECT)
        client.subscribe_topic(TOPIC, self._note_event)
        self._client = client
        return client

    def _note_event(self, event: tuple[float, Any]) -> None:
        """Pass on a sign of life; called in Dask's own thread."""
        key, task, size = event[1]
        if key in self._links:
            self._messages.put((key, task, size))

    def _lose_scheduler(self, why: str) -> None:
        """Note that the scheduler does not answer: all copy processes are lost, and it is called again and again."""
        self.problem = make_reason(ReasonCode.DASK_UNREACHABLE, scheduler=self._scheduler)
        log.info("no scheduler: %s", why)
        client, self._client = self._client, None
        self._cluster.workers = []
        with self._lock:
            links = list(self._links.values())
        for link in links:
            self._end(link, ProcessEnd())
        self._turns.forget()
        self._demand.forget()
        if client is not None:
            call_in_background(close, client)


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]
