"""Hands work to a target's copy workers and takes in what becomes of it.

Batches are sized by time, what fails comes again (retries.py), and the work of a worker that died goes to the others.
"""

from __future__ import annotations

from collections import deque

from softcopy_napari.engine.capabilities import Remark
from softcopy_napari.engine.clashes import Clashes
from softcopy_napari.engine.copy_rules import CopyRules
from softcopy_napari.engine.digests import LINK
from softcopy_napari.engine.flushing import Flushing
from softcopy_napari.engine.folder_part import FolderPart
from softcopy_napari.engine.inventory import Inventory
from softcopy_napari.engine.links import KEEP
from softcopy_napari.engine.links_out import LinksOut
from softcopy_napari.engine.obstacle import Kind, Obstacle
from softcopy_napari.engine.outcome import Outcome
from softcopy_napari.engine.pool import OUTSTANDING, Died, Heard, Pool, WorkerProcess, folders_of, is_final
from softcopy_napari.engine.probe import Probe
from softcopy_napari.engine.proof import ProofBatch, Prover
from softcopy_napari.engine.readback import NO_DIGEST, Finding
from softcopy_napari.engine.reconcile import Walks
from softcopy_napari.engine.retries import Retries
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.tasks import (
    Answer,
    CompareTask,
    CopyDone,
    CopyTask,
    Flushed,
    FlushTask,
    Identity,
    Progress,
    ProofDone,
    ProofTask,
    Reached,
    ReachTask,
    RoomTask,
    SweepTask,
    Synced,
    SyncTask,
    Task,
)
from softcopy_napari.engine.tracked import Batch, TrackedArray

_BATCH_SECONDS = 0.04
_MAX_BATCH = 512
_TRY_OBSTACLE = 3.0
"""Seconds between looks whether an obstacle is still there."""
_CLOCK, _CLOCK_AT_REST = 10.0, 2.0
"""Seconds between readings of the destination's clock while files are copied, and when all have been."""
_LOOK = 30.0
"""Seconds without anything else after which it is looked whether the destination is still there."""

_STATES = {
    Outcome.COPIED: ChunkState.COPIED,
    Outcome.EQUAL: ChunkState.COPIED,
    Outcome.FOLDER: ChunkState.ABSENT,  # folders are not counted among the files
    Outcome.DELETED: ChunkState.ABSENT,
    Outcome.VANISHED: ChunkState.ABSENT,
    Outcome.CHANGED: ChunkState.WRITING,
    Outcome.FAILED: ChunkState.FAILED,
    Outcome.TOO_LARGE: ChunkState.FAILED,
    Outcome.STOPPED: ChunkState.PENDING,
    Outcome.BLOCKED: ChunkState.PENDING,
    Outcome.TORN: ChunkState.WRITING,
    Outcome.KEPT: ChunkState.ABSENT,  # not among what was copied
    Outcome.DAMAGED: ChunkState.COPIED,
}


