"""Links that lead out of a source: recognised, and followed where the setting `links` says so."""

from __future__ import annotations

import errno
import os
import stat

from softcopy_napari.engine.fs.files import NOFOLLOW, READ, native_path
from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder

KEEP = "keep"
_NO_FILE = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
"""Errors that systems give for a link that must not be followed."""


def leads_out(root: str, folder: str, target: str) -> bool:
    """Whether a link in a folder of the source leads out of it, by names alone: the link is not followed.

    Parameters
    ----------
    root : str
        The source.
    folder : str
        The link's folder, relative to the source, `/` separated.
    target : str
        The link's text.
    """
    there = os.path.normpath(os.path.join(root, native_path(folder), target))
    return not any(_is_in(there, top) for top in (root, os.path.realpath(root)))


def _is_in(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def make_source_folder(source: str, destination: str, links: str) -> RootFolder:
    """Return the root folder of a source, for this setting of `links`."""
    return RootFolder(source) if links == KEEP else LinkFollowingFolder(source, destination)


class LinkFollowingFolder(RootFolder):
    """A source whose links out of it are followed, as if what they lead to lay in their place.

    Links within the source stay links. So do links that would form a cycle: to a folder above the link, or to one that
    holds the source or the destination.

    Parameters
    ----------
    root, destination : str
        The target's folders, absolute.
    """

    follows_links = True

    def __init__(self, root: str, destination: str) -> None:
        super().__init__(root)
        self._destination = destination

    def stat(self, path: str) -> os.stat_result:
        """Return the stat of a file, or of what a followed link leads to."""
        found = super().stat(path)
        return (self._followed(path) or found) if stat.S_ISLNK(found.st_mode) else found

    def open_file(self, path: str, flags: int, mode: int = 0o777) -> int:
        """Open a file as `os.open` does; a link is followed where links are."""
        try:
            return super().open_file(path, flags, mode)
        except OSError as error:
            if error.errno not in _NO_FILE or self._followed(path) is None:
                raise
            return super().open_file(path, flags & ~NOFOLLOW, mode)

    def open_for_reading(self, path: str) -> int:
        """Open a file as `files.open_source_file` does; a link is followed where links are."""
        try:
            return super().open_for_reading(path)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            return self.open_file(path, READ)

    def _open_folder(self, name: str, at: int) -> int:
        try:
            return super()._open_folder(name, at)
        except OSError as error:
            path = "/".join([*(entered for entered, _ in self._stack), name])
            if error.errno not in _NO_FILE or self._followed(path) is None:
                raise
            return os.open(name, FOLDER & ~NOFOLLOW, dir_fd=at)

    def _may_pass(self, path: str) -> bool:
        return self._followed(path) is not None

    def _followed(self, path: str) -> os.stat_result | None:
        """Return the stat of what a link leads to; None if it is not followed."""
        link = self.path(path)
        try:
            found = os.stat(link)
            there = os.path.realpath(link)
            if not stat.S_ISDIR(found.st_mode):
                followed = stat.S_ISREG(found.st_mode) and not _is_in(there, os.path.realpath(self.root))
                return found if followed else None
            if any(_is_in(os.path.realpath(other), there) for other in (self.root, self._destination)):
                return None
            if _is_in(there, os.path.realpath(self.root)):
                return None
            above = path
            while above:
                above = above.rpartition("/")[0]
                holder = os.stat(self.path(above))
                if (holder.st_dev, holder.st_ino) == (found.st_dev, found.st_ino):
                    return None
        except OSError:
            return None  # a broken link
        return found
