"""Makes temporaries at a destination, and copies what is no regular file: links, empty folders, deletions.

Used by file_copier.py.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys

from softcopy_napari.engine.fs.files import BINARY, NOFOLLOW, describe_kind
from softcopy_napari.engine.fs.permissions import set_permissions
from softcopy_napari.engine.fs.relative_paths import parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.source_files import VANISHED, was_deleted_alone

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | NOFOLLOW


def create_temporary(destination: RootFolder, temporary: str, before: os.stat_result) -> tuple[str, int]:
    """Make the temporary of a file's copy, with the permissions that this is to have.

    Parameters
    ----------
    destination : RootFolder
    temporary : str
        Its path; folders that are missing on the way are made.
    before : os.stat_result
        The source's file.

    Returns
    -------
    tuple of str and int
        The path, and a descriptor to write to.
    """
    mode = destination.file_mode if destination.file_mode >= 0 else before.st_mode & 0o777 | stat.S_IWUSR
    try:
        out = destination.open_file(temporary, _CREATE, mode)
    except OSError as error:
        if isinstance(error, FileExistsError):  # this worker's own, whose removal failed
            destination.unlink(temporary)
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            destination.enter_folder(parent(temporary), make=True)
        else:
            raise
        out = destination.open_file(temporary, _CREATE, mode)
    try:
        set_permissions(out, destination.file_mode, destination.group, before)
    except OSError:
        os.close(out)
        destination.discard(temporary)
        raise
    return temporary, out


def make_folder(destination: RootFolder, path: str, mode: int) -> CopyResult:
    """Make a folder at the destination; a source of any other kind than a folder is an error."""
    if not stat.S_ISDIR(mode):
        return CopyResult(CopyOutcome.FAILED, reason=describe_kind(mode))
    destination.enter_folder(path, make=True)
    return CopyResult(CopyOutcome.FOLDER)


def copy_link(source: RootFolder, destination: RootFolder, path: str, temporary: str) -> CopyResult:
    """Copy a link as it is, under a temporary's name first."""
    target = source.read_link(path)
    destination.enter_folder(parent(path), make=True)
    with contextlib.suppress(FileNotFoundError):
        destination.unlink(temporary)
    # Only Windows needs to know, so the link is followed only there.
    to_folder = sys.platform == "win32" and os.path.isdir(source.path(path))
    destination.make_link(target, temporary, to_folder)
    destination.replace(path, temporary)
    return CopyResult(CopyOutcome.COPIED)


def is_same_link(source: RootFolder, destination: RootFolder, path: str, here: os.stat_result) -> bool:
    """Return whether a file of the source, by its stat, is a link that the destination has, too."""
    if not stat.S_ISLNK(here.st_mode):
        destination.stat(path)  # raises if it is missing, which is another result
        return False
    return source.read_link(path) == destination.read_link(path)


def mirror_deletion(source: RootFolder, destination: RootFolder, path: str) -> CopyResult:
    """Delete the copy of a file that its writer deleted."""
    if not was_deleted_alone(source, path):
        return VANISHED
    with contextlib.suppress(FileNotFoundError):
        destination.unlink(path)
    return CopyResult(CopyOutcome.DELETED)
