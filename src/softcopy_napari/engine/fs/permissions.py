"""The settings `permissions` and `group`: who may read files and folders at a destination."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

KEEP, AS_FOLDER, GROUP = "keep", "folder", "group"
SOURCE = "source"
"""What `keep` was called before."""
AS_SOURCE, NEVER_BY_GROUP = -1, -2
"""Instead of a mode: a file gets its source's, less what its group must not have; as in copy_files.c.

NEVER_BY_GROUP is for folders with a default ACL, which lets others than the group use the group's permissions.
"""
_OCTAL = re.compile(r"0?[4-7][0-7]{2}")
_NOT_HERE = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""Errors of a file system that does not take the group or the mode that is set."""
_DEFAULT_ACL = "system.posix_acl_default"


def is_valid_permissions(setting: str) -> bool:
    """Whether this is a value of the setting; an octal mode must let the owner read what is copied."""
    return setting in (KEEP, AS_FOLDER, GROUP, SOURCE) or _OCTAL.fullmatch(setting) is not None


def heeds_umask(setting: str) -> bool:
    """Whether the umask is taken off the modes of new files and folders."""
    return setting in (KEEP, AS_FOLDER, SOURCE)


def modes_for(setting: str, folder: int) -> tuple[int, int]:
    """Return the modes for new files and folders in a folder of this mode; negative where they are the source's.

    With `folder` the system decides, as for any file that is made there: by the umask, or a default ACL.
    """
    if setting in (KEEP, SOURCE):
        return AS_SOURCE, AS_SOURCE
    if setting == AS_FOLDER:
        return 0o666, 0o777
    if setting == GROUP:
        return folder & 0o666 | 0o600, folder & 0o777 | 0o700
    mode = int(setting, 8)
    return mode, mode | (mode & 0o444) >> 2 | 0o300


def has_default_acl(folder: str | int) -> bool:
    """Whether a folder has an access control list for what is made in it."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(folder, _DEFAULT_ACL))
    except OSError:
        return False


def narrowed_mode(made: os.stat_result, group: int, mode: int) -> int | None:
    """Return the mode that something new must get so that nobody can read it who could not read its source.

    Parameters
    ----------
    made : os.stat_result
        What was made, with the source's mode.
    group : int
        The source's group: another one may only have what everybody has.
    mode : int
        AS_SOURCE, or NEVER_BY_GROUP.

    Returns
    -------
    int or None
        None where it is right as it is.
    """
    permissions = stat.S_IMODE(made.st_mode)
    if mode == AS_SOURCE and made.st_gid == group:
        return None
    narrowed = permissions & ~(0o070 & ~((permissions & 0o007) << 3))
    return narrowed if narrowed != permissions else None


def give_to_group(file: str | int, group: int, at: int | None = None) -> None:
    """Give something new, by its descriptor or its name in a folder, to a group; a file system without groups cannot.

    Raises
    ------
    OSError
        It cannot be done for another reason.
    """
    try:
        os.chown(file, -1, group, dir_fd=at, follow_symlinks=isinstance(file, int))
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise


def make_folder_at(
    name: str, at: int | None, mode: int, group: int, like: os.stat_result | None, file_mode: int
) -> None:
    """Make a folder in another one, unless it is there.

    Parameters
    ----------
    name : str
    at : int or None
        The descriptor of the folder that it is made in; None for a path.
    mode : int
        Its mode, unless it is like another one.
    group : int
        Its group; -1 for the usual one.
    like : os.stat_result or None
        The folder of the source that it is the copy of, where permissions are kept.
    file_mode : int
        AS_SOURCE or NEVER_BY_GROUP, where it is like another one.
    """
    with contextlib.suppress(FileExistsError):  # by another worker, just now
        os.mkdir(name, mode if like is None else like.st_mode & 0o777 | 0o700, dir_fd=at)
        if group >= 0:
            give_to_group(name, group, at)
        if like is not None:
            made = os.stat(name, dir_fd=at, follow_symlinks=False)
            if (narrowed := narrowed_mode(made, like.st_gid, file_mode)) is not None:
                os.chmod(name, narrowed, dir_fd=at)


def set_permissions(file: int, mode: int, group: int, like: os.stat_result) -> None:
    """Give a new file, by its descriptor, the group that is set, and see that nobody can read it who must not.

    Parameters
    ----------
    file : int
    mode : int
        As `RootFolder.file_mode`.
    group : int
        As `RootFolder.group`.
    like : os.stat_result
        The source's file.
    """
    if group >= 0:
        give_to_group(file, group)
    if (
        mode < 0
        and hasattr(os, "fchmod")
        and (narrowed := narrowed_mode(os.fstat(file), like.st_gid, mode)) is not None
    ):
        os.fchmod(file, narrowed)


def mode_beside(setting: str, source: Path, destination: Path) -> int | None:
    """Return the mode of files that softcopy itself puts beside a copy: they name files of it.

    Returns
    -------
    int or None
        None where the system decides, by the umask or a default ACL.
    """
    try:
        if setting in (KEEP, SOURCE):
            return os.stat(source).st_mode & 0o666 | 0o600
        if heeds_umask(setting):
            return None
        return modes_for(setting, os.stat(destination).st_mode)[0]
    except OSError:
        return None


def share_file(file: str | int, mode: int | None, group: int) -> None:
    """Give a file, by its path or descriptor, a group and a mode, where its file system has such.

    Parameters
    ----------
    file : str or int
    mode : int or None
        None for the one that it has.
    group : int
        -1 for the one that it has.

    Raises
    ------
    OSError
        It cannot be done for another reason.
    """
    if group >= 0:
        give_to_group(file, group)
    if mode is not None and (not isinstance(file, int) or os.chmod in os.supports_fd):
        try:
            os.chmod(file, mode)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise


def is_shared(folder: int) -> bool:
    """Whether a folder of this mode is meant to be shared with its group."""
    return bool(folder & (stat.S_ISGID | stat.S_IWGRP))


def find_group(name: str) -> int:
    """Return the number of a group that the user may give files to.

    Raises
    ------
    ValueError
        There is no such group, or its user is not in it; the text says so.
    """
    try:
        import grp
    except ImportError:
        raise ValueError("this system has no groups of files") from None
    try:
        number = grp.getgrnam(name).gr_gid
    except (KeyError, OSError):
        if not (name.isdecimal() and len(name) < 10):
            raise ValueError("there is no such group on this computer") from None
        number = int(name)
    if os.geteuid() != 0 and number not in (os.getegid(), *os.getgroups()):
        raise ValueError("you are not in that group")
    return number
