"""Looks whether a source exists and holds zarr metadata near its top, and reads metadata files.

Used before a target starts, and while it waits for its source.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterable

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_times import coarsest_time_unit, is_up_to_date
from softcopy_napari.engine.fs.files import extended_path, native_path, open_source_file
from softcopy_napari.engine.fs.relative_paths import join, prefix_of
from softcopy_napari.engine.fs.statx import read_birth_time
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_NODE_NAMES = METADATA_NAMES - {".zattrs"}

_MAX_FOLDERS = 200
_MAX_ENTRIES = 2000
MAX_METADATA = 64 << 20
"""Most bytes of a metadata file that are parsed, for parsing takes ten times as much memory. Consolidated metadata do
not count: they are not needed, and are removed by the process that reads the file."""
_MAX_FILE = 256 << 20
"""Most bytes of a metadata file that are read, with its consolidated metadata."""
_SMALL = 1 << 20
_GROWTH = 1 << 16
_UP_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL)
_CONSOLIDATED = re.compile(rb'"consolidated_metadata"\s*+:\s*+\{\Z')

FolderIdentity = tuple[int, int]
"""Inode of a folder, and when it was made, ns; or the same of the file that `identify_source` names instead."""


class SourceProbe:
    """What was found at the top of a source."""

    def __init__(self) -> None:
        self.exists = False
        self.is_folder = False
        self.nodes: dict[str, dict[str, bytes]] = {}
        """Folders with zarr metadata, `/` separated and relative to the source, and the metadata files' contents."""
        self.identity: tuple[int, int] = (0, 0)
        """Device and inode of the source."""
        self.folder: FolderIdentity | None = None
        """What identifies it on any disk, see `identify_source`."""
        self.samples = 0
        """Number of sample files that exist at the source."""
        self.equal = 0
        """Number of those that are up to date at the destination."""
        self.obstacle: DestinationProblem | None = None
        """Why the samples could not be compared."""
        self.error: Reason | None = None
        """Why the source, or metadata in it, could not be read."""
        self.no_such_path = False
        """Whether the source's path can never be that of a folder."""


def probe_source(source: str, any_files: bool = False) -> SourceProbe:
    """Search a source for zarr metadata, breadth first, within bounds; not if it is a folder of any files.

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
        found.error = make_reason(ReasonCode.READ_FAILED, problem=error.strerror)
        found.no_such_path = error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
        return found
    found.exists = True
    found.is_folder = stat.S_ISDIR(there.st_mode)
    found.identity = there.st_dev, there.st_ino
    found.folder = identify_source(root)
    if not found.is_folder:
        return found
    if any_files:
        try:
            os.scandir(root).close()
        except OSError as error:
            found.error = make_reason(ReasonCode.READ_FAILED, problem=error.strerror)
        return found
    level = deque([""])
    budget = _MAX_FOLDERS
    while level and budget and not found.nodes:
        deeper: deque[str] = deque()
        while level and budget:
            budget -= 1
            _search_folder(root, level.popleft(), found, deeper)
        level = deeper
    return found


def identify_folder(path: str) -> FolderIdentity | None:
    """Return what identifies a folder; None where it does not exist or the file system does not say."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    made = read_birth_time(path, found)
    return (found.st_ino, made) if made else None


def identify_source(path: str) -> FolderIdentity | None:
    """Return what identifies a dataset wherever it lies; None where nothing does.

    Where the file system does not say when a folder was made, it is the inode and the change time of the metadata at
    its top. These tell less, because they change when the metadata are written again, but never too much: a new dataset
    in the same place has others, even if its metadata were copied from a template with their modification time.
    """
    if (folder := identify_folder(path)) is not None:
        return folder
    for name in ("zarr.json", ".zgroup", ".zarray"):
        with contextlib.suppress(OSError):
            found = os.lstat(os.path.join(path, name))
            return found.st_ino, found.st_ctime_ns
    return None


def add_evidence(
    found: SourceProbe, source: str, destination: str, folders: Iterable[str], samples: Iterable[str]
) -> None:
    """Add to a probe what helps to tell whether this is the source that was copied before.

    Parameters
    ----------
    found : SourceProbe
        The probe to add to.
    source, destination : str
        The target's folders, absolute.
    folders : iterable of str
        More folders whose metadata are read, relative to the source.
    samples : iterable of str
        Files that are compared with the destination's.
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
    """Return the content of a metadata file at a `/` separated path below a folder; None if it cannot be read.

    A file larger than MAX_METADATA is cut off one byte after that.
    """
    try:
        return _read(root, path)
    except (OSError, ValueError):  # ValueError: no path at all
        return None


def _read(root: str, path: str) -> bytes | None:
    with open(open_source_file(os.path.join(root, native_path(path))), "rb") as file:
        there = os.fstat(file.fileno())
        # Reading a fifo takes from its reader, and a device has no end.
        if not stat.S_ISREG(there.st_mode):
            return None
        content = file.read(min(there.st_size + _GROWTH, _MAX_FILE + 1))
    if _SMALL < len(content) <= _MAX_FILE:
        content = _without_consolidated(content)
    return content[: MAX_METADATA + 1]


def read_metadata(root: str, folder: str, names: Iterable[str] = METADATA_NAMES) -> dict[str, bytes]:
    """Return the contents of a folder's metadata files, opened by name: a folder may list millions of files."""
    prefix = prefix_of(folder)
    contents = ((name, read_metadata_file(root, prefix + name)) for name in names)
    return {name: content for name, content in contents if content is not None}


def _without_consolidated(content: bytes) -> bytes:
    """Return a JSON document with empty `consolidated_metadata`, cut off there if they are incomplete."""
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


def _search_folder(root: str, folder: str, found: SourceProbe, deeper: deque[str]) -> None:
    path = os.path.join(root, native_path(folder)) if folder else root
    try:
        with os.scandir(path) as entries:
            for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(join(folder, entry.name))
    except OSError as error:
        if not folder:
            found.error = make_reason(ReasonCode.READ_FAILED, problem=error.strerror)
        return
    metadata: dict[str, bytes] = {}
    for name in sorted(METADATA_NAMES):
        file = join(folder, name)
        try:
            content = _read(root, file)
            if content is not None:
                metadata[name] = content
        except (FileNotFoundError, NotADirectoryError, ValueError):
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link: never followed
                found.error = make_reason(ReasonCode.READ_FAILED, file=file, problem=error.strerror)
    if not _NODE_NAMES.isdisjoint(metadata):
        found.nodes[folder] = metadata
