"""What is known of every file of a target, and which are to be copied next.

Chunk files are cells of their array's ledger; all other files are entries of a table. Only the target's job
calls this, from its one thread; nothing here touches source or destination.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.chunk_check import ChunkFormat, can_prove
from softcopy_napari.engine.copied_versions import CopiedVersions, Unlike
from softcopy_napari.engine.digests import DIGEST_SIZE, Digests
from softcopy_napari.engine.folders import cells_below, is_below, nearest
from softcopy_napari.engine.layout import ArrayLayout
from softcopy_napari.engine.ledger import Ledger, cells_in
from softcopy_napari.engine.ledgers import Ledgers
from softcopy_napari.engine.probe import METADATA_NAMES
from softcopy_napari.engine.readback import NO_DIGEST
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.text import MOST_NAMES, CountedNames
from softcopy_napari.engine.tracked import Batch, TrackedArray

LINK = b"\xff" * 16
"""Stands in place of the digest of a link."""
_HOMES = 1 << 16
_STANDS = 2.0
"""Seconds for which a chunk file has to stay as it is to count as whole."""
_LEAVE_PENDING = np.zeros(len(ChunkState), bool)
_LEAVE_PENDING[[ChunkState.PENDING, ChunkState.COPYING, ChunkState.FAILED]] = True
_LEAVE_SAME = _LEAVE_PENDING.copy()
_LEAVE_SAME[[ChunkState.COPIED, ChunkState.VERIFIED]] = True


class HeldFile(NamedTuple):
    """A file that a writer is at work on."""

    open: bool
    """Whether it has the file itself open; else it holds the file's lock."""
    since: float
    """Monotonic time at which that was noticed, s."""


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
    renames : dict of str to str
        Folders that were renamed inside the source: their old names, and their new ones.
    held : dict of str to HeldFile
        Files that a writer has locked or has open, by path.
    abandoned : dict of str to bool
        Files that were held for too long at the end, by path, and whether they were open: they are waited for no more.
    rewritten : str or None
        A chunk file that was written again after it had been whole.
    outside : str
        A file named like a chunk of an array outside of its grid; empty where there is none.
    copied_metadata : dict of str to bytes
        XXH128 of metadata files that were copied last, and are to be copied again.
    kept : dict of str to str
        Metadata files that were changed at the destination and are left as they are there; with ALSO_AT_SOURCE where
        the source's were changed, too.
    deleted : set of str
        Files that their writer deleted under its lock, and that may still lie at the destination.
    changing : set of str
        Files that changed while they were read, and are WRITING until they are tried again.
    unsettled : set of str
        Chunk files that changed lately and whose writer may still be at work: copied if they prove whole.
    torn : dict of str to str
        Files that could not be whole when they were last looked at, and why; they are looked at again.
    damaged : dict of str to str
        Files that were copied although they cannot be whole, and why they cannot.
    changed : set of str
        Files that something happened to while they were with a worker.
    digests : Digests
        Of the files that have arrived, as far as they are known.
    versions : CopiedVersions
        Which version of the source they are, of those that this run has copied.
    ledgers : Ledgers
        The files of the arrays' ledgers.
    """

    def __init__(self, folder: Path, digests: Path | None = None) -> None:
        self.arrays: dict[str, TrackedArray] = {}
        self.others: dict[str, ChunkState] = {}
        self.others_waiting: deque[str] = deque()
        self.renames: dict[str, str] = {}
        self.held: dict[str, HeldFile] = {}
        self.abandoned: dict[str, bool] = {}
        self.rewritten: str | None = None
        self.outside = ""
        self._just_arrived: deque[tuple[float, TrackedArray, npt.NDArray[np.int64]]] = deque()
        """Chunk files that have arrived in the last moments, and when."""
        self.copied_metadata: dict[str, bytes] = {}
        self.kept: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.changed: set[str] = set()
        self.changing: set[str] = set()
        self.unsettled: set[str] = set()
        self.torn: dict[str, str] = {}
        self.damaged: dict[str, str] = {}
        self.digests = Digests(digests or folder / "digests")
        self.versions = CopiedVersions(self, folder / "versions")
        self.ledgers = Ledgers(folder)
        self._fresh_next = False
        self._fresh: dict[TrackedArray, None] = {}
        """Arrays that may have PENDING chunk files settled lately, those that waited longest first."""
        self._swept: dict[TrackedArray, None] = {}
        """The same for PENDING chunk files that sweeps find."""
        self._strays: set[str] = set()
        """Those of the others that are no metadata: chunk files perhaps, of an array that is not known yet."""
        self._homes: dict[str, tuple[TrackedArray, str] | None] = {}
        self._renamed_arrays: dict[str, tuple[tuple[int, ...], npt.NDArray[np.bool_]]] = {}
        """Of arrays that were renamed and are not known under their new names yet: their grids, and which chunk files
        they had."""
        self._never_seen: set[str] = set()
        """Chunk files of which no more than a lock was seen: if there is none, none has been lost."""

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
            grid, had = self._renamed_arrays.pop(layout.path, ((), np.zeros(0, bool)))
            if grid == layout.grid:
                array.left = had
            self._adopt(array)
            return True
        with_workers = known.paths(known.all_in(ChunkState.COPYING))
        same = not known.layout.difference(layout, ignore_shape=True)
        if same:
            ledger.take_over(known.ledger)
            self._take_over_digests(known, ledger, first_digest)
        else:
            self.changed.update(with_workers)  # what arrives of them belongs to the array before
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
        self._queue(array)

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
        try:
            return self._homes[folder]
        except KeyError:
            pass
        home = None
        above, below = folder, ""
        while True:
            array = self.arrays.get(above)
            if array is not None:
                home = (array, below)
                break
            if not above:
                break
            above, _, name = above.rpartition("/")
            below = f"{name}/{below}" if below else name
        if len(self._homes) >= _HOMES:
            self._homes.clear()
        self._homes[folder] = home
        return home

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
                if not self.outside and self._has_form_of_chunk(path):
                    self.outside = path
            if state is ChunkState.PENDING and self.others.get(path) is not ChunkState.PENDING:
                self.others_waiting.append(path)
            self.others[path] = state
            return
        array, cell = where
        array.ledger.set(cell, state)
        if state is ChunkState.PENDING:
            array.remember(cell)
            self._queue(array)

    # -- folders that are renamed ---------------------------------------------------------------------

    def rename(self, old: str, new: str) -> None:
        """Note that a folder was renamed inside the source. Under its new name all of it has to be copied."""
        self.renames.pop(new, None)
        self.renames[old] = new
        for path in [path for path in self.arrays if is_below(path, old)]:
            array = self.arrays.pop(path)
            had = array.ledger.flat != ChunkState.ABSENT
            self._renamed_arrays[new + path[len(old) :]] = (
                array.layout.grid,
                had if array.left is None else had | array.left,
            )
            self.ledgers.replaced(array.ledger)
            self._fresh.pop(array, None)
            self._swept.pop(array, None)
        self._homes.clear()
        home = self.home(old)
        if home is not None:
            array, cells = home[0], cells_below(home[0].layout, home[1])
            gone = np.arange(cells.start, cells.stop)
            with_workers = array.ledger.flat[gone] == ChunkState.COPYING
            self.changed.update(array.paths(gone[with_workers]))
            array.ledger.set_many(gone[~with_workers], ChunkState.ABSENT)
            self.digests.forget(gone + array.first_digest)
        for path in [path for path in self.others if is_below(path, old)]:
            self.others.pop(path)
            self.digests.others.pop(path, None)
        for paths in (self.deleted, self.changed, self.changing, self.unsettled, self._strays, self._never_seen):
            paths.difference_update([path for path in paths if is_below(path, old)])
        for table in (self.held, self.abandoned, self.damaged):
            for path in [path for path in table if is_below(path, old)]:
                table.pop(path)

    def renamed(self, path: str) -> str | None:
        """Return what a file or folder is called now that lay in a folder renamed inside the source, else None."""
        if not self.renames:
            return None
        now = path
        for _ in range(len(self.renames)):
            old = nearest(now, self.renames)
            if old is None:
                break
            now = self.renames[old] + now[len(old) :]
        return None if now == path else now

    def _queue(self, array: TrackedArray) -> None:
        """Have an array's PENDING chunk files taken when it is its turn."""
        if array.fresh:
            self._fresh[array] = None
        if array.waits_for_sweep:
            self._swept[array] = None

    def writing(self, path: str, itself: bool) -> None:
        """A writer locked a file, or has opened the file itself."""
        held = self.held.get(path)
        self.held[path] = HeldFile(itself, held.since if held is not None else time.monotonic())
        self.abandoned.pop(path, None)
        if itself:
            self._never_seen.discard(path)
        elif self.state(path) is ChunkState.ABSENT:
            self._never_seen.add(path)
        if self.state(path) is not ChunkState.COPYING and (itself or self.locate(path) is not None):
            self.set_state(path, ChunkState.WRITING)

    def settled(self, path: str) -> None:
        """A file's writer is done with it for now: copy it."""
        self._never_seen.discard(path)
        self.held.pop(path, None)
        self.changing.discard(path)
        self.unsettled.discard(path)
        state = self.state(path)
        if state is ChunkState.COPYING:
            self.changed.add(path)
        elif state is not ChunkState.PENDING:
            self._note_rewriting(path, state)
            self.set_state(path, ChunkState.PENDING)

    def _note_rewriting(self, path: str, state: ChunkState) -> None:
        """Note a chunk file that is written again; of one whose digest is known, that of the new version will tell."""
        if state not in (ChunkState.COPIED, ChunkState.VERIFIED) or self.rewritten is not None:
            return
        where = self.locate(path)
        if where is not None and not self.digests.get(np.array([where[0].first_digest + where[1]])).any():
            self.rewritten = path

    def _note_rewritten_cells(self, array: TrackedArray, cells: npt.NDArray[np.int64]) -> None:
        """Note one of several chunk files, as `_note_rewriting`."""
        states = array.ledger.flat[cells]
        again = cells[(states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)]
        if len(again) and self.rewritten is None:
            unknown = again[~self.digests.get(again + array.first_digest).any(axis=1)]
            if len(unknown):
                self.rewritten = array.paths(unknown[:1])[0]

    def try_unsettled(self, path: str) -> bool:
        """Have a file copied as soon as it proves whole, though nothing tells that its writer is done with it.

        Returns
        -------
        bool
            Whether that can be left to the workers. Not where nothing can prove it, where its writer is known to be at
            work, and where it was copied before: while it is written over, its size and its end prove nothing.
        """
        self._never_seen.discard(path)
        where = self.locate(path)
        if where is None or path in self.held or not can_prove(where[0].layout.chunk_format):
            return False
        state = ChunkState(where[0].ledger.get(where[1]))
        if state is ChunkState.ABSENT:
            self.unsettled.add(path)
            self.set_state(path, ChunkState.PENDING)
        elif path in self.unsettled and state is ChunkState.COPYING:
            self.changed.add(path)
        return path in self.unsettled

    @property
    def left_torn(self) -> list[str]:
        """Files that cannot be whole, and that nobody is known to be writing."""
        return [path for path in self.torn if path in self.changing and path not in self.held]

    def gone(self, path: str, lock_held: bool) -> None:
        """A file was deleted at the source."""
        if lock_held:
            self.deleted.add(path)
            self.settled(path)
            self.held[path] = HeldFile(False, time.monotonic())
        else:
            self.held.pop(path, None)
            if self.state(path) is ChunkState.WRITING:
                self.vanished(path)

    def vanished(self, path: str) -> None:
        """A file is not at the source any more, and its last version was not copied."""
        self.set_state(path, ChunkState.ABSENT)
        self.note_left(path)

    def note_left(self, path: str) -> None:
        """Note that a file left the source before it was copied: a chunk file is lost, unless it comes back."""
        where = self.locate(path)
        if where is not None and path not in self._never_seen:
            where[0].note_left(np.array([where[1]]))
        self._never_seen.discard(path)

    def note_deleted(self, path: str) -> None:
        """Note that a file's writer deleted it under its lock, and that it is not at the destination either."""
        where = self.locate(path)
        if where is not None:
            where[0].note_left(np.array([where[1]]), left=False)
            if path in self.held:  # its lock is there still
                self._never_seen.add(path)

    def lost(self) -> CountedNames:
        """Chunk files that were seen at the source, and left it before they were copied."""
        count, first = 0, list[str]()
        for array in self.arrays.values():
            cells = array.lost()
            if len(cells) and self.renames:
                cells = np.array([cell for cell in cells.tolist() if not self._is_elsewhere(array, cell)], np.int64)
            count += len(cells)
            first += array.paths(cells[: MOST_NAMES - len(first)])
        return CountedNames(count, tuple(first))

    def _is_elsewhere(self, array: TrackedArray, cell: int) -> bool:
        """Whether a chunk file is known under another name since its folder was renamed."""
        now = self.renamed(array.prefix + array.layout.key(cell))
        return now is not None and self.state(now) is not ChunkState.ABSENT

    def released(self, path: str) -> None:
        """A writer's lock went away, whatever was done under it."""
        held = self.held.get(path)
        if held is not None and not held.open:
            del self.held[path]
            if self.state(path) is ChunkState.WRITING:
                self.set_state(path, ChunkState.PENDING)

    def forget_writers(self) -> None:
        """Who writes what is no longer known: a walk will tell what is there."""
        self.held.clear()
        self.changing.clear()
        for array in self.arrays.values():
            if array.ledger.counts[ChunkState.WRITING]:
                array.note_left(self._without(array, array.all_in(ChunkState.WRITING), self._never_seen))
        self._never_seen.clear()
        self._replace_all(ChunkState.WRITING, ChunkState.ABSENT)
        for path in self.deleted:  # of these a walk will not find anything
            if self.state(path) is ChunkState.ABSENT:
                self.set_state(path, ChunkState.PENDING)

    def abandon(self, path: str) -> None:
        """Wait for a file's writer no longer: a walk will tell what is there."""
        self.abandoned[path] = self.held.pop(path).open
        if self.state(path) is ChunkState.WRITING:
            # Of what was deleted a walk will not find anything.
            if path in self.deleted:
                self.set_state(path, ChunkState.PENDING)
            else:
                self.vanished(path)

    def recheck_kept(self) -> None:
        """Look once more at metadata that were changed at the destination: the source's may have been, too."""
        for path in self.kept:
            self.settled(path)

    def retry_failed(self) -> None:
        """Have all that failed copied again."""
        self._replace_all(ChunkState.FAILED, ChunkState.PENDING)

    def mark_open_at_the_end(self) -> None:
        """Chunk files that a writer had open to the end may be half-written: they are not called copied."""
        for path, was_open in self.abandoned.items():
            if was_open and self.locate(path) and self.state(path) in (ChunkState.COPIED, ChunkState.VERIFIED):
                self.damaged[path] = "its writer had it open to the end"
                self.set_state(path, ChunkState.FAILED)

    def _replace_all(self, old: ChunkState, new: ChunkState) -> None:
        for path in [path for path, state in self.others.items() if state is old]:
            self.set_state(path, new)
        for array in self.arrays.values():
            if array.ledger.counts[old]:
                array.ledger.set_many(array.all_in(old), new)
                array.sweep_anew()
                self._queue(array)

    # -- what a comparison of a folder found ----------------------------------------------------------

    def compared(
        self, folder: str, same: Sequence[str], different: Sequence[str], unlike: Unlike = MappingProxyType({})
    ) -> int:
        """Note which files of a folder are up to date at the destination and which are not, as in a `FolderPart`.

        Returns
        -------
        int
            How many have to be copied that were not known to.
        """
        prefix = folder + "/" if folder else ""
        if self.renames and (same or different) and (old := nearest(folder, self.renames)) is not None:
            del self.renames[old]  # there is a folder of that name again
        if self._never_seen:
            self._never_seen.difference_update(prefix + name for name in itertools.chain(same, different))
        self.versions.found(folder, same)
        different = self.versions.left_to_copy(folder, different, unlike)
        home = self.home(folder)
        news = 0
        if self.damaged:
            self._forget_damage(prefix, different)
        for names, state, leave in (
            (same, ChunkState.COPIED, _LEAVE_SAME),
            (different, ChunkState.PENDING, _LEAVE_PENDING),
        ):
            rest: Iterable[str] = names
            if home is not None and names:
                array, relative = home
                cells = array.layout.flat_indices(relative, names)
                is_chunk = cells >= 0
                found = cells[is_chunk]
                found = found[~leave[array.ledger.flat[found]]]
                if self.held or self.changing:
                    found = self._without(array, found, self.held.keys() | self.changing)
                if len(found):
                    if state is ChunkState.PENDING:
                        self._note_rewritten_cells(array, found)
                    array.ledger.set_many(found, state)
                    if state is ChunkState.PENDING:
                        news += len(found)
                        array.sweep_from(int(found.min()))
                        self._queue(array)
                rest = () if is_chunk.all() else [n for n, c in zip(names, is_chunk, strict=True) if not c]
            for name in rest:
                path = prefix + name
                if (
                    not self._is_open(path)
                    and path not in self.changing
                    and not (path in self.kept and state is ChunkState.PENDING)
                    and not leave[self.others.get(path, ChunkState.ABSENT)]
                ):
                    self.set_state(path, state)
                    news += state is ChunkState.PENDING
        return news

    def _is_open(self, path: str) -> bool:
        held = self.held.get(path)
        return held is not None and held.open

    def _forget_damage(self, prefix: str, different: Sequence[str]) -> None:
        """Files that were copied as they are and have changed since are to be copied like any others."""
        for path in {prefix + name for name in different} & self.damaged.keys():
            if self.state(path) is ChunkState.FAILED:
                del self.damaged[path]
                self.set_state(path, ChunkState.ABSENT)

    def _without(self, array: TrackedArray, cells: npt.NDArray[np.int64], paths: Set[str]) -> npt.NDArray[np.int64]:
        """Cells of an array without those of some files."""
        others = {where[1] for path in paths if (where := self.locate(path)) and where[0] is array}
        return cells[~np.isin(cells, np.fromiter(others, np.int64))] if others else cells

    # -- batches --------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether there may be files to be taken."""
        return bool(self.others_waiting or self._fresh or self._swept)

    def take(self, limit: int) -> Batch | None:
        """Take up to `limit` PENDING files, which become COPYING; None where there are none."""
        if self.others_waiting:
            return self._take_others(limit)
        # What was just written and what has waited long take turns: neither may starve the other.
        self._fresh_next = not self._fresh_next
        turns = ((self._fresh, TrackedArray.take_fresh), (self._swept, TrackedArray.take_found))
        for queue, take in turns[:: 1 if self._fresh_next else -1]:
            while queue:
                array = next(iter(queue))
                del queue[array]
                cells = take(array, limit)
                self._queue(array)  # at the end of the row, if there is more
                if len(cells):
                    array.ledger.set_many(cells, ChunkState.COPYING)
                    # Before anything of them is replaced: if this run is killed, the next one must not take these for
                    # the digests of what is there then.
                    before = self._digests_of_versions_that_stood(array, cells)
                    self.digests.forget(cells + array.first_digest)
                    return Batch(array, cells, array.paths(cells), array.ledger, array.layout.chunk_format, before)
        return None

    def _digests_of_versions_that_stood(self, array: TrackedArray, cells: npt.NDArray[np.int64]) -> bytes:
        """Digests of what was copied of chunk files before, zeros for what was written anew within moments.

        A chunk that is filled by several writes in a row is one write, taken together.
        """
        digests = self.digests.get(cells + array.first_digest)
        now = time.monotonic()
        while self._just_arrived and now - self._just_arrived[0][0] > _STANDS:
            self._just_arrived.popleft()
        just = [arrived for _, of, arrived in self._just_arrived if of is array] if digests.any() else []
        if just:
            digests = np.where(np.isin(cells, np.concatenate(just))[:, np.newaxis], 0, digests)
        return digests.tobytes()

    def _take_others(self, limit: int) -> Batch | None:
        paths: list[str] = []
        chunk_format = None
        while self.others_waiting and len(paths) < limit:
            path = self.others_waiting[0]
            if self.others.get(path) is ChunkState.PENDING:
                found = self._format_of(path)
                if paths and found != chunk_format:
                    break
                chunk_format = found
                self.others[path] = ChunkState.COPYING
                digest = self.digests.others.pop(path, NO_DIGEST)
                if digest not in (NO_DIGEST, LINK) and path.rpartition("/")[2] in METADATA_NAMES:
                    self.copied_metadata[path] = digest
                paths.append(path)
            self.others_waiting.popleft()
        return Batch(None, np.zeros(0, np.int64), paths, None, chunk_format) if paths else self.take(limit)

    def _format_of(self, path: str) -> ChunkFormat | None:
        """How a file is known to be whole that may become a chunk file: metadata may promise it only when it is."""
        home = self.home(path.rpartition("/")[0])
        if home is None or home[0].layout.chunk_format is None:
            return None
        return home[0].layout.chunk_format if self._has_form_of_chunk(path) else None

    def _has_form_of_chunk(self, path: str) -> bool:
        """Whether a file lies in an array and is named as its chunk files are, in the grid or outside of it."""
        folder, _, name = path.rpartition("/")
        home = self.home(folder)
        if home is None:
            return False
        return home[0].layout.has_form_of_key(f"{home[1]}/{name}" if home[1] else name)

    def finished(self, batch: Batch, states: Sequence[ChunkState] | ChunkState) -> None:
        """Note what became of a batch's files: one state for all, or one each.

        Files that changed meanwhile are PENDING again, whatever is said of them; nothing is said of those whose folder
        was renamed.
        """
        if batch.array is not None and self.arrays.get(batch.array.layout.path) is not batch.array:
            return
        if isinstance(states, ChunkState):
            if batch.array is not None and batch.array.ledger is batch.ledger and not self.changed:
                self.unsettled.difference_update(batch.paths)
                batch.array.ledger.set_many(batch.cells, states)
                if self.held:
                    self._mark_held(batch.paths)
                return
            states = [states] * len(batch.paths)
        for path, state in zip(batch.paths, states, strict=True):
            if batch.array is None and not self._is_known(path):
                continue
            if path in self.changed:
                self.changed.discard(path)
                state = ChunkState.PENDING
            elif state is ChunkState.WRITING:
                self.changing.add(path)
            elif state is not ChunkState.PENDING:
                self.unsettled.discard(path)
            self.set_state(path, state)
        if self.held:
            self._mark_held(batch.paths)

    def arrived(self, batch: Batch, digests: bytes, versions: bytes = b"") -> bool:
        """Note the digests of a batch's files, which have been copied or read back; returns whether they were kept.

        Of those that have been copied, also which versions of the source they are.
        """
        if versions:
            self.versions.note(batch, versions)
        if batch.array is not None and batch.array.ledger is batch.ledger:
            if self.rewritten is None:
                if batch.before.strip(b"\0"):
                    self._look_for_rewritten(batch, digests)
                self._just_arrived.append((time.monotonic(), batch.array, batch.cells))
            return self.digests.put(batch.cells + batch.array.first_digest, digests)
        kept = True
        for number, path in enumerate(batch.paths):
            if batch.array is None and not self._is_known(path):
                continue
            kept = self._note_digest(path, digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]) and kept
        return kept

    def _look_for_rewritten(self, batch: Batch, digests: bytes) -> None:
        """Note the first file of a batch that was copied before with another content."""
        for number, path in enumerate(batch.paths):
            part = slice(number * DIGEST_SIZE, (number + 1) * DIGEST_SIZE)
            if NO_DIGEST not in (batch.before[part], digests[part]) and batch.before[part] != digests[part]:
                self.rewritten = path
                return

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

    def _mark_held(self, paths: Iterable[str]) -> None:
        for path in paths:
            held = self.held.get(path)
            if held is not None and (held.open or self.locate(path) is not None):
                self.set_state(path, ChunkState.WRITING)

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
