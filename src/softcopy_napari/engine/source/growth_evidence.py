"""Collects what speaks against a quiet source being finished, and whether its marker is newer than its data.

Part of what is known of a target's source (source_tracker.py), and called from its job's thread alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.finish_rules import Against, Objection
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import NEVER, FolderDiff
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.file_names import MARKER

_SAMPLE = 1024
"""Chunk files of an array whose checksums are compared to find placeholders."""
_FEWEST = 4
"""Chunk files of the smallest array in which they are looked for."""
_ARRAYS_LOOKED_AT = 64
_MOMENT_NS = 2_000_000_000
"""Times of files so close together count as equal: clocks tick slowly, and writers make several arrays in a row."""
_LOGS_NS = 60_000_000_000
"""For so long after its data a writer may write its logs."""
_FIRST_TOLD = list(Against)
"""Users are told of the first of these that there is."""


class GrowthEvidence:
    """What speaks against the end of an acquisition.

    Parameters
    ----------
    inventory : Inventory
        Of the files of the source.
    children : mapping of str to tuple of str
        What the OME metadata of each group promise, as it becomes known.
    any_files : bool
        Whether the source is a folder of any files: then nothing tells how many there will be.
    marker : str
        Name of the file that marks the end.
    """

    def __init__(
        self,
        inventory: Inventory,
        children: Mapping[str, tuple[str, ...]],
        any_files: bool = False,
        marker: str = MARKER,
    ) -> None:
        self.any_files, self.marker_name = any_files, marker
        self._inventory = inventory
        self._children = children
        self._seen: dict[Objection, None] = {}
        """What was seen to happen in this run, and counts until its end."""
        self._structure: tuple[Objection, ...] = ()
        """What speaks from the arrays' shapes alone."""
        self._structure_known = False
        self._placeholders: tuple[int, tuple[Objection, ...]] = (-1, ())
        """Arrays that seem to hold placeholders only, and the count of changes at which that was looked for."""
        self._oldest_chunk = NEVER
        self._newest_chunk = self._newest_file = 0
        self._described = (0, "")
        """When the latest metadata of an array were written, ns, and whose."""
        self._marked: dict[str, int] = {}
        """When the markers were written, ns, by their folder."""
        self._walked = False
        self._times_tell = True

    def note_part(self, part: FolderDiff) -> None:
        """Take in the times that a part of a folder's comparison found."""
        self.note_chunk_times(part.oldest_chunk, part.newest_chunk)
        self._newest_file = max(self._newest_file, part.newest_file, part.newest_chunk)
        if part.marker_modified:
            self._marked[part.folder] = part.marker_modified
        if part.metadata_modified > self._described[0]:
            self._described = part.metadata_modified, part.folder

    def note_chunk_times(self, oldest: int, newest: int) -> None:
        """Note the earliest and the latest modification time (ns) of chunk files."""
        self._oldest_chunk = min(self._oldest_chunk, oldest)
        self._newest_chunk = max(self._newest_chunk, newest)

    def excuse_late_metadata(self) -> None:
        """Note that metadata were half-written when the source was first seen: when they were written tells nothing."""
        self._times_tell = False

    def note_layout(self, before: ArrayLayout | None, now: ArrayLayout, half_written: bool = False) -> None:
        """Note that an array was found, whose metadata may have been half-written so far, or that they have changed."""
        if before is None and not half_written:
            counts = self._inventory.counts()
            if self._walked and sum(counts) > counts[ChunkState.ABSENT]:
                self._note(Against.CAME_LATER, now.path)
        elif before is not None and before.shape != now.shape:
            self._note(Against.GREW, now.path)
        self._structure_known = False

    def note_group(self) -> None:
        """Note that a group was found, or that what it promises has changed."""
        self._structure_known = False

    def note_walked(self) -> None:
        """Note the end of a walk over everything: what comes after the first one comes during this run."""
        written, path = self._described
        if self._times_tell and not self._walked and written > self._oldest_chunk + _MOMENT_NS:
            self._note(Against.CAME_LATER, path)
        self._walked = True

    def note_resumed(self) -> None:
        """Note that data came after the target was complete."""
        self._note(Against.RESUMED, "")

    def _note(self, kind: Against, path: str) -> None:
        if not any(known.kind is kind for known in self._seen):  # one of a kind is enough to be told
            self._seen[Objection(kind, path)] = None

    @property
    def objections(self) -> tuple[Objection, ...]:
        """What speaks against the end, what was seen to happen first."""
        rewritten = self._inventory.rewrites.first
        if rewritten is not None:
            self._note(Against.REWRITTEN, rewritten)
        if outside := self._inventory.plain_files.outside:
            self._note(Against.OUTSIDE, outside)
        if not self._structure_known:
            self._structure_known = True
            layouts = [array.layout for array in self._inventory.arrays.values()]
            self._structure = (*_objections_to_shapes(layouts), *_objections_to_place(layouts, self._children))
        if self.any_files:
            return (*self._seen, Objection(Against.ANY_FILES, ""))
        seen = sorted(self._seen, key=lambda one: _FIRST_TOLD.index(one.kind))
        return (*seen, *self._structure, *self._objections_to_content())

    @property
    def growing(self) -> bool:
        """Whether an array was seen to grow."""
        return any(one.kind is Against.GREW for one in self._seen)

    def _objections_to_content(self) -> tuple[Objection, ...]:
        """Find an array at least half of whose chunk files hold the same bytes: placeholders that are filled later."""
        inventory = self._inventory
        if inventory.counts()[ChunkState.ABSENT]:
            return ()  # it is not finished anyway
        if self._placeholders[0] != inventory.changes:
            found: tuple[Objection, ...] = ()
            for array in itertools.islice(inventory.arrays.values(), _ARRAYS_LOOKED_AT):
                if array.layout.n_chunk_files < _FEWEST:
                    continue
                spread = np.linspace(0, array.layout.n_chunk_files - 1, _SAMPLE).astype(np.int64)
                cells = np.array(sorted({*spread.tolist()}), np.int64)
                digests = array.digests(inventory.digests, cells)
                counts = Counter(map(bytes, digests[digests.any(axis=1)]))
                if counts and 2 * max(counts.values()) >= len(cells):
                    found = (Objection(Against.PLACEHOLDERS, array.layout.path),)
                    break
            self._placeholders = inventory.changes, found
        return self._placeholders[1]

    def marker(self) -> tuple[bool, bool]:
        """Tell whether markers say that the acquisition is over, and whether they are older than the data.

        A marker lies at the source's top, or in the folder of each of its arrays.
        """
        plain_files, arrays = self._inventory.plain_files, self._inventory.arrays
        if self.marker_name in plain_files:
            folders: Iterable[str] = [""]
        elif arrays and all(join(path, self.marker_name) in plain_files for path in arrays):
            folders = arrays
        else:
            return False, False
        written = min(self._marked.get(folder, 0) for folder in folders)
        if not written:  # seen by an event: a walk will tell its time
            return False, False
        fresh = self.is_newer_than_data(written)
        return fresh, not fresh

    def is_newer_than_data(self, written: int) -> bool:
        """Return whether what says that the acquisition is over was written (ns) after all data.

        In a folder of any files nobody knows which are data: those of the last minute may be logs.
        """
        if self.any_files:
            return written + _LOGS_NS >= self._newest_file
        # Where there are no data yet, one that is older than the arrays was left by an acquisition before.
        return written + _MOMENT_NS >= (self._newest_chunk or self._described[0])


