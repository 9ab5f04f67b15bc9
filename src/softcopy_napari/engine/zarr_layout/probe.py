"""Looks whether a source is there and holds zarr metadata anywhere near its top, and reads small files.

Used before a target starts and while its source is waited for. Must import nothing heavy: copy workers use it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterable

from softcopy_napari.engine.fs.birth_time import read_birth_time
from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_times import coarsest_time_unit, is_up_to_date
from softcopy_napari.engine.fs.files import extended_path, native_path, open_source_file
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_NODE_NAMES = METADATA_NAMES - {".zattrs"}

_MAX_FOLDERS = 200
_MAX_ENTRIES = 2000
MAX_METADATA = 64 << 20
"""Bytes of a metadata file that are looked at, for parsing takes ten times as much memory. Consolidated metadata do not
count: nothing in them is needed, and they go no further than the process that has read them."""
_MAX_FILE = 256 << 20
"""Bytes of a metadata file, with its consolidated metadata."""
_SMALL = 1 << 20
_GROWTH = 1 << 16
_UP_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL)
_CONSOLIDATED = re.compile(rb'"consolidated_metadata"\s*+:\s*+\{\Z')

FolderIdentity = tuple[int, int]
"""Inode of a folder, and when it was made, ns."""


class SourceProbe:
    """What lies at the top of a source."""

    def __init__(self) -> None:
        self.exists = False
        self.is_folder = False
        self.nodes: dict[str, dict[str, bytes]] = {}
        """Folders with zarr metadata, `/` separated and relative to the source, and the metadata files' contents."""
        self.identity: tuple[int, int] = (0, 0)
        """Device and inode of the source."""
        self.folder: FolderIdentity | None = None
        """What its folder is known by, on whatever disk; None where the file system does not say."""
        self.samples = 0
        """Files of the samples that are at the source."""
        self.equal = 0
        """Those of them that are up to date at the destination."""
        self.obstacle: DestinationProblem | None = None
        """Why they could not be compared."""
        self.error = ""
        """Why the source, or metadata in it, could not be read."""
        self.no_such_path = False
        """Whether no folder can ever have the source's path."""


def probe_source(source: str) -> SourceProbe:
    """Search a source for zarr metadata, breadth first, within bounds.

    Stops at the first depth that has any: at the root if it is a zarr array or group, deeper where the
    root's metadata are written last (acquire-zarr).
    """
    found = SourceProbe()
    root = extended_path(source)
    try:
        there = os.stat(root)
    except FileNotFoundError:
        return found
    except OSError as error:
        found.exists = True
        found.error = f"cannot be read: {error.strerror}"
        found.no_such_path = error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
        return found
    found.exists = True
    found.is_folder = stat.S_ISDIR(there.st_mode)
    found.identity = there.st_dev, there.st_ino
    found.folder = identify_folder(root)
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


def identify_folder(path: str) -> FolderIdentity | None:
    """What a folder is known by; None where the file system does not say, or it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    made = read_birth_time(path, found)
    return (found.st_ino, made) if made else None


def add_evidence(
    found: SourceProbe, source: str, destination: str, folders: Iterable[str], samples: Iterable[str]
) -> None:
    """Add to a probe what tells whether this is the source that was copied before.

    Parameters
    ----------
    found : Probe
    source, destination : str
        Folders, absolute.
    folders : iterable of str
        Those whose metadata are to be read besides, relative to the source.
    samples : iterable of str
        Files to be compared with the destination's.
    """
    root, there = extended_path(source), extended_path(destination)
    for folder in folders:
        if folder not in found.nodes and (metadata := read_metadata(root, folder)):
            found.nodes[folder] = metadata
    for path in samples:
        try:
            here = os.stat(os.path.join(root, native_path(path)), follow_symlinks=False)
        except OSError:
            continue
        found.samples += 1
        with contextlib.suppress(OSError):
            copy = os.stat(os.path.join(there, native_path(path)), follow_symlinks=False)
            found.equal += is_up_to_date(here, copy, coarsest_time_unit(copy.st_mtime_ns))


def read_metadata_file(root: str, path: str) -> bytes | None:
    """Content of a metadata file, by its `/` separated path below a folder; None where it cannot be read.

    What is larger than MAX_METADATA is cut off after one byte more.
    """
    try:
        return _read(root, path)
    except (OSError, ValueError):  # ValueError: no path at all
        return None


def _read(root: str, path: str) -> bytes | None:
    with open(open_source_file(os.path.join(root, native_path(path))), "rb") as file:
        there = os.fstat(file.fileno())
        # What a fifo holds is its reader's, and a device has no end.
        if not stat.S_ISREG(there.st_mode):
            return None
        content = file.read(min(there.st_size + _GROWTH, _MAX_FILE + 1))
    if _SMALL < len(content) <= _MAX_FILE:
        content = _without_consolidated(content)
    return content[: MAX_METADATA + 1]


def read_metadata(root: str, folder: str, names: Iterable[str] = METADATA_NAMES) -> dict[str, bytes]:
    """Contents of a folder's zarr metadata files. Asked for by name: a folder may list a million others first."""
    prefix = folder + "/" if folder else ""
    contents = ((name, read_metadata_file(root, prefix + name)) for name in names)
    return {name: content for name, content in contents if content is not None}


def _without_consolidated(content: bytes) -> bytes:
    """A JSON document with nothing in its `consolidated_metadata`; it stops there where these have no end yet."""
    at = depth = start = 0
    while (match := _UP_TO_BRACKET.match(content, at)) is not None:
        at = match.end()
        depth += 1 if match[1] in b"{[" else -1
        if start and depth == 1:
            return content[:start] + content[at - 1 :]
        if depth <= 0:
            return content
        if depth == 2 and not start and _CONSOLIDATED.search(content, max(0, at - 100), at):
            start = at
    return content[:start] if start else content


def _look(root: str, folder: str, found: SourceProbe, deeper: deque[str]) -> None:
    path = os.path.join(root, native_path(folder)) if folder else root
    try:
        with os.scandir(path) as entries:
            for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(f"{folder}/{entry.name}" if folder else entry.name)
    except OSError as error:
        if not folder:
            found.error = f"cannot be read: {error.strerror}"
        return
    metadata: dict[str, bytes] = {}
    for name in sorted(METADATA_NAMES):
        file = f"{folder}/{name}" if folder else name
        try:
            content = _read(root, file)
            if content is not None:
                metadata[name] = content
        except (FileNotFoundError, NotADirectoryError, ValueError):
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link: never followed
                found.error = f"cannot be read: {file}: {error.strerror}"
    if not _NODE_NAMES.isdisjoint(metadata):
        found.nodes[folder] = metadata
