"""Files that are newer at the destination than at the source: somebody changed the copies, and they are replaced.

Part of what is known of a target's source, and called from its job's thread alone.
"""

from __future__ import annotations

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.inventory.file_set import FileSet
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import FolderDiff

_NOT_WAITING = {ChunkState.ABSENT, ChunkState.COPIED, ChunkState.VERIFIED}


class NewerCopies:
    """Collects the newer copies that walks have found since the user was last told of them.

    A worker may have seen one before it was replaced, and say so afterwards, up to the end of the next walk.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._found, self._told = FileSet(inventory), FileSet(inventory)
        """Those that the user has not been told of, and those of the last time."""

    def find(self, part: FolderDiff) -> list[str]:
        """Return the names of those that a part of a folder's comparison has found, and that were not known to differ.

        To be asked before the inventory takes the comparison in.
        """
        prefix = prefix_of(part.folder)
        return [
            name
            for name in part.newer
            if self._inventory.state(prefix + name) in _NOT_WAITING and prefix + name not in self._told
        ]

    def note_replaced(self, folder: str, names: list[str]) -> None:
        """Note which of these files the inventory has copied again, now that it has taken the comparison in."""
        if names:
            prefix, state = prefix_of(folder), self._inventory.state
            self._found.add(folder, [name for name in names if state(prefix + name) is ChunkState.PENDING])

    def pop_notices(self) -> list[Reason]:
        """Return what the user has to be told, once."""
        found = self._found.count_names()
        self._told, self._found = self._found, FileSet(self._inventory)
        if not found.total:
            return []
        return [make_reason(ReasonCode.NEWER_AT_DESTINATION, files=found.total, names=str(found))]
