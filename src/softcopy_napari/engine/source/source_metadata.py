"""Reads the metadata of a source's folders into the inventory: its arrays, and what its groups promise.

Part of what is known of a target's source (source_tracker.py), and called from its job's thread alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping
from enum import Enum, auto
from pathlib import Path

from softcopy_napari.engine.fs.relative_paths import join, prefix_of
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.growth_evidence import GrowthEvidence
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.worker.tasks import ReadTask
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, GroupLayout, LayoutError, OpaqueNode
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata

_MOST_ATTEMPTS = 5
"""Times that metadata which cannot be read are looked at again: they may be half-written."""
_MAX_CHUNK_FILES = 1 << 32  # of all arrays together; each a byte of a ledger
_FEW_CHUNK_FILES = 1 << 16

log = logging.getLogger(__name__)


class Reading(Enum):
    """What came of reading a folder's metadata."""

    KNOWN = auto()
    """Nothing that was not known before, or nothing that will change soon."""
    NEW = auto()
    AGAIN = auto()
    """They may be half-written: they are to be looked at again."""


class SourceMetadata:
    """What the metadata of a source's folders say.

    Parameters
    ----------
    source : Path
    inventory : Inventory
    walks : WalkPlanner
    evidence : GrowthEvidence
    children : dict of str to tuple of str
        Takes what the OME metadata of each group promise.
    notice : callable
        Takes what the target's user should know.

    Attributes
    ----------
    opaque : dict of str to Reason
        Folders with metadata that are whole and cannot be followed, and why: nobody knows what they promise.
    bad : dict of str to tuple of Reason and int
        Folders with metadata that cannot be read, why, and how often that was tried.
    stale : set of str
        Folders whose metadata are to be read.
    made_anew : set of str
        Arrays whose metadata were deleted and are there again.
    no_room : set of str
        Folders of arrays for whose ledgers there is no room.
    axes : dict of str to tuple of str
        Names of the axes of images' arrays, by the arrays' paths.
    wells : dict of str to None
        Paths of the wells of plates.
    """

    def __init__(
        self,
        source: Path,
        inventory: Inventory,
        walks: WalkPlanner,
        evidence: GrowthEvidence,
        children: dict[str, tuple[str, ...]],
        notice: Callable[[Reason], None],
    ) -> None:
        self.opaque: dict[str, Reason] = {}
        self.bad: dict[str, tuple[Reason, int]] = {}
        self.stale: set[str] = set()
        self.made_anew: set[str] = set()
        self.no_room: set[str] = set()
        self.axes: dict[str, tuple[str, ...]] = {}
        self.wells: dict[str, None] = {}
        self._source = source
        self._inventory = inventory
        self._walks = walks
        self._evidence = evidence
        self._children = children
        self._notice = notice
        self._reading: set[str] = set()
        """Folders whose metadata a worker reads just now."""

    def pop_tasks(self, new_id: Callable[[], int]) -> list[ReadTask]:
        """Return tasks to read the metadata that are to be read now."""
        return [
            ReadTask(new_id(), [join(folder, name) for name in METADATA_NAMES]) for folder in self.pop_stale_folders()
        ]

    def pop_stale_folders(self) -> set[str]:
        """Take the folders whose metadata are to be read now: of two who read one, the first could answer last."""
        due = self.stale - self._reading
        self.stale -= due
        self._reading |= due
        return due

    def note_answered(self, folder: str) -> None:
        """Note that a folder's metadata have been read, and can be again."""
        self._reading.discard(folder)

    @property
    def awaited(self) -> bool:
        """Whether there are metadata to be read."""
        return bool(self.stale | self._reading)

    def awaited_above(self, folder: str) -> bool:
        """Whether the metadata of a folder above, of which nothing is known so far, are being read."""
        reading = self._reading | self.stale
        while folder and reading:
            folder = folder.rpartition("/")[0]
            if folder in reading and folder not in self._inventory.arrays and folder not in self._children:
                return True
        return False

    def read(self, folder: str, files: Mapping[str, bytes], deleted: Container[str]) -> Reading:
        """Take in a folder's metadata, new or changed.

        Parameters
        ----------
        folder : str
        files : mapping of str to bytes
            The metadata files in it.
        deleted : container of str
            Arrays whose metadata were deleted.
        """
        try:
            layout = parse_metadata(folder, files)
            if layout is not None and folder in deleted:
                self.made_anew.add(folder)  # nothing that is known of the first one holds for it
                return Reading.KNOWN
            if isinstance(layout, ArrayLayout) and self._too_many(layout):
                name = "zarr.json" if "zarr.json" in files else ".zarray"
                too_many = make_reason(ReasonCode.TOO_MANY_CHUNKS, chunks=layout.n_chunk_files)
                layout = OpaqueNode(folder, make_reason(ReasonCode.IN_FILE, file=name, problem=too_many))
            array = self._inventory.arrays.get(folder)
            before = None if array is None else array.layout
            changed = isinstance(layout, ArrayLayout) and self._inventory.register_array(layout)
            new = isinstance(layout, ArrayLayout) and layout != before
            if isinstance(layout, ArrayLayout) and new:
                self._evidence.note_layout(before, layout, half_written=folder in self.bad)
        except (LayoutError, OSError) as error:
            # It may be half-written just now: read it again, but not for ever.
            if isinstance(error, LayoutError):
                self._evidence.excuse_late_metadata()
            attempts = self.bad[folder][1] if folder in self.bad else 0
            reason = error.reason if isinstance(error, LayoutError) else self._inventory.ledgers.no_room(error)
            self.bad[folder] = reason, attempts + 1
            if not isinstance(error, LayoutError):
                self.no_room.add(folder)
                return Reading.KNOWN
            return Reading.AGAIN if attempts < _MOST_ATTEMPTS else Reading.KNOWN
        self.bad.pop(folder, None)
        self.no_room.discard(folder)
        self.opaque.pop(folder, None)
        if isinstance(layout, OpaqueNode):
            self.opaque[folder] = layout.reason
            self._notice(make_reason(ReasonCode.METADATA_NOT_FOLLOWED, folder=folder, problem=layout.reason))
            return Reading.KNOWN
        if layout is not None and layout.note:
            self._notice(make_reason(ReasonCode.METADATA_NOTE, folder=folder or str(self._source), problem=layout.note))
        if isinstance(layout, ArrayLayout):
            if changed:
                log.info("%s: array %r, shape %s, chunk files %s", self._source, folder, layout.shape, layout.grid)
                below = prefix_of(folder)
                for known in [known for known in self._walks.known if known.startswith(below)]:
                    self._walks.request(known, for_pass=True)
        elif layout is not None:
            self.axes.update(layout.axes)
            self.wells.update(dict.fromkeys(layout.wells))
        if isinstance(layout, GroupLayout) and self._children.get(folder) != layout.children:
            self._children[folder] = layout.children
            self._evidence.note_group()
            new = True
        return Reading.NEW if new else Reading.KNOWN

    def is_known(self, folder: str) -> bool:
        """Whether a folder's metadata have been read, or tried to."""
        return any(folder in known for known in (self._inventory.arrays, self._children, self.bad, self.opaque))

    def forget(self, folder: str) -> None:
        """Forget a folder that has gone: if it comes back, its metadata are read anew."""
        for known in (self._children, self.bad, self.opaque):
            known.pop(folder, None)

    def _too_many(self, layout: ArrayLayout) -> bool:
        """Whether this array and all others have more chunk files than can be kept track of."""
        if layout.n_chunk_files < _FEW_CHUNK_FILES:  # not to go over thousands of small arrays for each of them
            return False
        arrays = self._inventory.arrays.items()
        others = sum(array.layout.n_chunk_files for path, array in arrays if path != layout.path)
        return others + layout.n_chunk_files > _MAX_CHUNK_FILES

    @property
    def all_known(self) -> bool:
        """Whether all arrays that the metadata promise are there."""
        return not self.bad and not self.missing_nodes()

    def unreadable(self) -> dict[str, Reason]:
        """Return folders with metadata that cannot be read, and why."""
        return {folder or str(self._source): reason for folder, (reason, _) in self.bad.items()}

    def missing_nodes(self) -> list[str]:
        """Return images, wells and labels that OME metadata promise and that are not there, by path."""
        arrays = self._inventory.arrays
        return [
            child
            for children in self._children.values()
            for child in children
            if child not in arrays and child not in self._children and child not in self.opaque
        ]
