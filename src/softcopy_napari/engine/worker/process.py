"""The copy process: `python -m softcopy_napari.engine.worker.process`, driven by its pool through stdin and stdout.

It handles files and knows little of zarr. When stdin closes, the process ends whatever it is doing, so that an engine
that dies takes its workers with it. It starts in tens of milliseconds and stays under 25 MB.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import BinaryIO

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_times import NO_VERSION, pack_version
from softcopy_napari.engine.fs.followed_links import make_source_folder
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.content_checker import CheckOutcome, find_damage
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.native import load_board_setter
from softcopy_napari.engine.worker.pause_gate import PauseGate
from softcopy_napari.engine.worker.sides.destination_side import DestinationSide, WorkerControl
from softcopy_napari.engine.worker.source_reads import read_source
from softcopy_napari.engine.worker.tasks import (
    Answer,
    CompareTask,
    CopyDone,
    CopyTask,
    Flushed,
    FlushTask,
    FreeSpaceTask,
    Identity,
    Inspected,
    InspectTask,
    Listed,
    ListTask,
    ProbeTask,
    Progress,
    Reached,
    ReachTask,
    ReadTask,
    ReleaseFileSystem,
    SetPace,
    Setup,
    SweepTask,
    Swept,
    Synced,
    SyncTask,
    TailTask,
    Task,
    VerifyDone,
    VerifyTask,
    read_message,
    write_message,
)
from softcopy_napari.engine.worker.token_bucket import TokenBucket
from softcopy_napari.engine.zarr_layout.probe import probe_source

_PROGRESS_INTERVAL = 0.25
"""Seconds between reports on a large file."""
_COMPARE_SLICE = 0.005
"""Seconds for which folders are compared before the results are sent and a waiting copy begins."""
_GRACE = 1.5
"""Seconds that a worker has to end by itself once its engine has gone."""


class Worker:
    """Carries out tasks in their order, and folder comparisons in the gaps between copies."""

    def __init__(self, setup: Setup, tasks: SimpleQueue[Task | ReleaseFileSystem | None], out: BinaryIO) -> None:
        self._setup = setup
        self._tasks = tasks
        self._out = out
        self._stopping = False
        self._comparisons: deque[tuple[int, Iterator[FolderDiff | FolderBatch | Listed]]] = deque()
        self._source = make_source_folder(setup.source, setup.destination, setup.links)
        stopping, alive = lambda: self._stopping, lambda: self._report_progress(0)
        self._throttle = TokenBucket(setup.rate, setup.sleep_time, stopping, alive)
        self._gate = PauseGate(setup.board, setup.effort, stopping, alive, load_board_setter())
        control = WorkerControl(
            stopping, self._note_copied_block, self._note_read_block, lambda: self._throttle.is_overdue
        )
        self._side = _make_side(setup, self._source, control)
        self._task_id = 0
        self._unreported = 0
        self._last_report = 0.0

    def stop(self) -> None:
        """Stop the current copy at its next block; called from the reading thread."""
        self._stopping = True

    def set_pace(self, pace: SetPace) -> None:
        """Change the pace at once; called from the reading thread."""
        self._throttle.set_pace(pace.rate, pace.sleep_time)
        self._gate.effort = pace.effort

    def run(self) -> None:
        """Carry out tasks until the queue yields None."""
        while True:
            try:
                task = self._tasks.get(block=not self._comparisons)
            except Empty:
                self._advance_comparison()
                continue
            if task is None:
                return
            self._carry_out(task)
            self._gate.end_work()
            if self._comparisons:  # copies must not block the walk that finds what to copy
                self._advance_comparison()

    def _carry_out(self, task: Task | ReleaseFileSystem) -> None:
        match task:
            case CopyTask():
                self._copy_files(task)
            case CompareTask():
                self._comparisons.append((task.id, self._side.compare_folders(task)))
            case ListTask():
                self._comparisons.append((task.id, self._side.list_everything()))
            case VerifyTask():
                self._verify_files(task)
            case InspectTask():
                self._inspect_files(task)
            case ReachTask():
                self._send(task.id, self._check_destination(task.claim, ask_clock=True))
            case ProbeTask():
                found = probe_source(self._setup.source, self._setup.any_files)
                self._side.add_evidence(found, task.folders, task.samples)
                if task.samples:
                    found.obstacle = self._check_destination().obstacle
                self._send(task.id, found)
            case ReadTask() | TailTask():
                self._send(task.id, read_source(self._setup.source, task))
            case SweepTask():
                if self._check_destination().obstacle is None:
                    with self._open_sides(None):
                        self._side.remove_temporaries(task.folders, task.temporary)
                self._send(task.id, Swept())
            case SyncTask():
                self._flush_files(task)
            case FlushTask():
                self._send(task.id, self._flush_destination())
            case ReleaseFileSystem():
                self._side.release()
            case FreeSpaceTask():
                self._send(task.id, self._side.measure_free_space())

    def _begin_task(self, task_id: int) -> float:
        """Note the start of a task that reports progress, and return its time."""
        self._task_id = task_id
        self._unreported = 0
        self._last_report = time.perf_counter()
        self._gate.wait()
        self._throttle.begin_task()
        return self._work_time()

    def _work_time(self) -> float:
        """Return the time on a clock that stands still while a writer is waited for, s."""
        return time.perf_counter() - self._gate.waited

    @contextlib.contextmanager
    def _open_sides(
        self, source: Identity | None, to_write: bool = False
    ) -> Iterator[tuple[bool, DestinationProblem | None]]:
        """Open both sides; yield whether the source is lost, and what is wrong with the destination."""
        lost, obstacle = False, None
        try:
            self._source.open(source)
        except OSError:
            lost = source is not None
        obstacle = self._side.open(to_write=to_write)
        try:
            yield lost, obstacle
        finally:
            self._source.close()
            self._side.close()

    def _check_destination(self, claim: bool = False, ask_clock: bool = False) -> Reached:
        """Check the destination; return what is wrong with it and what it lies on."""
        try:
            obstacle = self._side.open(claim=claim)
            clock = self._side.read_clock() if ask_clock and obstacle is None else 0
        finally:
            self._side.close()
        return Reached(obstacle, self._side.file_system, clock)

    def _flush_destination(self) -> Flushed:
        """Flush the destination, and check that it was not unmounted meanwhile: then the flush was in vain."""
        with self._open_sides(None) as (_, obstacle):
            since = self._side.held_since
            error = self._side.flush() if obstacle is None else ""
        obstacle = obstacle or self._check_destination().obstacle
        return Flushed("" if obstacle else error, obstacle, since)

    def _flush_files(self, task: SyncTask) -> None:
        started = self._begin_task(task.id)
        count, failed = 0, dict[str, str]()
        with self._open_sides(None) as (_, obstacle):
            if obstacle is None:
                count, failed = self._side.flush_files(task.paths, self._should_continue, task.folders_only)
        if failed:
            obstacle = self._check_destination().obstacle
        self._send(task.id, Synced(count, failed, self._work_time() - started, obstacle))

    def _should_continue(self) -> bool:
        self._report_progress(0)
        self._gate.wait()
        return not self._stopping

    def _copy_files(self, task: CopyTask) -> None:
        started = self._begin_task(task.id)
        outcomes = bytearray()
        digests = []
        versions = []
        reasons = {}
        copied = 0
        together = not self._throttle.is_limiting  # after each of them
        with self._open_sides(task.source, to_write=True) as (lost, obstacle):
            if not (lost or obstacle):
                results = self._side.copy_files(task, together)
                for outcome, size, digest, reason, error, modified in results:
                    outcomes.append(outcome)
                    digests.append(digest or NO_DIGEST)
                    versions.append(pack_version(modified, size) if digest else NO_VERSION)
                    copied += size if outcome in (CopyOutcome.COPIED, CopyOutcome.DAMAGED) else 0
                    if reason:
                        reasons[len(outcomes) - 1] = reason
                    if error is not None:
                        obstacle = self._side.diagnose(error)
                        break
                    if self._stopping or (self._throttle.is_limiting and self._throttle.pay_for_file(size)):
                        break
                    self._gate.wait()
        missing = len(task.paths) - len(outcomes)
        outcomes += bytes([CopyOutcome.STOPPED]) * missing
        digests += [NO_DIGEST] * missing
        versions += [NO_VERSION] * missing
        seconds = self._work_time() - started
        done = CopyDone(bytes(outcomes), b"".join(digests), copied, reasons, seconds, obstacle, lost)
        done = done._replace(versions=b"".join(versions), remarks=self._side.remarks, at_a_time=self._side.at_a_time)
        self._send(task.id, done._replace(held_since=self._side.held_since, flushed=not self._side.left_unflushed))

    def _verify_files(self, task: VerifyTask) -> None:
        started = self._begin_task(task.id)
        done = VerifyDone(bytes([CheckOutcome.STOPPED]) * len(task.paths), NO_DIGEST * len(task.paths), 0, {})
        with self._open_sides(task.source) as (lost, obstacle):
            if not (lost or obstacle):
                done = self._side.read_back(task)
        seconds = self._work_time() - started
        self._send(task.id, done._replace(seconds=seconds, obstacle=obstacle or done.obstacle, lost=lost))

    def _inspect_files(self, task: InspectTask) -> None:
        self._begin_task(task.id)
        damaged = {}
        with self._open_sides(task.source) as (lost, _):
            for path in () if lost else task.paths:
                with contextlib.suppress(OSError):
                    size = self._source.stat(path).st_size
                    if reason := find_damage(self._source, path, size, task.chunk_format):
                        damaged[path] = reason
                if not self._should_continue():
                    break
        self._send(task.id, Inspected(damaged))

    def _note_copied_block(self, size: int) -> None:
        self._report_progress(size)
        self._throttle.pay_for_block(size)
        self._gate.wait()

    def _note_read_block(self, size: int) -> bool:
        self._throttle.pay(size)
        return self._should_continue()

    def _advance_comparison(self) -> None:
        """Compare for a moment and send the results: a part of a large folder, or many small folders."""
        task_id, parts = self._comparisons[0]
        self._gate.wait()
        until = self._work_time() + _COMPARE_SLICE
        found = []
        for part in parts:
            found.append(part)
            if self._work_time() > until:
                break
            self._gate.wait()
        else:
            self._comparisons.popleft()
        self._gate.end_work()
        if found:
            self._send(task_id, found)

    def _report_progress(self, size: int) -> None:
        self._unreported += size
        now = time.perf_counter()
        if now - self._last_report >= _PROGRESS_INTERVAL:
            self._send(self._task_id, Progress(self._unreported))
            self._unreported = 0
            self._last_report = now

    def _send(self, task_id: int, answer: Answer | list[FolderDiff | FolderBatch | Listed]) -> None:
        write_message(self._out, (task_id, answer))


def _make_side(setup: Setup, source: RootFolder, control: WorkerControl) -> DestinationSide:
    """Make the destination's side: what is not needed for it is not imported."""
    if setup.manifest:
        from softcopy_napari.engine.worker.sides.store_side import StoreSide

        return StoreSide(setup, source, control)
    from softcopy_napari.engine.worker.sides.local_side import LocalSide

    return LocalSide(setup, source, control)


