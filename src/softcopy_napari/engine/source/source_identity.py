"""Whether a source can be copied, and whether it is the one that was lost: another must not be copied over its copy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import OldArray, TrackedArray
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, LayoutError
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata, why_unusable
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity, SourceProbe

_AT_ONCE = 10.0
"""Seconds within which a dataset that takes the place of a deleted one was made by what deleted that."""
_DELETING = 60.0
"""Seconds that a writer may take to delete a dataset."""
_UNREADABLE = 30.0
"""Seconds after which a source that could never be read is given up."""
_SAMPLES = 16
"""Copied files by which a source is known again."""
_FOLDERS = 64


@dataclass(frozen=True, slots=True)
class SourceFingerprint:
    """What a lost source is known by when it comes back."""

    arrays: dict[str, ArrayLayout]
    samples: tuple[str, ...]
    """Some of the files that were copied from it."""
    folder: FolderIdentity | None

    @classmethod
    def of(cls, inventory: Inventory, folder: FolderIdentity | None) -> SourceFingerprint:
        """Make the fingerprint of the source that the inventory has come to know, and of its folder."""
        samples: list[str] = []
        for array in inventory.arrays.values():
            if len(samples) >= _SAMPLES:
                break
            for state in (ChunkState.COPIED, ChunkState.VERIFIED):
                samples += array.paths(array.all_in(state)[: _SAMPLES - len(samples)])
        if not inventory.arrays:
            arrived = (ChunkState.COPIED, ChunkState.VERIFIED)
            samples = list(itertools.islice(inventory.plain_files.iterate_in(*arrived), _SAMPLES))
        layouts = {path: array.layout for path, array in list(inventory.arrays.items())[:_FOLDERS]}
        return cls(layouts, tuple(samples), folder)

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders whose metadata are looked at."""
        return tuple(self.arrays)

    def differs(self, probe: SourceProbe) -> Reason | None:
        """Return how what lies there now differs from what lay there; None if it is the same, as far as can be told."""
        for path, known in self.arrays.items():
            try:
                now = parse_metadata(path, probe.nodes.get(path, {}))
            except LayoutError:
                now = None
            if not isinstance(now, ArrayLayout):
                return make_reason(ReasonCode.ARRAY_MISSING, array=path)
            if what := known.difference(now, ignore_shape=True):
                return make_reason(ReasonCode.ARRAY_DIFFERS, array=path, difference=what)
        if self.folder is not None and self.folder == probe.folder:
            return None  # all of them may have been written anew meanwhile
        if self.samples and not probe.equal:
            return make_reason(ReasonCode.OTHER_CHUNKS if probe.samples else ReasonCode.NO_KNOWN_CHUNKS)
        return None


class Deletion(NamedTuple):
    """What was seen of a deletion of a source by its writer or user."""

    root: bool = False
    """Its folder was deleted."""
    arrays: frozenset[str] = frozenset()
    """Arrays whose metadata were deleted."""
    made_anew: frozenset[str] = frozenset()
    """Those of them that were made again in their place."""
    first: float | None = None
    """When the first chunk file went without its writer's lock, monotonic."""


class Arrival:
    """Waits for a source to come, to become readable, or to come back.

    Parameters
    ----------
    source : Path
    any_files : bool
        Whether it is a folder of any files, which needs no metadata.

    Attributes
    ----------
    before : SourceFingerprint or None
        What lay there when it was lost; None where it has not been seen yet.
    hopeless : bool
        Whether it would be waited for in vain.
    was_unusable : bool
        Whether it was there at some time without metadata that could be used.
    made_anew : bool
        Whether its writer deleted what lay there and made another dataset in its place at once.
    """

    def __init__(self, source: Path, any_files: bool = False) -> None:
        self._any_files = any_files
        self.before: SourceFingerprint | None = None
        self.hopeless = self.made_anew = self.was_unusable = False
        self._source = source
        self._unreadable_since: float | None = None
        self._deletion = Deletion()
        self._lost_at = 0.0
        self._complete = False

    def lost(self, before: SourceFingerprint, deletion: Deletion, complete: bool, now: float) -> None:
        """Note what the source was, what was seen of its deletion, and whether a complete copy of it had been made."""
        self.before, self._deletion, self._complete, self._lost_at = before, deletion, complete, now
        self.made_anew = False

    def why_not(self, probe: SourceProbe, now: float) -> tuple[bool, Reason | None]:
        """Return whether the source can be copied now, and why not: None also where it could not be compared."""
        source, before = str(self._source), self.before
        deleted = self._deletion.root or bool(self._deletion.made_anew)
        if deleted and probe.exists and not self._complete and now - self._lost_at < _AT_ONCE:
            self.made_anew = True
        if not probe.error:
            self._unreadable_since = None
        if not probe.exists:
            return False, make_reason(ReasonCode.SOURCE_GONE if before else ReasonCode.SOURCE_MISSING, source=source)
        if not probe.is_folder and not probe.error:
            return False, make_reason(ReasonCode.SOURCE_NOT_A_FOLDER, source=source)
        if problem := why_unusable(probe, self._any_files):
            return False, make_reason(self._note_unusable(probe, now), source=source, problem=problem)
        if before is None or self.made_anew:
            return True, None
        difference = before.differs(probe)
        if (difference or deleted) and probe.obstacle is not None:
            return False, None  # it is looked at again when the destination is back
        if deleted and not probe.equal and before.samples:
            self.hopeless = True
            return False, make_reason(ReasonCode.SOURCE_REPLACED, source=source)
        if difference:
            return False, make_reason(ReasonCode.SOURCE_DIFFERS, source=source, difference=difference)
        return True, None

    def _note_unusable(self, probe: SourceProbe, now: float) -> ReasonCode:
        """Note that the metadata cannot be used or read, and return what that is called."""
        if not probe.error:
            self.was_unusable = True
            return ReasonCode.SOURCE_NOT_READY
        self._unreadable_since = now if self._unreadable_since is None else self._unreadable_since
        self.hopeless = self.before is None and now - self._unreadable_since > _UNREADABLE
        return ReasonCode.SOURCE_UNUSABLE if self.hopeless else ReasonCode.SOURCE_UNREADABLE

    def leftovers(self, arrays: Iterable[TrackedArray]) -> list[OldArray]:
        """Return the arrays of a dataset that was made anew whose chunk files its writer has deleted.

        Not where chunk files went long before: those were taken away by somebody who relies on their copies. Where its
        folder was not deleted, its writer may be about to make the others of its arrays.
        """
        first, root = self._deletion.first, self._deletion.root
        if first is not None and self._lost_at - first > _DELETING:
            return []
        gone = [array for array in arrays if root or array.layout.path in self._deletion.arrays]
        left = [old for array in gone for old in OldArray.merge([*array.before, OldArray.of(array)])]
        return left if root else [old._replace(awaited_until=self._lost_at + _DELETING) for old in left]
