"""What a target's user is told: counts, rates, failures, and notices, each once."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.progress.rate import Rate
from softcopy_napari.engine.protocol.messages import ArraySnapshot, Changes, Failure, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.target import Target, settings_of
from softcopy_napari.engine.wording import describe

_MAX_FAILURES = 100
_MAX_DAMAGED = 20
_WINDOW = 8.0
"""Seconds over which rates are averaged."""

log = logging.getLogger(__name__)


class Reporter:
    """Makes the snapshots of a target, for its thread."""

    def __init__(self, target: Target, identity: str, inventory: Inventory, dispatcher: Dispatcher) -> None:
        self._target = target
        self._settings = settings_of(target)
        self._identity = identity
        self._inventory = inventory
        self._dispatcher = dispatcher
        self._notices: dict[Reason, None] = {}
        self._arrays: dict[str, tuple[Ledger, ArraySnapshot]] = {}
        self._all: tuple[int, tuple[ArraySnapshot, ...]] = -1, ()
        """All arrays, and the inventory's count of changes when they were like this."""
        self._started = time.time()
        self._clock_start = now = time.monotonic()
        self._bytes = Rate(now, _WINDOW)
        self._files = Rate(now, _WINDOW)

    def notice(self, *reasons: Reason) -> None:
        """Tell the user something, each reason once."""
        for reason in reasons:
            if reason not in self._notices:
                log.info("%s: %s", self._target.source, describe(reason))
                self._notices[reason] = None

    def change_settings(self, changes: Changes) -> None:
        """Note settings that a front end has changed."""
        self._settings = self._settings.model_copy(update=changes.given)

    def update_rates(self, now: float) -> None:
        """Note how much has been copied until now; call it a few times a second."""
        self._bytes.note_total(self._dispatcher.bytes_moved, now)
        self._files.note_total(self._dispatcher.results.files_copied, now)

    def bytes_left(self) -> int:
        """Estimate the bytes still to be copied from the size of what was; 0 before anything was copied."""
        copied = self._dispatcher.results
        return self.files_left() * copied.bytes_copied // copied.files_copied if copied.files_copied else 0

    def files_left(self) -> int:
        """Return the number of files at the source that are still to be copied."""
        counts = self._inventory.counts()
        return counts[ChunkState.PENDING] + counts[ChunkState.COPYING] + self._others_waiting()

    def _others_waiting(self) -> int:
        return self._inventory.plain_files.count_in(ChunkState.PENDING, ChunkState.COPYING, ChunkState.FAILED)

    def snapshot(
        self, state: TargetState, why: Reason | None, acquiring: bool, kept: int, now: float
    ) -> TargetSnapshot:
        """Return the target's state for front ends."""
        dispatcher, inventory = self._dispatcher, self._inventory
        failed = dispatcher.retries.failed()
        moving = not state.ended and state is not TargetState.PAUSED
        left, rate = self.files_left(), self._files.per_second
        return TargetSnapshot(
            id=self._identity,
            source=str(self._target.source),
            destination=str(self._target.destination),
            state=state,
            why=why,
            counts=inventory.counts(),
            other_files=inventory.plain_files.count_in(ChunkState.COPIED, ChunkState.VERIFIED),
            other_waiting=self._others_waiting(),
            files_copied=dispatcher.results.files_copied,
            bytes_copied=dispatcher.results.bytes_copied,
            bytes_per_second=0.0 if state.ended else self._bytes.per_second,
            eta=left / rate if rate and left and moving and not acquiring else None,
            lag=left / rate if left and rate and moving else None if left else 0.0,
            acquiring=acquiring,
            failed_files=len(failed),
            failures=tuple(
                Failure(path=path, why=file.reason or quote_text(""), attempts=file.attempts)
                for path, file in list(failed.items())[:_MAX_FAILURES]
            ),
            kept=kept,
            notes=(*self._notices, *self._damage()),
            started=self._started,
            elapsed=now - self._clock_start,
            settings=self._settings,
            arrays=self._array_snapshots(),
        )

    def _damage(self) -> Iterator[Reason]:
        """Return notices of chunk files that were copied although they are not whole: some by name, then a count."""
        damaged = self._inventory.damaged
        for path, reason in itertools.islice(damaged.items(), _MAX_DAMAGED):
            yield make_reason(ReasonCode.DAMAGED_FILE, path=path, problem=reason)
        if len(damaged) > _MAX_DAMAGED:
            yield make_reason(ReasonCode.DAMAGED_FILES, files=len(damaged))

    def _array_snapshots(self) -> tuple[ArraySnapshot, ...]:
        changes = self._inventory.changes
        if self._all[0] != changes:
            arrays = self._inventory.arrays.items()
            self._all = changes, tuple(self._array_snapshot(path, array) for path, array in arrays)
        return self._all[1]

    def _array_snapshot(self, path: str, array: TrackedArray) -> ArraySnapshot:
        """Return an array's part of the snapshot, which is the one before if nothing has changed."""
        counts = tuple(array.ledger.counts)
        ledger, before = self._arrays.get(path, (None, None))
        if before is None or ledger is not array.ledger or before.counts != counts:
            before = ArraySnapshot(
                path=path,
                shape=array.layout.shape,
                chunk_shape=array.layout.chunk_shape,
                grid=array.layout.grid,
                dtype=array.layout.dtype,
                ledger=str(array.ledger.path),
                counts=counts,
                regular=array.layout.edge_lengths is None,
            )
            self._arrays[path] = array.ledger, before
        return before
