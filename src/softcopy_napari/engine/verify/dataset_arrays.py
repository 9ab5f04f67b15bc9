"""Tells whether a file that should not be in a folder would be read as part of its dataset. For `softcopy verify`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, LayoutError
from softcopy_napari.engine.zarr_layout.file_names import ARRAY_METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.probe import read_metadata

_MOST = 1 << 14


class DatasetArrays:
    """Arrays of a dataset, read as they are asked for.

    Parameters
    ----------
    root : str
        The dataset's folder.
    is_its : callable
        Tells whether a metadata file, by its path, is the dataset's own: people keep arrays of theirs beside.
    """

    def __init__(self, root: str, is_its: Callable[[str], bool] = lambda _: True) -> None:
        self._root = root
        self._is_its = is_its
        self._arrays: dict[str, ArrayLayout | None] = {}

    def has_chunk(self, path: str) -> bool:
        """Whether a file is named like a chunk file in the grid of one of the dataset's arrays."""
        folder, rest = path, ""
        while folder:
            folder, _, name = folder.rpartition("/")
            rest = f"{name}/{rest}" if rest else name
            layout = self._array(folder)
            if layout is not None:
                return layout.flat_index(rest) is not None
        return False

    def _array(self, folder: str) -> ArrayLayout | None:
        if folder in self._arrays:
            return self._arrays[folder]
        layout = None
        prefix = prefix_of(folder)
        if any(self._is_its(prefix + name) for name in ARRAY_METADATA_NAMES):
            with contextlib.suppress(LayoutError):
                layout = parse_metadata(folder, read_metadata(self._root, folder))
        if len(self._arrays) >= _MOST:
            self._arrays.clear()
        found = self._arrays[folder] = layout if isinstance(layout, ArrayLayout) else None
        return found
