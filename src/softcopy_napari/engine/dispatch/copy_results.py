"""Takes in what became of the files that workers copied, and counts them.

Part of what hands out work (dispatcher.py), and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from softcopy_napari.engine.checksums.read_back_queue import ReadBackQueue
from softcopy_napari.engine.dispatch.retries import Retries
from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch, TrackedFiles
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.tasks import CopyDone

_STATES = {
    CopyOutcome.COPIED: ChunkState.COPIED,
    CopyOutcome.EQUAL: ChunkState.COPIED,
    CopyOutcome.FOLDER: ChunkState.ABSENT,  # folders are not counted among the files
    CopyOutcome.DELETED: ChunkState.ABSENT,
    CopyOutcome.VANISHED: ChunkState.ABSENT,
    CopyOutcome.CHANGED: ChunkState.WRITING,
    CopyOutcome.FAILED: ChunkState.FAILED,
    CopyOutcome.TOO_LARGE: ChunkState.FAILED,
    CopyOutcome.STOPPED: ChunkState.PENDING,
    CopyOutcome.BLOCKED: ChunkState.PENDING,
    CopyOutcome.TORN: ChunkState.WRITING,
    CopyOutcome.KEPT: ChunkState.ABSENT,  # not among what was copied
    CopyOutcome.DAMAGED: ChunkState.COPIED,
}


class CopyResults:
    """What this run has copied, and what came of every file that it tried.

    Parameters
    ----------
    inventory : Inventory
    retries : Retries
    read_back : ReadBackQueue

    Attributes
    ----------
    files_copied, bytes_copied : int
        By this run.
    published : int
        Whatever was changed at the destination by this run: files copied or deleted, folders made.
    sizes : dict of TrackedFiles to list of int
        Files of each array, and plain files, copied by this run, and their bytes.
    as_it_is : bool
        Whether chunk files are copied even if they cannot be whole. They are FAILED then, and in `Inventory.damaged`.
    remarks : int
        What the user should know of the destination, see `Remark`.
    """

    def __init__(self, inventory: Inventory, retries: Retries, read_back: ReadBackQueue) -> None:
        self.files_copied = self.bytes_copied = self.published = 0
        self.sizes: dict[TrackedFiles, list[int]] = {}
        self.as_it_is = False
        self.remarks = 0
        self._inventory = inventory
        self._retries = retries
        self._read_back = read_back

    def apply_result(self, batch: Batch, done: CopyDone, now: float) -> int:
        """Note what became of a batch's files; returns how many have arrived."""
        count = len(batch.paths)
        self.bytes_copied += done.size
        inventory = self._inventory
        copied = done.outcomes.count(CopyOutcome.COPIED) + done.outcomes.count(CopyOutcome.DAMAGED)
        self.files_copied += copied
        self.published += copied + done.outcomes.count(CopyOutcome.DELETED) + done.outcomes.count(CopyOutcome.FOLDER)
        self.remarks |= done.remarks
        if copied or CopyOutcome.EQUAL in done.outcomes:
            self._read_back.start_over()
            inventory.note_digests(batch, _digests(done), done.versions)
        if copied:
            seen = self.sizes.setdefault(batch.files, [0, 0])
            seen[0] += copied
            seen[1] += done.size
        odd = self._retries.files or inventory.writers.deleted or inventory.damaged or inventory.kept or done.reasons
        if copied == count and not odd:
            inventory.note_results(batch, ChunkState.COPIED)
            return copied
        states = []
        for number, path in enumerate(batch.paths):
            outcome = CopyOutcome(done.outcomes[number])
            if outcome not in (CopyOutcome.STOPPED, CopyOutcome.BLOCKED):
                inventory.damaged.pop(path, None)
                inventory.torn.pop(path, None)
            if outcome is CopyOutcome.TORN and self.as_it_is:  # handed over before the acquisition was finished
                states.append(ChunkState.PENDING)
                continue
            if outcome in (CopyOutcome.FAILED, CopyOutcome.TOO_LARGE, CopyOutcome.CHANGED, CopyOutcome.TORN):
                self._retries.note_attempt(path, outcome, done.reasons.get(number), now)
                if outcome is CopyOutcome.TORN and number in done.reasons:
                    inventory.torn[path] = done.reasons[number]
            elif outcome not in (CopyOutcome.STOPPED, CopyOutcome.BLOCKED):
                self._retries.note_end(path)
                if path not in inventory.writers.changed:  # else it may have been deleted since
                    inventory.writers.deleted.discard(path)
                if outcome is CopyOutcome.VANISHED:
                    inventory.writers.note_left(path)
                elif outcome is CopyOutcome.DELETED:
                    inventory.writers.note_deleted(path)
            states.append(_STATES[outcome])
            if outcome is CopyOutcome.KEPT:
                inventory.kept[path] = done.reasons.get(number)
            else:
                inventory.kept.pop(path, None)
            if outcome is CopyOutcome.DAMAGED:
                inventory.damaged[path] = done.reasons[number]
                if batch.files.holds_chunks and not self._read_back.verify:  # else it is read back first
                    states[-1] = ChunkState.FAILED
        inventory.note_results(batch, states)
        return copied

    def apply_checks(self, odd: Iterable[tuple[str, CheckOutcome, Reason | None]], now: float) -> None:
        """Note the files with which something is wrong, as reading them back has shown, and why."""
        inventory = self._inventory
        for path, outcome, reason in odd:
            if reason is not None and outcome in (CheckOutcome.EQUAL, CheckOutcome.HASHED):
                inventory.damaged[path] = reason  # at the source, too
                inventory.set_state(path, ChunkState.FAILED)
                continue
            inventory.damaged.pop(path, None)
            self._read_back.start_over()
            if outcome in (CheckOutcome.MISSING, CheckOutcome.MOVING):
                inventory.set_state(path, ChunkState.PENDING)
                continue
            inventory.set_state(path, ChunkState.FAILED)
            self._retries.note_mismatch(path, outcome is not CheckOutcome.UNREADABLE, reason, now)

    def apply_unstored(self, failed: Mapping[str, str], now: float) -> None:
        """Have files copied once more that had arrived and could not be flushed; the system says why."""
        for path, problem in failed.items():
            if self._inventory.state(path) in (ChunkState.COPIED, ChunkState.VERIFIED):
                self._inventory.set_state(path, ChunkState.FAILED)
                self._retries.note_mismatch(path, True, make_reason(ReasonCode.NOT_FLUSHED, problem=problem), now)


def _digests(done: CopyDone) -> bytes:
    """Return the digests of a batch's files; what was copied without one is a link."""
    if NO_DIGEST not in done.digests:
        return done.digests
    parts = [done.digests[at : at + 16] for at in range(0, len(done.digests), 16)]
    return b"".join(
        LINK_DIGEST if part == NO_DIGEST and outcome == CopyOutcome.COPIED else part
        for part, outcome in zip(parts, done.outcomes, strict=True)
    )
