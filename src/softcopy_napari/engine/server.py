"""The engine: runs the jobs of its targets and answers front ends over a local connection.

`python -m softcopy_napari.engine.server` is an engine process of its own: it reads its targets as JSON from
stdin, says on stdout where it can be reached or why it cannot start, and ends when its targets have ended.
`softcopy FILE` runs the same `Engine` in its own process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.context import AuthenticationError
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from softcopy_napari import __version__
from softcopy_napari.engine.dispatch.priority import lower_priority, lower_session
from softcopy_napari.engine.errors import NO_THREADS, TargetsError
from softcopy_napari.engine.job.preflight import check_clusters, validate_target
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.notify.notifier import Notifier
from softcopy_napari.engine.protocol.connection import MAX_ORDER, Connection, Listener, authenticate
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Order, Reply, TargetSnapshot
from softcopy_napari.engine.protocol.snapshot_delta import SnapshotDelta
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.session_limits import allow_many_files, fit_processes
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy, DestinationLock
from softcopy_napari.engine.state_folder.folder import private_folder, runs_folder, state_folder_errors
from softcopy_napari.engine.state_folder.ledger_folders import clean_state_folder, ledger_folder
from softcopy_napari.engine.state_folder.run_file import RunFile, own_start_time
from softcopy_napari.engine.targets.build import check_targets, no_answer_text
from softcopy_napari.engine.targets.target import Target, targets_from_json
from softcopy_napari.engine.targets.timeout import call_with_timeout

if TYPE_CHECKING:
    from softcopy_napari.engine.freeing.auto_freer import AutoFreer
    from softcopy_napari.engine.job.target_thread import TargetThread

_MOST_FRONT_ENDS = 100
"""Connections at a time: each takes a thread, and a file that a ledger might need."""
_FRONT_END_TIMEOUT = 10.0
"""Seconds that a front end has to prove that it knows the key, and to take an answer."""

log = logging.getLogger(__name__)


class Engine:
    """Copies or checks targets in parallel, until each has ended.

    Attributes
    ----------
    jobs : list of TargetThread
    run_file : RunFile
        What front ends need to reach the engine.
    notifier : Notifier
        To be closed when the engine is: the last notification may still be on its way.

    Raises
    ------
    TargetsError
        A target cannot be started; then none was, and nothing was touched.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        check_targets(targets)
        allow_many_files()
        processes, note = fit_processes([target.processes_here for target in targets])
        for target in targets:
            call_with_timeout(partial(validate_target, target), no_answer_text([target]))
        check_clusters(targets)
        clean_state_folder()
        self._started = time.time()
        self._resources: list[TargetResources] = []
        with contextlib.ExitStack() as undo:
            for target, count in zip(targets, processes, strict=True):
                fewer = note if count < target.processes_here else None
                one = TargetResources(target, _lock_destination(target), count, fewer)
                undo.callback(one.lock.release)
                undo.callback(one.pool.stop)
                self._resources.append(one)
            with state_folder_errors():
                self._listener = Listener(runs_folder())
            undo.callback(self._listener.close)
            self.jobs = _make_jobs(self._resources)
            undo.pop_all()
        self._freers = _make_freers(self.jobs)
        self.notifier = Notifier(targets, lambda: self.snapshot().targets)
        self._places = threading.Semaphore(_MOST_FRONT_ENDS)
        self._key = os.urandom(32)
        self.run_file = RunFile(
            pid=os.getpid(),
            process_started=own_start_time(),
            address=self._listener.address,
            key=self._key.hex(),
        )

    def start(self) -> None:
        """Start the jobs, and let front ends in.

        Raises
        ------
        TargetsError
            The system gives too few threads; then none of them goes on.
        """
        self._write_run_file(self.run_file)
        lower_priority()
        started = 0
        try:
            threading.Thread(target=self._accept_front_ends, name="accept", daemon=True).start()
            for job in self.jobs:
                job.start()
                started += 1
            for freer in self._freers.values():
                freer.start()
            self.notifier.start()
        except RuntimeError:
            for one in self._resources[started:]:
                one.pool.stop()
                one.lock.release()
            for job in self.jobs[:started]:
                job.order("stop")
                job.ended.wait(_FRONT_END_TIMEOUT)
            self._listener.close()
            self.run_file.path().unlink(missing_ok=True)
            raise TargetsError(NO_THREADS) from None

    def snapshot(self) -> EngineSnapshot:
        """Return the current state of all targets."""
        return EngineSnapshot(
            pid=os.getpid(),
            version=__version__,
            started=self._started,
            ended=self.ended,
            targets=tuple(self._snapshot_of(job) for job in self.jobs),
        )

    def _snapshot_of(self, job: TargetThread) -> TargetSnapshot:
        freer = self._freers.get(job.identity)
        return job.snapshot() if freer is None else freer.add_to(job.snapshot())

    @property
    def ended(self) -> bool:
        """Whether all targets have ended, and no source is to be freed any more."""
        return self.wait(0)

    def order(self, order: Order) -> Reason | None:
        """Carry out an order; return why that is not possible, or None."""
        jobs = [job for job in self.jobs if order.target in (None, job.identity)]
        if not jobs:
            return make_reason(ReasonCode.NO_SUCH_TARGET, target=order.target)
        if order.changes is not None:
            refusals = [refusal for job in jobs if (refusal := job.change(order.changes))]
            return refusals[0] if len(refusals) == len(jobs) else None
        if order.do != "snapshot":
            for job in jobs:
                job.order(order.do)
                if order.do == "stop" and job.identity in self._freers:
                    self._freers[job.identity].stop()
        return None

    def end_for_system(self) -> None:
        """Stop all targets because the system asks the process to end, which their users are told."""
        for job in self.jobs:
            job.order("terminate")
        for freer in self._freers.values():
            freer.stop(make_reason(ReasonCode.ENDED_BY_SYSTEM))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all targets have ended, and sources are freed; returns whether they have."""
        deadline = None if timeout is None else time.monotonic() + timeout
        events = [job.ended for job in self.jobs] + [freer.ended for freer in self._freers.values()]
        return all(event.wait(None if deadline is None else max(0.0, deadline - time.monotonic())) for event in events)

    def close(self) -> None:
        """Write the last snapshot into the run file, and let no front end in any more."""
        last = self.snapshot().model_copy(update={"ended": True})
        self._write_run_file(self.run_file.model_copy(update={"last": last}))
        self._listener.close()

    def _write_run_file(self, run: RunFile) -> None:
        """Write the run file; on a full disk it may fail: front ends do not find the engine then, but it copies."""
        try:
            run.write()
        except OSError as error:
            log.error("no word can be left in the state folder (%s): softcopy status will not know of this", error)

    # -- front ends -----------------------------------------------------------------------------------

    def _accept_front_ends(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                if self._listener.closed:
                    return
                time.sleep(0.1)  # no file left for the connection, for example
                continue
            if not self._places.acquire(blocking=False):
                connection.close()  # front ends call again; those who only keep places lose them soon
                continue
            try:
                threading.Thread(target=self._serve_front_end, args=(connection,), daemon=True).start()
            except RuntimeError:  # the system gives no more threads
                self._places.release()
                connection.close()

    def _serve_front_end(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(AuthenticationError, EOFError, OSError), contextlib.closing(connection):
                # In this connection's own thread: a stranger who says nothing keeps nobody else waiting.
                connection.set_time_limit(_FRONT_END_TIMEOUT)
                authenticate(connection, self._key, as_engine=True)
                delta = SnapshotDelta()
                while True:
                    connection.set_time_limit(None)
                    reply = self._answer(connection.recv_bytes(MAX_ORDER), delta)
                    connection.set_time_limit(_FRONT_END_TIMEOUT)
                    connection.send_bytes(reply.model_dump_json().encode())
        finally:
            self._places.release()

    def _answer(self, message: bytes, delta: SnapshotDelta) -> Reply:
        try:
            order = Order.model_validate_json(message)
        except ValidationError as error:
            return Reply(error=make_reason(ReasonCode.NOT_AN_ORDER, problem=error.errors()[0]["msg"]))
        problem = self.order(order)
        if problem:
            return Reply(error=problem)
        if not order.only_changes:
            delta.forget()
        return delta.encode(self.snapshot())


def _lock_destination(target: Target) -> DestinationLock:
    """Lock a target's destination. An engine that only watches on, its copy complete, gives way."""

    def end_watch_of(pid: int) -> None:
        from softcopy_napari.engine.client import end_watch

        end_watch(pid, target.destination)

    try:
        return DestinationLock(target.destination, "checked" if target.check else "filled", end_watch_of)
    except DestinationBusy as error:
        raise TargetsError(str(error)) from None


