"""The plain files of a target, which are no chunk files: metadata, notes, links, and empty folders.

Some become chunk files later, when the metadata of their array have been read or tell of a larger shape.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST, split_digests
from softcopy_napari.engine.fs.relative_paths import is_below, prefix_of
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.tracked_files import FileIds, TrackedFiles
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_BLOCK = 1 << 16


class PlainFiles(TrackedFiles):
    """The plain files of a target; the id of each is its path.

    Parameters
    ----------
    layout_around : callable
        Return the layout of the array that has files of a path's form as chunk files, in its grid or outside of it;
        None where there is no such array.

    Attributes
    ----------
    by_path : dict of str to ChunkState
        All files that were seen and are not ABSENT.
    outside : str
        A file named like a chunk of an array outside of its grid; empty where there is none.
    left : dict of str to None
        Files that left the source before they were copied, and have not come back. Nobody knows whether they were data.
    """

    holds_chunks: ClassVar[bool] = False

    def __init__(self, layout_around: Callable[[str], ArrayLayout | None]) -> None:
        self.fresh: deque[str] = deque()
        self.forgotten = False
        self.epoch = 0
        self.by_path: dict[str, ChunkState] = {}
        self.outside = ""
        self.left: dict[str, None] = {}
        self._counts = [0] * len(ChunkState)
        self._layout_around = layout_around
        self._strays: set[str] = set()
        """Files other than metadata: chunk files perhaps, of an array that is not known yet."""

    def __contains__(self, path: str) -> bool:
        return path in self.by_path

    @property
    def counts(self) -> Sequence[int]:
        return self._counts

    @property
    def chunk_format(self) -> ChunkFormat | None:
        return None

    def format_of(self, ids: FileIds) -> ChunkFormat | None:
        """Return how the bytes of files that may become chunk files tell that they are whole."""
        layout = self._layout_around(ids[0]) if len(ids) else None
        return None if layout is None else layout.chunk_format

    def ids(self, ones: Sequence[str]) -> FileIds:
        ids = np.empty(len(ones), object)
        ids[:] = ones
        return ids

    def paths(self, ids: FileIds) -> list[str]:
        return list(ids)

    def has_all(self, ids: FileIds, epoch: int) -> bool:
        return all(path in self.by_path for path in ids)

    # -- states ---------------------------------------------------------------------------------------

    def state(self, one: str) -> ChunkState:
        return self.by_path.get(one, ChunkState.ABSENT)

    def states(self, ids: FileIds) -> npt.NDArray[np.uint8]:
        return np.fromiter((self.by_path.get(path, ChunkState.ABSENT) for path in ids), np.uint8, len(ids))

    def set_state(self, one: str, state: ChunkState) -> None:
        before = self.by_path.get(one)
        if before is not None:
            self._counts[before] -= 1
        if state is ChunkState.ABSENT:
            self.by_path.pop(one, None)
            self._strays.discard(one)
            return
        self.left.pop(one, None)
        if before is None and one.rpartition("/")[2] not in METADATA_NAMES:
            self._strays.add(one)
            if not self.outside and self._layout_around(one) is not None:
                self.outside = one
        if state is ChunkState.PENDING and before is not ChunkState.PENDING:
            self.fresh.append(one)
        self._counts[state] += 1
        self.by_path[one] = state

    def set_states(self, ids: FileIds, state: ChunkState) -> None:
        for path in ids:
            self.set_state(path, state)

    def blocks_in(self, *states: ChunkState) -> Iterator[FileIds]:
        found = self.paths_in(*states)
        for start in range(0, len(found), _BLOCK):
            yield self.ids(found[start : start + _BLOCK])

    def paths_in(self, *states: ChunkState) -> list[str]:
        """Return the paths of all files in some states."""
        return list(self.iterate_in(*states))

    def iterate_in(self, *states: ChunkState) -> Iterator[str]:
        """Yield the paths of all files in some states; none may change meanwhile."""
        return (path for path, state in self.by_path.items() if state in states)

    # -- the queue ------------------------------------------------------------------------------------

    def queue_anew(self) -> None:
        self.fresh = deque(path for path, state in self.by_path.items() if state is ChunkState.PENDING)

    def take_fresh(self, limit: int) -> FileIds:
        """Take the longest waiting files that are still PENDING and tell in the same way whether they are whole."""
        taken: dict[str, None] = {}
        layout = None
        while self.fresh and len(taken) < limit:
            path = self.fresh[0]
            if self.by_path.get(path) is ChunkState.PENDING:
                around = self._layout_around(path)
                if taken and around is not layout:
                    break
                layout = around
                taken[path] = None
            self.fresh.popleft()
        return self.ids(list(taken))

    # -- digests and versions -------------------------------------------------------------------------

    def digests(self, store: DigestStore, ids: FileIds) -> npt.NDArray[np.uint8]:
        found = b"".join([store.others.get(path, NO_DIGEST) for path in ids])
        return np.frombuffer(found, np.uint8).reshape(-1, DIGEST_SIZE)

    def put_digests(self, store: DigestStore, ids: FileIds, digests: bytes) -> bool:
        store.others.update(zip(ids, split_digests(digests), strict=True))
        return True

    def forget_digests(self, store: DigestStore, ids: FileIds) -> None:
        for path in ids:
            store.others.pop(path, None)

    def note_left(self, one: str, left: bool = True) -> None:
        if left:
            self.left[one] = None

    # -- coming and going -----------------------------------------------------------------------------

    def pop_chunk_files(self, layout: ArrayLayout) -> dict[str, tuple[int, ChunkState]]:
        """Take out the files that turn out to be chunk files of an array: their cells and states, by path."""
        prefix = prefix_of(layout.path)
        found = {}
        for path in [path for path in self._strays if path.startswith(prefix)]:
            cell = layout.flat_index(path[len(prefix) :])
            if cell is not None:
                found[path] = cell, self.by_path[path]
                if path == self.outside:
                    self.outside = ""
                self.set_state(path, ChunkState.ABSENT)
        return found

    def forget_folder(self, folder: str, store: DigestStore) -> None:
        """Forget the files in a folder, and their digests."""
        for path in [path for path in self.by_path if is_below(path, folder)]:
            self.set_state(path, ChunkState.ABSENT)
            store.others.pop(path, None)
