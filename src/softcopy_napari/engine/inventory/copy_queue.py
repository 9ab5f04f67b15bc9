"""Which files of a target are to be copied next.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST, split_digests
from softcopy_napari.engine.inventory.tracked_files import Batch, FileIds, TrackedFiles
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory


class CopyQueue:
    """The PENDING files of an inventory, in the order in which they are to be copied."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._first: dict[TrackedFiles, None] = {}
        """The plain files, if any of them may be PENDING: metadata go before the chunk files that they describe."""
        self._fresh: dict[TrackedFiles, None] = {}
        """Arrays that may have PENDING chunk files settled lately, those that waited longest first."""
        self._swept: dict[TrackedFiles, None] = {}
        """The same for PENDING chunk files that sweeps find."""
        self._fresh_next = False

    def add(self, files: TrackedFiles) -> None:
        """Have the PENDING ones of some files taken when it is their turn."""
        if files.fresh:
            (self._fresh if files.holds_chunks else self._first)[files] = None
        if files.waits_for_sweep:
            self._swept[files] = None

    def drop(self, files: TrackedFiles) -> None:
        """Have nothing more of some files taken."""
        self._fresh.pop(files, None)
        self._swept.pop(files, None)

    @property
    def waiting(self) -> bool:
        """Whether there may be files to be taken."""
        return bool(self._first or self._fresh or self._swept)

    def take_batch(self, limit: int) -> Batch | None:
        """Take up to `limit` PENDING files, which become COPYING; None where there are none."""
        if (batch := self._take_from(self._first, limit)) is not None:
            return batch
        # What was just written and what has waited long take turns: neither may starve the other.
        self._fresh_next = not self._fresh_next
        for queue in (self._fresh, self._swept)[:: 1 if self._fresh_next else -1]:
            if (batch := self._take_from(queue, limit)) is not None:
                return batch
        return None

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
