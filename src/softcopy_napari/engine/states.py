"""The states of chunk files and of targets: the words that engine and front ends share."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ChunkState(IntEnum):
    """State of one chunk file, as it stands in a ledger (one byte each)."""

    ABSENT = 0
    """Expected by the array's metadata; there is no file yet."""
    WRITING = 1
    """Its writer holds the chunk's lock, or has the file itself open."""
    PENDING = 2
    """Settled at the source and waiting to be copied."""
    COPYING = 3
    """A copy worker has it."""
    COPIED = 4
    """Arrived; size and time agree with the source."""
    VERIFIED = 5
    """Read back from the destination; the hash agrees."""
    FAILED = 6
    """Given up for now; the target's failures name the reason."""


class TargetState(StrEnum):
    """What a target is doing, in the words that users read."""

    WAITING = "waiting for source"
    COPYING = "copying"
    CAUGHT_UP = "caught up"
    FINISHING = "finishing"
    COMPLETE = "complete"
    CHECKING = "checking"
    PAUSED = "paused"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether the target's job has come to its end."""
        return self in (TargetState.COMPLETE, TargetState.INCOMPLETE, TargetState.FAILED, TargetState.STOPPED)
