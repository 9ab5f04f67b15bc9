"""Copies what is no regular file to a destination: links, empty folders, deletions. Used by file_copier.py."""

from __future__ import annotations

import contextlib
import os
import stat
import sys

from softcopy_napari.engine.fs.files import describe_kind
from softcopy_napari.engine.fs.relative_paths import parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult

VANISHED = CopyResult(CopyOutcome.VANISHED)


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


def mirror_deletion(source: RootFolder, destination: RootFolder, path: str) -> CopyResult:
    """Delete the copy of a file that its writer deleted; if its folder has gone too, no writer did that."""
    try:
        if not stat.S_ISDIR(source.stat(parent(path)).st_mode):
            return VANISHED
    except OSError:
        return VANISHED
    with contextlib.suppress(FileNotFoundError):
        destination.unlink(path)
    return CopyResult(CopyOutcome.DELETED)
