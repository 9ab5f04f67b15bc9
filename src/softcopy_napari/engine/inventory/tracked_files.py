"""The files of one kind in a target: the chunk files of an array, or the plain files, which belong to no array.

Whoever copies, flushes, reads back or counts files treats both kinds alike, by this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat

FileId = Any
"""What a file is known by among those of its kind: the cell of a chunk file, the path of a plain file."""
FileIds = npt.NDArray[Any]


class TrackedFiles(ABC):
    """Files of one kind: their states, digests and versions, and which of them are to be copied next.

    Attributes
    ----------
    fresh : deque
        Ids of files that became PENDING lately, oldest first; may hold some that no longer are.
    forgotten : bool
        Whether nothing more is to be noted of them: their folder has another name now.
    epoch : int
        Goes up when the same ids come to mean other files, as when an array is resized; paths never do.
    holds_chunks : bool
        Whether they are the chunk files of an array.
    """

    __slots__ = ()
    fresh: deque[Any]
    forgotten: bool
    epoch: int
    holds_chunks: ClassVar[bool]

    @property
    @abstractmethod
    def counts(self) -> Sequence[int]:
        """Number of files in each `ChunkState`."""

    @property
    @abstractmethod
    def chunk_format(self) -> ChunkFormat | None:
        """How their bytes tell whether they are whole; None where nothing tells."""

    @abstractmethod
    def format_of(self, ids: FileIds) -> ChunkFormat | None:
        """Return how the bytes of some files, taken together from the queue, tell whether they are whole."""

    @abstractmethod
    def ids(self, ones: Sequence[FileId]) -> FileIds:
        """Return ids as an array."""

    @abstractmethod
    def paths(self, ids: FileIds) -> list[str]:
        """Return the paths of files, relative to the source."""

    @abstractmethod
    def has_all(self, ids: FileIds, epoch: int) -> bool:
        """Return whether all these ids, noted in that epoch, are still those of the same files."""

    # -- states ---------------------------------------------------------------------------------------

    @abstractmethod
    def state(self, one: FileId) -> int:
        """Return the state of one file; ABSENT for one that was never seen."""

    @abstractmethod
    def states(self, ids: FileIds) -> npt.NDArray[np.uint8]:
        """Return the states of files."""

    @abstractmethod
    def set_state(self, one: FileId, state: ChunkState) -> None:
        """Change the state of one file; one that becomes PENDING is among the fresh ones."""

    @abstractmethod
    def set_states(self, ids: FileIds, state: ChunkState) -> None:
        """Change the states of files, each named once; those that become PENDING wait to be copied."""

    @abstractmethod
    def blocks_in(self, *states: ChunkState) -> Iterator[FileIds]:
        """Yield the ids of all files in some states, a bounded number at a time.

        They are those of the epoch in which that began: whoever goes on meanwhile has to compare it.
        """

    def count_in(self, *states: ChunkState) -> int:
        """Return how many files are in any of these states."""
        return sum(self.counts[state] for state in states)

    # -- the queue ------------------------------------------------------------------------------------

    @property
    def waits_for_sweep(self) -> bool:
        """Whether there may be PENDING files that are not among the fresh ones."""
        return False

    @abstractmethod
    def queue_anew(self) -> None:
        """Forget what was to be taken, and find all PENDING files once more."""

    @abstractmethod
    def take_fresh(self, limit: int) -> FileIds:
        """Take the longest waiting of the fresh files, each once, that are still PENDING."""

    def take_found(self, limit: int) -> FileIds:
        """Take the next PENDING files that a sweep finds."""
        return np.zeros(0, np.int64)

    # -- digests and versions -------------------------------------------------------------------------

    @abstractmethod
    def digests(self, store: DigestStore, ids: FileIds) -> npt.NDArray[np.uint8]:
        """Return what a store holds for files, shape (n, 16); zeros where nothing is known."""

    @abstractmethod
    def put_digests(self, store: DigestStore, ids: FileIds, digests: bytes) -> bool:
        """Note digests in a store, 16 bytes for each file; returns whether they could be kept."""

    @abstractmethod
    def forget_digests(self, store: DigestStore, ids: FileIds) -> None:
        """Have the digests of files be unknown."""

    # -- what the source has lost ---------------------------------------------------------------------

    @abstractmethod
    def note_left(self, one: FileId, left: bool = True) -> None:
        """Note that a file left the source before it was copied, or that its writer deleted it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Files of one kind for one worker."""

    files: TrackedFiles
    ids: FileIds
    paths: list[str]
    epoch: int
    """The files' epoch when the batch was made."""
    chunk_format: ChunkFormat | None = None
    """How the files are known to be whole, if anything tells."""
    before: bytes = b""
    """Digests of the versions that these replace, zeros where none is known."""

    @classmethod
    def of(cls, files: TrackedFiles, ids: FileIds, with_paths: bool = True) -> Batch:
        """Make a batch of files as they are known now."""
        return cls(files, ids, files.paths(ids) if with_paths else [], files.epoch)

    @property
    def is_current(self) -> bool:
        """Whether its ids are still those of the same files."""
        return self.files.has_all(self.ids, self.epoch)

    def split(self, limit: int) -> tuple[Batch, Batch | None]:
        """Return the first files as a batch without paths, and the rest; None where there is no rest."""
        head = Batch(self.files, self.ids[:limit], [], self.epoch)
        rest = self.ids[limit:]
        return head, Batch(self.files, rest, [], self.epoch) if len(rest) else None
