"""Digests of a destination's files that are known from before this run, and the time until which they hold.

They come from the journal of a run that did not end (digest_journal.py) or from a receipt (receipt_reader.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.ledger import cells_in
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES


class KnownDigests:
    """Digests of files as they were at one time; a file that has changed since may be something else.

    Parameters
    ----------
    path : Path
        Where the digests of chunk files are kept; need not be there.

    Attributes
    ----------
    begun, since : int
        When the run began that knew them, and when they were last known to hold, ns, by the destination's own clock.
        0 where that is not known: then they are not trusted.
    arrays : dict of str to tuple of tuple of int and int
        Chunk grid and place of the first digest, of each array by its path.
    others : dict of str to bytes
        Digests of files that are no chunk files, by path.
    store : DigestStore
        Digests of chunk files.
    """

    def __init__(self, path: Path) -> None:
        self.begun = self.since = 0
        self.arrays: dict[str, tuple[tuple[int, ...], int]] = {}
        self.others: dict[str, bytes] = {}
        self.store = DigestStore(path)

    def put_digests(self, array: TrackedArray, cells: npt.NDArray[np.int64], digests: bytes) -> None:
        """Note digests of an array's chunk files; those of an array that was resized since are lost."""
        layout = array.layout
        grid, first = self.arrays.get(layout.path, ((), 0))
        if grid != layout.grid:
            first = self.store.allot(layout.n_chunk_files)
            self.arrays[layout.path] = layout.grid, first
        self.store.put(cells + first, digests)

    def digests(self, batch: Batch) -> bytes:
        """Digests of a batch's files, 16 bytes each; zeros where none is known."""
        if not isinstance(batch.files, TrackedArray):
            return b"".join([self.others.get(path, NO_DIGEST) for path in batch.paths])
        layout = batch.files.layout
        grid, first = self.arrays.get(layout.path, ((), 0))
        if len(grid) != len(layout.grid) or layout.path not in self.arrays:
            return NO_DIGEST * len(batch.ids)
        there, cells = cells_in(grid, batch.ids, layout.grid)
        found = np.zeros((len(there), DIGEST_SIZE), np.uint8)
        found[there] = self.store.get(cells + first)
        found[(found == LINK_DIGEST[0]).all(axis=1)] = 0
        return found.tobytes()

    def list_below(self, folder: str) -> Iterator[tuple[str, int]]:
        """List what is known of a folder, whose name ends in `/`: other files, and arrays with their chunk files."""
        yield from ((path, 1) for path in sorted(self.others) if path.startswith(folder))
        for path, (grid, first) in sorted(self.arrays.items()):
            if f"{path}/".startswith(folder):
                cells = np.arange(first, first + math.prod(grid))
                if count := int(self.store.get(cells).any(axis=1).sum()):
                    yield path, count

    def metadata(self) -> dict[str, bytes]:
        """Digests of zarr metadata, by path."""
        return {path: digest for path, digest in self.others.items() if path.rpartition("/")[2] in METADATA_NAMES}


def are_trusted(clock: int, known: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell which digests can be believed of files that have not changed at the destination since.

    Parameters
    ----------
    clock : int
        What the destination's own clock says now, ns; 0 where that is not known.
    known : sequence of tuple of int and int
        `begun` and `since` of each, the latest first.

    Returns
    -------
    list of bool
        Where a later run began before such a time, the clock was set back in between: what has changed since may seem
        to be older than it is.
    """
    trusted = []
    for begun, since in known:
        trusted.append(0 < since <= clock)
        clock = min(clock, begun)
    return trusted
