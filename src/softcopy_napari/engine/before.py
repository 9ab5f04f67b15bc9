"""Whether a source can be copied, and whether it is the one that was lost: another must not be copied over its copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.inventory import Inventory
from softcopy_napari.engine.layout import ArrayLayout, LayoutError
from softcopy_napari.engine.metadata import parse_metadata
from softcopy_napari.engine.probe import Folder, Probe
from softcopy_napari.engine.states import ChunkState

GONE = "{} has gone; waiting for it to come back"
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


def unready(source: Path, probe: Probe, before: Before | None) -> str | None:
    """Say why a source cannot be copied now.

    Parameters
    ----------
    source : Path
    probe : Probe
        What lies there.
    before : Before or None
        What lay there when it was lost; None where it has not been seen yet.

    Returns
    -------
    str or None
        Empty where it can be; None where nothing can be told: it could not be compared with its copy.
    """
    reason = ""
    what = before.differs(probe) if before else ""
    if not probe.exists:
        reason = GONE.format(source) if before else f"{source} does not exist yet"
    elif probe.error:
        reason = f"{source} {probe.error}"
    elif not probe.is_folder:
        reason = f"{source} is not a folder"
    elif not probe.nodes:
        reason = f"{source} holds no zarr metadata yet (zarr.json, .zarray or .zgroup)"
    elif what and probe.obstacle is not None:
        return None  # it is looked at again when the destination is back
    elif what:
        reason = (
            f"{source} is another dataset than before ({what}); waiting for that one to come back. "
            "If this is the one, stop the copy and start it again"
        )
    return reason
