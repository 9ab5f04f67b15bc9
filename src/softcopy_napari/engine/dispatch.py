"""Hands work to a target's copy workers and takes in what becomes of it.

Batches are sized by time, failures are retried with growing pauses, and the work of a worker that died
goes to the others.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

from softcopy_napari.engine.inventory import Inventory
from softcopy_napari.engine.pool import Died, Heard, Pool, WorkerProcess, folders_of, is_final
from softcopy_napari.engine.reconcile import Walks
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.tasks import (
    Answer,
    CompareTask,
    CopyDone,
    CopyTask,
    Progress,
    SweepTask,
    Task,
)
from softcopy_napari.engine.tracked import Batch
from softcopy_napari.engine.transfer import Outcome

_BATCH_SECONDS = 0.04
_MAX_BATCH = 512
_MAX_BATCH_CHARACTERS = 24_000
"""A message must fit into a pipe's buffer, or a stopped worker would stop the job."""
_RETRY_FIRST = 0.5
_RETRY_LAST = 60.0
_CHANGING_FIRST = 0.1
_CHANGING_LAST = 5.0
_MAX_DEATHS = 3

_STATES = {
    Outcome.COPIED: ChunkState.COPIED,
    Outcome.FOLDER: ChunkState.ABSENT,  # folders are not counted among the files
    Outcome.DELETED: ChunkState.ABSENT,
    Outcome.VANISHED: ChunkState.ABSENT,
    Outcome.CHANGED: ChunkState.WRITING,
    Outcome.FAILED: ChunkState.FAILED,
    Outcome.STOPPED: ChunkState.PENDING,
}


@dataclass(slots=True)
class Trouble:
    """A file that could not be copied so far."""

    reason: str = ""
    attempts: int = 0
    deaths: int = 0
    """Workers that died with it."""
    changes: int = 0
    """Times that it changed while it was read, in a row."""


