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
OTHER_NAME = "start it with --overwrite to replace it, or with another destination"
_AT_ONCE = 10.0
"""Seconds within which a dataset that takes the place of a deleted one was made by what deleted that."""
_UNREADABLE = 30.0
"""Seconds after which a source that could never be read is given up."""
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


class Arrival:
    """Waits for a source to come, to become readable, or to come back.

    Parameters
    ----------
    source : Path

    Attributes
    ----------
    before : Before or None
        What lay there when it was lost; None where it has not been seen yet.
    hopeless : bool
        Whether it would be waited for in vain.
    made_anew : bool
        Whether its writer deleted what lay there and made another dataset in its place at once.
    """

    def __init__(self, source: Path) -> None:
        self.before: Before | None = None
        self.hopeless = self.made_anew = False
        self._source = source
        self._unreadable_since: float | None = None
        self._deleted_at: float | None = None

    def lost(self, before: Before, deleted: bool, now: float) -> None:
        """Note what the source was, and whether it was seen to be deleted."""
        self.before = before
        self._deleted_at = now if deleted else None
        self.made_anew = False

    def why_not(self, probe: Probe, now: float) -> str | None:
        """Say why the source cannot be copied now.

        Returns
        -------
        str or None
            Empty where it can be; None where nothing can be told: it could not be compared with its copy.
        """
        source, before = self._source, self.before
        if probe.exists and self._deleted_at is not None and not self.made_anew:
            self.made_anew = now - self._deleted_at < _AT_ONCE
        if not probe.error:
            self._unreadable_since = None
        if not probe.exists:
            return GONE.format(source) if before else f"{source} does not exist yet"
        if not probe.is_folder and not probe.error:
            return f"{source} is not a folder"
        if problem := why_unusable(probe):
            if probe.error:
                self._unreadable_since = now if self._unreadable_since is None else self._unreadable_since
                self.hopeless = before is None and now - self._unreadable_since > _UNREADABLE
                return f"{source} {problem}; trying again" if not self.hopeless else f"{source} {problem}"
            return f"{source} {problem}; waiting for it"
        if before is None or self.made_anew:
            return ""
        what = before.differs(probe)
        if what and probe.obstacle is not None:
            return None  # it is looked at again when the destination is back
        if not what:
            return ""
        if self._deleted_at is not None:
            self.hopeless = True
            return (
                f"{source} was deleted, and another dataset lies there now ({what}). The copy of the deleted one was "
                f"kept: {OTHER_NAME}"
            )
        return (
            f"{source} is another dataset than before ({what}); waiting for that one to come back. "
            f"If this is the one, stop the copy: {OTHER_NAME}"
        )


def why_unusable(probe: Probe) -> str:
    """Say why a folder is no zarr dataset yet; empty where it is one."""
    problem = ""
    for folder, files in probe.nodes.items():
        try:
            parse_metadata(folder, files)
        except LayoutError as error:
            where = f"{folder}/" if folder else ""
            problem = problem or f"has zarr metadata that cannot be used: {where}{error.file} {error}"
        else:
            return ""
    return probe.error or problem or "holds no zarr metadata yet (zarr.json, .zarray or .zgroup)"