def _make_jobs(resources: Sequence[TargetResources]) -> list[TargetThread]:
    """Make the targets' threads, and start their copy processes."""
    for one in resources:
        one.pool.start_missing(time.monotonic())
    # What these need (numpy) takes as long to import as a copy process takes to start: both at once.
    from softcopy_napari.engine.job.check_job import CheckJob
    from softcopy_napari.engine.job.copy_job import CopyJob

    return [
        (CheckJob if one.target.check else CopyJob)(one, str(number), ledger_folder() / str(number))
        for number, one in enumerate(resources, start=1)
    ]


def _make_freers(jobs: Sequence[TargetThread]) -> dict[str, AutoFreer]:
    """Make what frees the sources of targets that say so, each once nobody here copies from it any more."""
    wanted = [job for job in jobs if job.target.free is not None and not job.target.check]
    if not wanted:
        return {}
    from softcopy_napari.engine.freeing.auto_freer import AutoFreer
    from softcopy_napari.engine.freeing.other_targets import overlap

    return {
        job.identity: AutoFreer(
            job.target,
            job.snapshot,
            [job.ended, *(one.ended for one in jobs if overlap(one.target.source, job.target.source))],
        )
        for job in wanted
    }


def log_to_file() -> Path:
    """Send the log to a file of this engine's in the state folder; returns its path."""
    folder = private_folder("logs")
    for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-20]:
        old.unlink(missing_ok=True)
    path = folder / f"engine-{os.getpid()}.log"
    logging.basicConfig(filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    return path


def main() -> None:
    """Run an engine process: targets from stdin, one line about the start on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        targets = targets_from_json(sys.stdin.buffer.read())
        log_to_file()
        engine = Engine(targets)
        if hasattr(signal, "SIGTERM"):
            signal.signal(signal.SIGTERM, lambda *_: engine.end_for_system())
        engine.start()
    except (TargetsError, ValueError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(2)
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=lower_session, args=(os.getpid(), True), daemon=True).start()
    with contextlib.suppress(OSError):  # who started it may have gone
        print(json.dumps({"run": str(engine.run_file.path())}), flush=True)
        sys.stdout.close()
    while not engine.wait(0.5):  # in steps: signals are handled between them
        pass
    engine.close()
    engine.notifier.close()
    os._exit(0)  # threads that a hanging share holds must not keep the process


if __name__ == "__main__":
    main()
