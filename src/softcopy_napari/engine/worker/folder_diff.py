"""What a comparison of one folder on both sides found, as copy workers tell it to their engine.

Must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.zarr_layout.file_names import ARRAY_METADATA_NAMES, MARKER, is_named_like_chunk

NEVER = (1 << 63) - 1
"""Later than any time of a file, ns."""


class FolderDiff:
    """What a comparison found, a few thousand names at a time.

    All names are plain names in the folder. A file is in one of `same` and `different`.

    Parameters
    ----------
    folder : str
    **known
        Attributes with other values than they begin with.
    """

    def __init__(self, folder: str, **known: Any) -> None:
        # No dataclass: to import that module would take a worker a fifth of its start.
        self.folder = folder
        """Relative to the source, `/` separated; empty for the source itself."""
        self.same: list[str] = []
        """Up to date at the destination."""
        self.size = 0
        """Bytes of the regular files that are up to date."""
        self.different: list[str] = []
        """To be copied: missing at the destination, or other in size, time or kind."""
        self.lacking: list[str] = []
        """Those of `different` that are not at the destination at all; looked for by read-only comparisons alone."""
        self.fresh: list[str] = []
        """Those of `different` that changed within the quiet time: someone may still be writing them."""
        self.unlike: dict[str, tuple[bytes, bool]] = {}
        """Those of `different` that are regular files on both sides: the source's version (see `files.version_of`), and
        whether they are of the same size."""
        self.links: dict[str, str] = {}
        """Links among its files that lead out of the source, and where to."""
        self.clashes: list[tuple[str, str]] = []
        """Names, of files or folders, that are one name at the destination; told by the folder's last part."""
        self.folders: list[str] = []
        """Folders in it (no links)."""
        self.locks: list[str] = []
        """Names of the files whose locks lie in it."""
        self.scratch: list[str] = []
        """Other temporaries of writers."""
        self.gone: list[str] = []
        """Files of the destination that the source has not, and folders, which end in `/`."""
        self.newest = 0
        """Latest modification time seen at the source, ns; the folder's own included."""
        self.oldest_chunk = NEVER
        """Earliest modification time of a file that is named like a chunk, ns."""
        self.newest_chunk = 0
        """Latest modification time of such a file, ns."""
        self.described = 0
        """Modification time of the metadata that make the folder an array, ns; 0 where there are none."""
        self.marked = 0
        """Modification time of the file that says that the acquisition is over, ns; 0 where there is none."""
        self.empty = False
        """The folder holds nothing, writers' temporaries aside, and is missing at the destination."""
        self.metadata: dict[str, bytes] = {}
        """Contents of the folder's zarr metadata files; in its first part only, so that what follows is understood."""
        self.modified = 0
        """The folder's own modification time before it was listed, ns; 0 if too recent to be relied on later."""
        self.unchanged = False
        """The folder still has its known time and was not listed."""
        self.last = False
        """Whether this is the folder's last part."""
        self.final = False
        """Whether this is the last part of the last folder asked for."""
        self.missing = False
        """The source has no such folder (any more)."""
        self.error = ""
        """Why the folder could not be listed."""
        self.lost = False
        """The source itself is not there, or is another folder than before."""
        self.obstacle: DestinationProblem | None = None
        """Why nothing could be compared: the destination is not there."""
        self.__dict__.update(known)

    def note_time(self, entry: os.DirEntry[str]) -> None:
        """Note when a chunk, an array's metadata or the marker was written."""
        name = entry.name
        chunk = is_named_like_chunk(name)
        if not (chunk or name in ARRAY_METADATA_NAMES or name == MARKER):
            return
        with contextlib.suppress(OSError):
            modified = entry.stat(follow_symlinks=False).st_mtime_ns
            if chunk:
                self.oldest_chunk = min(self.oldest_chunk, modified)
                self.newest_chunk = max(self.newest_chunk, modified)
            elif name == MARKER:
                self.marked = modified
            elif name != "zarr.json" or b'"array"' in self.metadata.get(name, b'"array"'):  # groups have one, too
                self.described = max(self.described, modified)
