"""Brings to a destination what is no plain file: links, empty folders, and that a file was deleted.

Part of copying one file (file_copier.py) in the copy workers, and imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys

from softcopy_napari.engine.fs.files import describe_kind
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult

VANISHED = CopyResult(CopyOutcome.VANISHED)


def temporary_beside(path: str, name: str) -> str:
    """Return the path of the temporary of this name in a file's folder."""
    folder = path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def make_folder(destination: RootFolder, path: str, mode: int) -> CopyResult:
    """Make a folder of the destination; whatever else has such a mode at the source is not copied."""
    if not stat.S_ISDIR(mode):
        return CopyResult(CopyOutcome.FAILED, reason=f"is a {describe_kind(mode)}, not a file")
    destination.enter_folder(path, make=True)
    return CopyResult(CopyOutcome.FOLDER)


def copy_link(source: RootFolder, destination: RootFolder, path: str, temporary: str) -> CopyResult:
    """Make a link at the destination as it is at the source, under a temporary's name first."""
    target = source.read_link(path)
    destination.enter_folder(path.rpartition("/")[0], make=True)
    with contextlib.suppress(FileNotFoundError):
        destination.unlink(temporary)
    # Windows alone wants to know, and only there is the link looked through.
    to_folder = sys.platform == "win32" and os.path.isdir(source.path(path))
    destination.make_link(target, temporary, to_folder)
    destination.replace(path, temporary)
    return CopyResult(CopyOutcome.COPIED)


def mirror_deletion(source: RootFolder, destination: RootFolder, path: str) -> CopyResult:
    """Delete a file that its writer deleted, unless its folder has gone as well: that was no writer."""
    folder = path.rpartition("/")[0]
    try:
        if not stat.S_ISDIR(source.stat(folder).st_mode):
            return VANISHED
    except OSError:
        return VANISHED
    with contextlib.suppress(FileNotFoundError):
        destination.unlink(path)
    return CopyResult(CopyOutcome.DELETED)
