"""Compares folders of the source with the same folders of the destination.

The part of reconciling that touches the disks; it runs in the copy workers, so that a share that hangs
holds up a worker and not the engine, and walks use as many processes as copies do. Memory stays the same
however many files a folder holds. Must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from softcopy_napari.engine.probe import read_metadata
from softcopy_napari.engine.transfer import extended_path, native, up_to_date
from softcopy_napari.engine.writers import (
    ENDINGS,
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    Temporary,
    is_own_temporary,
    temporary_of,
)

PART = 2048
"""Names in one part of a folder's comparison at most."""
_MAX_NAMES = 1 << 15  # remembered of one folder; above that, asking the file system is slower but costs no memory
_SIGN_OF_LIFE = 2.0
"""Seconds after which what was found so far is told, so that a slow share is not taken for one that hangs."""
_CLOCK_SKEW_NS = 2_000_000_000
_UNITS = (2_000_000_000, 1_000_000_000, 10_000_000, 1_000_000, 1_000, 100)
_KIND = 0o170000
_REGULAR = stat.S_IFREG
_RACY_NS = 2_500_000_000  # coarser than the times of any file system in use (FAT: 2 s)


@dataclass(slots=True)
class FolderPart:
    """What a comparison found, a few thousand names at a time.

    All names are plain names in the folder. A file is in one of `same` and `different`.
    """

    folder: str
    """Relative to the source, `/` separated; empty for the source itself."""
    same: list[str] = field(default_factory=list)
    """Up to date at the destination."""
    different: list[str] = field(default_factory=list)
    """To be copied: missing at the destination, or other in size, time or kind."""
    lacking: list[str] = field(default_factory=list)
    """Those of `different` that are not at the destination at all; looked for by read-only comparisons alone."""
    fresh: list[str] = field(default_factory=list)
    """Those of `different` that changed within the quiet time: someone may still be writing them."""
    folders: list[str] = field(default_factory=list)
    """Folders in it (no links)."""
    locks: list[str] = field(default_factory=list)
    """Names of the files whose locks lie in it."""
    scratch: list[str] = field(default_factory=list)
    """Other temporaries of writers."""
    gone: list[str] = field(default_factory=list)
    """Files of the destination that the source has not, and folders, which end in `/`."""
    newest: int = 0
    """Latest modification time seen at the source, ns; the folder's own included."""
    empty: bool = False
    """The folder holds nothing at all and is missing at the destination."""
    metadata: dict[str, bytes] = field(default_factory=dict)
    """Contents of the folder's zarr metadata files; in its first part only, so that what follows is understood."""
    modified: int = 0
    """The folder's own modification time before it was listed, ns; 0 if too recent to be relied on later."""
    unchanged: bool = False
    """The folder still has its known time and was not listed."""
    last: bool = False
    """Whether this is the folder's last part."""
    final: bool = False
    """Whether this is the last part of the last folder asked for."""
    missing: bool = False
    """The source has no such folder (any more)."""
    error: str = ""
    """Why the folder could not be listed."""


def time_unit(folder: str, name: str) -> int:
    """How finely a file system keeps modification times, in ns: 1, or for example 100 (NTFS) or 2 s (FAT).

    Tried out with a file of this name in the folder, which is removed again; 1 where that is not possible.
    """
    path = os.path.join(folder, name)
    wanted = 1_000_000_001_123_456_789  # an odd second, with something at every digit
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        try:
            os.utime(path, ns=(wanted, wanted))
            kept = os.stat(path).st_mtime_ns
        finally:
            os.unlink(path)
    except OSError:
        return 1
    return next((unit for unit in _UNITS if kept % unit == 0 and abs(kept - wanted) < unit), 1)


def time_unit_seen(*folders: os.stat_result) -> int:
    """The same, told from folders of the file system, in which nothing is tried out.

    Modification times can be set by anyone, to whole seconds for example; other times are the system's own. Those
    may be finer than modification times by one step only: 10 ms beside 2 s (FAT).
    """

    def unit(times: list[int]) -> int:
        return next((unit for unit in _UNITS if not any(time % unit for time in times)), 1)

    own = unit([folder.st_ctime_ns for folder in folders])
    return own if own < 10_000_000 else unit([folder.st_mtime_ns for folder in folders])


# Looking names up in an open folder, instead of whole paths, takes a third off a comparison.
_BY_DESCRIPTOR = os.scandir in os.supports_fd and os.stat in os.supports_dir_fd


