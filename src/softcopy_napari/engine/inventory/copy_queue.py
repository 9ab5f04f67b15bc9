"""Which files of a target are to be copied next.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.inventory.tracked_array import Batch, TrackedArray
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory


class CopyQueue:
    """The PENDING files of an inventory, in the order in which they are to be copied.

    Parameters
    ----------
    inventory : Inventory
        Of the files.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._others: deque[str] = deque()
        self._fresh_next = False
        self._fresh: dict[TrackedArray, None] = {}
        """Arrays that may have PENDING chunk files settled lately, those that waited longest first."""
        self._swept: dict[TrackedArray, None] = {}
        """The same for PENDING chunk files that sweeps find."""

    def add_file(self, path: str) -> None:
        """Have a PENDING file that is no chunk taken."""
        self._others.append(path)

    def add_array(self, array: TrackedArray) -> None:
        """Have an array's PENDING chunk files taken when it is its turn."""
        if array.fresh:
            self._fresh[array] = None
        if array.waits_for_sweep:
            self._swept[array] = None

    def drop_array(self, array: TrackedArray) -> None:
        """Have nothing more of an array taken."""
        self._fresh.pop(array, None)
        self._swept.pop(array, None)

    @property
    def waiting(self) -> bool:
        """Whether there may be files to be taken."""
        return bool(self._others or self._fresh or self._swept)

    def take(self, limit: int) -> Batch | None:
        """Take up to `limit` PENDING files, which become COPYING; None where there are none."""
        if self._others:
            return self._take_others(limit)
        # What was just written and what has waited long take turns: neither may starve the other.
        self._fresh_next = not self._fresh_next
        turns = ((self._fresh, TrackedArray.take_fresh), (self._swept, TrackedArray.take_found))
        for queue, take in turns[:: 1 if self._fresh_next else -1]:
            while queue:
                array = next(iter(queue))
                del queue[array]
                cells = take(array, limit)
                self.add_array(array)  # at the end of the row, if there is more
                if len(cells):
                    array.ledger.set_many(cells, ChunkState.COPYING)
                    # Before anything of them is replaced: if this run is killed, the next one must not take these for
                    # the digests of what is there then.
                    before = self._inventory.rewrites.digests_before(array, cells)
                    self._inventory.digests.forget(cells + array.first_digest)
                    return Batch(array, cells, array.paths(cells), array.ledger, array.layout.chunk_format, before)
        return None

    def _take_others(self, limit: int) -> Batch | None:
        paths: list[str] = []
        chunk_format = None
        while self._others and len(paths) < limit:
            path = self._others[0]
            if self._inventory.others.get(path) is ChunkState.PENDING:
                found = self._format_of(path)
                if paths and found != chunk_format:
                    break
                chunk_format = found
                self._inventory.others[path] = ChunkState.COPYING
                digest = self._inventory.digests.others.pop(path, NO_DIGEST)
                if digest not in (NO_DIGEST, LINK_DIGEST) and path.rpartition("/")[2] in METADATA_NAMES:
                    self._inventory.copied_metadata[path] = digest
                paths.append(path)
            self._others.popleft()
        return Batch(None, np.zeros(0, np.int64), paths, None, chunk_format) if paths else self.take(limit)

    def _format_of(self, path: str) -> ChunkFormat | None:
        """Tell how a file that may become a chunk file is known to be whole: metadata may promise it only later."""
        home = self._inventory.home(path.rpartition("/")[0])
        if home is None or home[0].layout.chunk_format is None:
            return None
        return home[0].layout.chunk_format if self._inventory.has_form_of_chunk(path) else None
