"""What a folder of the destination holds that the source's has not.

Used by the copy workers: must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os

from softcopy_napari.engine.fs.name_clashes import is_other_spelling, unicode_forms
from softcopy_napari.engine.fs.own_files import RECEIPTS, is_own_temporary
from softcopy_napari.engine.fs.root_folder import RootFolder


class ExtraFiles:
    """Finds what only the destination has, and clears away what other runs have left of their temporaries.

    Parameters
    ----------
    source, destination : RootFolder
        Both held by the caller.
    own_run : str or None
        What the names of this run's temporaries contain; None where nothing is to be removed.
    """

    def __init__(self, source: RootFolder, destination: RootFolder, own_run: str | None) -> None:
        self._source = source
        self._destination = destination
        self._own_run = own_run

    def find_extra_files(self, folder: str, held: int | None, names: set[str] | None) -> list[str]:
        """List files that only the destination has, and folders, which end in `/`; none where it cannot be listed.

        Parameters
        ----------
        folder : str
        held : int or None
            Its descriptor at the destination, where the system knows such things.
        names : set of str or None
            What the source has there; None where that is too much to be remembered.
        """
        found: list[str] = []
        place = self._destination.path(folder) if held is None else held
        missing = None if names is None else set(names)
        """Names of the source that the destination does not list."""
        extras: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                name = entry.name
                if names is not None and missing is not None and name in names:
                    missing.discard(name)
                    continue
                path = f"{folder}/{name}" if folder else name
                if not folder and name in RECEIPTS:
                    continue
                if is_own_temporary(name):
                    if self._own_run is not None and self._own_run not in name:
                        self._destination.discard(path)
                    continue
                try:
                    self._source.stat(path)
                except (FileNotFoundError, NotADirectoryError):
                    extras.append(entry)
            for entry in extras:
                others = self._other_forms(folder, entry.name) if missing is None else missing
                if not is_other_spelling(self._destination, folder, entry.name, entry.inode(), others):
                    found.append(entry.name + "/" * entry.is_dir(follow_symlinks=False))
        return found

    def _other_forms(self, folder: str, name: str) -> list[str]:
        """Names that the source may have for a file of the destination, in a folder with too many to be remembered."""
        found = []
        for form in unicode_forms(name):
            with contextlib.suppress(OSError):
                self._source.stat(f"{folder}/{form}" if folder else form)
                found.append(form)
        return found
