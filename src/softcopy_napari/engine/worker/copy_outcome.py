"""The outcome of copying one file."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from softcopy_napari.engine.reasons import Reason


class CopyOutcome(IntEnum):
    """How copying one file ended."""

    COPIED = 0
    CHANGED = 1
    """It changed while it was read, and is to be copied again."""
    VANISHED = 2
    """It does not exist at the source; the destination was left alone."""
    DELETED = 3
    """Its writer deleted it on purpose, and it was deleted at the destination too."""
    FAILED = 4
    STOPPED = 5
    """The worker was stopped before the copy was complete."""
    FOLDER = 6
    """It is a folder, which now exists at the destination."""
    BLOCKED = 7
    """The destination as a whole takes no files now."""
    TORN = 8
    """It is damaged or not known to be whole: its writer is still at work on it."""
    TOO_LARGE = 9
    """It is larger than the destination's file system allows."""
    EQUAL = 10
    """The destination already had this content, and nothing was written."""
    DAMAGED = 11
    """It is damaged, and was copied as it is."""
    KEPT = 12
    """It holds metadata that were edited at the destination, and was left alone there."""


class CopyResult(NamedTuple):  # made for every file: a frozen dataclass takes three times as long
    """The outcome of copying one file, with the bytes copied, their XXH3-128 and the reason for a failure."""

    outcome: CopyOutcome
    size: int = 0
    digest: bytes = b""
    reason: Reason | None = None
    error: OSError | None = None
    """The destination's error, if the outcome is BLOCKED."""
    modified: int = 0
    """Modification time of the version that was copied, ns; 0 for anything but regular files."""
