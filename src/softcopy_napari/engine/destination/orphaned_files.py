"""Which files that only the destination has are orphans: brought there by this copy or an earlier one?

Only these can be gone from the source: whatever else lies there belongs to people who work on the copy already. Chunk
files and zarr metadata count; other files come and go as their writers like.
"""

from __future__ import annotations

import itertools
import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from softcopy_napari.engine.checksums.known_digests import KnownDigests
from softcopy_napari.engine.destination.final_verdict import FinalFindings
from softcopy_napari.engine.formatting import MOST_NAMES, NO_NAMES, CountedNames, count_names
from softcopy_napari.engine.fs.relative_paths import nearest_folder
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import FileIds, TrackedFiles
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.receipt import find_unchanged_receipt
from softcopy_napari.engine.source.walk_planner import Walk
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, flat_indices_below
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_BLOCK = 1 << 16
"""Cells looked at together."""
_ARRIVED = (ChunkState.COPIED, ChunkState.VERIFIED)

log = logging.getLogger(__name__)


class OrphanedFiles:
    """Files that copies brought to the destination and that the source no longer has.

    Parameters
    ----------
    walk : Walk
        The last one over everything, which found what only the destination has.
    inventory : Inventory
        What this run copied, or found to be equal on both sides. Read now, and not later.
    runs : sequence of KnownDigests
        Earlier runs and the checksums that they have kept.
    missing_nodes : sequence of str
        What OME metadata promise and never came.
    any_files : bool
        Whether the source is a folder of any files.
    listed : set of str, optional
        Files that the source's own list names as finished.

    Attributes
    ----------
    files : CountedNames
        What was found so far.
    moved : dict of str to str
        What of it was renamed inside the source, and its new name.
    left : dict of str to None
        In what of it nothing was found so far.
    """

    def __init__(
        self,
        walk: Walk,
        inventory: Inventory,
        runs: Sequence[KnownDigests],
        missing_nodes: Sequence[str],
        any_files: bool = False,
        listed: Set[str] = frozenset(),
    ) -> None:
        gone = sorted(set(walk.gone))
        self.files = NO_NAMES
        self._receipt_read = False
        """Whether it is known what an earlier copy brought by its receipt."""
        self.missing_nodes = missing_nodes
        self._lost = inventory.lost_files()
        self._left = count_names(inventory.plain_files.left if any_files else ())
        self._listed = count_names(sorted(_find_missing(inventory, listed, set(gone))))
        self._walk = walk
        self.moved = {path: now for path in gone if (now := inventory.renames.new_path(path.rstrip("/"))) is not None}
        self.left = dict.fromkeys(path for path in gone if path not in self.moved)
        self._renamed = dict(inventory.renames.new_names)
        self._layouts = {path: array.layout for path, array in inventory.arrays.items()}
        for folder, group in itertools.groupby(list(self.left), lambda path: path.rstrip("/").rpartition("/")[0]):
            entries = list(group)
            self._search_files(inventory, runs, folder, [path for path in entries if not path.endswith("/")])
        folders = [path for path in self.left if path.endswith("/")]
        if folders:
            self._search_folders(inventory, runs, folders)

    def _note(self, entry: str, names: CountedNames) -> None:
        if names.total:
            self.left.pop(entry, None)
            self.files = self.files.plus(names)

    def _search_files(self, inventory: Inventory, runs: Sequence[KnownDigests], folder: str, paths: list[str]) -> None:
        start = len(folder) + 1 if folder else 0
        for files, ids, _ in inventory.group_files(folder, [path[start:] for path in paths]):
            for path in files.paths(_brought(inventory, files, ids, runs)):
                if files.holds_chunks or path.rpartition("/")[2] in METADATA_NAMES:
                    self._note(path, CountedNames(1, (path,)))

    def _search_folders(self, inventory: Inventory, runs: Sequence[KnownDigests], folders: list[str]) -> None:
        arrays, others = sorted(inventory.arrays), sorted(inventory.plain_files.by_path)
        for entry in folders:
            found = NO_NAMES
            for path in _below(others, entry):
                if path.rpartition("/")[2] in METADATA_NAMES and inventory.plain_files.state(path) in _ARRIVED:
                    found = found.plus(CountedNames(1, (path,)))
            for path in _below(arrays, entry):
                array = inventory.arrays[path]
                found = found.plus(_brought_within(inventory, array, range(array.layout.n_chunk_files), runs))
            home = inventory.find_array(entry.rstrip("/"))
            if home is not None and home[1]:
                found = found.plus(
                    _brought_within(inventory, home[0], flat_indices_below(home[0].layout, home[1]), runs)
                )
            for run in runs:
                if not found.total:
                    for path, count in run.list_below(entry):
                        if self._renamed_from(path) is None:
                            found = found.plus(CountedNames(count, (path,)))
            self._note(entry, found)

    def _renamed_from(self, path: str) -> str | None:
        return nearest_folder(path, self._renamed)

    def search_receipt(self, destination: Path) -> None:
        """Find what an earlier copy brought by its receipt; it may have ten million lines, and the disk may hang.

        For a thread of its own: of the inventory nothing is used any more.
        """
        self._receipt_read = True
        if not self.left:
            return
        try:
            sums, facts = find_unchanged_receipt(destination)
            if facts is None:
                return
            before = {array.path for array in facts.arrays} - self._layouts.keys()
            folders = {path.rstrip("/"): path for path in self.left if path.endswith("/")}
            left = dict(self.left)
            within: str | None = None
            last = None
            for _, path in read_lines(sums, destination):
                folder = path.rpartition("/")[0]
                if folder != last:
                    last, within = folder, nearest_folder(folder, folders)
                if (within is not None or path in left) and self._is_data(path, before):
                    self._note(path if within is None else folders[within], CountedNames(1, (path,)))
        except (ReceiptError, OSError) as error:
            log.info("nothing is known of an earlier copy: %s", error)

    def findings(self) -> FinalFindings:
        """Return what there is to be judged. May be called from any thread."""
        chunks = dict.fromkeys(path for path in self.left if is_chunk_of(self._layouts, path))
        foreign = chunks if self._receipt_read else ()  # before that an earlier copy may have brought them
        return FinalFindings(
            lost=self._lost,
            listed=self._listed,
            left=self._left,
            orphaned=self.files,
            foreign=count_names(foreign),
            others=[path for path in self.left if path not in chunks],
            system=self._walk.system,
            renamed=self.moved,
            unlisted=self._walk.unlisted,
            missing_nodes=count_names(self.missing_nodes),
        )

    def _is_data(self, path: str, arrays_before: set[str]) -> bool:
        """Whether a file of an earlier copy is data that the source should have still."""
        folder, _, name = path.rpartition("/")
        if self._renamed_from(path) is not None:
            return False
        if name in METADATA_NAMES or nearest_folder(folder, arrays_before) is not None:
            return True
        return is_chunk_of(self._layouts, path)  # one outside of the grid went when its array was made smaller


