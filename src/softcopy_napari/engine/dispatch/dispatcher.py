"""Hands work to a target's copy workers and takes in what becomes of it.

Batches are sized by time, what fails comes again (retries.py), and the work of a worker that died goes to the others.
"""

from __future__ import annotations

from collections import deque

from softcopy_napari.engine.checksums.read_back_queue import ReadBackQueue, VerifyBatch
from softcopy_napari.engine.destination.availability import DestinationAvailability
from softcopy_napari.engine.destination.clashing_files import ClashingFiles
from softcopy_napari.engine.dispatch.batch_size import BatchSize
from softcopy_napari.engine.dispatch.copy_results import CopyResults
from softcopy_napari.engine.dispatch.destination_listing import DestinationListing
from softcopy_napari.engine.dispatch.flush_scheduler import FlushScheduler
from softcopy_napari.engine.dispatch.retries import Retries
from softcopy_napari.engine.dispatch.worker_pool import (
    OUTSTANDING,
    CopyWorker,
    WorkerAnswer,
    WorkerDied,
    WorkerPool,
    folders_of,
    is_final,
    least_busy,
)
from softcopy_napari.engine.fs.capabilities import Remark
from softcopy_napari.engine.fs.followed_links import KEEP
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.source.links_out import LinksOut
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.worker.tasks import (
    Answer,
    CompareTask,
    CopyDone,
    CopyTask,
    Flushed,
    FlushTask,
    FreeSpaceTask,
    Identity,
    Listed,
    Progress,
    Reached,
    ReachTask,
    SweepTask,
    Synced,
    SyncTask,
    Task,
    VerifyDone,
    VerifyTask,
)
from softcopy_napari.engine.zarr_layout.probe import SourceProbe


