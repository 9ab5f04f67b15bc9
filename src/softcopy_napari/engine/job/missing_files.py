"""Which files a check has found to be missing at the destination, and what it reports in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from softcopy_napari.engine.inventory.file_set import FileSet
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.protocol.messages import Failure, Findings
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import FolderDiff

_SHOWN = 100
"""Paths of each kind that are reported at most."""


class MissingFiles:
    """Tells files that are missing at the destination from those that differ there.

    They are kept by cell and path, not counted: parts of a folder's comparison come twice where a worker died.

    Parameters
    ----------
    inventory : Inventory
        Knows of both only that they are not up to date.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._missing, self._times = FileSet(inventory), FileSet(inventory)

    def add_folder_diff(self, part: FolderDiff) -> None:
        """Note what a part of a folder's comparison has not found at the destination."""
        self._missing.add(part.folder, part.absent)
        versions = part.source_versions.items()
        self._times.add(part.folder, [name for name, (_, alike) in versions if alike])
        if part.empty:
            self._missing.others.add(part.folder)

    def make_findings(self, extra: Sequence[str], damaged: Mapping[str, Reason]) -> Findings:
        """Return what the check has found.

        Parameters
        ----------
        extra : sequence of str
            Paths that only the destination has.
        damaged : mapping of str to Reason
            Chunk files of the source that cannot be whole, and why.
        """
        missing: list[str] = []
        different: list[str] = []
        counts, times = [0, 0], 0
        for _, array in sorted(self._inventory.arrays.items()):
            pending = array.all_in(ChunkState.PENDING)
            lacking = self._missing.cells(array)[pending]
            times += int(np.count_nonzero(self._times.cells(array)[pending]))
            for kind, cells in enumerate((pending[lacking], pending[~lacking])):
                paths = (missing, different)[kind]
                counts[kind] += len(cells)
                paths += array.paths(cells[: _SHOWN - len(paths)])
        others = sorted(self._inventory.plain_files.paths_in(ChunkState.PENDING))
        others_missing = [path for path in others if path in self._missing.others]
        others_different = [path for path in others if path not in self._missing.others]
        return Findings(
            chunk_files_missing=counts[0],
            chunk_files_different=counts[1],
            other_missing=len(others_missing),
            chunk_files_times=times,
            other_different=len(others_different),
            other_times=sum(path in self._times.others for path in others_different),
            extra=len(extra),
            missing_paths=tuple([*missing, *others_missing][:_SHOWN]),
            different_paths=tuple([*different, *others_different][:_SHOWN]),
            extra_paths=tuple(extra[:_SHOWN]),
            damaged=len(damaged),
            damaged_files=tuple(Failure(path=path, why=why) for path, why in sorted(damaged.items())[:_SHOWN]),
        )
