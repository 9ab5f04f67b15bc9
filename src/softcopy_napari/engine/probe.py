"""Looks whether a source is there and holds zarr metadata anywhere near its top, and reads small files.

Used before a target starts and while its source is waited for. Must import nothing heavy: copy workers use it.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field

from softcopy_napari.engine.transfer import extended_path, native, open_source

METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})
"""Files that hold zarr metadata, of both formats."""
_NODE_NAMES = METADATA_NAMES - {".zattrs"}

_MAX_FOLDERS = 200
_MAX_ENTRIES = 2000
_MAX_CONTENT = 16 << 20


@dataclass(slots=True)
class Probe:
    """What lies at the top of a source."""

    exists: bool = False
    is_folder: bool = False
    has_files: bool = False
    """Whether any regular file was seen."""
    nodes: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Folders with zarr metadata, `/` separated and relative to the source, and the metadata files' contents."""
    newest: int = 0
    """Latest modification time of those metadata files, ns."""
    error: str = ""
    """Why the source could not be looked at."""


def probe(source: str) -> Probe:
    """Search a source for zarr metadata, breadth first, within bounds.

    Stops at the first depth that has any: at the root if it is a zarr array or group, deeper where the
    root's metadata are written last (acquire-zarr).
    """
    found = Probe()
    root = extended_path(source)
    try:
        os.stat(root)
    except FileNotFoundError:
        return found
    except OSError as error:
        found.exists = True
        found.error = f"cannot be read: {error.strerror}"
        return found
    found.exists = True
    found.is_folder = os.path.isdir(root)
    if not found.is_folder:
        return found
    level = deque([""])
    budget = _MAX_FOLDERS
    while level and budget and not found.nodes:
        deeper: deque[str] = deque()
        while level and budget:
            budget -= 1
            _look(root, level.popleft(), found, deeper)
        level = deeper
    return found


def read_small(root: str, path: str) -> bytes | None:
    """Content of a small file, by its `/` separated path below a folder; None where it cannot be read."""
    try:
        with open(open_source(os.path.join(root, native(path))), "rb") as file:
            return file.read(_MAX_CONTENT)
    except OSError:
        return None


def read_metadata(root: str, folder: str) -> dict[str, bytes]:
    """Contents of a folder's zarr metadata files. Asked for by name: a folder may list a million others first."""
    prefix = folder + "/" if folder else ""
    contents = ((name, read_small(root, prefix + name)) for name in METADATA_NAMES)
    return {name: content for name, content in contents if content is not None}


def _look(root: str, folder: str, found: Probe, deeper: deque[str]) -> None:
    path = os.path.join(root, native(folder)) if folder else root
    try:
        with os.scandir(path) as entries:
            for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(f"{folder}/{entry.name}" if folder else entry.name)
                elif entry.is_file(follow_symlinks=False):
                    found.has_files = True
        metadata = read_metadata(root, folder)
        if not _NODE_NAMES.isdisjoint(metadata):
            found.nodes[folder] = metadata
            for name in metadata:
                found.newest = max(found.newest, os.stat(os.path.join(path, name)).st_mtime_ns)
    except OSError as error:
        if not folder:
            found.error = f"cannot be read: {error.strerror}"
