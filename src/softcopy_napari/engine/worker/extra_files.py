"""Finds what a folder of the destination holds that the source's does not, and removes old temporaries there."""

from __future__ import annotations

import contextlib
import os

from softcopy_napari.engine.fs.name_clashes import is_other_spelling, unicode_forms
from softcopy_napari.engine.fs.own_files import OWN_FILES, is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder


class ExtraFiles:
    """Finds what only the destination has, and removes temporaries that other runs have left.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, opened by the caller.
    own_run : str or None
        What the names of this run's temporaries contain; None if nothing may be removed.
    """

    def __init__(self, source: RootFolder, destination: RootFolder, own_run: str | None) -> None:
        self._source = source
        self._destination = destination
        self._own_run = own_run

    def is_empty(self, held: int) -> bool:
        """Whether an open folder of the destination holds nothing but temporaries of softcopy."""
        with contextlib.suppress(OSError), os.scandir(held) as entries:
            return all(is_own_temporary(entry.name) for entry in entries)
        return False

    def find_extra_files(self, folder: str, held: int | None, names: set[str] | None) -> list[str]:
        """List files and folders (which end in `/`) that only the destination has; none if it cannot be listed.

        Parameters
        ----------
        folder : str
            The folder, relative to both sides.
        held : int or None
            Its descriptor at the destination, where the system has such.
        names : set of str or None
            What the source has there; None if it has too many to remember.
        """
        found: list[str] = []
        listed = self._destination.path(folder) if held is None else held
        missing = None if names is None else set(names)
        """Names at the source that the destination does not list."""
        extras: list[os.DirEntry[str]] = []
        with (
            contextlib.suppress(OSError),
            os.scandir(listed) as entries,
        ):
            for entry in entries:
                name = entry.name
                if names is not None and missing is not None and name in names:
                    missing.discard(name)
                    continue
                path = join(folder, name)
                if not folder and name in OWN_FILES:
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
        """Return the source's spellings of a destination's name, in a folder with too many names to remember."""
        found = []
        for form in unicode_forms(name):
            with contextlib.suppress(OSError):
                self._source.stat(join(folder, form))
                found.append(form)
        return found
