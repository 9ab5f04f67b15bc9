"""Opens `targets*.yaml`, for example dropped on the canvas: its targets appear in the dock, no layer in the viewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Any

from softcopy_napari.plugin.dock.open_dock import open_dock

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One path, or several of a stack."""
Layers = list[tuple[Any, ...]]
NO_LAYERS: Layers = [(None,)]
"""The return value of a reader that has no layers to add."""

_PATTERNS = ("targets*.yaml", "targets*.yml")


def get_reader(path: Paths) -> Callable[[Paths], Layers] | None:
    """Return the reader for a path; None where it is no targets file or there is no window. napari's entry point."""
    from napari import current_viewer

    paths = _list(path)
    if current_viewer() is None or not all(_is_targets_file(one) for one in paths):
        return None
    return read_targets


def read_targets(path: Paths) -> Layers:
    """Show the targets of one or several files in the dock of the current viewer. Nothing is started."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        widget = open_dock(viewer)
        for one in _list(path):
            widget.open_targets(one)
    return NO_LAYERS


def _list(path: Paths) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(one) for one in path]


def _is_targets_file(path: str) -> bool:
    named = any(fnmatch(os.path.basename(path).lower(), pattern) for pattern in _PATTERNS)
    # Not a fifo: reading it would wait for a writer. A path that is no file is explained in the dock.
    return named and (os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path))
