"""Relative, `/` separated paths, of which the empty one is the top folder: joined, split and compared."""

from __future__ import annotations

from collections.abc import Container


def join(folder: str, name: str) -> str:
    """Return the path of something in a folder."""
    return f"{folder}/{name}" if folder else name


def prefix_of(folder: str) -> str:
    """Return what the paths of everything in a folder begin with."""
    return f"{folder}/" if folder else ""


def parent(path: str) -> str:
    """Return the folder that something lies in."""
    return path.rpartition("/")[0]


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return not folder or path == folder or path.startswith(folder + "/")


def nearest_folder(path: str, folders: Container[str]) -> str | None:
    """Return the innermost of some folders that a path is or lies in; None if there is none."""
    while path not in folders:
        if not path:
            return None
        path = parent(path)
    return path
