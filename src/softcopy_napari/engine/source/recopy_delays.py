"""How long a file of a folder has to be quiet before it is copied again: one that grows is copied a few times only.

Chunk files are written once, and are copied at once. A TIFF that is opened, appended to and closed for each plane would
be copied whole for each plane. So the wait doubles with every copy: however long it grows, all its copies together
are about twice its final size.
"""

from __future__ import annotations

import struct

from softcopy_napari.engine.fs.file_times import NO_VERSION
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.states import ChunkState

_FIRST = 2.0
"""Seconds of quiet before the first copy of a file that has changed since it was copied."""
_LONGEST = 3600.0
_BYTES_A_SECOND = 1e6
"""A file is never held back for longer than its bytes take at this rate: small files are cheap to copy again."""
_AT_ONCE = 0.5
_size_of = struct.Struct("<8xq").unpack


class RecopyDelays:
    """Tells for how long files have to be quiet before they are copied again.

    Parameters
    ----------
    inventory : Inventory
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._copies: dict[str, int] = {}
        """Files that have changed since they were copied, and how often that has happened."""

    def delay(self, path: str) -> float:
        """Return the seconds for which a file that has just changed has to be quiet; 0 where it may be copied now."""
        inventory = self._inventory
        waiting = path in inventory.writers.held
        if not waiting and inventory.state(path) in (ChunkState.COPIED, ChunkState.VERIFIED, ChunkState.COPYING):
            self._copies[path] = self._copies.get(path, 0) + 1
        copies = self._copies.get(path)
        if copies is None:
            return 0.0
        version = inventory.versions.store.others.get(path, NO_VERSION)
        longest = _LONGEST
        if version != NO_VERSION:
            longest = min(_LONGEST, _size_of(version)[0] / _BYTES_A_SECOND)
        seconds = min(_FIRST * 2.0 ** min(copies - 1, 20), longest)
        return seconds if seconds > _AT_ONCE else 0.0
