"""What became of one file that was to be copied.

Must import nothing heavy.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class CopyOutcome(IntEnum):
    """What became of one file."""

    COPIED = 0
    CHANGED = 1
    """It changed while it was read: try again."""
    VANISHED = 2
    """There is no such file at the source; the destination was left alone."""
    DELETED = 3
    """Its writer deleted it on purpose, and it is gone from the destination too."""
    FAILED = 4
    STOPPED = 5
    """The worker was told to end before the copy was whole."""
    FOLDER = 6
    """It is a folder, and there is one at the destination."""
    BLOCKED = 7
    """The destination as a whole takes nothing now; the file is not at fault."""
    TORN = 8
    """It cannot be whole, or nothing tells that it is: its writer is not done with it."""
    TOO_LARGE = 9
    """The destination's file system has no files as large."""
    EQUAL = 10
    """It was there already, with this very content: nothing was written."""
    DAMAGED = 11
    """It cannot be whole, and was copied as it is."""
    KEPT = 12
    """Metadata that were changed at the destination, and are left as they are there."""


class CopyResult(NamedTuple):  # one a file: a frozen dataclass takes three times as long to make
    """What became of one file, with the bytes copied, their XXH3-128 and the reason of a failure."""

    outcome: CopyOutcome
    size: int = 0
    digest: bytes = b""
    reason: str = ""
    error: OSError | None = None
    """What the destination said, where it is BLOCKED."""
    modified: int = 0
    """Modification time of the version that arrived, ns; 0 for what is no regular file."""
