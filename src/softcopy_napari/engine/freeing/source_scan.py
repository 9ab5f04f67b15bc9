"""Looks through a source before it is freed: is everything in its receipt, does it stand still, is it on one disk?"""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from softcopy_napari.engine.formatting import NO_NAMES, CountedNames
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.fs.folder_listing import listing
from softcopy_napari.engine.fs.name_clashes import compose_accents
from softcopy_napari.engine.fs.own_files import RECEIPTS, TEMPORARY_PREFIX, is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.fs.system_names import system_name
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.zarr_layout.file_names import classify_temporary

QUIET = 60.0
"""Seconds for which nothing must have been changed in a source that is freed."""
PROBE = TEMPORARY_PREFIX + "free-"
"""What the name of the file begins with by which source and destination are told apart; a killed run may leave one."""
_OFTEN = 1 << 16
Hashes = npt.NDArray[np.uint64]


@dataclass(slots=True)
class SourceContents:
    """What lies at a source.

    Attributes
    ----------
    files, bytes : int
        What can be freed: regular files that the receipt lists.
    left : CountedNames
        What stays: links, what a system made, and other things that a receipt does not list.
    """

    files: int = 0
    bytes: int = 0
    left: CountedNames = field(default=NO_NAMES)


def hash_path(path: str) -> int:
    """Return the number that stands for a path in a set of ten million."""
    return xxh3_64_intdigest(os.fsencode(path))


def read_listed(sums: Path, destination: Path, check: Callable[[], None]) -> Hashes:
    """Return the hashes of all paths in a checksum file, in order."""
    found = array("Q")
    for _, path in read_lines(sums, destination):
        found.append(hash_path(path))
        if not len(found) % _OFTEN:
            check()
    return np.sort(np.frombuffer(found, np.uint64))


def refuse_if_names_clash(sums: Path, destination: Path) -> None:
    """Make sure that no two files of a receipt can be one at the destination, because of how it takes their names.

    Raises
    ------
    FreeRefused
    """
    folded = array("Q", (_hash_folded(path) for _, path in read_lines(sums, destination)))
    values, counts = np.unique(np.frombuffer(folded, np.uint64), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if not suspects:
        return
    seen: dict[tuple[int, tuple[int, int]], str] = {}
    for _, path in read_lines(sums, destination):
        if (folded_hash := _hash_folded(path)) in suspects:
            there = os.stat(destination / path, follow_symlinks=False)
            other = seen.setdefault((folded_hash, (there.st_dev, there.st_ino)), path)
            if other != path and there.st_nlink == 1:
                refuse(ReasonCode.FREE_NAMES_CLASH, destination=str(destination), path=path, other=other)


def _hash_folded(path: str) -> int:
    return hash_path(compose_accents(path).casefold())


class SourceScanner:
    """Looks through a source.

    Parameters
    ----------
    source : RootFolder
        Open.
    listed : array of uint64
        What the receipt lists, as `read_listed` returns it.
    device : int
        The disk that all files must be on.
    resumed : bool
        Whether files of it have been moved already: then folders were changed by that.
    check : callable
        Called now and then; raises where it is to stop.
    """

    def __init__(
        self, source: RootFolder, listed: Hashes, device: int, resumed: bool, check: Callable[[], None]
    ) -> None:
        self._source = source
        self._listed = listed
        self._device = device
        self._resumed = resumed
        self._check = check
        self._newest = time.time_ns() - round(QUIET * 1e9)

    def scan(self, fields: dict[str, str]) -> SourceContents:
        """Look through all folders.

        Parameters
        ----------
        fields : dict of str to str
            `source`, `destination` and `grace`, for messages.

        Raises
        ------
        FreeRefused
            The source must not be freed.
        OSError
            A folder cannot be listed.
        """
        found = SourceContents()
        folders = [""]
        while folders:
            folder = folders.pop()
            self._check()
            if not self._resumed:
                self._refuse_if_recent(folder or fields["source"], self._source.stat(folder))
            for path, there in self._entries(folder):
                name = path.rpartition("/")[2]
                if stat.S_ISDIR(there.st_mode) and not system_name(name):
                    self._refuse_if_elsewhere(path, there, fields)
                    folders.append(path)
                elif path.startswith(PROBE):
                    continue
                elif is_own_temporary(name) or classify_temporary(name):
                    refuse(ReasonCode.FREE_LOCKED, path=path)
                elif stat.S_ISREG(there.st_mode) and self._is_listed(path):
                    self._refuse_if_elsewhere(path, there, fields)
                    self._refuse_if_recent(path, there)
                    found.files += 1
                    found.bytes += there.st_size
                elif not stat.S_ISREG(there.st_mode) or system_name(name) or path in RECEIPTS:
                    found.left = found.left.plus(CountedNames(1, (path,)))
                else:
                    refuse(ReasonCode.FREE_NOT_IN_RECEIPT, path=path, **fields)
        return found

    def _entries(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        found = []
        with listing(self._source, folder) as (entries, _):
            for entry in entries:
                # On Windows an entry's own stat lacks the device and the inode.
                there = entry.stat(follow_symlinks=False) if os.name == "posix" else os.lstat(entry.path)
                found.append((join(folder, entry.name), there))
        yield from found

    def _is_listed(self, path: str) -> bool:
        wanted = np.uint64(hash_path(path))
        at = int(np.searchsorted(self._listed, wanted))
        return at < len(self._listed) and bool(self._listed[at] == wanted)

    def _refuse_if_elsewhere(self, path: str, there: os.stat_result, fields: dict[str, str]) -> None:
        if there.st_dev != self._device:
            refuse(ReasonCode.FREE_OTHER_DISK, path=path, grace=fields["grace"])

    def _refuse_if_recent(self, path: str, there: os.stat_result) -> None:
        """Refuse where something was changed a moment ago, by its own time or by when the system saw a file change."""
        changed = there.st_mtime_ns
        if os.name == "posix" and stat.S_ISREG(there.st_mode):
            changed = max(changed, there.st_ctime_ns)
        if changed > self._newest:
            refuse(ReasonCode.FREE_TOO_RECENT, path=path, seconds=QUIET)
