"""What is known of every file of a target: its array, its state, and what was copied of it.

Chunk files are cells of their array's ledger; all other files are plain files, known by their paths. Only the target's
job calls this, from its one thread; nothing here touches source or destination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.formatting import MOST_NAMES, CountedNames
from softcopy_napari.engine.fs.hashing import NO_DIGEST, split_digests
from softcopy_napari.engine.fs.relative_paths import is_below, join, nearest_folder, prefix_of
from softcopy_napari.engine.inventory.copied_versions import CopiedVersions
from softcopy_napari.engine.inventory.copy_queue import CopyQueue
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.folder_renames import FolderRenames
from softcopy_napari.engine.inventory.ledger import cells_in
from softcopy_napari.engine.inventory.ledger_files import LedgerFiles
from softcopy_napari.engine.inventory.plain_files import PlainFiles
from softcopy_napari.engine.inventory.rewrites import Rewrites
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import Batch, FileId, FileIds, TrackedFiles
from softcopy_napari.engine.inventory.writer_activity import WriterActivity
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.state_folder.ledger_folders import DIGESTS, VERSIONS
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, flat_indices_below

_HOMES = 1 << 16


class Group(NamedTuple):
    """Some files of a folder that are of one kind."""

    files: TrackedFiles
    ids: FileIds
    places: npt.NDArray[np.int64]
    """Where they are among the names that were asked for."""


class Inventory:
    """All files of a target.

    Parameters
    ----------
    folder : Path
        Where ledgers are kept.
    digests : Path, optional
        Where digests are kept; beside the ledgers by default.

    Attributes
    ----------
    arrays : dict of str to TrackedArray
        By their paths, relative to the source.
    plain_files : PlainFiles
        Files that are no chunk files, links and empty folders.
    copied_metadata : dict of str to bytes
        XXH128 of metadata files that were copied last, and are to be copied again.
    kept : dict of str to Reason or None
        Metadata files that were changed at the destination and are left as they are there; with a reason where the
        source's were changed, too.
    torn : dict of str to Reason
        Files that could not be whole when they were last looked at, and why; they are looked at again.
    damaged : dict of str to Reason
        Files that were copied although they cannot be whole, and why they cannot.
    digests : DigestStore
        Digests of the files that have arrived, as far as they are known.
    versions : CopiedVersions
        Which version of the source they are, of those that this run has copied.
    ledgers : LedgerFiles
        The files of the arrays' ledgers.
    queue : CopyQueue
        Which files are to be copied next.
    writers : WriterActivity
        What the files' writers are known to do.
    rewrites : Rewrites
        Whether chunk files are written again.
    renames : FolderRenames
        Folders that were renamed inside the source.
    relaid : set of str
        Arrays that were found, resized, replaced or forgotten; the watermark empties it.
    """

    def __init__(self, folder: Path, digests: Path | None = None) -> None:
        self.arrays: dict[str, TrackedArray] = {}
        self.plain_files = PlainFiles(self._layout_around)
        self.copied_metadata: dict[str, bytes] = {}
        self.kept: dict[str, Reason | None] = {}
        self.torn: dict[str, Reason] = {}
        self.damaged: dict[str, Reason] = {}
        self.digests = DigestStore(digests or folder / DIGESTS)
        self.versions = CopiedVersions(self, folder / VERSIONS)
        self.ledgers = LedgerFiles(folder)
        self.queue = CopyQueue(self)
        self.writers = WriterActivity(self)
        self.rewrites = Rewrites(self)
        self.renames = FolderRenames(self)
        self.relaid: set[str] = set()
        self._homes: dict[str, tuple[TrackedArray, str] | None] = {}

    # -- arrays ---------------------------------------------------------------------------------------

    def register_array(self, layout: ArrayLayout) -> bool:
        """Note an array, or what has become of it.

        Returns
        -------
        bool
            Whether its folder has to be compared anew: it is new, or it is another array than before.
        """
        known = self.arrays.get(layout.path)
        if known is not None and known.layout == layout:
            return False
        ledger = self.ledgers.make_ledger(layout.grid)
        self.relaid.add(layout.path)
        self._homes.clear()
        if known is None:
            array = self.arrays[layout.path] = TrackedArray(layout, ledger)
            self._forget_digests(layout)
            array.left = self.renames.pop_chunk_files(layout)
            self._adopt(array)
            return True
        with_workers = known.paths(known.all_in(ChunkState.COPYING))
        same = not known.layout.difference(layout, ignore_shape=True)
        if same:
            ledger.copy_states(known.ledger)
            arrived = np.concatenate([known.all_in(state) for state in (ChunkState.COPIED, ChunkState.VERIFIED)])
            self.digests.resize_array(layout.path, layout.grid, arrived)
            self.versions.store.resize_array(layout.path, layout.grid, arrived)
        else:
            self._forget_digests(layout)
            self.writers.changed.update(with_workers)  # what arrives of them belongs to the array before
            for path in [path for path in self.damaged if path.startswith(known.prefix)]:
                del self.damaged[path]
        self.ledgers.retire_ledger(known.ledger)
        left = known.lost_cells() if same else np.zeros(0, np.int64)
        before = known.ledger.grid
        known.replace_layout(layout, ledger, same)
        if len(left):
            known.note_left(cells_in(ledger.grid, left, before)[1])
        self._adopt(known)
        for path in with_workers:
            self.set_state(path, ChunkState.COPYING)
        return not same

    def _forget_digests(self, layout: ArrayLayout) -> None:
        """Make room for the digests and versions of an array of which nothing is known."""
        self.digests.add_array(layout.path, layout.grid)
        self.versions.store.add_array(layout.path, layout.grid)

    def _adopt(self, array: TrackedArray) -> None:
        """Take over chunk files that were seen before the metadata that make them such."""
        for path, (cell, state) in self.plain_files.pop_chunk_files(array.layout).items():
            array.ledger.set(cell, state)
            for store in (self.digests, self.versions.store):
                array.put_digests(store, array.ids([cell]), store.others.pop(path, NO_DIGEST))
        array.queue_anew()
        self.queue.add(array)

    def find_array(self, folder: str) -> tuple[TrackedArray, str] | None:
        """Return the array that a folder belongs to, and the folder relative to it; None where there is none."""
        if folder not in self._homes:
            if len(self._homes) >= _HOMES:
                self._homes.clear()
            path = nearest_folder(folder, self.arrays)
            self._homes[folder] = None if path is None else (self.arrays[path], folder[len(path) :].removeprefix("/"))
        return self._homes[folder]

    def locate(self, path: str) -> tuple[TrackedFiles, FileId]:
        """Return the files that a file is one of, and its id among them."""
        folder, _, name = path.rpartition("/")
        home = self.find_array(folder)
        if home is not None:
            array, relative = home
            cell = array.layout.flat_index(join(relative, name))
            if cell is not None:
                return array, cell
        return self.plain_files, path

    def group_files(self, folder: str, names: Sequence[str]) -> Iterator[Group]:
        """Yield files of a folder by their kind: the chunk files of an array, then plain files, if there are any."""
        plain = np.arange(len(names))
        home = self.find_array(folder) if names else None
        if home is not None:
            cells = home[0].layout.flat_indices(home[1], names)
            is_chunk = cells >= 0
            if is_chunk.any():
                yield Group(home[0], cells[is_chunk], plain[is_chunk])
            plain = plain[~is_chunk]
        if len(plain):
            prefix = prefix_of(folder)
            yield Group(self.plain_files, self.plain_files.ids([prefix + names[at] for at in plain.tolist()]), plain)

    def is_chunk_file(self, path: str) -> bool:
        """Return whether a file is a chunk file of an array that is known."""
        return self.locate(path)[0].holds_chunks

    def _layout_around(self, path: str) -> ArrayLayout | None:
        """Return the layout of the array whose chunk files are named as a file is, in the grid or outside of it."""
        folder, _, name = path.rpartition("/")
        home = self.find_array(folder)
        if home is None or not home[0].layout.has_form_of_key(f"{home[1]}/{name}" if home[1] else name):
            return None
        return home[0].layout

    @property
    def all_files(self) -> list[TrackedFiles]:
        """Plain files, and those of each array."""
        return [self.plain_files, *self.arrays.values()]

    # -- states ---------------------------------------------------------------------------------------

    def state(self, path: str) -> ChunkState:
        """Return the state of a file; ABSENT for one that was never seen."""
        files, one = self.locate(path)
        return ChunkState(files.state(one))

    def set_state(self, path: str, state: ChunkState) -> None:
        """Change the state of a file that is not with a worker."""
        files, one = self.locate(path)
        files.set_state(one, state)
        if state is ChunkState.PENDING:
            self.queue.add(files)

    def forget_folder(self, folder: str) -> None:
        """Forget the files in a folder of the source, which has another name now."""
        for path in [path for path in self.arrays if is_below(path, folder)]:
            array = self.arrays.pop(path)
            self.relaid.add(path)
            array.forgotten = True
            self.digests.arrays.pop(path, None)
            self.ledgers.retire_ledger(array.ledger)
            self.queue.drop(array)
        self._homes.clear()
        home = self.find_array(folder)
        if home is not None:
            array, cells = home[0], flat_indices_below(home[0].layout, home[1])
            gone = np.arange(cells.start, cells.stop)
            with_workers = array.ledger.flat[gone] == ChunkState.COPYING
            self.writers.changed.update(array.paths(gone[with_workers]))
            array.set_states(gone[~with_workers], ChunkState.ABSENT)
            array.forget_digests(self.digests, gone)
        self.plain_files.forget_folder(folder, self.digests)
        for path in [path for path in self.damaged if is_below(path, folder)]:
            self.damaged.pop(path)
        self.writers.forget_folder(folder)

    @property
    def left_torn(self) -> list[str]:
        """Files that cannot be whole, and that nobody is known to be writing."""
        return [path for path in self.torn if path in self.writers.changing and path not in self.writers.held]

    def lost_files(self) -> CountedNames:
        """Return the chunk files that were seen at the source, and left it before they were copied."""
        count, first = 0, list[str]()
        for array in self.arrays.values():
            cells = array.lost_cells()
            cells = self.renames.exclude_moved(array, cells)
            count += len(cells)
            first += array.paths(cells[: MOST_NAMES - len(first)])
        return CountedNames(count, tuple(first))

    def recheck_kept(self) -> None:
        """Look once more at metadata that were changed at the destination: the source's may have been, too."""
        for path in self.kept:
            self.writers.note_settled(path)

    def replace_state(self, old: ChunkState, new: ChunkState) -> None:
        """Let all files that are in one state be in another."""
        for files in self.all_files:
            if files.counts[old]:
                for ids in files.blocks_in(old):
                    files.set_states(ids, new)
                files.queue_anew()
                self.queue.add(files)

    def exclude_paths(self, files: TrackedFiles, ids: FileIds, paths: Set[str]) -> FileIds:
        """Leave out those of some files whose paths are among these."""
        others = [one for where, one in map(self.locate, paths) if where is files] if len(ids) else []
        if not others:
            return ids
        return ids[~np.isin(ids, files.ids(others))]

    # -- batches --------------------------------------------------------------------------------------

    def note_results(self, batch: Batch, states: Sequence[ChunkState] | ChunkState) -> None:
        """Note what became of a batch's files: one state for all, or one each.

        Files that changed meanwhile are PENDING again, whatever is said of them; nothing is said of those whose folder
        was renamed.
        """
        self.queue.note_results(batch, states)
        if batch.files.forgotten:
            return
        writers = self.writers
        if isinstance(states, ChunkState):
            if not writers.changed and batch.is_current:
                writers.unsettled.difference_update(batch.paths)
                batch.files.set_states(batch.ids, states)
                self.queue.add(batch.files)
                if writers.held:
                    writers.mark_held(batch.paths)
                return
            states = [states] * len(batch.paths)
        for path, state in zip(batch.paths, states, strict=True):
            if self._has_left(batch, path):
                continue
            if path in writers.changed:
                writers.changed.discard(path)
                state = ChunkState.PENDING
            elif state is ChunkState.WRITING:
                writers.changing.add(path)
            elif state is not ChunkState.PENDING:
                writers.unsettled.discard(path)
            self.set_state(path, state)
        if writers.held:
            writers.mark_held(batch.paths)

    def _has_left(self, batch: Batch, path: str) -> bool:
        """Return whether a plain file that was with a worker is not known any more, as its folder was renamed."""
        return not (batch.files.holds_chunks or path in self.plain_files or self.is_chunk_file(path))

    def note_digests(self, batch: Batch, digests: bytes, versions: bytes = b"") -> bool:
        """Note the digests of a batch's files, which have been copied or read back; returns whether they were kept.

        For files that have been copied, `versions` are those of the source.
        """
        if versions:
            self.put_digests(self.versions.store, batch, versions)
        if batch.is_current:
            self.rewrites.note_arrived(batch, digests)
        return self.put_digests(self.digests, batch, digests)

    def put_digests(self, store: DigestStore, batch: Batch, digests: bytes) -> bool:
        """Put 16 bytes for each file of a batch into a store; returns whether all were kept."""
        if batch.is_current:
            return batch.files.put_digests(store, batch.ids, digests)
        kept = True
        for path, digest in zip(batch.paths, split_digests(digests), strict=True):
            if not self._has_left(batch, path):
                files, one = self.locate(path)
                kept = files.put_digests(store, files.ids([one]), digest) and kept
        return kept

    def note_checked(self, path: str, digest: bytes, verified: bool) -> bool:
        """Note that a file was read back, and is what it should be if it was verified; returns whether that was kept.

        If its digest could not be kept, it has to be read once more, when there is room: the receipt needs it.
        """
        files, one = self.locate(path)
        kept = files.put_digests(self.digests, files.ids([one]), digest)
        if verified and kept:
            self.set_state(path, ChunkState.VERIFIED)
        return kept

    # -- sums -----------------------------------------------------------------------------------------

    def counts(self) -> tuple[int, ...]:
        """Return the number of chunk files in each state, all arrays together."""
        return tuple(self.ledgers.sums.counts)

    def count_in(self, *states: ChunkState) -> int:
        """Return how many files, chunk files and plain ones, are in any of these states."""
        sums = self.ledgers.sums.counts
        return sum(sums[state] for state in states) + self.plain_files.count_in(*states)

    @property
    def changes(self) -> int:
        """Goes up whenever an array is noted or the state of one of its chunk files changes."""
        return self.ledgers.sums.changes