class Dispatcher:
    """Stands between a target's job and its pool.

    Attributes
    ----------
    retries : Retries
        Files that failed or keep changing.
    files_copied, bytes_copied : int
        By this run.
    published : int
        Whatever was changed at the destination by this run: files copied or deleted, folders made.
    sizes : dict of TrackedArray to list of int
        Files of each array copied by this run and their bytes; None stands for files that are no chunks.
    prover : Prover
        Reads back what has arrived.
    flushing : Flushing
        Has what was written stored.
    source : tuple of int and int, or None
        What the source is known by.
    source_lost : bool
        A worker found that the source is not there, or is another folder.
    obstacle : Obstacle or None
        Why the destination takes nothing now.
    taken_away : bool
        The destination was there and then was not: what its system had not written down may be lost.
    replaces_metadata : bool
        Whether metadata that were changed at the destination are replaced.
    as_it_is : bool
        Whether chunk files are copied even if they cannot be whole. They are FAILED then, and in `Inventory.damaged`.
    remarks : int
        What the user should know of the destination, see `Remark`.
    links : LinksOut
        Links of the source of which only the link is copied.
    """

    def __init__(
        self,
        pool: Pool,
        inventory: Inventory,
        walks: Walks,
        quiet: float,
        verify: bool = False,
        links: str = KEEP,
    ) -> None:
        self.prover = Prover(inventory, verify)
        self.flushing = Flushing(pool, inventory)
        self.source: Identity | None = None
        self.source_lost = False
        self.obstacle: Obstacle | None = None
        self.taken_away = False
        self.as_it_is = self.replaces_metadata = False
        self.remarks = 0
        self.links = LinksOut(links)
        self._clashes = Clashes()
        self.retries = Retries(inventory)
        self.files_copied = 0
        self.published = 0
        self.bytes_copied = 0
        self.sizes: dict[TrackedArray | None, list[int]] = {}
        self._pool = pool
        self._inventory = inventory
        self._walks = walks
        self._quiet = quiet
        self._batches: dict[int, Batch] = {}
        self._compares: dict[int, list[tuple[str, int]]] = {}
        self._others: dict[int, Task] = {}
        self._under_way: dict[int, int] = {}
        self._urgent: deque[Task] = deque()
        self.claimed = False
        """Whether the destination was made and marked by this run."""
        self._proofs: dict[int, ProofBatch] = {}
        self._next_try = 0.0
        self._trying = False
        self._next_look = 0.0
        self._clock_read = 0.0
        self._came_since_clock = False
        """Whether files have arrived since the destination's clock was read."""
        self._look = 0
        """The task of a look whether the destination is there, while it is not answered."""
        self._seconds_a_file = 0.01
        self._seconds_a_proof = 0.01

    @property
    def idle(self) -> bool:
        """Whether no worker has anything to do, and nothing waits to be retried soon."""
        return not (
            self._batches
            or self._compares
            or self._walks.waiting
            or self.retries.changing
            or self.flushing.awaited
            # Whether there is room, and the destination, is asked every now and then: nothing waits for the answer.
            or any(not isinstance(t, RoomTask) and t.id != self._look for t in (*self._others.values(), *self._urgent))
        )

    @property
    def at_rest(self) -> bool:
        """Whether no worker has anything to answer."""
        return self.idle and not (self._others or self._urgent or self._proofs)

    @property
    def bytes_moved(self) -> int:
        """Bytes copied, with those of large files that are not whole yet."""
        return self.bytes_copied + sum(self._under_way.values())

    def request(self, task: Task) -> None:
        """Have a task done before anything else; a flush, when what is being copied is whole."""
        if isinstance(task, FlushTask):
            self.flushing.ask(task)
        else:
            self._urgent.append(task)

    def release(self, marker: str) -> None:
        """Leave the destination alone, without its mark; it is claimed again before anything is done there."""
        self.claimed = False
        self.request(SweepTask(self._pool.new_id(), [""], marker))

    def dispatch(self, now: float, copy: bool, compare: bool = True) -> None:
        """Give every worker enough to do: files to copy only if `copy`, and folders to compare only if `compare`."""
        hopeless = self._inventory.versions.hopeless
        while hopeless:
            self.retries.give_up(*hopeless.popitem())
        self.retries.due(now)
        workers = [worker for worker in self._pool.workers if not worker.hung]
        if not workers:
            return
        while self._urgent:
            task = self._urgent.popleft()
            self._others[task.id] = task
            self._pool.send(min(workers, key=lambda worker: len(worker.tasks)), task)
        if not compare:
            return
        if self.obstacle is not None:
            self._try_obstacle(workers, now, copy)
        if self.obstacle is None or self.obstacle.kind is not Kind.GONE:
            self._dispatch_walks(workers)
        if copy and self.obstacle is None:
            self._dispatch_copies(workers, now)
            self._dispatch_proofs(workers, now)
        self.flushing.dispatch(workers, now, bool(self._batches), copy and self.obstacle is None)
        self.look_at_destination_if_due(now)

    def look_at_destination_if_due(self, now: float) -> None:
        """Now and then, see whether the destination is still there, and what its clock says when files have come."""
        stale = self._came_since_clock and now - self._clock_read > (_CLOCK if self._batches else _CLOCK_AT_REST)
        if (now >= self._next_look or stale) and self.claimed and self.obstacle is None and not self._look:
            task = ReachTask(self._pool.new_id(), claim=False)
            self._look = task.id
            self.request(task)

    def _try_obstacle(self, workers: list[WorkerProcess], now: float, copy: bool) -> None:
        """Now and then, see whether the destination is there again, and whether it takes a file."""
        if self._trying or now < self._next_try or self._batches or self.obstacle is None:
            return
        self._trying = True
        worker = min(workers, key=lambda worker: len(worker.tasks))
        if self.obstacle.kind is not Kind.GONE and copy:
            if not self._dispatch_copy(worker, 1, now):
                self._overcome()  # nothing is left to be copied
            return
        task = ReachTask(self._pool.new_id(), claim=not self.claimed)
        self._others[task.id] = task
        self._pool.send(worker, task)

    def try_now(self) -> None:
        """See at once whether an obstacle is still there."""
        self._next_try = 0.0

    def _meet(self, obstacle: Obstacle, now: float) -> None:
        """The destination takes nothing now."""
        self.obstacle = obstacle
        self.taken_away = self.taken_away or (obstacle.away and self.claimed)
        self._trying = False
        self._next_try = now + _TRY_OBSTACLE

    def _overcome(self) -> None:
        self.obstacle = None
        self._trying = False

    def _dispatch_walks(self, workers: list[WorkerProcess]) -> None:
        while self._walks.waiting:
            worker = max(workers, key=lambda worker: worker.room(CompareTask))
            if worker.room(CompareTask) <= 0:
                return
            folders = self._walks.next(len(workers))
            current = self._walks.current
            last = current is not None and current.full and self.prover.finishing
            task = CompareTask(self._pool.new_id(), folders, self._quiet, self.source, fresh_attributes=last)
            self._compares[task.id] = folders
            self._pool.send(worker, task)

    def _dispatch_copies(self, workers: list[WorkerProcess], now: float) -> None:
        while self._inventory.queue.waiting:
            worker = max(workers, key=lambda worker: worker.room(CopyTask))
            if worker.room(CopyTask) <= 0:
                return
            if not self._dispatch_copy(worker, self._batch_size(self._seconds_a_file), now):
                return

    def _dispatch_copy(self, worker: WorkerProcess, limit: int, now: float) -> bool:
        """Have a worker copy up to `limit` files; returns whether there were any."""
        batch = self._inventory.queue.take(limit)
        if batch is None:
            return False
        if self._clashes and any(map(self._clashes.blocks, batch.paths)):
            blocked = map(self._clashes.blocks, batch.paths)
            self._inventory.finished(batch, [ChunkState.FAILED if one else ChunkState.PENDING for one in blocked])
            return True
        deleted = self._inventory.writers.deleted
        gone = frozenset(path for path in batch.paths if path in deleted) if deleted else frozenset()
        unsettled = self._inventory.writers.unsettled
        copied = None
        if not self.replaces_metadata and batch.array is None:
            digests = self._inventory.copied_metadata
            copied = {path: digests[path] for path in batch.paths if path in digests}
        rules = CopyRules(batch.chunk_format, self.as_it_is, self._quiet if unsettled else 0.0, copied)
        unsettled = unsettled.intersection(batch.paths) if unsettled else unsettled
        task = CopyTask(self._pool.new_id(), batch.paths, gone, self.source, rules, frozenset(unsettled))
        self._batches[task.id] = batch
        self.flushing.hand_out(worker, batch, now)
        self._pool.send(worker, task)
        return True

    def _dispatch_proofs(self, workers: list[WorkerProcess], now: float) -> None:
        """Give those who have nothing to copy something to read back."""
        if not self.prover.wanted:
            return
        for worker in workers:
            if worker.room(CopyTask) < OUTSTANDING or worker.room(ProofTask) < OUTSTANDING:
                continue
            proof = self.prover.take(self._batch_size(self._seconds_a_proof), now)
            if proof is None:
                return
            batch = proof.batch
            chunk_format = None if batch.array is None else batch.array.layout.chunk_format
            known, verify, remembered = proof.digests, self.prover.verify, proof.remembered
            task = ProofTask(self._pool.new_id(), batch.paths, known, verify, self.source, chunk_format, remembered)
            self._proofs[task.id] = proof
            self._pool.send(worker, task)

    def _batch_size(self, seconds: float) -> int:
        """Files of a batch, each of which takes so long."""
        return max(1, min(int(_BATCH_SECONDS / seconds), _MAX_BATCH))

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
            self.flushing.copied(heard.worker, answer.held_since, now)
            self._copied(self._batches.pop(heard.task), answer, now)
            return None
        if isinstance(answer, ProofDone):
            self._proven(self._proofs.pop(heard.task), answer, now)
            return None
        if final:
            self._under_way.pop(heard.task, None)
            self._compares.pop(heard.task, None)
            self._others.pop(heard.task, None)
        if isinstance(answer, FolderPart):
            self.links.take(answer)
        if isinstance(answer, FolderPart) and answer.last and not answer.unchanged:
            self._take_clashes(answer)
        if isinstance(answer, Reached):
            return self._reached(heard.task, answer, now)
        if isinstance(answer, FolderPart | Synced | Flushed | Probe) and answer.obstacle is not None:
            self._meet(answer.obstacle, now)
        if isinstance(answer, Synced):
            for path, reason in answer.failed.items() if answer.obstacle is None else ():
                if self._inventory.state(path) in (ChunkState.COPIED, ChunkState.VERIFIED):
                    self._inventory.set_state(path, ChunkState.FAILED)
                    self.retries.mismatch(path, True, reason, now)
            return self.flushing.synced(heard.task, answer)
        return self.flushing.flushed(answer) if isinstance(answer, Flushed) else answer

    def _take_clashes(self, part: FolderPart) -> None:
        """Names that are one at the destination: neither is copied, or one would overwrite the other."""
        before, now = self._clashes.replace(part.folder, part.clashes)
        for path, reason in now.items():
            self.retries.give_up(path, reason)
            if self._inventory.state(path) in (ChunkState.PENDING, ChunkState.COPIED, ChunkState.VERIFIED):
                self._inventory.set_state(path, ChunkState.FAILED)
        if over := before.keys() - now.keys():
            self.retries.forget(over)
            self._inventory.replace_all(ChunkState.FAILED, ChunkState.PENDING)

    def _reached(self, task: int, answer: Reached, now: float) -> Reached | None:
        """Take in a look at the destination; returns it if it is for the job."""
        self._next_look = now + _LOOK
        if answer.obstacle is not None:
            self._meet(answer.obstacle, now)
        else:
            self.claimed = True
            self.flushing.file_system = answer.file_system
            self._clock_read, self._came_since_clock = now, False
            self.prover.note_clock(answer.clock)
            if answer.file_system.uploader:
                self.remarks |= Remark.STORED_LATER
            self._overcome()
        if task == self._look:
            self._look = 0
            return None
        return answer

    def _took(self, answer: CopyDone | ProofDone, now: float) -> None:
        """Take in what an answer tells of the two sides as a whole."""
        self._next_look = now + _LOOK
        if answer.lost:
            self.source_lost = True
        elif answer.obstacle is not None:
            self._meet(answer.obstacle, now)
        elif self.obstacle is not None and self._trying:
            self._overcome()
        self._trying = False

    def _proven(self, proof: ProofBatch, done: ProofDone, now: float) -> None:
        self._took(done, now)
        count = len(proof.batch.paths)
        looked_at = count - done.findings.count(Finding.STOPPED)
        self._seconds_a_proof = _mean(self._seconds_a_proof, done.seconds, looked_at)
        for path, finding, reason in self.prover.take_in(proof, done):
            if finding in (Finding.EQUAL, Finding.HASHED):
                self._inventory.damaged[path] = reason  # at the source, too
                self._inventory.set_state(path, ChunkState.FAILED)
                continue
            self._inventory.damaged.pop(path, None)
            self.prover.start_anew()
            if finding is Finding.MOVED:
                self._inventory.set_state(path, ChunkState.PENDING)
                continue
            self._inventory.set_state(path, ChunkState.FAILED)
            self.retries.mismatch(path, finding is Finding.DIFFERENT, reason, now)

    def _copied(self, batch: Batch, done: CopyDone, now: float) -> None:
        count = len(batch.paths)
        self._took(done, now)
        looked_at = count - done.outcomes.count(Outcome.STOPPED)  # a worker that is held back returns the rest
        self._seconds_a_file = _mean(self._seconds_a_file, done.seconds, looked_at)
        self.bytes_copied += done.size
        inventory = self._inventory
        copied = done.outcomes.count(Outcome.COPIED) + done.outcomes.count(Outcome.DAMAGED)
        self.files_copied += copied
        self._came_since_clock = self._came_since_clock or copied > 0
        self.published += copied + done.outcomes.count(Outcome.DELETED) + done.outcomes.count(Outcome.FOLDER)
        self.remarks |= done.remarks
        if copied or Outcome.EQUAL in done.outcomes:
            self.prover.start_anew()
            inventory.arrived(batch, _digests(done), done.versions)
        if copied:
            seen = self.sizes.setdefault(batch.array, [0, 0])
            seen[0] += copied
            seen[1] += done.size
        odd = self.retries.troubles or inventory.writers.deleted or inventory.damaged or inventory.kept or done.reasons
        if copied == count and not odd:
            inventory.finished(batch, ChunkState.COPIED)
            return
        states = []
        for number, path in enumerate(batch.paths):
            outcome = Outcome(done.outcomes[number])
            if outcome not in (Outcome.STOPPED, Outcome.BLOCKED):
                inventory.damaged.pop(path, None)
                inventory.torn.pop(path, None)
            if outcome is Outcome.TORN and self.as_it_is:  # handed over before the acquisition was finished
                states.append(ChunkState.PENDING)
                continue
            if outcome in (Outcome.FAILED, Outcome.TOO_LARGE, Outcome.CHANGED, Outcome.TORN):
                self.retries.note(path, outcome, done.reasons.get(number, ""), now)
                if outcome is Outcome.TORN and number in done.reasons:
                    inventory.torn[path] = done.reasons[number]
            elif outcome not in (Outcome.STOPPED, Outcome.BLOCKED):
                self.retries.copied(path)
                if path not in inventory.writers.changed:  # else it may have been deleted since
                    inventory.writers.deleted.discard(path)
                if outcome is Outcome.VANISHED:
                    inventory.writers.note_left(path)
                elif outcome is Outcome.DELETED:
                    inventory.writers.note_deleted(path)
            states.append(_STATES[outcome])
            if outcome is Outcome.KEPT:
                inventory.kept[path] = done.reasons.get(number, "")
            else:
                inventory.kept.pop(path, None)
            if outcome is Outcome.DAMAGED:
                inventory.damaged[path] = done.reasons[number]
                if batch.array is not None and not self.prover.verify:  # else it is read back first
                    states[-1] = ChunkState.FAILED
        inventory.finished(batch, states)

    def died(self, died: Died, now: float) -> None:
        """Hand the work of a dead worker to the others, or of one that is stuck."""
        if self._pool.returned(died.worker):
            # Its last call may have brought an older version after all.
            for folder in died.worker.folders:
                self._walks.ask(folder)
            if died.worker.folders:
                self.request(SweepTask(self._pool.new_id(), died.worker.folders, died.worker.temporary))
            return
        tasks = self._pool.bury(died.worker)
        self.flushing.died(died.worker)
        folders = folders_of(tasks)
        if folders:
            self.request(SweepTask(self._pool.new_id(), folders, died.worker.temporary))
        why = "hung and was ended" if died.worker.hung else "died"
        for task in tasks:
            self._others.pop(task.id, None)
            self._under_way.pop(task.id, None)
            if isinstance(task, CopyTask):
                self._give_back(self._batches.pop(task.id), why, now)
            elif isinstance(task, ProofTask):
                del self._proofs[task.id]
                self.prover.give_back()
            elif isinstance(task, CompareTask):
                self._walks.put_back(self._compares.pop(task.id))
            elif isinstance(task, FlushTask | SyncTask):
                self.flushing.give_back(task)
            else:
                self._urgent.append(task)

    def _give_back(self, batch: Batch, why: str, now: float) -> None:
        """Files of a dead worker wait again; one that workers keep dying of is set aside."""
        self._seconds_a_file = 1.0  # small batches for a while: the next death shall name its file
        states = []
        for path in batch.paths:
            set_aside = self.retries.death(path, why, now)
            self._inventory.damaged.pop(path, None)
            states.append(ChunkState.FAILED if set_aside else ChunkState.PENDING)
        self._inventory.finished(batch, states)

    def unswept(self) -> list[tuple[str, list[str]]]:
        """Sweeps that were asked for and not done: temporaries, and the folders they may be in."""
        tasks = [*self._urgent, *self._others.values()]
        return [(task.temporary, task.folders) for task in tasks if isinstance(task, SweepTask)]


def _mean(before: float, seconds: float, files: int) -> float:
    """Seconds a file, by the answers so far and one more."""
    return before + 0.3 * (max(seconds / max(1, files), 1e-6) - before)


def _digests(done: CopyDone) -> bytes:
    """The digests of a batch; what was copied without one is a link."""
    if NO_DIGEST not in done.digests:
        return done.digests
    parts = [done.digests[at : at + 16] for at in range(0, len(done.digests), 16)]
    return b"".join(
        LINK if part == NO_DIGEST and outcome == Outcome.COPIED else part
        for part, outcome in zip(parts, done.outcomes, strict=True)
    )
