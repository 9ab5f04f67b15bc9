"""What is known of every file of a target: its array, its state, and what was copied of it.

Chunk files are cells of their array's ledger; all other files are entries of a table. Only the target's job
calls this, from its one thread; nothing here touches source or destination.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.formatting import MOST_NAMES, CountedNames
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.fs.relative_paths import is_below, nearest_folder
from softcopy_napari.engine.inventory.copied_versions import CopiedVersions
from softcopy_napari.engine.inventory.copy_queue import CopyQueue
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.folder_renames import FolderRenames
from softcopy_napari.engine.inventory.ledger import Ledger, cells_in
from softcopy_napari.engine.inventory.ledger_files import LedgerFiles
from softcopy_napari.engine.inventory.rewrites import Rewrites
from softcopy_napari.engine.inventory.tracked_array import Batch, TrackedArray
from softcopy_napari.engine.inventory.writer_activity import WriterActivity
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, flat_indices_below
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_HOMES = 1 << 16


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
    others : dict of str to ChunkState
        Files that are no chunks, links and empty folders, by path.
    outside : str
        A file named like a chunk of an array outside of its grid; empty where there is none.
    copied_metadata : dict of str to bytes
        XXH128 of metadata files that were copied last, and are to be copied again.
    kept : dict of str to str
        Metadata files that were changed at the destination and are left as they are there; with ALSO_AT_SOURCE where
        the source's were changed, too.
    torn : dict of str to str
        Files that could not be whole when they were last looked at, and why; they are looked at again.
    damaged : dict of str to str
        Files that were copied although they cannot be whole, and why they cannot.
    digests : DigestStore
        Of the files that have arrived, as far as they are known.
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
    """

    def __init__(self, folder: Path, digests: Path | None = None) -> None:
        self.arrays: dict[str, TrackedArray] = {}
        self.others: dict[str, ChunkState] = {}
        self.outside = ""
        self.copied_metadata: dict[str, bytes] = {}
        self.kept: dict[str, str] = {}
        self.torn: dict[str, str] = {}
        self.damaged: dict[str, str] = {}
        self.digests = DigestStore(digests or folder / "digests")
        self.versions = CopiedVersions(self, folder / "versions")
        self.ledgers = LedgerFiles(folder)
        self.queue = CopyQueue(self)
        self.writers = WriterActivity(self)
        self.rewrites = Rewrites(self)
        self.renames = FolderRenames(self)
        self._strays: set[str] = set()
        """Those of the others that are no metadata: chunk files perhaps, of an array that is not known yet."""
        self._homes: dict[str, tuple[TrackedArray, str] | None] = {}

    # -- arrays ---------------------------------------------------------------------------------------

    def register(self, layout: ArrayLayout) -> bool:
        """Note an array, or what has become of it.

        Returns
        -------
        bool
            Whether its folder has to be compared anew: it is new, or it is another array than before.
        """
        known = self.arrays.get(layout.path)
        if known is not None and known.layout == layout:
            return False
        ledger = self.ledgers.make(layout.grid)
        first_digest = self.digests.allot(layout.n_chunk_files)
        self._homes.clear()
        if known is None:
            array = self.arrays[layout.path] = TrackedArray(layout, ledger, first_digest)
            array.left = self.renames.pop_chunk_files(layout)
            self._adopt(array)
            return True
        with_workers = known.paths(known.all_in(ChunkState.COPYING))
        same = not known.layout.difference(layout, ignore_shape=True)
        if same:
            ledger.take_over(known.ledger)
            self._take_over_digests(known, ledger, first_digest)
        else:
            self.writers.changed.update(with_workers)  # what arrives of them belongs to the array before
            for path in [path for path in self.damaged if path.startswith(known.prefix)]:
                del self.damaged[path]
        self.ledgers.replaced(known.ledger)
        left = known.lost() if same else np.zeros(0, np.int64)
        before = known.ledger.grid
        known.layout, known.ledger, known.first_digest, known.left = layout, ledger, first_digest, None
        if len(left):
            known.note_left(cells_in(ledger.grid, left, before)[1])
        self._adopt(known)
        for path in with_workers:
            self.set_state(path, ChunkState.COPYING)
        return not same

    def _take_over_digests(self, known: TrackedArray, ledger: Ledger, first_digest: int) -> None:
        """Bring the digests of an array's chunk files to where they are after it was resized."""
        for state in (ChunkState.COPIED, ChunkState.VERIFIED):
            cells = known.all_in(state)
            still, now = cells_in(ledger.grid, cells, known.ledger.grid)
            before = cells[still] + known.first_digest
            self.digests.put(now + first_digest, self.digests.get(before).tobytes())
            self.versions.move(before, now + first_digest)

    def _adopt(self, array: TrackedArray) -> None:
        """Take over chunk files that were seen before the metadata that make them such."""
        prefix = array.prefix
        for path in [path for path in self._strays if path.startswith(prefix)]:
            cell = array.layout.flat_index(path[len(prefix) :])
            if cell is not None:
                self._strays.discard(path)
                if path == self.outside:
                    self.outside = ""
                array.ledger.set(cell, self.others.pop(path))
                self.digests.put(np.array([array.first_digest + cell]), self.digests.others.pop(path, NO_DIGEST))
                self.versions.adopt(path, array.first_digest + cell)
        array.sweep_anew()
        self.queue.add_array(array)

    def locate(self, path: str) -> tuple[TrackedArray, int] | None:
        """The array and cell of a chunk file; None for any other file."""
        folder, _, name = path.rpartition("/")
        home = self.home(folder)
        if home is None:
            return None
        array, relative = home
        cell = array.layout.flat_index(f"{relative}/{name}" if relative else name)
        return None if cell is None else (array, cell)

    def home(self, folder: str) -> tuple[TrackedArray, str] | None:
        """The array that a folder belongs to, and the folder relative to it."""
        if folder not in self._homes:
            if len(self._homes) >= _HOMES:
                self._homes.clear()
            path = nearest_folder(folder, self.arrays)
            self._homes[folder] = None if path is None else (self.arrays[path], folder[len(path) :].removeprefix("/"))
        return self._homes[folder]

    def cells(self, folder: str, names: Sequence[str]) -> tuple[TrackedArray, npt.NDArray[np.int64]] | None:
        """The array that a folder belongs to, if any, and the cells of names in it, -1 for what is no chunk file."""
        home = self.home(folder)
        return None if home is None else (home[0], home[0].layout.flat_indices(home[1], names))

    # -- states ---------------------------------------------------------------------------------------

    def state(self, path: str) -> ChunkState:
        """State of a file; ABSENT for one that was never seen."""
        where = self.locate(path)
        if where is None:
            return self.others.get(path, ChunkState.ABSENT)
        return ChunkState(where[0].ledger.get(where[1]))

    def set_state(self, path: str, state: ChunkState) -> None:
        """Change the state of a file that is not with a worker."""
        where = self.locate(path)
        if where is None:
            if state is ChunkState.ABSENT:
                self.others.pop(path, None)
                self._strays.discard(path)
                return
            if path not in self.others and path.rpartition("/")[2] not in METADATA_NAMES:
                self._strays.add(path)
                if not self.outside and self.has_form_of_chunk(path):
                    self.outside = path
            if state is ChunkState.PENDING and self.others.get(path) is not ChunkState.PENDING:
                self.queue.add_file(path)
            self.others[path] = state
            return
        array, cell = where
        array.ledger.set(cell, state)
        if state is ChunkState.PENDING:
            array.remember(cell)
            self.queue.add_array(array)

    def forget_folder(self, folder: str) -> None:
        """Forget the files in a folder of the source, which has another name now."""
        for path in [path for path in self.arrays if is_below(path, folder)]:
            array = self.arrays.pop(path)
            self.ledgers.replaced(array.ledger)
            self.queue.drop_array(array)
        self._homes.clear()
        home = self.home(folder)
        if home is not None:
            array, cells = home[0], flat_indices_below(home[0].layout, home[1])
            gone = np.arange(cells.start, cells.stop)
            with_workers = array.ledger.flat[gone] == ChunkState.COPYING
            self.writers.changed.update(array.paths(gone[with_workers]))
            array.ledger.set_many(gone[~with_workers], ChunkState.ABSENT)
            self.digests.forget(gone + array.first_digest)
        for path in [path for path in self.others if is_below(path, folder)]:
            self.others.pop(path)
            self.digests.others.pop(path, None)
        self._strays.difference_update([path for path in self._strays if is_below(path, folder)])
        for path in [path for path in self.damaged if is_below(path, folder)]:
            self.damaged.pop(path)
        self.writers.forget_folder(folder)

    @property
    def left_torn(self) -> list[str]:
        """Files that cannot be whole, and that nobody is known to be writing."""
        return [path for path in self.torn if path in self.writers.changing and path not in self.writers.held]

    def lost(self) -> CountedNames:
        """Chunk files that were seen at the source, and left it before they were copied."""
        count, first = 0, list[str]()
        for array in self.arrays.values():
            cells = array.lost()
            cells = self.renames.not_elsewhere(array, cells)
            count += len(cells)
            first += array.paths(cells[: MOST_NAMES - len(first)])
        return CountedNames(count, tuple(first))

    def recheck_kept(self) -> None:
        """Look once more at metadata that were changed at the destination: the source's may have been, too."""
        for path in self.kept:
            self.writers.settled(path)

    def replace_all(self, old: ChunkState, new: ChunkState) -> None:
        """Let all files that are in one state be in another."""
        for path in [path for path, state in self.others.items() if state is old]:
            self.set_state(path, new)
        for array in self.arrays.values():
            if array.ledger.counts[old]:
                array.ledger.set_many(array.all_in(old), new)
                array.sweep_anew()
                self.queue.add_array(array)

    def cells_without(
        self, array: TrackedArray, cells: npt.NDArray[np.int64], paths: Set[str]
    ) -> npt.NDArray[np.int64]:
        """Leave out the cells of some files."""
        others = {where[1] for path in paths if (where := self.locate(path)) and where[0] is array}
        return cells[~np.isin(cells, np.fromiter(others, np.int64))] if others else cells

    def has_form_of_chunk(self, path: str) -> bool:
        """Whether a file lies in an array and is named as its chunk files are, in the grid or outside of it."""
        folder, _, name = path.rpartition("/")
        home = self.home(folder)
        if home is None:
            return False
        return home[0].layout.has_form_of_key(f"{home[1]}/{name}" if home[1] else name)

    # -- batches --------------------------------------------------------------------------------------

    def finished(self, batch: Batch, states: Sequence[ChunkState] | ChunkState) -> None:
        """Note what became of a batch's files: one state for all, or one each.

        Files that changed meanwhile are PENDING again, whatever is said of them; nothing is said of those whose folder
        was renamed.
        """
        if batch.array is not None and self.arrays.get(batch.array.layout.path) is not batch.array:
            return
        writers = self.writers
        if isinstance(states, ChunkState):
            if batch.array is not None and batch.array.ledger is batch.ledger and not writers.changed:
                writers.unsettled.difference_update(batch.paths)
                batch.array.ledger.set_many(batch.cells, states)
                if writers.held:
                    writers.mark_held(batch.paths)
                return
            states = [states] * len(batch.paths)
        for path, state in zip(batch.paths, states, strict=True):
            if batch.array is None and not self._is_known(path):
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

    def arrived(self, batch: Batch, digests: bytes, versions: bytes = b"") -> bool:
        """Note the digests of a batch's files, which have been copied or read back; returns whether they were kept.

        Of those that have been copied, also which versions of the source they are.
        """
        if versions:
            self.versions.note(batch, versions)
        if batch.array is not None and batch.array.ledger is batch.ledger:
            self.rewrites.note_arrived(batch, batch.array, digests)
            return self.digests.put(batch.cells + batch.array.first_digest, digests)
        kept = True
        for number, path in enumerate(batch.paths):
            if batch.array is None and not self._is_known(path):
                continue
            kept = self._note_digest(path, digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]) and kept
        return kept

    def proven(self, path: str, digest: bytes, verified: bool) -> bool:
        """Note that a file was read back, and is what it should be if it was verified; returns whether that was kept.

        If its digest could not be kept, it has to be read once more, when there is room: the receipt needs it.
        """
        kept = self._note_digest(path, digest)
        if verified and kept:
            self.set_state(path, ChunkState.VERIFIED)
        return kept

    def _note_digest(self, path: str, digest: bytes) -> bool:
        where = self.locate(path)
        if where is None:
            self.digests.others[path] = digest
            return True
        return self.digests.put(np.array([where[0].first_digest + where[1]]), digest)

    def _is_known(self, path: str) -> bool:
        """Whether a file that was with a worker is still known under that name."""
        return path in self.others or self.locate(path) is not None

    # -- sums -----------------------------------------------------------------------------------------

    def counts(self) -> tuple[int, int, int, int, int, int, int]:
        """Chunk files in each state, all arrays together."""
        a, b, c, d, e, f, g = self.ledgers.sums.counts
        return a, b, c, d, e, f, g

    @property
    def changes(self) -> int:
        """Goes up whenever an array is noted or the state of one of its chunk files changes."""
        return self.ledgers.sums.changes

    def others_in(self, *states: ChunkState) -> int:
        """Files that are no chunks, in any of these states."""
        return sum(state in states for state in self.others.values())
