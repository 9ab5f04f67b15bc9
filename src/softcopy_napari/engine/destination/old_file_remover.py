"""Removes from a destination what is left there of another dataset: chunk files and metadata that the source lacks.

Of a dataset that its writer deleted and made anew, or that its user wants to be replaced (`overwrite`). Nothing else is
ever removed. Runs in a thread of its own: the destination's disk may hang, and there may be ten million files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder
from softcopy_napari.engine.inventory.tracked_array import OldArray
from softcopy_napari.engine.worker.tasks import Identity
from softcopy_napari.engine.zarr_layout.file_names import ARRAY_METADATA_NAMES, METADATA_NAMES

_TOGETHER = 1 << 14
"""Names of a folder that are held in memory."""


class OldFileRemover:
    """Removes files of old arrays, unless the source has them.

    Parameters
    ----------
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
        self, source: str, identity: Identity | None, destination: str, marker: str, should_stop: Callable[[], bool]
    ) -> None:
        self.removed = 0
        self._source, self._destination = RootFolder(source), RootFolder(destination)
        self._identity, self._marker = identity, marker
        self._should_stop = should_stop

    def remove(self, arrays: Iterable[OldArray]) -> None:
        """Remove what is left of some arrays.

        Raises
        ------
        OSError
            A side is not there, or is another folder than before; or a file cannot be removed.
        """
        for array in arrays:
            self._source.open(self._identity)
            self._destination.open(marker=self._marker)
            path = array.layout.path
            try:
                metadata = [name for name in ARRAY_METADATA_NAMES if self._is_at_source(_join(path, name))]
                if metadata or not array.if_made_anew:
                    self._remove_chunks(array, "")
                    self._remove_metadata(path)
            finally:
                self._source.close()
                self._destination.close()

    def _remove_chunks(self, array: OldArray, below: str) -> bool:
        """Remove chunk files of one folder of an array, and of those in it; returns whether there were any."""
        any_removed = False
        folder = _join(array.layout.path, below)
        folders: set[str] = set()
        left: set[str] = set()
        while files := self._list(folder, folders, left):
            for name in files:
                key = _join(below, name)
                if self._is_old(array, key) and not self._is_at_source(_join(folder, name)):
                    self._destination.unlink(_join(folder, name))
                    self.removed += 1
                    any_removed = True
                else:
                    left.add(name)
                if self._should_stop():
                    return any_removed
            if len(files) < _TOGETHER:
                break
        for name in sorted(folders):
            any_removed = self._remove_chunks(array, _join(below, name)) or any_removed
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

                return list(islice(files(), _TOGETHER))
        finally:
            if fd is not None:
                os.close(fd)

    def _is_old(self, array: OldArray, key: str) -> bool:
        if array.copied is None:
            return array.layout.has_form_of_key(key)
        cell = array.layout.flat_index(key)
        return cell is not None and bool(array.copied[cell])

    def _remove_metadata(self, path: str) -> None:
        """Remove metadata files of an array that the source has not, and its folder if nothing is left in it."""
        for name in METADATA_NAMES:
            if not self._is_at_source(_join(path, name)):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._destination.unlink(_join(path, name))
                    self.removed += 1
        if path and not self._is_at_source(path):
            self._destination.remove_folder(path)

    def _is_at_source(self, path: str) -> bool:
        try:
            self._source.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
