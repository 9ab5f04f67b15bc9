"""Relations of `/` separated paths, of which the empty one is the top."""

from __future__ import annotations

from collections.abc import Container


def is_below(path: str, folder: str) -> bool:
    """Tell whether something is a folder, or lies in it."""
    return not folder or path == folder or path.startswith(folder + "/")


def nearest_folder(path: str, folders: Container[str]) -> str | None:
    """Find the nearest of some folders that a path is, or lies in; None if there is none."""
    while path not in folders:
        if not path:
            return None
        path = path.rpartition("/")[0]
    return path
