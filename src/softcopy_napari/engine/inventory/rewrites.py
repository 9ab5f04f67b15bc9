"""Finds out whether chunk files are written again after they had been whole: then more may come to full arrays.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.inventory.tracked_array import Batch, TrackedArray
from softcopy_napari.engine.states import ChunkState

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory

_STANDS = 2.0
"""Seconds for which a chunk file has to stay as it is to count as whole."""


class Rewrites:
    """What tells that chunk files are written again.

    Parameters
    ----------
    inventory : Inventory
        Of the files.

    Attributes
    ----------
    first : str or None
        A chunk file that was written again after it had been whole.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.first: str | None = None
        self._inventory = inventory
        self._just_arrived: deque[tuple[float, TrackedArray, npt.NDArray[np.int64]]] = deque()
        """Chunk files that have arrived in the last moments, and when."""

    def note_file(self, path: str, state: ChunkState) -> None:
        """Note a chunk file that is written again; of one whose digest is known, that of the new version will tell."""
        if state not in (ChunkState.COPIED, ChunkState.VERIFIED) or self.first is not None:
            return
        where = self._inventory.locate(path)
        if where is not None and not self._inventory.digests.get(np.array([where[0].first_digest + where[1]])).any():
            self.first = path

    def note_cells(self, array: TrackedArray, cells: npt.NDArray[np.int64]) -> None:
        """Note one of several chunk files, as `note_file` does."""
        states = array.ledger.flat[cells]
        again = cells[(states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)]
        if len(again) and self.first is None:
            unknown = again[~self._inventory.digests.get(again + array.first_digest).any(axis=1)]
            if len(unknown):
                self.first = array.paths(unknown[:1])[0]

    def digests_before(self, array: TrackedArray, cells: npt.NDArray[np.int64]) -> bytes:
        """Return the digests of what was copied of chunk files before, zeros for what was written anew within moments.

        A chunk that is filled by several writes in a row is one write, taken together.
        """
        digests = self._inventory.digests.get(cells + array.first_digest)
        now = time.monotonic()
        while self._just_arrived and now - self._just_arrived[0][0] > _STANDS:
            self._just_arrived.popleft()
        just = [arrived for _, of, arrived in self._just_arrived if of is array] if digests.any() else []
        if just:
            digests = np.where(np.isin(cells, np.concatenate(just))[:, np.newaxis], 0, digests)
        return digests.tobytes()

    def note_arrived(self, batch: Batch, array: TrackedArray, digests: bytes) -> None:
        """Note that chunk files of an array have arrived, and which was copied before with another content."""
        if self.first is not None:
            return
        if batch.before.strip(b"\0"):
            self._compare_digests(batch, digests)
        self._just_arrived.append((time.monotonic(), array, batch.cells))

    def _compare_digests(self, batch: Batch, digests: bytes) -> None:
        for number, path in enumerate(batch.paths):
            part = slice(number * DIGEST_SIZE, (number + 1) * DIGEST_SIZE)
            if NO_DIGEST not in (batch.before[part], digests[part]) and batch.before[part] != digests[part]:
                self.first = path
                return