class Dispatcher:
    """Hands a target's work to its copy workers, and notes what their answers say.

    Attributes
    ----------
    retries : Retries
        Files that failed or keep changing.
    read_back : ReadBackQueue
        Reads back what has arrived.
    flushing : FlushScheduler
        Has what was written stored.
    source : tuple of int and int, or None
        What the source is known by.
    source_lost : bool
        A worker found that the source is not there, or is another folder.
    replaces_metadata : bool
        Whether metadata that were changed at the destination are replaced.
    results : CopyResults
        What has become of the files that were copied.
    destination : DestinationAvailability
        Whether the destination is there, and takes files.
    links : LinksOut
        Links of the source of which only the link is copied.
    """

    def __init__(
        self,
        pool: WorkerPool,
        inventory: Inventory,
        walks: WalkPlanner,
        quiet: float,
        verify: bool = False,
        links: str = KEEP,
    ) -> None:
        self.read_back = ReadBackQueue(inventory, verify)
        self.flushing = FlushScheduler(pool, inventory)
        self.source: Identity | None = None
        self.source_lost = False
        self.replaces_metadata = False
        self.destination = DestinationAvailability()
        self.links = LinksOut(links)
        self._listing = DestinationListing(pool.keeps_manifest)
        self._clashes = ClashingFiles()
        self.retries = Retries(inventory)
        self.results = CopyResults(inventory, self.retries, self.read_back)
        self._pool = pool
        self._inventory = inventory
        self._walks = walks
        self._quiet = quiet
        self._batches: dict[int, Batch] = {}
        self._compares: dict[int, list[tuple[str, int]]] = {}
        self._others: dict[int, Task] = {}
        self._under_way: dict[int, int] = {}
        self._urgent: deque[Task] = deque()
        self._read_backs: dict[int, VerifyBatch] = {}
        self._copy_size, self._check_size = BatchSize(), BatchSize()

    @property
    def idle(self) -> bool:
        """Whether no worker has anything to do, and nothing waits to be retried soon."""
        return not (
            self._batches
            or self._compares
            or self._walks.waiting
            or self.retries.changing
            or self.flushing.awaited
            or any(map(self._is_awaited, (*self._others.values(), *self._urgent)))
        )

    def _is_awaited(self, task: Task) -> bool:
        # Whether there is room, and the destination, is asked every now and then: nothing waits for the answer.
        return not isinstance(task, FreeSpaceTask) and task.id != self.destination.check_task

    @property
    def at_rest(self) -> bool:
        """Whether no worker has anything to answer."""
        return self.idle and not (self._others or self._urgent or self._read_backs)

    @property
    def bytes_moved(self) -> int:
        """Bytes copied, with those of large files that are not whole yet."""
        return self.results.bytes_copied + sum(self._under_way.values())

    def request(self, task: Task) -> None:
        """Have a task done before anything else; a flush, when what is being copied is whole."""
        if isinstance(task, FlushTask):
            self.flushing.request_flush(task)
        else:
            self._urgent.append(task)

    def release_destination(self, marker: str) -> None:
        """Leave the destination alone, without its mark; it is claimed again before anything is done there."""
        self.destination.claimed = False
        self.request(SweepTask(self._pool.new_id(), [""], marker))

    def dispatch(self, now: float, copy: bool, compare: bool = True) -> None:
        """Give every worker enough to do: files to copy only if `copy`, and folders to compare only if `compare`."""
        hopeless = self._inventory.versions.hopeless
        while hopeless:
            self.retries.give_up(*hopeless.popitem())
        self.retries.retry_due(now)
        self._copy_size.seconds = self._check_size.seconds = self._pool.task_seconds
        workers = [worker for worker in self._pool.workers if not worker.hung]
        if not workers:
            return
        waiting, self._urgent = self._urgent, deque()
        self._urgent.extend([task for task in waiting if not self._send_any(workers, task)])
        if not compare:
            return
        if self.destination.problem is not None:
            self._try_obstacle(workers, now, copy)
        if self.destination.problem is None or not self.destination.problem.out_of_reach:
            self._dispatch_walks(workers)
        if copy and self.destination.problem is None:
            self._dispatch_copies(workers, now)
            self._dispatch_read_back(workers, now)
        self.flushing.source_device = self.source[0] if self.source is not None else 0
        self.flushing.dispatch(workers, now, bool(self._batches), copy and self.destination.problem is None)
        self._pool.work_waits = bool(self._urgent or self._walks.waiting or (copy and self._inventory.queue.waiting))
        self.check_destination_if_due(now)

    def _send_any(self, workers: list[CopyWorker], task: Task) -> bool:
        """Hand a task to the least busy worker of those that take it; return whether there is one."""
        if worker := least_busy(workers, type(task)):
            self._others[task.id] = task
            self._pool.send(worker, task)
        return worker is not None

    def check_destination_if_due(self, now: float) -> None:
        """Now and then, see whether the destination is still there, and what its clock says when files have come."""
        if self.destination.check_is_due(now, bool(self._batches)):
            task = ReachTask(self._pool.new_id(), claim=False)
            self.destination.check_task = task.id
            self.request(task)

    def _try_obstacle(self, workers: list[CopyWorker], now: float, copy: bool) -> None:
        """Now and then, see whether the destination is there again, and whether it takes a file."""
        destination = self.destination
        if destination.problem is None or self._batches or not destination.begin_retry(now):
            return
        if destination.problem.out_of_reach or not copy:
            self._send_any(workers, ReachTask(self._pool.new_id(), claim=not destination.claimed))
        elif (worker := least_busy(workers, CopyTask)) and not self._dispatch_copy(worker, 1, now):
            if self._inventory.queue.waiting:
                return
            destination.note_available()  # nothing is left to be copied

    def _dispatch_walks(self, workers: list[CopyWorker]) -> None:
        if self._walks.waiting and not self._listing.is_done_for(self._walks.full_begun):
            if self._listing.is_wanted:
                self._send_any(workers, self._listing.begin(self._pool.new_id(), self._walks.full_begun))
            return
        while self._walks.waiting:
            worker = max(workers, key=lambda worker: worker.free_slots(CompareTask))
            if worker.free_slots(CompareTask) <= 0:
                return
            folders = self._walks.take_folders(len(workers))
            last = self._walks.is_full and self.read_back.finishing
            task = CompareTask(self._pool.new_id(), folders, self._quiet, self.source, last, self._walks.flushes)
            self._compares[task.id] = folders
            self._pool.send(worker, task)

    def _dispatch_copies(self, workers: list[CopyWorker], now: float) -> None:
        while self._inventory.queue.waiting:
            worker = max(workers, key=lambda worker: worker.free_slots(CopyTask))
            if worker.free_slots(CopyTask) <= 0 or not self._dispatch_copy(worker, self._copy_size.files, now):
                return

    def _dispatch_copy(self, worker: CopyWorker, limit: int, now: float) -> bool:
        """Have a worker copy up to `limit` files; returns whether there were any."""
        batch = self._inventory.queue.take_batch(limit)
        if batch is None:
            return False
        if self._clashes and any(map(self._clashes.blocks, batch.paths)):
            blocked = map(self._clashes.blocks, batch.paths)
            self._inventory.note_results(batch, [ChunkState.FAILED if one else ChunkState.PENDING for one in blocked])
            return True
        deleted = self._inventory.writers.deleted
        gone = frozenset(path for path in batch.paths if path in deleted) if deleted else frozenset()
        unsettled = self._inventory.writers.unsettled
        copied = None
        if not (self.replaces_metadata or batch.files.holds_chunks):
            digests = self._inventory.copied_metadata
            copied = {path: digests[path] for path in batch.paths if path in digests}
        rules = PublishRules(batch.chunk_format, self.results.as_it_is, self._quiet if unsettled else 0.0, copied)
        unsettled = unsettled.intersection(batch.paths) if unsettled else unsettled
        task = CopyTask(self._pool.new_id(), batch.paths, gone, self.source, rules, frozenset(unsettled))
        self._batches[task.id] = batch
        self.flushing.note_handed_out(worker, task.id, batch, now)
        self._pool.send(worker, task)
        return True

    def _dispatch_read_back(self, workers: list[CopyWorker], now: float) -> None:
        """Give those who have nothing to copy something to read back."""
        if not self.read_back.wanted:
            return
        for worker in workers:
            if worker.free_slots(CopyTask) < OUTSTANDING or worker.free_slots(VerifyTask) < OUTSTANDING:
                continue
            handed_out = self.read_back.take_batch(self._check_size.files, now)
            if handed_out is None:
                return
            batch = handed_out.batch
            chunk_format = batch.files.chunk_format
            digests, verify = handed_out.digests, self.read_back.verify
            task = VerifyTask(
                self._pool.new_id(), batch.paths, digests, verify, self.source, chunk_format, handed_out.known
            )
            self._read_backs[task.id] = handed_out
            self._pool.send(worker, task)

    def apply_answer(self, message: WorkerAnswer, now: float) -> Answer | None:
        """Note what a worker's answer says; returns the answer if the job has to act upon it."""
        answer = message.answer
        final = is_final(answer)
        if self._pool.note_answer(message, final) is None:
            return None  # of a worker that was given up
        if isinstance(answer, Progress):
            self._under_way[message.task] = self._under_way.get(message.task, 0) + answer.size
            return None
        if isinstance(answer, CopyDone):
            self._under_way.pop(message.task, None)
            self.flushing.note_copied(message.worker, message.task, answer, now)
            self._apply_copies(self._batches.pop(message.task), answer, now)
            return None
        if isinstance(answer, VerifyDone):
            self._handle_read_back(self._read_backs.pop(message.task), answer, now)
            return None
        for tasks in (self._under_way, self._compares, self._others) if final else ():
            tasks.pop(message.task, None)
        if isinstance(answer, FolderBatch):
            self._note_batch(answer)
        elif isinstance(answer, FolderDiff):
            self.links.add_folder_diff(answer)
            self.results.apply_unstored(answer.unstored, now)
            if answer.last and not answer.unchanged:
                self._apply_clashes(answer)
        if isinstance(answer, Reached):
            return self._apply_reached(message.task, answer, now)
        if isinstance(answer, Listed):
            self._listing.note_answer(answer)
        if isinstance(answer, FolderDiff | Listed | Synced | Flushed | SourceProbe) and answer.obstacle is not None:
            self.destination.note_problem(answer.obstacle, now)
        if isinstance(answer, Synced):
            if answer.obstacle is None:
                self.results.apply_unstored(answer.failed, now)
            return self.flushing.apply_synced(message.task, answer)
        return self.flushing.apply_flushed(answer) if isinstance(answer, Flushed) else answer

    def _note_batch(self, batch: FolderBatch) -> None:
        """Note that no names clash in the folders of a batch."""
        for folder, *_ in batch.folders if self._clashes else ():
            self._apply_clashes(FolderDiff(folder))

    def _apply_clashes(self, part: FolderDiff) -> None:
        """Set aside files whose names are one at the destination: one copy would overwrite the other."""
        before, now = self._clashes.replace_folder(part.folder, part.clashes)
        for path, reason in now.items():
            self.retries.give_up(path, reason)
            if self._inventory.state(path) in (ChunkState.PENDING, ChunkState.COPIED, ChunkState.VERIFIED):
                self._inventory.set_state(path, ChunkState.FAILED)
        if over := before.keys() - now.keys():
            self.retries.forget(over)
            self._inventory.replace_state(ChunkState.FAILED, ChunkState.PENDING)

    def _apply_reached(self, task: int, answer: Reached, now: float) -> Reached | None:
        """Note what a look at the destination found; returns it if the job has to act upon it."""
        if answer.obstacle is None:
            self.flushing.file_system = answer.file_system
            self.read_back.note_clock(answer.clock)
            if answer.file_system.uploader:
                self.results.remarks |= Remark.STORED_LATER
        return None if self.destination.add_check(task, answer.obstacle, now) else answer

    def _note_both_sides(self, answer: CopyDone | VerifyDone, now: float) -> None:
        """Note what an answer tells of the source and the destination as a whole."""
        self.source_lost = self.source_lost or answer.lost
        self.destination.note_task(None if answer.lost else answer.obstacle, not answer.lost, now)

    def _handle_read_back(self, handed_out: VerifyBatch, done: VerifyDone, now: float) -> None:
        self._note_both_sides(done, now)
        count = len(handed_out.batch.paths)
        looked_at = count - done.outcomes.count(CheckOutcome.STOPPED)
        self._check_size.note_task(done.seconds, looked_at)
        self.results.apply_checks(self.read_back.add_results(handed_out, done), now)

    def _apply_copies(self, batch: Batch, done: CopyDone, now: float) -> None:
        self._note_both_sides(done, now)
        looked_at = len(batch.paths) - done.outcomes.count(CopyOutcome.STOPPED)  # a worker held back returns the rest
        self._copy_size.note_task(done.seconds, looked_at, done.size, done.at_a_time)
        if self.results.apply_result(batch, done, now):
            self.destination.note_files()

    def replace_worker(self, died: WorkerDied, now: float) -> None:
        """Hand the work of a dead worker to the others, or of one that is stuck."""
        if self._pool.forget_stuck(died.worker):
            # Its last call may have brought an older version after all.
            for folder in died.worker.folders:
                self._walks.request(folder)
            if died.worker.folders:
                self.request(SweepTask(self._pool.new_id(), died.worker.folders, died.worker.temporary))
            return
        tasks = self._pool.remove_dead(died.worker)
        self.flushing.note_death(died.worker)
        if folders := folders_of(tasks):
            self.request(SweepTask(self._pool.new_id(), folders, died.worker.temporary))
        for task in tasks:
            self._others.pop(task.id, None)
            self._under_way.pop(task.id, None)
            if isinstance(task, CopyTask):
                self._give_back(self._batches.pop(task.id), died, now)
            elif isinstance(task, VerifyTask):
                del self._read_backs[task.id]
                self.read_back.return_batch()
            elif isinstance(task, CompareTask):
                self._walks.put_back(self._compares.pop(task.id))
            elif isinstance(task, FlushTask | SyncTask):
                self.flushing.give_back(task)
            else:
                self._urgent.append(task)

    def _give_back(self, batch: Batch, died: WorkerDied, now: float) -> None:
        """Have the files of a dead worker wait again, and set aside one that workers keep dying of."""
        if died.at_fault:
            self._copy_size.shrink()
        states = []
        for path in batch.paths:
            set_aside = died.at_fault and self.retries.note_death(path, died.worker.hung, now)
            self._inventory.damaged.pop(path, None)
            self._inventory.copied_metadata.pop(path, None)  # it may have copied another version
            states.append(ChunkState.FAILED if set_aside else ChunkState.PENDING)
        self._inventory.note_results(batch, states)

    def unswept(self) -> list[tuple[str, list[str]]]:
        """Return the sweeps that were not done: temporaries, and the folders they may be in."""
        tasks = [*self._urgent, *self._others.values()]
        return [(task.temporary, task.folders) for task in tasks if isinstance(task, SweepTask)]
