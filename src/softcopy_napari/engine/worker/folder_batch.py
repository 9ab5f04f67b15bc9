"""The result of comparing many folders of chunk files at once, as copy workers send it to their engine."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from functools import cached_property

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.worker.folder_diff import NEVER, FolderDiff

COMPARED, PECULIAR, NOT_REACHED, UNCHANGED = range(4)
"""What a batch says of a folder, the first three as in compare_folders.c. One that is PECULIAR is compared by itself,
in FolderDiffs that follow, if it was asked for; else it has to be, as one that was NOT_REACHED; one that is UNCHANGED
was not listed."""
SAME = 0
"""Verdict on a file that is up to date at the destination."""
_FOLDER = struct.Struct("qiiii")

ComparedFolder = tuple[str, int, int, int, int]
"""A folder's path relative to the source, what is said of it, its modification time before it was listed (ns; 0 if that
is too recent to be relied on), and how many files and folders it holds."""


class FolderBatch:
    """What comparing the folders below some folders has found, where that is nothing but folders and chunk files.

    Everything in them is named by a number. Each chunk file is up to date at the destination, or missing there and not
    being written. The destination has nothing else there.

    Parameters
    ----------
    base : str
        Folder that they lie in, relative to the source.
    names, folders : bytes
        Paths of the folders relative to `base`, NUL-terminated, and what is known of each, as compare_folders.c makes
        them.
    files, verdicts : bytes
        Paths of the chunk files in the COMPARED ones relative to `base`, NUL-terminated, in the folders' order, and
        whether each is SAME or LACKING.

    Attributes
    ----------
    base, verdicts
        As given.
    newest, size, oldest_chunk, newest_chunk, newest_change : int
        As of `FolderDiff`, of all of them together.
    final : bool
        Whether this is the last answer of its task.
    """

    def __init__(
        self,
        base: str,
        names: bytes,
        folders: bytes,
        files: bytes,
        verdicts: bytes,
    ) -> None:
        self.base = base
        self.verdicts = verdicts
        self.newest, self.size = 0, 0
        self.oldest_chunk, self.newest_chunk, self.newest_change = NEVER, 0, 0
        self.final = False
        self._names, self._folders, self._files = names, folders, files

    @classmethod
    def of_unchanged(cls, folders: Iterable[tuple[str, int]]) -> FolderBatch:
        """Make a batch of folders that were not listed, because they still have the times (ns) that are known."""
        found = list(folders)
        names = b"".join(os.fsencode(path) + b"\0" for path, _ in found)
        data = b"".join(_FOLDER.pack(modified, UNCHANGED, 0, 0, 0) for _, modified in found)
        batch = cls("", names, data, b"", b"")
        batch.newest = max(modified for _, modified in found)
        return batch

    @classmethod
    def of_peculiar(cls, folders: Iterable[str]) -> FolderBatch:
        """Make a batch of folders that have to be compared one by one."""
        found = [os.fsencode(path) + b"\0" for path in folders]
        return cls("", b"".join(found), _FOLDER.pack(0, PECULIAR, 0, 0, 0) * len(found), b"", b"")

    @property
    def peculiar(self) -> dict[str, str]:
        """Paths of the PECULIAR folders, and what the system says of why the destination's may not be stored."""
        errors = (error for *_, error in _FOLDER.iter_unpack(self._folders))
        return {
            path: os.strerror(error) if error else ""
            for (path, kind, *_), error in zip(self.folders, errors, strict=True)
            if kind == PECULIAR
        }

    @cached_property
    def folders(self) -> list[ComparedFolder]:
        """What is known of each folder."""
        prefix = prefix_of(self.base)
        names = os.fsdecode(self._names).split("\0")
        return [
            (prefix + name, kind, modified, files, folders)
            for name, (modified, kind, files, folders, _) in zip(
                names, _FOLDER.iter_unpack(self._folders), strict=False
            )
        ]

    @property
    def files(self) -> list[str]:
        """Paths of the chunk files, relative to `base`."""
        return self._files.decode().split("\0")[:-1]

    def split(self) -> Iterator[FolderDiff]:
        """Yield the same, of each COMPARED folder by itself."""
        files = iter(zip(self.files, self.verdicts, strict=True))
        size = self.size
        for folder, kind, modified, n_files, _ in self.folders:
            if kind != COMPARED:
                continue
            part = FolderDiff(folder, modified=modified, newest=self.newest, last=True, size=size)
            part.oldest_chunk, part.newest_chunk = self.oldest_chunk, self.newest_chunk
            part.newest_change = self.newest_change
            size = 0  # told once
            for path, verdict in itertools.islice(files, n_files):
                (part.same if verdict == SAME else part.different).append(path.rpartition("/")[2])
            yield part
