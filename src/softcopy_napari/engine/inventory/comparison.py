"""Takes what a comparison of folders' two sides found into a target's inventory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.inventory.copied_versions import SourceVersions
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import FileIds, TrackedFiles
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_batch import SAME, FolderBatch

_LEAVE_PENDING = np.zeros(len(ChunkState), bool)
_LEAVE_PENDING[[ChunkState.PENDING, ChunkState.COPYING, ChunkState.FAILED]] = True
_LEAVE_SAME = _LEAVE_PENDING.copy()
_LEAVE_SAME[[ChunkState.COPIED, ChunkState.VERIFIED]] = True


def note_comparison(
    inventory: Inventory,
    folder: str,
    same: Sequence[str],
    different: Sequence[str],
    source_versions: SourceVersions = MappingProxyType({}),
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
    different = inventory.versions.left_to_copy(folder, different, source_versions)
    added = 0
    if inventory.damaged:
        _forget_damage(inventory, prefix, different)
    for names, state in ((same, ChunkState.COPIED), (different, ChunkState.PENDING)):
        for files, found, _ in inventory.group_files(folder, names):
            added += _note_files(inventory, files, found, state)
    return added


def note_batch(inventory: Inventory, batch: FolderBatch) -> int | None:
    """Note what a batch says of chunk files.

    Returns
    -------
    int or None
        How many have to be copied that were not known to. None where it matters which files these are, and nothing was
        noted: then `note_comparison` has to be told of each of their folders.
    """
    versions, writers = inventory.versions, inventory.writers
    home = inventory.find_array(batch.base)
    cells = None if home is None else home[0].layout.flat_indices_of(home[1], batch.files)
    if home is None or cells is None or inventory.renames.new_names or inventory.damaged:
        return None
    is_same = np.frombuffer(batch.verdicts, np.uint8) == SAME
    same, lacking = cells[is_same], cells[~is_same]
    states = home[0].states(lacking)
    if versions.in_vain or writers.never_seen or (_LEAVE_SAME[states] & ~_LEAVE_PENDING[states]).any():
        return None
    _note_files(inventory, home[0], same, ChunkState.COPIED)
    return _note_files(inventory, home[0], lacking, ChunkState.PENDING)


def _note_files(inventory: Inventory, files: TrackedFiles, ids: FileIds, state: ChunkState) -> int:
    """Have files be in a state, unless they are known to be; return how many have to be copied that were not."""
    leave = _LEAVE_SAME if state is ChunkState.COPIED else _LEAVE_PENDING
    ids = ids[~leave[files.states(ids)]]
    ids = inventory.exclude_paths(files, ids, inventory.writers.list_in_use(files))
    if state is ChunkState.PENDING:
        ids = inventory.exclude_paths(files, ids, inventory.kept.keys())
        inventory.rewrites.note_files(files, ids)
    files.set_states(ids, state)
    inventory.queue.add(files)
    return len(ids) if state is ChunkState.PENDING else 0


def _forget_damage(inventory: Inventory, prefix: str, different: Sequence[str]) -> None:
    """Forget the damage of files that have changed since they were copied as they are: they are like any others."""
    for path in {prefix + name for name in different} & inventory.damaged.keys():
        if inventory.state(path) is ChunkState.FAILED:
            del inventory.damaged[path]
            inventory.set_state(path, ChunkState.ABSENT)
