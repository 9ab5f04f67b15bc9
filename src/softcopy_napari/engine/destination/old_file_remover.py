"""Removes from a destination what is left there of another dataset: chunk files and metadata that the source lacks.

Of a dataset that its writer deleted and made anew, or that its user wants to be replaced (`overwrite`). Nothing else is
ever removed. Runs in a thread of its own: the destination's disk may hang, and there may be ten million files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from softcopy_napari.engine.fs.relative_paths import join, parent
from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder, WrongFolder
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import OldArray
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.tasks import Identity
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES, METADATA_NAMES

_ARRIVED = (ChunkState.COPYING, ChunkState.COPIED, ChunkState.VERIFIED)
TOGETHER = 1 << 14
"""Names of a folder that are held in memory."""


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """Chunk files and metadata of the present dataset that were at the destination at one time.

    They are kept although the source lacks them by now: it may be about to be deleted, too.
    """

    arrays: dict[str, OldArray]
    metadata: frozenset[str]

    @classmethod
    def of(cls, inventory: Inventory) -> KnownFiles:
        """Note the files of an inventory that have arrived, or may have; in its job's thread."""
        arrays = {
            path: OldArray(array.layout, np.isin(array.ledger.flat, _ARRIVED))
            for path, array in inventory.arrays.items()
        }
        return cls(arrays, frozenset(list_metadata(inventory)))

    def has_chunk(self, array: str, key: str) -> bool:
        """Return whether an array had a chunk file, named relative to it."""
        return array in self.arrays and self.arrays[array].has(key)


def list_metadata(inventory: Inventory) -> set[str]:
    """Return the paths of all metadata files that an inventory knows."""
    return {path for path in inventory.plain_files.by_path if path.rpartition("/")[2] in ANNOTATED_NAMES}


class OldFileRemover:
    """Removes files of old arrays, unless the source has them.

    Parameters
    ----------
    known : KnownFiles
        What else is kept.
    source : str
    identity : Identity or None
        What the source is known by.
    destination : str
    marker : str
        Name of the file by which the destination is known.
    should_stop : callable
        Asked between files.

    Attributes
    ----------
    removed : int
        Files removed so far.
    """

    def __init__(
        self,
        known: KnownFiles,
        source: str,
        identity: Identity | None,
        destination: str,
        marker: str,
        should_stop: Callable[[], bool],
    ) -> None:
        self.removed = 0
        self._known = known
        self._source, self._destination = RootFolder(source), RootFolder(destination)
        self._identity, self._marker = identity, marker
        self._should_stop = should_stop

    def remove(self, arrays: Iterable[OldArray]) -> None:
        """Remove what is left of some arrays.

        Raises
        ------
        WrongFolder
            A side is not there, or is another folder than before.
        OSError
            A file cannot be removed.
        """
        for array in arrays:
            path = array.layout.path
            with self._both_sides():
                self._remove_chunks(array, "")
                self._remove_files([join(path, name) for name in METADATA_NAMES])

    def remove_metadata(self, paths: Sequence[str]) -> None:
        """Remove metadata that the copy of another dataset has brought; raises as `remove` does."""
        with self._both_sides():
            self._remove_files(paths)

    @contextlib.contextmanager
    def _both_sides(self) -> Iterator[None]:
        try:
            self._open_sides()
            yield
        except WrongFolder:
            raise
        except OSError:
            self._open_sides()  # else that is why
            raise
        finally:
            self._source.close()
            self._destination.close()

    def _open_sides(self) -> None:
        try:
            self._source.open(self._identity)
            self._destination.open(marker=self._marker)
        except OSError as error:
            raise WrongFolder(error.errno or 0, error.strerror, error.filename) from None

    def _remove_chunks(self, array: OldArray, below: str) -> bool:
        """Remove chunk files of one folder of an array, and of those in it; returns whether there were any."""
        any_removed = False
        folder = join(array.layout.path, below) if below else array.layout.path
        folders: set[str] = set()
        left: set[str] = set()
        while files := self._list(folder, folders, left):
            for name in files:
                key = join(below, name)
                if self._is_old(array, key) and not self._is_at_source(join(folder, name)):
                    self._destination.unlink(join(folder, name))
                    self.removed += 1
                    any_removed = True
                else:
                    left.add(name)
                if self._should_stop():
                    return any_removed
            if len(files) < TOGETHER:
                break
        for name in sorted(folders):
            any_removed = self._remove_chunks(array, join(below, name)) or any_removed
        if any_removed and below and not self._is_at_source(folder):
            self._destination.remove_folder(folder)
        return any_removed

    def _list(self, folder: str, folders: set[str], left: set[str]) -> Sequence[str]:
        """Return some files of a folder that were not seen yet, and add the folders in it to those that are known."""
        try:
            fd = self._destination.open_file(folder, FOLDER) if self._destination.fd is not None else None
        except (FileNotFoundError, NotADirectoryError):
            return ()
        try:
            with os.scandir(self._destination.path(folder) if fd is None else fd) as entries:

                def files() -> Iterable[str]:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders.add(entry.name)
                        elif entry.name not in left and entry.name not in METADATA_NAMES:
                            yield entry.name

                return list(islice(files(), TOGETHER))
        finally:
            if fd is not None:
                os.close(fd)

    def _is_old(self, array: OldArray, key: str) -> bool:
        return array.has(key) and not self._known.has_chunk(array.layout.path, key)

    def _remove_files(self, paths: Sequence[str]) -> None:
        """Remove metadata files that the source has not, and their folders if nothing is left in them."""
        for path in paths:
            if path not in self._known.metadata and not self._is_at_source(path):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._destination.unlink(path)
                    self.removed += 1
        for folder in sorted(set(map(parent, paths)), key=len, reverse=True):  # those within others first
            if folder and not self._is_at_source(folder):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._destination.remove_folder(folder)

    def _is_at_source(self, path: str) -> bool:
        try:
            self._source.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._check_source()
            return False
        return True

    def _check_source(self) -> None:
        """Raise WrongFolder where the source has gone: it lacks everything then, and that means nothing."""
        try:
            found = os.stat(self._source.root)
        except FileNotFoundError:
            raise WrongFolder(0, "the source has gone", self._source.root) from None
        if self._identity is not None and (found.st_dev, found.st_ino) != self._identity:
            raise WrongFolder(0, "another folder lies there", self._source.root)
