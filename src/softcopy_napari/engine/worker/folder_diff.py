"""The result of comparing one folder on both sides, as copy workers send it to their engine."""

from __future__ import annotations

from typing import Any

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.zarr_layout.file_names import MARKER, is_named_like_chunk

NEVER = (1 << 63) - 1
"""A time later than any file's, ns."""


class FolderDiff:
    """The result of comparing one folder, in parts of a few thousand names.

    All names are without their folder. Each file is either in `same` or in `different`.

    Parameters
    ----------
    folder : str
        The folder, relative to the source, `/` separated; empty for the source itself.
    **known
        Values of attributes that differ from their defaults.
    """

    def __init__(self, folder: str, **known: Any) -> None:
        # Not a dataclass: importing that module would add a fifth to a worker's start.
        self.folder = folder
        self.same: list[str] = []
        """Files that are up to date at the destination."""
        self.size = 0
        """Bytes of the regular files that are up to date."""
        self.different: list[str] = []
        """Files to be copied: missing at the destination, or of another size, time or kind."""
        self.absent: list[str] = []
        """Those of `different` that are missing at the destination; only read-only comparisons fill this."""
        self.fresh: list[str] = []
        """Those of `different` that changed within the quiet time and may still be written."""
        self.source_versions: dict[str, tuple[bytes, bool]] = {}
        """For those of `different` that are regular files on both sides, the source's version (see
        `file_times.pack_version`) and whether both have the same size, and the same content where that was
        compared."""
        self.newer: list[str] = []
        """Those of `different`, other than zarr metadata, whose copies are newer."""
        self.links: dict[str, str] = {}
        """Links that lead out of the source, and their targets."""
        self.clashes: list[tuple[str, str]] = []
        """Pairs of names that are one name at the destination; only the last part holds them."""
        self.folders: list[str] = []
        """Folders in the folder, without links."""
        self.locks: list[str] = []
        """Names of the files whose locks lie in the folder."""
        self.scratch: list[str] = []
        """Names of other temporaries of writers."""
        self.extra: list[str] = []
        """Files, and folders with a `/` at the end, that only the destination has."""
        self.newest = 0
        """Latest modification time at the source, ns, including the folder's own."""
        self.oldest_chunk = NEVER
        """Earliest modification time of a file named like a chunk, ns."""
        self.newest_chunk = 0
        """Latest modification time of a file named like a chunk, ns."""
        self.newest_change = 0
        """Latest change time of the copies of regular files that are up to date, ns: none has been written since."""
        self.newest_file = 0
        """Latest modification time of a file other than that marker, ns."""
        self.metadata_modified = 0
        """Modification time of the metadata that make the folder an array, ns; 0 if there are none."""
        self.marker_modified = 0
        """Modification time of the file that marks the acquisition's end, ns; 0 if there is none."""
        self.empty = False
        """Whether the folder is missing at the destination and holds nothing but writers' temporaries."""
        self.metadata: dict[str, bytes] = {}
        """Contents of the folder's zarr metadata files, in its first part only: they explain what follows."""
        self.modified = 0
        """The folder's own modification time before it was listed, ns; 0 if it is too recent to be relied on."""
        self.unchanged = False
        """Whether the folder still has its known time and was not listed."""
        self.last = False
        """Whether this is the folder's last part."""
        self.final = False
        """Whether this is the last part of the last folder asked for."""
        self.missing = False
        """Whether the source has no such folder, or no longer."""
        self.error = ""
        """What the system says of why the folder could not be listed; empty where it could."""
        self.unflushed = ""
        """What the system says of why the destination's folder may not be stored; empty where nothing says so."""
        self.lost = False
        """Whether the source itself is missing, or is another folder than before."""
        self.obstacle: DestinationProblem | None = None
        """Why nothing could be compared: what is wrong with the destination."""
        self.__dict__.update(known)

    @property
    def unstored(self) -> dict[str, str]:
        """Paths of the files at the destination that may not be stored, and what the system says of why."""
        return {join(self.folder, name): self.unflushed for name in self.same} if self.unflushed else {}

    def note_times(self, newest: int, changed: int) -> None:
        """Note the latest times (ns) of some files, as `newest_file` and `newest_change`."""
        self.newest, self.newest_file = max(self.newest, newest), max(self.newest_file, newest)
        self.newest_change = max(self.newest_change, changed)

    def note_time(self, name: str, modified: int, marker: str = MARKER) -> None:
        """Note the modification time (ns) of a file; a chunk's, an array's metadata's and the marker's mean more."""
        self.newest = max(self.newest, modified)
        if name == marker:
            self.marker_modified = modified
            return
        self.newest_file = max(self.newest_file, modified)
        if is_named_like_chunk(name):
            self.oldest_chunk = min(self.oldest_chunk, modified)
            self.newest_chunk = max(self.newest_chunk, modified)
        elif name == ".zarray" or (name == "zarr.json" and b'"array"' in self.metadata.get(name, b'"array"')):
            self.metadata_modified = max(self.metadata_modified, modified)  # groups have a zarr.json, too
