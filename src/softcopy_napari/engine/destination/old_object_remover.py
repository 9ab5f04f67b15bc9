"""Removes from an object store what is left there of another dataset, as old_file_remover.py does from a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from softcopy_napari.engine.destination.old_file_remover import TOGETHER, KnownFiles, OldFileRemover
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.object_manifest import ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.state_folder.destination_lock import manifest_path
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.worker.tasks import Identity
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_A_REQUEST = 500
"""Objects deleted by one request."""


class OldObjectRemover(OldFileRemover):
    """Removes objects of old arrays, unless the source has their files; parameters as of `OldFileRemover`."""

    def __init__(
        self,
        known: KnownFiles,
        source: str,
        identity: Identity | None,
        destination: StoreUrl,
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__(known, source, identity, str(destination), "", should_stop)
        self._objects = _Objects(destination)
        self._destination = self._objects

    def _list(self, folder: str, folders: set[str], left: set[str]) -> Sequence[str]:
        self._objects.flush()
        manifest = self._objects.manifest
        folders.update(manifest.folders_in(folder))
        names = (name for name in manifest.names_in(folder) if name not in left and name not in METADATA_NAMES)
        return list(islice(names, TOGETHER))


class _Objects(RootFolder):
    """The objects of a destination, in place of its folder."""

    def __init__(self, url: StoreUrl) -> None:
        super().__init__(str(url))
        self._store = StoreConnection(url)
        self.manifest = ObjectManifest(manifest_path(url))
        self._waiting: list[str] = []

    def open(self, identity: Identity | None = None, marker: str = "") -> None:
        """Open nothing."""

    def close(self) -> None:
        """Delete what waits."""
        self.flush()

    def unlink(self, path: str) -> None:
        """Delete an object, with others."""
        self._waiting.append(path)
        if len(self._waiting) >= _A_REQUEST:
            self.flush()

    def remove_folder(self, path: str) -> None:
        """Do nothing: a store has no folders."""

    def flush(self) -> None:
        """Delete what waits to be deleted."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._store.delete(waiting)
            self.manifest.note_gone(waiting)