@contextlib.contextmanager
def _holding(folder: str) -> Iterator[int | None]:
    """A descriptor of a folder; None where there is no folder, or the system does not know such things."""
    if not folder or not _BY_DESCRIPTOR:
        yield None
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _listing(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in a folder; entries know their names, not always their paths."""
    if not _BY_DESCRIPTOR:
        with os.scandir(folder) as entries:
            yield entries
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(fd) as entries:
            yield entries
    finally:
        os.close(fd)


class FolderComparison:
    """Compares folders of one target.

    Parameters
    ----------
    source, destination : str
        The target's folders, absolute.
    own_run : str
        What the names of this run's temporaries contain; those of other runs are removed.
    read_only : bool
        Remove nothing, and make nothing to try anything out.
    """

    def __init__(self, source: str, destination: str, own_run: str, read_only: bool = False) -> None:
        self._source = extended_path(source)
        self._destination = extended_path(destination)
        self._own_run = own_run
        self._read_only = read_only
        self._unit = 0

    def folders(self, folders: list[tuple[str, int]], quiet: float) -> Iterator[FolderPart]:
        """Compare folders, without what lies in their folders.

        Parameters
        ----------
        folders : list of tuple of str and int
            Relative to the source, each with the modification time (ns) at which its content is known, or 0.
        quiet : float
            Seconds; files that differ and changed more recently are `fresh`.

        Yields
        ------
        FolderPart
            Of each folder at least one; its last one has `last` set, that of the last folder `final`.
        """
        for number, (folder, known) in enumerate(folders, start=1):
            for part in self._parts(folder, known, quiet):
                part.final = part.last and number == len(folders)
                yield part

    def _parts(self, folder: str, known: int, quiet: float) -> Iterator[FolderPart]:
        source = os.path.join(self._source, native(folder)) if folder else self._source
        destination = os.path.join(self._destination, native(folder)) if folder else self._destination
        part = FolderPart(folder)
        try:
            part.modified = part.newest = os.stat(source).st_mtime_ns
            if part.modified == known:
                part.unchanged = part.last = True
                yield part
                return
            if time.time_ns() - part.modified < _RACY_NS:
                part.modified = 0  # a change after the listing could leave the same time
            part.metadata = read_metadata(self._source, folder)
            there = destination + os.sep if os.path.isdir(destination) else ""
            if there and self._read_only:
                self._unit = time_unit_seen(os.stat(self._destination), os.stat(there))
            elif there and not self._unit:
                name = f"{TEMPORARY_PREFIX}{self._own_run}-{os.getpid()}-time{TEMPORARY_SUFFIX}"
                self._unit = time_unit(self._destination, name)
            names: set[str] = set()
            seen = 0
            deadline = time.monotonic() + _SIGN_OF_LIFE
            with _listing(source) as entries, _holding(there) as held:
                for entry in entries:
                    seen += 1
                    name = entry.name
                    if seen <= _MAX_NAMES:
                        names.add(name)
                    if entry.is_dir(follow_symlinks=False):
                        part.folders.append(name)
                    elif name.endswith(ENDINGS) and (temporary := temporary_of(name)) is not None:
                        kind, becomes = temporary
                        (part.locks if kind is Temporary.LOCK else part.scratch).append(becomes or name)
                    else:
                        self._look(entry, there, held, part, quiet)
                    if seen % PART == 0 or time.monotonic() > deadline:
                        deadline = time.monotonic() + _SIGN_OF_LIFE
                        yield part
                        part = FolderPart(folder, modified=part.modified, newest=part.newest)
            part.empty = seen == 0 and not there
            self._look_for_gone(source, destination, names if seen <= _MAX_NAMES else None, part)
        except FileNotFoundError:
            part.missing = True
        except OSError as error:
            part.error = f"cannot be listed: {error.strerror}"
        part.last = True
        yield part

    def _look(self, entry: os.DirEntry[str], there: str, held: int | None, part: FolderPart, quiet: float) -> None:
        """Compare one file; `there` is the destination's folder with a separator, empty where it is missing."""
        name = entry.name
        try:
            here = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        modified = here.st_mtime_ns
        if modified > part.newest:
            part.newest = modified
        if there:
            try:
                if here.st_mode & _KIND != _REGULAR:
                    same = self._is_same_link(part.folder, name, here, there + name)
                elif held is not None:
                    same = up_to_date(here, os.stat(name, dir_fd=held, follow_symlinks=False), self._unit)
                else:
                    same = up_to_date(here, os.stat(there + name, follow_symlinks=False), self._unit)
                if same:
                    part.same.append(name)
                    return
            except OSError:
                pass
        part.different.append(name)
        if self._read_only and not (there and os.path.lexists(there + name)):
            part.lacking.append(name)
        if -_CLOCK_SKEW_NS < time.time_ns() - modified < quiet * 1e9:
            part.fresh.append(name)

    def _is_same_link(self, folder: str, name: str, here: os.stat_result, there: str) -> bool:
        link = os.path.join(self._source, native(f"{folder}/{name}" if folder else name))
        return stat.S_ISLNK(here.st_mode) and os.readlink(link) == os.readlink(there)

    def _look_for_gone(self, source: str, destination: str, names: set[str] | None, part: FolderPart) -> None:
        """List what only the destination has; left-over temporaries of ours do not count, and are removed."""
        with contextlib.suppress(OSError), os.scandir(destination) as entries:
            for entry in entries:
                name = entry.name
                if names is not None and name in names:
                    continue
                if is_own_temporary(name):
                    if self._own_run not in name and not self._read_only:
                        with contextlib.suppress(OSError):
                            os.unlink(entry.path)
                elif not os.path.lexists(os.path.join(source, name)):
                    part.gone.append(name + "/" * entry.is_dir(follow_symlinks=False))
