"""Digests of a destination's files that are known from before this run, and the time until which they hold.

They come from the journal of a run that did not end (digest_journal.py) or from a receipt (receipt_reader.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from softcopy_napari.engine.fs.hashing import LINK_DIGEST
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES


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
    whole : bool
        Whether none of the files was damaged when it was copied, as far as that is known.
    store : DigestStore
        The digests.
    """

    def __init__(self, path: Path) -> None:
        self.begun = self.since = 0
        self.whole = False
        self.store = DigestStore(path)

    def digests(self, batch: Batch) -> bytes:
        """Return the digests of a batch's files, 16 bytes each; zeros where none is known."""
        found = batch.files.digests(self.store, batch.ids).copy()
        found[(found == LINK_DIGEST[0]).all(axis=1)] = 0
        return found.tobytes()

    def list_below(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the files and arrays that are known below a folder, which ends in `/`, with their numbers of files."""
        yield from ((path, 1) for path in sorted(self.store.others) if path.startswith(folder))
        for path, (grid, first) in sorted(self.store.arrays.items()):
            if f"{path}/".startswith(folder):
                cells = np.arange(first, first + math.prod(grid))
                if count := int(self.store.get(cells).any(axis=1).sum()):
                    yield path, count

    def metadata(self) -> dict[str, bytes]:
        """Return the digests of zarr metadata, by path."""
        others = self.store.others
        return {path: digest for path, digest in others.items() if path.rpartition("/")[2] in ANNOTATED_NAMES}


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
