"""Relations of `/` separated paths, of which the empty one is the top."""

from __future__ import annotations

import math
from collections.abc import Container

from softcopy_napari.engine.layout import ArrayLayout


def is_below(path: str, folder: str) -> bool:
    """Tell whether something is a folder, or lies in it."""
    return not folder or path == folder or path.startswith(folder + "/")


def nearest(path: str, folders: Container[str]) -> str | None:
    """Find the nearest of some folders that a path is, or lies in; None if there is none."""
    while path not in folders:
        if not path:
            return None
        path = path.rpartition("/")[0]
    return path


def cells_below(layout: ArrayLayout, folder: str) -> range:
    """Return the flat indices of the chunk files in a folder.

    Parameters
    ----------
    layout : ArrayLayout
    folder : str
        Relative to the array. Its name tells the first indices of what lies in it, and the others vary; none do where
        it is no folder of chunk files.
    """
    for unknown in range(1, len(layout.grid) + 1):
        first = layout.flat_index(folder + "/0" * unknown)
        if first is not None:
            return range(first, first + math.prod(layout.grid[-unknown:]))
    return range(0)
