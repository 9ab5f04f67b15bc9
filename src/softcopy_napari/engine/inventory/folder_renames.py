"""Follows folders that are renamed inside the source: what was known of them is not lost.

Part of the inventory, and called from the target's job alone, from its one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.relative_paths import is_below, nearest_folder
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory


class FolderRenames:
    """Folders that were renamed inside the source.

    Attributes
    ----------
    new_names : dict of str to str
        The folders' old names, and their new ones.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self.new_names: dict[str, str] = {}
        self._arrays: dict[str, tuple[tuple[int, ...], npt.NDArray[np.bool_]]] = {}
        """Arrays that were renamed and are not known under their new names yet: their grids, and which chunk files
        they had."""

    def note_rename(self, old: str, new: str) -> None:
        """Note that a folder was renamed inside the source. Under its new name all of it has to be copied."""
        self.new_names.pop(new, None)
        self.new_names[old] = new
        for path, array in self._inventory.arrays.items():
            if is_below(path, old):
                had = array.ledger.flat != ChunkState.ABSENT
                had = had if array.left is None else had | array.left
                self._arrays[new + path[len(old) :]] = array.layout.grid, had
        self._inventory.forget_folder(old)

    def note_found(self, folder: str) -> None:
        """Note that files were found in a folder: if it was renamed, there is one of its old name again."""
        if self.new_names and (old := nearest_folder(folder, self.new_names)) is not None:
            del self.new_names[old]

    def pop_chunk_files(self, layout: ArrayLayout) -> npt.NDArray[np.bool_] | None:
        """Return which chunk files an array had, by cell, when its folder was renamed to what it is called now."""
        grid, had = self._arrays.pop(layout.path, ((), None))
        return had if grid == layout.grid else None

    def new_path(self, path: str) -> str | None:
        """Return what a file or folder is called now that lay in a folder renamed inside the source, else None."""
        now = path
        for _ in range(len(self.new_names)):
            old = nearest_folder(now, self.new_names)
            if old is None:
                break
            now = self.new_names[old] + now[len(old) :]
        return None if now == path else now

    def exclude_moved(self, array: TrackedArray, cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Leave out the cells of chunk files that are known under another name since their folder was renamed."""
        if not (len(cells) and self.new_names):
            return cells
        return np.array([cell for cell in cells.tolist() if not self._is_elsewhere(array, cell)], np.int64)

    def _is_elsewhere(self, array: TrackedArray, cell: int) -> bool:
        now = self.new_path(array.prefix + array.layout.key(cell))
        return now is not None and self._inventory.state(now) is not ChunkState.ABSENT