def _find_missing(inventory: Inventory, listed: Set[str], gone: Set[str]) -> Iterator[str]:
    """Yield the listed files that the source does not have and the destination, which has what is `gone`, neither."""
    folders = {path.rstrip("/") for path in gone}
    for path in listed:
        absent = inventory.state(path) is ChunkState.ABSENT and path not in inventory.kept
        if absent and nearest_folder(path, folders) is None:
            yield path


def is_chunk_of(layouts: Mapping[str, ArrayLayout], path: str) -> bool:
    """Whether a path is that of a chunk file in the grid of an array, or of a folder (ending in `/`) of such."""
    home = nearest_folder(path.rstrip("/"), layouts)
    if home is None:
        return False
    relative = path[len(home) + 1 if home else 0 :]
    if relative.endswith("/"):
        return bool(flat_indices_below(layouts[home], relative.rstrip("/")))
    return layouts[home].flat_index(relative) is not None


def _below(paths: Sequence[str], folder: str) -> Iterator[str]:
    """Yield the paths, of sorted ones, that begin with a folder, which ends in `/`, or are the folder itself."""
    for path in itertools.islice(paths, bisect_left(paths, folder.rstrip("/")), None):
        if path.startswith(folder) or path + "/" == folder:
            yield path
        elif path > folder and not folder.startswith(path):
            return


def _brought_within(
    inventory: Inventory, array: TrackedArray, cells: range, runs: Sequence[KnownDigests]
) -> CountedNames:
    found = NO_NAMES
    for start in range(cells.start, cells.stop, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, cells.stop))
        brought = _brought(inventory, array, block, runs)
        found = found.plus(CountedNames(len(brought), tuple(array.paths(brought[:MOST_NAMES]))))
    return found


def _brought(inventory: Inventory, files: TrackedFiles, ids: FileIds, runs: Sequence[KnownDigests]) -> FileIds:
    """Return those of some files that this run or an earlier one brought to the destination."""
    brought = np.isin(files.states(ids), _ARRIVED)
    for store in (inventory.digests, *(run.store for run in runs)):
        left = np.flatnonzero(~brought)
        if len(left):
            brought[left] = files.digests(store, ids[left]).any(axis=1)
    return ids[brought]
