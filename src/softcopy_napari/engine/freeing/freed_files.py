"""The journal of a grace folder: which files were to be moved into it, and what each of them held.

Append-only, a line of JSON for each file. A line is on the disk before its file is moved, so that of every file in the
grace folder it is known what its copy must hold before it may be deleted. A line that a crash has torn is passed over:
its file was not moved. Lines say what was intended; what lies where is told by the file system.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.fs.files import BINARY, NOFOLLOW
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE

JOURNAL = "journal.jsonl"
"""Its name in a grace folder."""


class FreedFile(NamedTuple):
    """A file that was moved to a grace folder, or was to be."""

    path: str
    """`/` separated, relative to the source and to the folder with the freed files."""
    digest: bytes
    """XXH3-128 at the source, in the receipt, and at the destination."""
    size: int
    modified: int
    """Modification time, ns."""


class Journal:
    """The journal while something is done with a grace folder.

    Parameters
    ----------
    path : Path
        Made if need be.

    Raises
    ------
    OSError
        From all methods.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY | NOFOLLOW, 0o600)

    def close(self) -> None:
        """Close the file, and end its lock."""
        os.close(self.fd)

    def append_files(self, files: Iterable[FreedFile]) -> None:
        """Record files that are about to be moved."""
        self._append(
            {"move": one.path, "xxh128": one.digest.hex(), "size": one.size, "modified": one.modified} for one in files
        )

    def append_event(self, event: str, **more: object) -> None:
        """Record that something begins or has ended."""
        self._append([{"event": event, **more}])

    def _append(self, entries: Iterable[dict[str, object]]) -> None:
        data = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        if not data:
            return
        size = os.fstat(self.fd).st_size
        if size and not self._ends_with_line(size):
            data = b"\n" + data
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]
        os.fsync(self.fd)

    def _ends_with_line(self, size: int) -> bool:
        os.lseek(self.fd, size - 1, os.SEEK_SET)
        return os.read(self.fd, 1) == b"\n"

    def has_event(self, event: str, **more: object) -> bool:
        """Whether something was recorded, with these particulars."""
        wanted = {"event": event, **more}
        return any(wanted.items() <= entry.items() for entry in _entries(self._path))

    def files(self) -> Iterator[FreedFile]:
        """Yield all files that were ever about to be moved; one that was moved again comes again."""
        for entry in _entries(self._path):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                digest = bytes.fromhex(str(entry["xxh128"]))
                path = entry["move"]
                if isinstance(path, str) and len(digest) == DIGEST_SIZE and _is_inside(path):
                    yield FreedFile(path, digest, int(str(entry["size"])), int(str(entry["modified"])))


def _entries(path: Path) -> Iterator[dict[str, object]]:
    with open(path, "rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry


def _is_inside(path: str) -> bool:
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path
