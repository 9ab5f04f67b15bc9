"""Compares folders of the source with what is known of the objects of a store, in a copy process.

The source is listed as for any destination; no request is made for a folder: everything was listed when the walk began.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.files import KIND, LINK, REGULAR
from softcopy_napari.engine.fs.own_files import OWN_FILES, is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.object_manifest import ObjectManifest
from softcopy_napari.engine.worker.file_comparer import FileComparer
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_comparer import FolderComparer
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import Setup


class StoreComparer(FolderComparer):
    """Compares folders of one target.

    Parameters
    ----------
    setup : Setup
    manifest : ObjectManifest
    """

    def __init__(self, setup: Setup, manifest: ObjectManifest) -> None:
        super().__init__(
            setup.source, setup.destination, setup.run, setup.read_only, setup.temporary, setup.links,
            marker=setup.finish_marker,
        )  # fmt: skip
        self._destination = _NoFolder(setup.destination)
        self._extras = _ExtraObjects(self._source, manifest)  # type: ignore[assignment]
        self._files = _ObjectComparer(self._source, self._destination, setup, manifest)

    def _open_sides(self, identity: tuple[int, int] | None, marker: str) -> tuple[bool, DestinationProblem | None]:
        try:
            self._source.open(identity)
        except OSError:
            return True, None
        return False, None

    def _compare(
        self, folders: list[tuple[str, int]], quiet: float, refresh: bool
    ) -> Iterator[FolderDiff | FolderBatch]:
        for folder, known in folders:
            yield from self._parts(folder, max(known, 0), quiet, refresh)

    def _note_time_unit(self, folder: str, there: bool) -> None:
        pass


class _ObjectComparer(FileComparer):
    """Compares files of one target with what is noted of their objects.

    Parameters
    ----------
    manifest : ObjectManifest
    """

    def __init__(self, source: RootFolder, destination: RootFolder, setup: Setup, manifest: ObjectManifest) -> None:
        super().__init__(source, destination, None, setup.read_only, False, setup.finish_marker)
        self._manifest = manifest

    def compare_files(
        self,
        files: list[os.DirEntry[str]],
        there: bool,
        here: int | None,
        held: int | None,
        part: FolderDiff,
        quiet: float,
    ) -> None:
        known = self._manifest.find(part.folder, [entry.name for entry in files])
        for entry in files:
            name = entry.name
            try:
                found = entry.stat(follow_symlinks=False)
                if found.st_mode & KIND == LINK:
                    found = self._resolve_link(found, name, part)
            except FileNotFoundError:
                continue
            except OSError:
                part.different.append(name)
                continue
            part.note_time(name, found.st_mtime_ns, self._marker)
            if found.st_mode & KIND == LINK:
                continue  # a store has none
            copy = known.get(name)
            is_file = found.st_mode & KIND == REGULAR
            if is_file and copy is not None and copy.is_copy_of(found.st_size, found.st_mtime_ns):
                part.same.append(name)
                part.size += found.st_size
                continue
            self._note_different(part, name, found.st_mtime_ns, copy is None, quiet)


class _NoFolder(RootFolder):
    """In place of the destination's folder: each folder is there in a store, and none has to be made."""

    def open(self, identity: tuple[int, int] | None = None, marker: str = "") -> None:
        """Do nothing."""

    def has_folder(self, path: str) -> bool:
        """Return True."""
        return True

    def get_capabilities(self, name: str) -> Capabilities:
        """Return that names are kept as they are."""
        return Capabilities()


class _ExtraObjects:
    """Finds what only the store has."""

    def __init__(self, source: RootFolder, manifest: ObjectManifest) -> None:
        self._source, self._manifest = source, manifest

    def find_extra_files(self, folder: str, held: int | None, names: set[str] | None) -> list[str]:
        """List objects, and folders of them (which end in `/`), that only the store has; see `ExtraFiles`."""
        found = []
        for name in self._manifest.names_in(folder):
            own = (not folder and name in OWN_FILES) or is_own_temporary(name)
            if not own and self._is_missing(folder, name, names):
                found.append(name)
        for name in self._manifest.folders_in(folder):
            if self._is_missing(folder, name, names):
                found.append(name + "/")
        return found

    def _is_missing(self, folder: str, name: str, names: set[str] | None) -> bool:
        if names is not None and name in names:
            return False
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._source.stat(join(folder, name))
            return False
        return True
