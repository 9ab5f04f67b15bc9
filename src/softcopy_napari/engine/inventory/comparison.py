"""Takes what a comparison of a folder's two sides found into a target's inventory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np

from softcopy_napari.engine.inventory.copied_versions import Unlike
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.states import ChunkState

_LEAVE_PENDING = np.zeros(len(ChunkState), bool)
_LEAVE_PENDING[[ChunkState.PENDING, ChunkState.COPYING, ChunkState.FAILED]] = True
_LEAVE_SAME = _LEAVE_PENDING.copy()
_LEAVE_SAME[[ChunkState.COPIED, ChunkState.VERIFIED]] = True


def note_comparison(
    inventory: Inventory,
    folder: str,
    same: Sequence[str],
    different: Sequence[str],
    unlike: Unlike = MappingProxyType({}),
) -> int:
    """Note which files of a folder are up to date at the destination and which are not, as in a `FolderDiff`.

    Returns
    -------
    int
        How many have to be copied that were not known to.
    """
    prefix = folder + "/" if folder else ""
    if same or different:
        inventory.renames.note_found(folder)
        inventory.writers.note_seen(folder, itertools.chain(same, different))
    inventory.versions.found(folder, same)
    different = inventory.versions.left_to_copy(folder, different, unlike)
    home, writers = inventory.home(folder), inventory.writers
    news = 0
    if inventory.damaged:
        _forget_damage(inventory, prefix, different)
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
            if writers.held or writers.changing:
                found = inventory.cells_without(array, found, writers.held.keys() | writers.changing)
            if len(found):
                if state is ChunkState.PENDING:
                    inventory.rewrites.note_cells(array, found)
                array.ledger.set_many(found, state)
                if state is ChunkState.PENDING:
                    news += len(found)
                    array.sweep_from(int(found.min()))
                    inventory.queue.add_array(array)
            rest = () if is_chunk.all() else [n for n, c in zip(names, is_chunk, strict=True) if not c]
        for name in rest:
            path = prefix + name
            if (
                not writers.has_open(path)
                and path not in writers.changing
                and not (path in inventory.kept and state is ChunkState.PENDING)
                and not leave[inventory.others.get(path, ChunkState.ABSENT)]
            ):
                inventory.set_state(path, state)
                news += state is ChunkState.PENDING
    return news


def _forget_damage(inventory: Inventory, prefix: str, different: Sequence[str]) -> None:
    """Files that were copied as they are and have changed since are to be copied like any others."""
    for path in {prefix + name for name in different} & inventory.damaged.keys():
        if inventory.state(path) is ChunkState.FAILED:
            del inventory.damaged[path]
            inventory.set_state(path, ChunkState.ABSENT)
