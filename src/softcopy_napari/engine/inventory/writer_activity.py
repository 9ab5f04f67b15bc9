"""What writers are known to do to a target's files: which they hold, were at work on, or deleted.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, NamedTuple

from softcopy_napari.engine.fs.relative_paths import is_below, prefix_of
from softcopy_napari.engine.inventory.tracked_files import TrackedFiles
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.chunk_check import can_prove_whole

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory


class HeldFile(NamedTuple):
    """A file that a writer is at work on."""

    open: bool
    """Whether it has the file itself open; else it holds the file's lock."""
    since: float
    """Monotonic time at which that was noticed, s."""


class WriterActivity:
    """Keeps what the writers of a target's files are known to do.

    Attributes
    ----------
    held : dict of str to HeldFile
        Files that a writer has locked or has open, by path.
    abandoned : dict of str to bool
        Files that were held for too long at the end, by path, and whether they were open: they are waited for no more.
    deleted : set of str
        Files that their writer deleted under its lock, and that may still lie at the destination.
    changing : set of str
        Files that changed while they were read, and are WRITING until they are tried again.
    unsettled : set of str
        Chunk files that changed lately and whose writer may still be at work: copied if they prove whole.
    changed : set of str
        Files that something happened to while they were with a worker.
    never_seen : set of str
        Chunk files of which no more than a lock was seen: if there is none, none has been lost.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.held: dict[str, HeldFile] = {}
        self.abandoned: dict[str, bool] = {}
        self.deleted: set[str] = set()
        self.changed: set[str] = set()
        self.changing: set[str] = set()
        self.unsettled: set[str] = set()
        self._inventory = inventory
        self.never_seen: set[str] = set()

    def note_held(self, path: str, itself: bool) -> None:
        """Note that a writer locked a file, or has opened the file itself."""
        held = self.held.get(path)
        self.held[path] = HeldFile(itself, held.since if held is not None else time.monotonic())
        self.abandoned.pop(path, None)
        if itself:
            self.never_seen.discard(path)
        elif self._inventory.state(path) is ChunkState.ABSENT:
            self.never_seen.add(path)
        counts = itself or self._inventory.is_chunk_file(path)
        if counts and self._inventory.state(path) is not ChunkState.COPYING:
            self._inventory.set_state(path, ChunkState.WRITING)

    def note_settled(self, path: str) -> None:
        """Have a file copied: its writer is done with it for now."""
        self.never_seen.discard(path)
        self.held.pop(path, None)
        self.changing.discard(path)
        self.unsettled.discard(path)
        state = self._inventory.state(path)
        if state is ChunkState.COPYING:
            self.changed.add(path)
        elif state is not ChunkState.PENDING:
            self._inventory.rewrites.note_file(path, state)
            self._inventory.set_state(path, ChunkState.PENDING)

    def try_unsettled(self, path: str) -> bool:
        """Have a file copied as soon as it proves whole, though nothing tells that its writer is done with it.

        Returns
        -------
        bool
            Whether that can be left to the workers. Not where nothing can prove it, where its writer is known to be at
            work, and where it was copied before: while it is written over, its size and its end prove nothing.
        """
        self.never_seen.discard(path)
        files, one = self._inventory.locate(path)
        if path in self.held or not can_prove_whole(files.chunk_format):
            return False
        state = files.state(one)
        if state == ChunkState.ABSENT:
            self.unsettled.add(path)
            self._inventory.set_state(path, ChunkState.PENDING)
        elif path in self.unsettled and state == ChunkState.COPYING:
            self.changed.add(path)
        return path in self.unsettled

    def note_gone(self, path: str, lock_held: bool) -> None:
        """Note that a file was deleted at the source."""
        if lock_held:
            self.deleted.add(path)
            self.note_settled(path)
            self.held[path] = HeldFile(False, time.monotonic())
        else:
            self.held.pop(path, None)
            state = self._inventory.state(path)
            # Of one that is ABSENT its deletion is the only sign that it was ever there.
            if state is ChunkState.WRITING or (state is ChunkState.ABSENT and self._inventory.is_chunk_file(path)):
                self.note_vanished(path)

    def note_vanished(self, path: str) -> None:
        """Note that a file is not at the source any more, and that its last version was not copied."""
        self._inventory.set_state(path, ChunkState.ABSENT)
        self.note_left(path)

    def note_left(self, path: str) -> None:
        """Note that a file left the source before it was copied: a chunk file is lost, unless it comes back."""
        files, one = self._inventory.locate(path)
        if path not in self.never_seen:
            files.note_left(one)
        self.never_seen.discard(path)

    def note_deleted(self, path: str) -> None:
        """Note that a file's writer deleted it under its lock, and that it is not at the destination either."""
        files, one = self._inventory.locate(path)
        files.note_left(one, left=False)
        if files.holds_chunks and path in self.held:  # its lock is there still
            self.never_seen.add(path)

    def note_released(self, path: str) -> None:
        """Note that a writer's lock went away, whatever was done under it."""
        held = self.held.get(path)
        if held is not None and not held.open:
            del self.held[path]
            if self._inventory.state(path) is ChunkState.WRITING:
                self._inventory.set_state(path, ChunkState.PENDING)

    def forget_writers(self) -> None:
        """Forget who writes what: a walk will tell what is there."""
        self.held.clear()
        self.changing.clear()
        for array in self._inventory.arrays.values():
            if array.ledger.counts[ChunkState.WRITING]:
                cells = array.all_in(ChunkState.WRITING)
                array.note_left(self._inventory.exclude_paths(array, cells, self.never_seen))
        self.never_seen.clear()
        self._inventory.replace_state(ChunkState.WRITING, ChunkState.ABSENT)
        for path in self.deleted:  # of these a walk will not find anything
            if self._inventory.state(path) is ChunkState.ABSENT:
                self._inventory.set_state(path, ChunkState.PENDING)

    def abandon_file(self, path: str) -> None:
        """Wait for a file's writer no longer: a walk will tell what is there."""
        self.abandoned[path] = self.held.pop(path).open
        if self._inventory.state(path) is ChunkState.WRITING:
            # Of what was deleted a walk will not find anything.
            if path in self.deleted:
                self._inventory.set_state(path, ChunkState.PENDING)
            else:
                self.note_vanished(path)

    def mark_open_at_the_end(self) -> None:
        """Call no chunk file copied that a writer had open to the end: it may be half-written."""
        inventory = self._inventory
        for path, was_open in self.abandoned.items():
            arrived = inventory.state(path) in (ChunkState.COPIED, ChunkState.VERIFIED)
            if was_open and arrived and inventory.is_chunk_file(path):
                inventory.damaged[path] = make_reason(ReasonCode.OPEN_TO_THE_END)
                inventory.set_state(path, ChunkState.FAILED)

    def mark_held(self, paths: Iterable[str]) -> None:
        """Let those of some files be WRITING that a writer is at work on."""
        for path in paths:
            held = self.held.get(path)
            if held is not None and (held.open or self._inventory.is_chunk_file(path)):
                self._inventory.set_state(path, ChunkState.WRITING)

    def list_in_use(self, files: TrackedFiles) -> Set[str]:
        """Return the paths of files, those of one kind among them, that cannot be judged now.

        A writer is at work on them, or they changed while they were read. A lock holds back chunk files only.
        """
        if not self.held:
            return self.changing
        return self.changing.union(path for path, held in self.held.items() if held.open or files.holds_chunks)

    def note_seen(self, folder: str, names: Iterable[str]) -> None:
        """Note that a folder was found to hold these files."""
        if self.never_seen:
            prefix = prefix_of(folder)
            self.never_seen.difference_update(prefix + name for name in names)

    def forget_folder(self, folder: str) -> None:
        """Forget what was done to the files in a folder, which has another name now."""
        for paths in (self.deleted, self.changed, self.changing, self.unsettled, self.never_seen):
            paths.difference_update([path for path in paths if is_below(path, folder)])
        for table in (self.held, self.abandoned):
            for path in [path for path in table if is_below(path, folder)]:
                table.pop(path)
