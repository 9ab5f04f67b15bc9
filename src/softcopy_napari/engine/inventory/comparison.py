"""Takes what a comparison of a folder's two sides found into a target's inventory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from softcopy_napari.engine.fs.relative_paths import prefix_of
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
    prefix = prefix_of(folder)
    if same or different:
        inventory.renames.note_found(folder)
        inventory.writers.note_seen(folder, itertools.chain(same, different))
    inventory.versions.note_found(folder, same)
    different = inventory.versions.left_to_copy(folder, different, unlike)
    news = 0
    if inventory.damaged:
        _forget_damage(inventory, prefix, different)
    for names, state, leave in (
        (same, ChunkState.COPIED, _LEAVE_SAME),
        (different, ChunkState.PENDING, _LEAVE_PENDING),
    ):
        for files, found, _ in inventory.group_files(folder, names):
            ids = found[~leave[files.states(found)]]
            ids = inventory.exclude_paths(files, ids, inventory.writers.list_in_use(files))
            if state is ChunkState.PENDING:
                ids = inventory.exclude_paths(files, ids, inventory.kept.keys())
                inventory.rewrites.note_files(files, ids)
                news += len(ids)
            files.set_states(ids, state)
            inventory.queue.add(files)
    return news


def _forget_damage(inventory: Inventory, prefix: str, different: Sequence[str]) -> None:
    """Files that were copied as they are and have changed since are to be copied like any others."""
    for path in {prefix + name for name in different} & inventory.damaged.keys():
        if inventory.state(path) is ChunkState.FAILED:
            del inventory.damaged[path]
            inventory.set_state(path, ChunkState.ABSENT)
