"""Files that could not be copied so far: why, how often, and when each is tried again, after growing pauses."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome

_FIRST = 0.5
_LAST = 60.0
_CHANGING_FIRST = 0.1
_CHANGING_LAST = 5.0
_LONG_PAUSE = 3600.0
_MAX_DEATHS = 3
LAST_ATTEMPTS = 5
"""Attempts at a file before its target ends without it."""


@dataclass(slots=True)
class FailedFile:
    """A file that could not be copied so far."""

    reason: Reason | None = None
    attempts: int = 0
    deaths: int = 0
    """Workers that died with it."""
    changes: int = 0
    """Times that it changed while it was read, or was torn, in a row."""
    mismatches: int = 0
    """Times that it came back from the destination with different content."""
    final: bool = False
    """Whether to try it again now and then would be in vain."""
    hopeless: bool = False
    """Whether it is not even tried again at the end, unless it has changed."""

    @property
    def given_up(self) -> bool:
        """Whether the target may end without it."""
        return self.final or self.attempts >= LAST_ATTEMPTS


class Retries:
    """Brings files back to those that wait.

    Attributes
    ----------
    files : dict of str to FailedFile
        Files that failed or keep changing, by path.
    changing : int
        How many files wait to be tried again because they changed while they were read.
    long_pauses : bool
        Whether such files may grow for hours: then the pauses grow without an end, and all attempts together read about
        twice the final size.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.files: dict[str, FailedFile] = {}
        self.changing = 0
        self.long_pauses = False
        self._inventory = inventory
        self._again: list[tuple[float, str, bool]] = []
        """When to try which file again, and whether because it changed while it was read."""

    def retry_due(self, now: float) -> None:
        """Try those again whose time has come."""
        while self._again and self._again[0][0] <= now:
            _, path, changed = heapq.heappop(self._again)
            self.changing -= changed
            self._try(path)

    def retry_all(self) -> None:
        """Try every file that failed once more, now."""
        for path in list(self.files):
            self._try(path)

    def _try(self, path: str) -> None:
        inventory = self._inventory
        inventory.writers.changing.discard(path)
        if path not in self.files or self.files[path].hopeless:
            return
        match inventory.state(path):
            case ChunkState.FAILED:
                inventory.set_state(path, ChunkState.PENDING)
            case ChunkState.WRITING if path not in inventory.writers.held:  # else its writer will say when
                inventory.set_state(path, ChunkState.PENDING)
            case ChunkState.ABSENT | ChunkState.COPIED | ChunkState.VERIFIED:  # no longer to be copied
                del self.files[path]

    def note_attempt(self, path: str, outcome: CopyOutcome, reason: Reason | None, now: float) -> None:
        """Note what became of an attempt that came to nothing, and when the next one is due."""
        failed = self.files.setdefault(path, FailedFile())
        failed.final = outcome is CopyOutcome.TOO_LARGE
        if failed.final:
            failed.attempts = 1
            failed.reason = reason
            return
        if outcome is not CopyOutcome.FAILED:
            # What is torn may stay so for hours: it is looked at again when it has been so for twice as long.
            last = _LAST if outcome is CopyOutcome.TORN else _CHANGING_LAST
            last = _LONG_PAUSE if self.long_pauses else last
            pause = min(_CHANGING_FIRST * 2 ** min(failed.changes, 20), last)
            failed.changes += 1
            failed.reason = reason or failed.reason
        else:
            pause = min(_FIRST * 2 ** min(failed.attempts, 10), _LAST)
            failed.attempts += 1
            failed.changes = 0
            failed.reason = reason
        changed = outcome is CopyOutcome.CHANGED
        self.changing += changed
        heapq.heappush(self._again, (now + pause, path, changed))

    def give_up(self, path: str, reason: Reason) -> None:
        """Note that a file cannot be copied as it is: it is not tried again before it changes."""
        failed = self.files.setdefault(path, FailedFile())
        failed.final = failed.hopeless = True
        failed.attempts = max(failed.attempts, 1)
        failed.reason = reason

    def forget(self, paths: Iterable[str]) -> None:
        """Note that what was the matter with these files is over."""
        for path in paths:
            self.files.pop(path, None)

    def note_mismatch(self, path: str, different: bool, reason: Reason | None, now: float) -> None:
        """Note that a file could not be read back, or came back with other content."""
        failed = self.files.setdefault(path, FailedFile())
        failed.mismatches += different
        if failed.mismatches >= LAST_ATTEMPTS:
            failed.attempts = failed.mismatches
            failed.reason = make_reason(ReasonCode.OFTEN_DIFFERENT, why=reason, times=failed.mismatches)
        else:
            self.note_attempt(path, CopyOutcome.FAILED, reason, now)

    def note_death(self, path: str, hung: bool, now: float) -> bool:
        """Note that a worker died with a file; returns whether so many have that it is set aside."""
        failed = self.files.setdefault(path, FailedFile())
        failed.deaths += 1
        if failed.deaths < _MAX_DEATHS:
            return False
        reason = make_reason(ReasonCode.STOPS_WORKERS if hung else ReasonCode.KILLS_WORKERS, times=failed.deaths)
        self.note_attempt(path, CopyOutcome.FAILED, reason, now)
        return True

    def note_end(self, path: str) -> None:
        """Note that an attempt has come to its end."""
        failed = self.files.get(path)
        if failed is not None and failed.mismatches:
            failed.attempts = 0  # it is kept in mind until it was read back
        elif failed is not None:
            del self.files[path]

    def failed(self) -> dict[str, FailedFile]:
        """Return the files that have failed and not been copied since."""
        return {path: failed for path, failed in self.files.items() if failed.attempts}
