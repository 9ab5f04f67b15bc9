"""Which files of a target are to be copied next.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST, split_digests
from softcopy_napari.engine.inventory.tracked_files import Batch, FileIds, TrackedFiles
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory


class CopyQueue:
    """The PENDING files of an inventory, in the order in which they are to be copied.

    Attributes
    ----------
    plain_last : bool
        Plain files, such as metadata, go after the chunk files that waited when they came, not before all others: who
        opens the copy then finds what its metadata promise, as far as the source has it.
    looking_around : bool
        Whether chunk files may come to be known that have been at the source all along.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.plain_last = self.looking_around = False
        self._inventory = inventory
        self._plain: dict[TrackedFiles, None] = {}
        """The plain files, if any of them may be PENDING."""
        self._plain_after: int | None = None
        """So many chunk files must be done with before the next plain files; None if nobody has counted yet."""
        self._plain_free = 0
        """Plain files whose turn has come."""
        self._done = 0
        """Chunk files that were handed out and are done with, so far."""
        self._fresh: dict[TrackedFiles, None] = {}
        """Arrays that may have PENDING chunk files settled lately, those that waited longest first."""
        self._swept: dict[TrackedFiles, None] = {}
        """The same for PENDING chunk files that sweeps find."""
        self._fresh_next = False

    def add(self, files: TrackedFiles) -> None:
        """Have the PENDING ones of some files taken when it is their turn."""
        if files.fresh:
            (self._fresh if files.holds_chunks else self._plain)[files] = None
        if files.waits_for_sweep:
            self._swept[files] = None

    def drop(self, files: TrackedFiles) -> None:
        """Have nothing more of some files taken."""
        self._fresh.pop(files, None)
        self._swept.pop(files, None)

    @property
    def waiting(self) -> bool:
        """Whether there may be files to be taken."""
        return bool(self._plain or self._fresh or self._swept)

    def take_batch(self, limit: int) -> Batch | None:
        """Take up to `limit` PENDING files, which become COPYING; None where there are none, or none may go yet."""
        if not self._keeps_plain_waiting():
            batch = self._take_from(self._plain, min(limit, self._plain_free) if self.plain_last else limit)
            if batch is not None:
                self._plain_free -= len(batch.ids)
                return batch
        # What was just written and what has waited long take turns: neither may starve the other.
        self._fresh_next = not self._fresh_next
        for queue in (self._fresh, self._swept)[:: 1 if self._fresh_next else -1]:
            if (batch := self._take_from(queue, limit)) is not None:
                return batch
        return None

    def _keeps_plain_waiting(self) -> bool:
        """Whether the plain files have to wait for chunk files that came before them."""
        if not self._plain:
            self._plain_free = 0
        if not (self.plain_last and self._plain) or self._plain_free > 0:
            return False
        if self.looking_around:
            self._plain_after = None
            return True
        counts = self._inventory.counts()
        copying = counts[ChunkState.COPYING]
        if self._plain_after is None:
            self._plain_after = self._done + copying + counts[ChunkState.PENDING]
        if self._done < self._plain_after and (self._fresh or self._swept or copying):
            return True
        self._plain_after, self._plain_free = None, len(self._inventory.plain_files.fresh)
        return False

    def note_results(self, batch: Batch, states: Sequence[ChunkState] | ChunkState) -> None:
        """Note that a batch has come back; files that are PENDING are not done with."""
        if batch.files.holds_chunks:
            states = [states] * len(batch.paths) if isinstance(states, ChunkState) else states
            self._done += len(states) - states.count(ChunkState.PENDING)

    def _take_from(self, queue: dict[TrackedFiles, None], limit: int) -> Batch | None:
        while queue:
            files = next(iter(queue))
            del queue[files]
            ids = files.take_found(limit) if queue is self._swept else files.take_fresh(limit)
            self.add(files)  # at the end of the row, if there is more
            if len(ids):
                return self._hand_out(files, ids)
        return None

    def _hand_out(self, files: TrackedFiles, ids: FileIds) -> Batch:
        files.set_states(ids, ChunkState.COPYING)
        paths = files.paths(ids)
        # Before anything of them is replaced: if this run is killed, the next one must not take these for the digests
        # of what is there then.
        before = self._inventory.rewrites.digests_before(files, ids)
        files.forget_digests(self._inventory.digests, ids)
        if not files.holds_chunks:
            self._note_metadata(paths, before)
        return Batch(files, ids, paths, files.epoch, files.format_of(ids), before)

    def _note_metadata(self, paths: list[str], digests: bytes) -> None:
        """Note which metadata have been copied before: what others have made of them is kept."""
        for path, digest in zip(paths, split_digests(digests), strict=True):
            if digest not in (NO_DIGEST, LINK_DIGEST) and path.rpartition("/")[2] in ANNOTATED_NAMES:
                self._inventory.copied_metadata[path] = digest
