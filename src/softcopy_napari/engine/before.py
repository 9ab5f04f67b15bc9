"""What a source that was lost is known by when it comes back: another dataset must not be copied over its copy."""

from __future__ import annotations

from dataclasses import dataclass

from softcopy_napari.engine.inventory import Inventory
from softcopy_napari.engine.layout import ArrayLayout, LayoutError
from softcopy_napari.engine.metadata import parse_metadata
from softcopy_napari.engine.probe import Folder, Probe
from softcopy_napari.engine.states import ChunkState

_SAMPLES = 16
"""Copied files by which a source is known again."""
_FOLDERS = 64


@dataclass(frozen=True, slots=True)
class Before:
    """What a lost source is known by when it comes back."""

    arrays: dict[str, ArrayLayout]
    samples: tuple[str, ...]
    """Some of the files that were copied from it."""
    folder: Folder | None

    @classmethod
    def of(cls, inventory: Inventory, folder: Folder | None) -> Before:
        """Of the source that the inventory has come to know, and of its folder."""
        samples: list[str] = []
        for array in inventory.arrays.values():
            if len(samples) >= _SAMPLES:
                break
            for state in (ChunkState.COPIED, ChunkState.VERIFIED):
                samples += array.paths(array.all_in(state)[: _SAMPLES - len(samples)])
        layouts = {path: array.layout for path, array in list(inventory.arrays.items())[:_FOLDERS]}
        return cls(layouts, tuple(samples), folder)

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders whose metadata are looked at."""
        return tuple(self.arrays)

    def differs(self, probe: Probe) -> str:
        """How what lies there now differs from what lay there; empty if it is the same, as far as can be told."""
        for path, known in self.arrays.items():
            name = path or "the array"
            try:
                now = parse_metadata(path, probe.nodes.get(path, {}))
            except LayoutError:
                now = None
            if not isinstance(now, ArrayLayout):
                return f"{name} is missing"
            if what := known.difference(now, ignore_shape=True):
                return f"{name}: {what}"
        if self.folder is not None and self.folder == probe.folder:
            return ""  # all of them may have been written anew meanwhile
        if self.samples and not probe.equal:
            return "its chunk files are others" if probe.samples else "it holds none of the chunk files"
        return ""
