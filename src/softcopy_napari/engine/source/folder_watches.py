"""Decides which folders of a source are watched: those that something may come to, and never too many.

A watch costs the kernel memory, and there is a limit to them. Folders of chunk files that are full and quiet are let
go; what is changed in them shows in their times, which walks look at. Part of what is known of a source, and called
from its job's thread alone.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watch.events import Watcher
from softcopy_napari.engine.worker.folder_batch import COMPARED, FolderBatch
from softcopy_napari.engine.zarr_layout.array_layout import flat_indices_below

_MOST = 12_000
"""Folders of chunk files that are watched at most."""
_LET_GO = 2_000
"""How many of them are looked at when there are more."""
_QUIET_NS = 60_000_000_000
"""Folders that were not changed for so long are quiet, ns."""


class FolderWatches:
    """The folders of one source that are watched.

    Parameters
    ----------
    watcher : Watcher
    source : Path
    inventory : Inventory
    walks : WalkPlanner
        Compares folders that changed before they were watched.
    """

    def __init__(self, watcher: Watcher, source: Path, inventory: Inventory, walks: WalkPlanner) -> None:
        self._watcher = watcher
        self._source = source
        self._inventory = inventory
        self._walks = walks
        self._of_chunks: dict[str, None] = {}
        """Watched folders of chunk files, longest watched first."""

    def watch(self, folder: str) -> bool:
        """Watch a folder; return whether it was not watched before."""
        if not self._watcher.watch(folder):
            return False
        home = self._inventory.find_array(folder)
        if home is not None and home[1] and home[0].layout.indices_below(home[1]):
            self._of_chunks[folder] = None
            if len(self._of_chunks) > _MOST:
                self._let_go()
        return True

    def watch_compared(self, batch: FolderBatch) -> set[str]:
        """Watch folders that were compared before they were watched, except full ones that are quiet.

        Returns
        -------
        set of str
            Those that may have changed in between: their times show it, or would not. What was found in them may have
            been deleted by its writer, which nobody has heard; they have to be compared once more.
        """
        latest = time.time_ns() - _QUIET_NS
        home = self._inventory.find_array(batch.base)
        indices = None if home is None else home[0].layout.indices_below(home[1])
        # How many entries make a folder full, by how deep it lies in the array.
        full = () if home is None or indices is None else home[0].layout.grid[len(indices) + 1 :]
        slashes = batch.base.count("/") + bool(batch.base)
        changed: set[str] = set()
        for path, kind, modified, n_files, n_folders in batch.folders:
            depth = path.count("/") - slashes
            is_full = depth < len(full) and n_files + n_folders == full[depth]
            if kind != COMPARED or (is_full and 0 < modified < latest):
                continue
            if self.watch(path) and (not modified or self._modified(path) != modified):
                changed.add(path)
        return changed

    def _let_go(self) -> None:
        """End the watches of folders that are quiet: of the longest watched those that are full, or else any."""
        latest = time.time_ns() - _QUIET_NS
        oldest = list(itertools.islice(self._of_chunks, _LET_GO))
        quiet = [folder for folder in oldest if self._modified(folder) < latest]
        let_go = [folder for folder in quiet if self._has_all(folder)] or quiet or oldest[: _LET_GO // 2]
        for folder in let_go:
            del self._of_chunks[folder]
        for folder in set(oldest).difference(let_go):  # to be looked at again after all others
            del self._of_chunks[folder]
            self._of_chunks[folder] = None
        self._watcher.let_go(let_go)

    def _has_all(self, folder: str) -> bool:
        """Whether all chunk files in a folder and below it have been seen."""
        home = self._inventory.find_array(folder)
        if home is None:
            return False
        cells = flat_indices_below(home[0].layout, home[1])
        return not (home[0].ledger.flat[cells.start : cells.stop] == ChunkState.ABSENT).any()

    def _modified(self, folder: str) -> int:
        try:
            return os.stat(self._source / folder).st_mtime_ns
        except OSError:
            return 0
