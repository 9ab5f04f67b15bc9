"""The top folder of a source or destination, which stays open while files in it are worked on.

When a volume is unmounted, another folder appears under the same path: an empty mount point, or another disk. So before
a batch of files the folder is opened and identified, and where the system can do that, all paths of the batch are
looked up from the open folder: nothing is read, written or deleted anywhere else. Between batches the folder is closed,
so that a share can be unmounted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from softcopy_napari.engine.fs.capabilities import Capabilities, detect_capabilities
from softcopy_napari.engine.fs.files import NOFOLLOW, extended_path, flush_file, native_path, open_source_file
from softcopy_napari.engine.fs.moving import move_file
from softcopy_napari.engine.fs.permissions import (
    AS_FOLDER,
    AS_SOURCE,
    NEVER_BY_GROUP,
    has_default_acl,
    make_folder_at,
    modes_for,
)
from softcopy_napari.engine.fs.relative_paths import join

BY_DESCRIPTOR = (
    {os.open, os.stat, os.rename, os.unlink, os.mkdir, os.symlink, os.readlink} <= os.supports_dir_fd
    and os.utime in os.supports_fd
    and hasattr(os, "readv")
)
"""Whether this system can look names up in an open folder."""
UTIME_ON_FD = os.utime in os.supports_fd
"""Whether this system can set the times of an open file."""
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
LOOKUP = FOLDER | getattr(os, "O_PATH", 0)
"""To look names up in a folder, not to list it: a network file system need not be asked to open it."""
_LONG_AGO = 10**17
"""March 1973, ns."""
_ROOT = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0)


class WrongFolder(OSError):
    """The folder under a path is not the one that was there before."""


class RootFolder:
    """The top folder of one side of a target. All paths are `/` separated and relative to it.

    Parameters
    ----------
    root : str
        Its path, absolute.
    permissions : str
        The target's setting `permissions`.
    group : int
        The group of new files and folders; -1 for the usual one.
    like : RootFolder, optional
        The other side, whose folders new ones are like where permissions are kept.

    Links in the middle of a path are never followed, so that a writer's links reach nothing outside. The folder itself
    may be a link that its user made.

    Attributes
    ----------
    fd : int or None
        The folder's descriptor while it is open; None where the system cannot look names up in it.
    mode : int
        The folder's mode.
    file_mode, folder_mode : int
        The modes of new files and folders; negative where they get their source's.
    permissions, group
        As given.
    """

    follows_links = False
    """Whether links that lead out of it are followed."""

    def __init__(
        self, root: str, permissions: str = AS_FOLDER, group: int = -1, like: RootFolder | None = None
    ) -> None:
        self.root = extended_path(root)
        self.fd: int | None = None
        self.mode = 0o777
        self.group = group
        self.permissions, self._like = permissions, like
        self.file_mode, self.folder_mode = modes_for(permissions, self.mode)
        self._stack: list[tuple[str, int]] = []
        """Folders from the top to the one entered last, with their descriptors: the next one is often nearby."""
        self._entered: str | None = None
        self._checked: set[str] = set()
        """Folders known to be no links, where the system has no descriptors of folders."""
        self._capabilities: Capabilities | None = None

    def open(self, identity: tuple[int, int] | None = None, marker: str = "") -> None:
        """Open the folder, if it is the right one.

        Parameters
        ----------
        identity : tuple of int and int, optional
            Device and inode that it must have.
        marker : str, optional
            Name of a file that must lie in it.

        Raises
        ------
        WrongFolder
            It is another folder.
        OSError
            It cannot be opened; as a rule it is not there.
        """
        self.close()
        try:
            if BY_DESCRIPTOR:
                self.fd = os.open(self.root, _ROOT)
            found = os.stat(self.root if self.fd is None else self.fd)
            self.mode = found.st_mode
            self.file_mode, self.folder_mode = modes_for(self.permissions, self.mode)
            if self.file_mode == AS_SOURCE and has_default_acl(self.root if self.fd is None else self.fd):
                self.file_mode = NEVER_BY_GROUP
            if identity is not None and (found.st_dev, found.st_ino) != identity:
                raise WrongFolder(0, "another folder lies there", self.root)
            if marker:
                try:
                    self.stat(marker)
                except FileNotFoundError:
                    raise WrongFolder(0, "another folder lies there", self.root) from None
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the folder and those in it."""
        self._shorten(0)
        self._checked.clear()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def claim(self, marker: str) -> None:
        """Make the folder, if need be, and the marker file in it by which it will be recognised."""
        self._make_root(self.root)
        os.close(os.open(os.path.join(self.root, marker), os.O_WRONLY | os.O_CREAT | NOFOLLOW, 0o600))

    def _make_root(self, folder: str) -> None:
        """Make the folder and those above it, each with the permissions that its parent asks for."""
        if os.path.isdir(folder):
            return
        above = os.path.dirname(folder)
        if above != folder:
            self._make_root(above)
        mode = modes_for(self.permissions, os.stat(above).st_mode)[1]
        like = os.stat(self._like.root) if self._like is not None and mode < 0 and folder == self.root else None
        make_folder_at(folder, None, mode if mode >= 0 else 0o777, self.group, like, self.file_mode)

    # -- folders --------------------------------------------------------------------------------------

    def enter_folder(self, folder: str, make: bool = False) -> int | None:
        """Go into a folder.

        Parameters
        ----------
        folder : str
        make : bool
            Make what is missing of it; a link in its way is replaced.

        Returns
        -------
        int or None
            Its descriptor, good until the next call; None where the system cannot use one.

        Raises
        ------
        FileNotFoundError
            There is no such folder.
        NotADirectoryError
            There is a link or a file in its place or on the way to it.
        """
        if self.fd is None:
            self._check(folder, make)
            return None
        if make:
            self._shorten(0)  # what is held open may have been deleted since
        elif folder == self._entered:
            return self._stack[-1][1] if self._stack else self.fd
        names = folder.split("/") if folder else []
        common = 0
        for (held, _), name in zip(self._stack, names, strict=False):
            if held != name:
                break
            common += 1
        self._shorten(common)
        at = self._stack[-1][1] if self._stack else self.fd
        for name in names[common:]:
            at = self._make_folder(name, at) if make else self._open_folder(name, at)
            self._stack.append((name, at))
        self._entered = folder
        return at

    def _make_folder(self, name: str, at: int) -> int:
        """Open a folder by its name in the one that was entered last, and make it if need be."""
        try:
            return os.open(name, LOOKUP, dir_fd=at)
        except FileNotFoundError:
            pass
        except OSError:
            if not stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                raise
            os.unlink(name, dir_fd=at)  # it was a link at the source, too, and is a folder there now
        path = "/".join([*(entered for entered, _ in self._stack), name])
        like = self._like.stat(path) if self._like is not None and self.folder_mode < 0 else None
        make_folder_at(name, at, self.folder_mode, self.group, like, self.file_mode)
        return os.open(name, LOOKUP, dir_fd=at)

    def _open_folder(self, name: str, at: int) -> int:
        """Open a folder by its name in the one that was entered last."""
        return os.open(name, LOOKUP, dir_fd=at)

    def _may_pass(self, path: str) -> bool:
        """Whether a link on the way to a folder is followed."""
        return False

    def _shorten(self, length: int) -> None:
        self._entered = None
        for _, fd in self._stack[length:]:
            os.close(fd)
        del self._stack[length:]

    def _check(self, folder: str, make: bool) -> None:
        """Enter a folder by its path, on systems that cannot look names up in open folders."""
        if folder in self._checked and not make:
            return
        path, relative = self.root, ""
        for name in folder.split("/") if folder else []:
            path = os.path.join(path, name)
            relative = join(relative, name)
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(path)  # modes mean nothing where folders have no descriptors
                continue
            if _is_link(found) and make:
                os.rmdir(path) if stat.S_ISDIR(found.st_mode) else os.unlink(path)
                os.mkdir(path)
            elif _is_link(found) and self._may_pass(relative):
                continue
            elif _is_link(found) or not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self._checked.add(folder)

    # -- files ----------------------------------------------------------------------------------------

    def _at(self, path: str) -> tuple[str, int | None]:
        """Return the name and `dir_fd` with which to ask the system for a path."""
        folder, _, name = path.rpartition("/")
        fd = self.enter_folder(folder)
        return (self.path(path), None) if fd is None else (name or ".", fd)

    def path(self, path: str) -> str:
        """Return the absolute path of something in the folder."""
        return os.path.join(self.root, native_path(path)) if path else self.root

    def open_file(self, path: str, flags: int, mode: int = 0o777) -> int:
        """Open a file as `os.open` does."""
        name, fd = self._at(path)
        return os.open(name, flags, mode, dir_fd=fd)

    def open_for_reading(self, path: str) -> int:
        """Open a file as `files.open_source_file` does."""
        return open_source_file(*self._at(path))

    def stat(self, path: str) -> os.stat_result:
        """Return the stat of a file, link or folder; links are not followed."""
        name, fd = self._at(path)
        return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def has_folder(self, path: str) -> bool:
        """Whether there is a folder of that name, and no link to one."""
        with contextlib.suppress(OSError):
            return stat.S_ISDIR(self.stat(path).st_mode)
        return False

    def unlink(self, path: str) -> None:
        """Remove a file."""
        name, fd = self._at(path)
        os.unlink(name, dir_fd=fd)

    def remove_folder(self, path: str) -> None:
        """Remove a folder, if it is empty."""
        name, fd = self._at(path)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=fd)

    def discard(self, path: str) -> None:
        """Remove a file, if that is possible."""
        with contextlib.suppress(OSError):
            self.unlink(path)

    def replace(self, path: str, by: str) -> None:
        """Rename `by`, a file in the same folder, to `path`, over what is there."""
        name, fd = self._at(path)
        temporary, _ = self._at(by)
        os.replace(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)

    def move(self, path: str, other: RootFolder) -> None:
        """Rename a file to the same path in another root folder, which has its folder; see `move_file`."""
        name, fd = self._at(path)
        move_file(name, other._at(path)[0], fd, other._at(path)[1])

    def read_link(self, path: str) -> str:
        """Return what a link points to."""
        name, fd = self._at(path)
        return os.readlink(name, dir_fd=fd)

    def make_link(self, target: str, path: str, to_folder: bool) -> None:
        """Make a link; only Windows needs to know whether it leads to a folder."""
        name, fd = self._at(path)
        os.symlink(target, name, target_is_directory=to_folder, dir_fd=fd)

    def read_clock(self, name: str) -> int:
        """Read the file system's own clock, which may differ from this computer's.

        Parameters
        ----------
        name : str
            A file of softcopy's own, whose modification time is overwritten.

        Returns
        -------
        int
            The time, ns, on the scale of files' change times; 0 where the system has no change times.
        """
        if os.name != "posix":
            return 0
        try:
            self.set_times(name, self.open_file(name, os.O_WRONLY | NOFOLLOW), _LONG_AGO, _LONG_AGO)
            changed = self.stat(name).st_ctime_ns
        except OSError:
            return 0
        return changed if changed > 2 * _LONG_AGO else 0  # else it is what the time was set to

    # -- what the file system can do -------------------------------------------------------------------

    def set_times(self, path: str, fd: int, accessed: int, modified: int, flush: bool = False) -> None:
        """Set the times (ns) of a file that was written, flush it if that is asked for, and close it."""
        try:
            if UTIME_ON_FD:
                os.utime(fd, ns=(accessed, modified))
            if flush:
                flush_file(fd)
        finally:
            os.close(fd)
        if not UTIME_ON_FD:  # Windows: to close it would set the time again
            os.utime(self._at(path)[0], ns=(accessed, modified))

    def get_capabilities(self, name: str) -> Capabilities:
        """Return what the file system can do, detected once with a temporary file of this name."""
        if self._capabilities is None:
            try:
                self._capabilities = detect_capabilities(self, name)
            except OSError:
                return Capabilities()  # full, or gone: the next call may find out
        return self._capabilities

    def note_lost_times(self) -> None:
        """Note that a file did not keep the modification time that was set."""
        self._capabilities = (self._capabilities or Capabilities())._replace(keeps_times=False)


def _is_link(found: os.stat_result) -> bool:
    """Whether a stat is of a link, or of a junction on Windows."""
    tag = getattr(found, "st_reparse_tag", 0)
    return stat.S_ISLNK(found.st_mode) or (tag != 0 and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1))