def _objections_to_shapes(layouts: list[ArrayLayout]) -> Iterable[Objection]:
    """Find arrays whose shape does not tell whether they are full: of each image its largest, and no coordinates."""
    rank = max((len(layout.shape) for layout in layouts), default=0)
    largest: dict[str, int] = {}
    for layout in layouts:
        parent = layout.path.rpartition("/")[0]
        if len(layout.shape) == rank:
            largest[parent] = max(largest.get(parent, 0), layout.n_chunk_files)
    kinds: dict[Against, Objection] = {}
    for layout in layouts:
        if len(layout.shape) < rank or not rank:
            continue
        if not layout.n_chunk_files:
            kinds.setdefault(Against.EMPTY_ARRAY, Objection(Against.EMPTY_ARRAY, layout.path))
        elif layout.grid[0] == 1 and layout.n_chunk_files == largest[layout.path.rpartition("/")[0]]:
            kinds.setdefault(Against.ONE_ALONG_SLOWEST, Objection(Against.ONE_ALONG_SLOWEST, layout.path))
    return kinds.values()


def _objections_to_place(layouts: list[ArrayLayout], children: Mapping[str, tuple[str, ...]]) -> Iterable[Objection]:
    """Find an array beside which others may come: in a group that does not list it, or in the only well of a plate."""
    listed_by = {child: group for group, paths in children.items() for child in paths}
    only_well = ""
    for layout in layouts:
        groups = [layout.path]
        while groups[-1]:
            if groups[-1] not in listed_by:
                yield Objection(Against.UNLISTED, layout.path)
                return
            groups.append(listed_by[groups[-1]])
        # An array, its image, its well, and the plate.
        if not only_well and len(groups) == 4 and len(children[groups[-1]]) == 1:
            only_well = layout.path
    if only_well:
        yield Objection(Against.ONE_WELL, only_well)