def _read_tasks(stream: BinaryIO, tasks: SimpleQueue[Task | ReleaseFileSystem | None], worker: Worker) -> None:
    """Pass tasks on until the engine closes the pipe, then end the process."""
    try:
        while True:
            message = read_message(stream)
            if isinstance(message, SetPace):
                worker.set_pace(message)
            else:
                tasks.put(message)
    except (EOFError, OSError, pickle.UnpicklingError):
        worker.stop()
        tasks.put(None)
        time.sleep(_GRACE)
        os._exit(1)  # still in a read that does not return


def main() -> None:
    """Serve the engine on stdin and stdout until it closes them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the engine decides
    stdin = sys.stdin.buffer
    # Printed output must not end up between messages.
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    gc.freeze()
    gc.disable()  # there are no cycles to collect, and stat results trigger it every few hundred files
    try:
        setup: Setup = read_message(stdin)
    except EOFError:  # the engine could not start after all
        return
    tasks: SimpleQueue[Task | ReleaseFileSystem | None] = SimpleQueue()
    worker = Worker(setup, tasks, stdout)
    threading.Thread(target=_read_tasks, args=(stdin, tasks, worker), daemon=True).start()
    code = 0
    try:
        worker.run()
    except OSError:  # the engine has gone
        pass
    except BaseException:
        import traceback  # imported late: it takes as long as the rest of a worker's start

        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # the reading thread may still be blocked in its pipe


if __name__ == "__main__":
    main()
