"""What this run has written and that may not be where it is stored yet; has it flushed, at the end and in between.

A disk is flushed whole, by one call, also whenever nothing has been copied for a moment, unless the source lies on it:
from then on it may be unmounted, or lose its power. Where that call does not reach what stores the files (shares, FUSE)
they are flushed one by one, before the end alone, for each costs a round trip or two. Only those that were written are:
they are noted as they are handed out, and above a bound all files of the target are taken. On shares small files are
flushed before they are published, while they are still open, as each call is a round trip there; then the last walk,
which opens all folders anyway, flushes those.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from softcopy_napari.engine.dispatch.batch_size import BatchSize
from softcopy_napari.engine.dispatch.worker_pool import CopyWorker, WorkerPool
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch, FileIds, TrackedFiles
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.state_folder.destination_lock import ReverifyReason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.tasks import CopyDone, Flushed, FlushTask, ReleaseFileSystem, Synced, SyncTask

_REST = 2.0
"""Seconds without a copy after which a disk is flushed."""
_MOST = 1 << 20
"""Files that are noted; of more, all of the target are flushed."""
_SLACK = 1.0
"""Seconds: what was written so shortly before has not failed, and somebody else been told of it, by then."""
_UNFLUSHED = {CopyOutcome.DELETED, CopyOutcome.EQUAL}
"""Outcomes after which a file, or the folder that it was in, is not flushed while files are copied."""


class _Written(NamedTuple):
    """Files that were handed out to be copied."""

    files: TrackedFiles
    epoch: int
    ids: FileIds


class FlushScheduler:
    """Has everything flushed that a target's workers have written.

    Parameters
    ----------
    pool : WorkerPool
        Its lock is told what is to be flushed, for the next engine.
    inventory : Inventory

    Attributes
    ----------
    file_system : FileSystem
        What the destination lies on.
    source_device : int
        The system's number of the source's file system; 0 while it is not known.
    files : int
        Flushed one by one, by the flush under way or the last one.
    needs_folder_flush : bool
        Whether folders have got files that had been flushed, so that a walk has to flush them, too.
    doubt : ReverifyReason or None
        Why what was copied may be lost, as a flush in between has shown; for the job to take.
    """

    def __init__(self, pool: WorkerPool, inventory: Inventory) -> None:
        self.file_system = FileSystem()
        self.source_device = self.files = 0
        self.needs_folder_flush = False
        self.doubt: ReverifyReason | None = None
        self._pool = pool
        self._inventory = inventory
        self._everything = pool.lock is not None and pool.lock.unflushed
        """Whether files may have been written that are not noted."""
        self._written: dict[int, _Written] = {}
        """By the task."""
        self._count = 0
        self._dirty = False
        """Whether anything was handed out since the last flush began."""
        self._last_write = 0.0
        self._held: dict[CopyWorker, float] = {}
        """Since when errors in what a worker has written are told to it: as it says; at first, when it was told to."""
        self._uncovered = math.inf
        """The same of workers that have died, whom nobody can ask."""
        self._asked: deque[FlushTask] = deque()
        self._task: FlushTask | None = None
        """The flush under way."""
        self._in_between = False
        """Whether nobody has asked for that one."""
        self._sent = False
        self._left: Iterator[_Written] = iter(())
        self._next: _Written | None = None
        self._syncs: set[int] = set()
        self._size = BatchSize(seconds=0.2, most=256)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a flush."""
        return bool(self._asked) or (self._task is not None and not self._in_between)

    def request_flush(self, task: FlushTask) -> None:
        """Have everything flushed that was handed out until now; answered by a `Flushed`."""
        self._asked.append(task)

    def explain(self) -> Reason:
        """Return what it is doing, for the user."""
        return make_reason(ReasonCode.FLUSHING, files=self.files or None)

    # -- what is written ------------------------------------------------------------------------------

    def note_handed_out(self, worker: CopyWorker, task: int, batch: Batch, now: float) -> None:
        """Note that a worker is about to write files; but not of one that flushes everything itself."""
        if self.file_system.stored_at_once or worker.is_remote:
            return
        if self._pool.lock is not None:
            self._pool.lock.note_unflushed(self.file_system.device)
        self._dirty = True
        self._last_write = now
        self._held.setdefault(worker, now)
        if self.file_system.flushed_whole or self._everything:
            return
        self._count += len(batch.paths)
        if self._count > _MOST:
            self._note_everything()
        else:
            self._written[task] = _Written(batch.files, batch.epoch, batch.ids)

    def note_folders_flushed(self) -> None:
        """Note that a walk has flushed all folders, and that nothing was copied since it began."""
        self.needs_folder_flush = False

    def note_copied(self, worker: CopyWorker, task: int, done: CopyDone, now: float) -> None:
        """Note that a worker has written what it was handed."""
        self._last_write = now
        held_since = done.held_since
        if done.flushed and _UNFLUSHED.isdisjoint(done.outcomes) and not self.file_system.stored_at_once:
            self.needs_folder_flush = True
            if (flushed := self._written.pop(task, None)) is not None:
                self._count -= len(flushed.ids)
        if held_since < math.inf and worker in self._held:
            self._held[worker] = held_since

    def note_death(self, worker: CopyWorker) -> None:
        """Note that a worker cannot tell any more what became of what it has written."""
        self._uncovered = min(self._uncovered, self._held.pop(worker, math.inf))

    def give_back(self, task: FlushTask | SyncTask) -> None:
        """Take back what a worker that died has not done."""
        if isinstance(task, FlushTask):
            self._sent = False
        elif task.id in self._syncs:
            self._syncs.discard(task.id)
            self._note_everything()
            self._begin_files()

    def _note_everything(self) -> None:
        self._everything = True
        self._written.clear()
        self._count = 0

    # -- the flush ------------------------------------------------------------------------------------

    def dispatch(self, workers: list[CopyWorker], now: float, copying: bool, may_read: bool) -> None:
        """Take the next step.

        Parameters
        ----------
        workers : list of CopyWorker
            Those that answer.
        now : float
        copying : bool
            Whether files are with workers: what is not whole yet cannot be flushed.
        may_read : bool
            Whether the destination is there, and the target not paused.
        """
        if self._task is None and (copying or not self._begin(now, may_read)):
            return
        if may_read:
            self._dispatch_files(workers)
        if self._task is not None and self._next is None and not self._syncs and not self._sent:
            # The one that has had the file system open for longest is told of all errors since.
            able = [worker for worker in workers if worker.takes(FlushTask)]
            self._sent = bool(able)
            if able:
                self._pool.send(min(able, key=lambda worker: self._held.get(worker, math.inf)), self._task)

    def _begin(self, now: float, may_read: bool) -> bool:
        if self._asked:
            self._task, self._in_between = self._asked.popleft(), False
        elif may_read and self._dirty and self._flushes_at_rest and now - self._last_write > _REST:
            self._task, self._in_between = FlushTask(self._pool.new_id()), True
        else:
            return False
        self._sent = self._dirty = False
        self.files = 0
        self._begin_files()
        return True

    @property
    def _flushes_at_rest(self) -> bool:
        """Whether a disk is flushed in between: not the source's, whose writer would have to wait for it."""
        return self.file_system.flushed_whole and self.file_system.device != self.source_device

    def _begin_files(self) -> None:
        if self.file_system.flushed_whole:
            self._left = iter(())
        elif self._everything:
            self._left = self._all()
        else:
            self._left, self._written, self._count = iter(self._written.values()), {}, 0
        self._next = next(self._left, None)

    def _all(self) -> Iterator[_Written]:
        """Yield all files that have arrived, whoever copied them."""
        for files in self._inventory.all_files:
            epoch = files.epoch
            for ids in files.blocks_in(ChunkState.COPIED, ChunkState.VERIFIED):
                yield _Written(files, epoch, ids)

    def _dispatch_files(self, workers: list[CopyWorker]) -> None:
        while self._next is not None:
            worker = max(workers, key=lambda worker: worker.free_slots(SyncTask))
            if worker.free_slots(SyncTask) <= 0:
                return
            if paths := self._take_paths(self._size.files):
                task = SyncTask(self._pool.new_id(), paths)
                self._syncs.add(task.id)
                self._pool.send(worker, task)

    def _take_paths(self, limit: int) -> list[str]:
        """Return the paths of the next files."""
        written = self._next
        assert written is not None
        files, epoch, ids = written
        if files.epoch != epoch:  # an array was resized: its cells are others by now
            self._note_everything()
            self._begin_files()
            return []
        rest = written._replace(ids=ids[limit:])
        self._next = rest if len(rest.ids) else next(self._left, None)
        return files.paths(ids[:limit])

    # -- answers --------------------------------------------------------------------------------------

    def apply_synced(self, task: int, answer: Synced) -> Flushed | None:
        """Take in what became of files; returns the end of the flush, if that is one."""
        if task not in self._syncs:
            return None  # the flush has ended without it
        self._syncs.discard(task)
        self.files += answer.files
        self._size.note_task(answer.seconds, answer.files)
        if answer.failed:
            self._dirty = True  # they are copied once more
        if answer.obstacle is None:
            return None
        self._syncs.clear()
        return self.apply_flushed(Flushed("", answer.obstacle))

    def apply_flushed(self, answer: Flushed) -> Flushed | None:
        """Take in what became of the flush; returns it if somebody has asked for it."""
        self._task = None
        self._left, self._next = iter(()), None
        if answer.error or answer.obstacle is not None:
            self._dirty = True
            self._note_everything()
        elif self.file_system.flushed_whole and answer.held_since > self._uncovered + _SLACK:
            answer = answer._replace(unsure=True)
        elif not (self._dirty or self.needs_folder_flush):  # else something has been written since
            self._everything = False
            if self._pool.lock is not None:
                self._pool.lock.note_flushed()
            self._forget()
        if answer.error and self._pool.lock is not None:
            self._pool.lock.note_failed_flush()
        if answer.error or answer.unsure:
            self._forget()  # all of it is read back now
        if not self._in_between:
            return answer
        if answer.error:
            self.doubt = ReverifyReason.FLUSH_FAILED
        elif answer.unsure:
            self.doubt = ReverifyReason.FLUSH_UNSURE
        return None

    def _forget(self) -> None:
        """Forget what has been written so far: only errors in what comes now are of interest."""
        self._uncovered = math.inf
        self._held.clear()
        self._pool.broadcast(ReleaseFileSystem())