class Dispatcher:
    """Stands between a target's job and its pool.

    Attributes
    ----------
    troubles : dict of str to Trouble
        Files that failed or keep changing, by path.
    files_copied, bytes_copied : int
        By this run.
    """

    def __init__(self, pool: Pool, inventory: Inventory, walks: Walks, quiet: float) -> None:
        self.troubles: dict[str, Trouble] = {}
        self.files_copied = 0
        self.bytes_copied = 0
        self._pool = pool
        self._inventory = inventory
        self._walks = walks
        self._quiet = quiet
        self._batches: dict[int, Batch] = {}
        self._compares: dict[int, list[tuple[str, int]]] = {}
        self._others: dict[int, Task] = {}
        self._under_way: dict[int, int] = {}
        self._urgent: deque[Task] = deque()
        self._again: list[tuple[float, str, bool]] = []
        """When to try which file again, and whether because it changed while it was read."""
        self._changing = 0
        """How many of them changed."""
        self._seconds_a_file = 0.01
        self._characters_a_path = 32.0

    @property
    def idle(self) -> bool:
        """Whether no worker has anything to do, and nothing waits to be retried soon."""
        return not (
            self._batches or self._compares or self._others or self._urgent or self._walks.waiting or self._changing
        )

    @property
    def bytes_moved(self) -> int:
        """Bytes copied, with those of large files that are not whole yet."""
        return self.bytes_copied + sum(self._under_way.values())

    def request(self, task: Task) -> None:
        """Have a task done before anything else."""
        self._urgent.append(task)

    def dispatch(self, now: float, copy: bool) -> None:
        """Give every worker enough to do; files to copy only if `copy`."""
        while self._again and self._again[0][0] <= now:
            _, path, changed = heapq.heappop(self._again)
            self._changing -= changed
            self._try_again(path)
        workers = [worker for worker in self._pool.workers if not worker.hung]
        if not workers:
            return
        while self._urgent:
            task = self._urgent.popleft()
            self._others[task.id] = task
            self._pool.send(min(workers, key=lambda worker: len(worker.tasks)), task)
        self._dispatch_walks(workers)
        if copy:
            self._dispatch_copies(workers)

    def _dispatch_walks(self, workers: list[WorkerProcess]) -> None:
        while self._walks.waiting:
            worker = max(workers, key=lambda worker: worker.room(CompareTask))
            if worker.room(CompareTask) <= 0:
                return
            folders = self._walks.next(len(workers))
            task = CompareTask(self._pool.new_id(), folders, self._quiet)
            self._compares[task.id] = folders
            self._pool.send(worker, task)

    def _dispatch_copies(self, workers: list[WorkerProcess]) -> None:
        while True:
            worker = max(workers, key=lambda worker: worker.room(CopyTask))
            if worker.room(CopyTask) <= 0:
                return
            batch = self._inventory.take(self._batch_size())
            if batch is None:
                return
            deleted = self._inventory.deleted
            gone = frozenset(path for path in batch.paths if path in deleted) if deleted else frozenset()
            task = CopyTask(self._pool.new_id(), batch.paths, gone)
            self._batches[task.id] = batch
            self._characters_a_path = sum(map(len, batch.paths)) / len(batch.paths)
            self._pool.send(worker, task)

    def _batch_size(self) -> int:
        by_time = int(_BATCH_SECONDS / self._seconds_a_file)
        by_length = int(_MAX_BATCH_CHARACTERS / self._characters_a_path)
        return max(1, min(by_time, by_length, _MAX_BATCH))

    def _try_again(self, path: str) -> None:
        if path not in self.troubles:
            return
        inventory = self._inventory
        inventory.changing.discard(path)
        match inventory.state(path):
            case ChunkState.FAILED:
                inventory.set_state(path, ChunkState.PENDING)
            case ChunkState.WRITING if path not in inventory.held:  # else its writer will say when
                inventory.set_state(path, ChunkState.PENDING)
            case ChunkState.ABSENT | ChunkState.COPIED | ChunkState.VERIFIED:  # no longer to be copied
                del self.troubles[path]

    def retry_all(self) -> None:
        """Try every file that failed once more, now."""
        for path in list(self.troubles):
            self._try_again(path)

    # -- answers --------------------------------------------------------------------------------------

    def heard(self, heard: Heard, now: float) -> Answer | None:
        """Take in an answer; returns it if it is for the job to act upon."""
        answer = heard.answer
        final = is_final(answer)
        if self._pool.take(heard, final) is None:
            return None  # of a worker that was given up
        if isinstance(answer, Progress):
            self._under_way[heard.task] = self._under_way.get(heard.task, 0) + answer.size
            return None
        if isinstance(answer, CopyDone):
            self._under_way.pop(heard.task, None)
            self._copied(self._batches.pop(heard.task), answer, now)
            return None
        if final:
            self._compares.pop(heard.task, None)
            self._others.pop(heard.task, None)
        return answer

    def _copied(self, batch: Batch, done: CopyDone, now: float) -> None:
        count = len(batch.paths)
        self._seconds_a_file += 0.3 * (max(done.seconds / count, 1e-6) - self._seconds_a_file)
        self.bytes_copied += done.size
        copied = done.outcomes.count(Outcome.COPIED)
        self.files_copied += copied
        if copied == count and not self.troubles and not self._inventory.deleted:
            self._inventory.finished(batch, ChunkState.COPIED)
            return
        states = []
        for number, path in enumerate(batch.paths):
            outcome = Outcome(done.outcomes[number])
            if outcome in (Outcome.FAILED, Outcome.CHANGED):
                self._note(path, outcome, done.reasons.get(number, ""), now)
            elif outcome is not Outcome.STOPPED:
                self.troubles.pop(path, None)
                if path not in self._inventory.changed:  # else it may have been deleted since
                    self._inventory.deleted.discard(path)
            states.append(_STATES[outcome])
        self._inventory.finished(batch, states)

    def _note(self, path: str, outcome: Outcome, reason: str, now: float) -> None:
        trouble = self.troubles.setdefault(path, Trouble())
        if outcome is Outcome.CHANGED:
            pause = min(_CHANGING_FIRST * 2 ** min(trouble.changes, 10), _CHANGING_LAST)
            trouble.changes += 1
        else:
            pause = min(_RETRY_FIRST * 2 ** min(trouble.attempts, 10), _RETRY_LAST)
            trouble.attempts += 1
            trouble.changes = 0
            trouble.reason = reason
        changed = outcome is Outcome.CHANGED
        self._changing += changed
        heapq.heappush(self._again, (now + pause, path, changed))

    def died(self, died: Died, now: float) -> None:
        """Hand the work of a dead worker to the others."""
        tasks = self._pool.bury(died.worker)
        folders = folders_of(tasks)
        if folders:
            self.request(SweepTask(self._pool.new_id(), folders, died.worker.temporary))
        why = "hung and was ended" if died.worker.hung else "died"
        for task in tasks:
            self._others.pop(task.id, None)
            self._under_way.pop(task.id, None)
            if isinstance(task, CopyTask):
                self._give_back(self._batches.pop(task.id), why, now)
            elif isinstance(task, CompareTask):
                self._walks.put_back(self._compares.pop(task.id))
            else:
                self._urgent.append(task)

    def _give_back(self, batch: Batch, why: str, now: float) -> None:
        """Files of a dead worker wait again; one that workers keep dying of is set aside."""
        self._seconds_a_file = 1.0  # small batches for a while: the next death shall name its file
        states = []
        for path in batch.paths:
            trouble = self.troubles.setdefault(path, Trouble())
            trouble.deaths += 1
            if trouble.deaths >= _MAX_DEATHS:
                reason = f"cannot be copied: the copy process {why}, {trouble.deaths} times"
                self._note(path, Outcome.FAILED, reason, now)
                states.append(ChunkState.FAILED)
            else:
                states.append(ChunkState.PENDING)
        self._inventory.finished(batch, states)

    def failed(self) -> dict[str, Trouble]:
        """Files that have failed and not been copied since."""
        return {path: trouble for path, trouble in self.troubles.items() if trouble.attempts}

    def unswept(self) -> list[tuple[str, list[str]]]:
        """Sweeps that were asked for and not done: temporaries, and the folders they may be in."""
        tasks = [*self._urgent, *self._others.values()]
        return [(task.temporary, task.folders) for task in tasks if isinstance(task, SweepTask)]
