"""Finds out whether chunk files are written again after they had been whole: then more may come to full arrays.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from softcopy_napari.engine.fs.hashing import NO_DIGEST, split_digests
from softcopy_napari.engine.inventory.tracked_files import Batch, FileIds, TrackedFiles
from softcopy_napari.engine.states import ChunkState

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory

_STANDS = 2.0
"""Seconds for which a chunk file has to stay as it is to count as whole."""


class Rewrites:
    """Detects chunk files that are written again.

    Attributes
    ----------
    first : str or None
        A chunk file that was written again after it had been whole.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.first: str | None = None
        self._inventory = inventory
        self._just_arrived: deque[tuple[float, TrackedFiles, FileIds]] = deque()
        """Chunk files that have arrived in the last moments, and when."""

    def note_file(self, path: str, state: ChunkState) -> None:
        """Note a chunk file that is written again; of one whose digest is known, that of the new version will tell."""
        if state not in (ChunkState.COPIED, ChunkState.VERIFIED) or self.first is not None:
            return
        files, one = self._inventory.locate(path)
        self.note_files(files, files.ids([one]))

    def note_files(self, files: TrackedFiles, ids: FileIds) -> None:
        """Note the first chunk file of several that are written again, as `note_file` does."""
        if not files.holds_chunks or self.first is not None:
            return
        states = files.states(ids)
        again = ids[(states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)]
        if len(again):
            unknown = again[~files.digests(self._inventory.digests, again).any(axis=1)]
            if len(unknown):
                self.first = files.paths(unknown[:1])[0]

    def digests_before(self, files: TrackedFiles, ids: FileIds) -> bytes:
        """Return the digests of what was copied of files before, zeros for what was written anew within moments.

        A chunk that is filled by several writes in a row is one write, taken together.
        """
        digests = files.digests(self._inventory.digests, ids)
        now = time.monotonic()
        while self._just_arrived and now - self._just_arrived[0][0] > _STANDS:
            self._just_arrived.popleft()
        just = [arrived for _, of, arrived in self._just_arrived if of is files] if digests.any() else []
        if just:
            digests = np.where(np.isin(ids, np.concatenate(just))[:, np.newaxis], 0, digests)
        return digests.tobytes()

    def note_arrived(self, batch: Batch, digests: bytes) -> None:
        """Note that chunk files have arrived, and which was copied before with another content."""
        if not batch.files.holds_chunks or self.first is not None:
            return
        if batch.before.strip(b"\0"):
            pairs = zip(split_digests(batch.before), split_digests(digests), strict=True)
            changed = (NO_DIGEST not in pair and pair[0] != pair[1] for pair in pairs)
            self.first = next(itertools.compress(batch.paths, changed), None)
        self._just_arrived.append((time.monotonic(), batch.files, batch.ids))
