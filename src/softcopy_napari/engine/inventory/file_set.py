"""A set of files of a target: cells of its arrays, and paths of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.formatting import MOST_NAMES, CountedNames
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import TrackedFiles


class FileSet:
    """Files of an inventory, a byte for each chunk file of arrays that have any in it.

    Attributes
    ----------
    others : set of str
        Paths of those that are no chunk files.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._cells: dict[TrackedFiles, npt.NDArray[np.bool_]] = {}
        self.others: set[str] = set()

    def add(self, folder: str, names: Sequence[str]) -> None:
        """Add files of a folder."""
        for files, ids, _ in self._inventory.group_files(folder, names):
            if files.holds_chunks:
                self.cells(files)[ids] = True
            else:
                self.others.update(files.paths(ids))

    def __contains__(self, path: str) -> bool:
        files, one = self._inventory.locate(path)
        return bool(self.cells(files)[one]) if files.holds_chunks else path in self.others

    def cells(self, array: TrackedFiles) -> npt.NDArray[np.bool_]:
        """Return which of an array's chunk files are among them: none yet, if it has become another array."""
        size = sum(array.counts)
        if array not in self._cells or len(self._cells[array]) != size:
            self._cells[array] = np.zeros(size, bool)
        return self._cells[array]

    def count_names(self) -> CountedNames:
        """Return how many files these are, and the names of the first."""
        found = CountedNames(len(self.others), tuple(sorted(self.others)[:MOST_NAMES]))
        for files in self._cells:
            cells = np.flatnonzero(self.cells(files))
            found = found.plus(CountedNames(len(cells), tuple(files.paths(cells[:MOST_NAMES]))))
        return found
