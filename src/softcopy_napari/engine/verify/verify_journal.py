"""What a check by content has found right so far, in the state folder: one that is interrupted goes on where it was.

A record of 16 bytes for each file that is right: a hash of its path, and its size. What was not right is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import numpy as np
from xxhash import xxh3_64_intdigest

from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import private_folder

_RECORD = np.dtype([("path", "<u8"), ("size", "<u8")])
_TOGETHER = 1 << 12
"""Records that are written together at most."""
_FLUSH = 1.0
"""Seconds after which they are written."""
_OLD = 30 * 86400.0
"""Seconds after which what was found says too little of today."""


class VerifyJournal:
    """The journal of one check.

    Parameters
    ----------
    destination : Path
    against : str
        What it is compared with, and which of its files: another check has another journal.
    afresh : bool
        Whether to forget what an earlier check has found.

    Attributes
    ----------
    files, size : int
        Files that an earlier check found right, and their bytes.
    begun : float
        When it began, Unix, s; 0 where there was none.
    """

    def __init__(self, destination: Path, against: str, afresh: bool = False) -> None:
        name = hashlib.sha256(f"{destination_id(destination)}\0{against}".encode(errors="surrogateescape")).hexdigest()
        self._path = private_folder("verify") / f"{name[:32]}.journal"
        self._waiting: list[tuple[int, int]] = []
        self._next_flush = 0.0
        self.begun = 0.0
        known = np.empty(0, _RECORD)
        with contextlib.suppress(OSError):
            changed = self._path.stat().st_mtime
            if afresh or changed < time.time() - _OLD:
                self._path.unlink()
            else:
                # A record may have been cut off when the computer went down.
                data = self._path.read_bytes()
                known = np.frombuffer(data[: len(data) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)
                os.truncate(self._path, known.nbytes)
                self.begun = changed if len(known) else 0.0
        paths, places = np.unique(known["path"], return_index=True)
        self._paths, self._sizes = paths, known["size"][places]
        self.files, self.size = len(paths), int(self._sizes.sum())

    def find(self, path: str) -> int | None:
        """Return the size of a file that was found right before; None for others."""
        if not self.files:
            return None
        name = np.uint64(xxh3_64_intdigest(os.fsencode(path)))
        at = int(np.searchsorted(self._paths, name))
        return int(self._sizes[at]) if at < self.files and self._paths[at] == name else None

    def note_right(self, path: str, size: int) -> None:
        """Note that a file is right."""
        self._waiting.append((xxh3_64_intdigest(os.fsencode(path)), size))
        if len(self._waiting) >= _TOGETHER or time.monotonic() > self._next_flush:
            self.flush()

    def flush(self) -> None:
        """Write what was noted; on a full disk it is read once more after an interruption, and that is all."""
        self._next_flush = time.monotonic() + _FLUSH
        records, self._waiting = np.array(self._waiting, _RECORD), []
        if len(records):
            with contextlib.suppress(OSError), open(self._path, "ab", buffering=0) as file:
                file.write(records.tobytes())

    def remove(self) -> None:
        """Remove it: the check has come to its end."""
        self._waiting = []
        self._path.unlink(missing_ok=True)
