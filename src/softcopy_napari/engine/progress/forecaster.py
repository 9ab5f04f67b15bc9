"""Measures what a forecast needs: how fast the acquisition writes, how much is to come, and how much space is free.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import time

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.progress.forecast import ForecastFacts, forecast
from softcopy_napari.engine.progress.rate import Rate
from softcopy_napari.engine.progress.reporter import Reporter
from softcopy_napari.engine.protocol.messages import ForecastSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.states import ChunkState

_FREE_SPACE_INTERVAL = 10.0
"""Seconds after which workers are asked for the free space again."""
_STEP = 2.0
"""Seconds between two forecasts."""
_WINDOW = 120.0
"""Seconds over which the acquisition's rate is averaged: it comes in stacks, with pauses between them."""
_SHORTEST = 20.0
"""Seconds after which that average says something."""
_FEWEST = 8
"""Chunk files of an array from which the size of the others is estimated."""
_BACKLOG = 2.0
"""Seconds of work that wait: with more, copying goes as fast as it can."""
_FIRM = 3
"""Forecasts in a row that warn of the same before the user is told."""
_STALE = 60.0
"""Seconds after which what is known of the free space no longer counts."""


class Forecaster:
    """Keeps a target's forecast up to date.

    Attributes
    ----------
    forecast : ForecastSnapshot
    """

    def __init__(
        self, inventory: Inventory, dispatcher: Dispatcher, tracker: SourceTracker, reporter: Reporter
    ) -> None:
        self.forecast = ForecastSnapshot()
        self._inventory = inventory
        self._dispatcher = dispatcher
        self._tracker = tracker
        self._reporter = reporter
        self._free: FreeSpace | None = None
        self._free_seen = 0.0
        self._free_asked = -_FREE_SPACE_INTERVAL
        self._next_update = 0.0
        self._present: dict[TrackedArray, int] = {}
        """Chunk files of each array at the last update."""
        self._acquired = 0.0
        """Bytes written since the first walk."""
        self._acquisition: Rate | None = None
        """How fast those grow; None before the first walk has ended."""
        self._copied = (0.0, 0, 0)
        """When the last update was, with the bytes and files copied until then."""
        self._copy_rate = 0.0
        """Bytes a second that copying manages while it has work; 0 while that is not known."""
        self._warned = {"destination": 0, "source": 0}
        """Forecasts in a row that warned of each disk."""
        self._noted: set[str] = set()
        """The disks that the user was warned of."""

    def ask_free_space(self, now: float) -> bool:
        """Return whether a worker should be asked for the free space now; it counts as asked then."""
        due = now - self._free_asked > _FREE_SPACE_INTERVAL
        if due:
            self._free_asked = now
        return due

    def note_free_space(self, free: FreeSpace, now: float) -> None:
        """Note how much space a worker found free."""
        self._free, self._free_seen = free, now

    def seconds_until_full(self) -> float | None:
        """Return the seconds until the source's disk is full; None where that is not to be expected."""
        full = self.forecast.source_full
        return None if full is None else max(0.0, full - time.time())

    def update_if_due(self, now: float, acquiring: bool, limit: float) -> None:
        """Make a new forecast every few seconds.

        Parameters
        ----------
        now : float
            Monotonic, s.
        acquiring : bool
            Whether more may be written.
        limit : float
            Bytes a second that its user allows.
        """
        if now < self._next_update:
            return
        self._next_update = now + _STEP
        self._note_copied(now)
        if self._tracker.last_pass is not None:
            self._note_acquired(now)
        self.forecast = forecast(self._facts(now, acquiring, limit))
        self._warn()

    def _note_copied(self, now: float) -> None:
        then, moved_then, files_then = self._copied
        moved, files = self._dispatcher.bytes_moved, self._dispatcher.results.files_copied
        self._copied = now, moved, files
        if not then:
            return
        rate = max(0, moved - moved_then) / (now - then)
        if self._reporter.files_left() > _BACKLOG * (files - files_then) / (now - then):  # it is as fast as it can
            self._copy_rate += 0.2 * (rate - self._copy_rate) if self._copy_rate else rate
        else:
            self._copy_rate = max(self._copy_rate, rate)

    def _note_acquired(self, now: float) -> None:
        first, self._acquisition = self._acquisition is None, self._acquisition or Rate(now, _WINDOW)
        for array in self._inventory.arrays.values():
            there = array.layout.n_chunk_files - array.ledger.counts[ChunkState.ABSENT]
            if first:
                self._present[array] = there
            elif (mean := self._mean_size(array)) is not None:
                self._acquired += max(0, there - self._present.get(array, 0)) * mean
                self._present[array] = there
        self._acquisition.note_total(self._acquired, now)

    def _mean_size(self, array: TrackedArray) -> float | None:
        """Return the mean size of an array's chunk files in bytes; None while too few are known."""
        files, size = self._dispatcher.results.sizes.get(array, (0, 0))
        return size / files if files >= _FEWEST else None

    def _coming(self) -> tuple[int | None, bool]:
        """Return the bytes of the chunk files that are still to come, as far as known, and whether that is all."""
        known, all_known = None, self._tracker.metadata.all_known and not self._tracker.evidence.growing
        for array in self._inventory.arrays.values():
            if absent := array.ledger.counts[ChunkState.ABSENT]:
                mean = self._mean_size(array)
                all_known = all_known and mean is not None
                known = (known or 0) + round(absent * mean) if mean is not None else known
        return known, all_known

    def _acquisition_rate(self) -> float | None:
        rate = self._acquisition
        return rate.per_second if rate is not None and rate.seconds >= _SHORTEST else None

    def _facts(self, now: float, acquiring: bool, limit: float) -> ForecastFacts:
        free = self._free if now - self._free_seen < _STALE else None
        coming, all_known = self._coming()
        return ForecastFacts(
            now=time.time(),
            acquiring=acquiring,
            acquisition_rate=self._acquisition_rate(),
            copy_rate=min(self._copy_rate, limit) or None,
            waiting=self._reporter.bytes_left(),
            coming=coming,
            all_known=all_known,
            source_free=_known(free.source_free) if free else None,
            destination_free=_known(free.destination_free) if free else None,
            same_disk=free is not None and free.source_device == free.destination_device != 0,
        )

    def _warn(self) -> None:
        """Warn the user once of each disk that will be too small, when several forecasts in a row say so."""
        found = self.forecast
        for kind, feared in (("destination", found.destination_short > 0), ("source", found.source_full is not None)):
            self._warned[kind] = self._warned[kind] + 1 if feared else 0
            if self._warned[kind] == _FIRM and kind not in self._noted:
                self._noted.add(kind)
                danger = found.dangers[0] if kind == "destination" else found.dangers[-1]
                self._reporter.notice(make_reason(ReasonCode.FORECAST_WARNING, why=danger, at=time.time()))


def _known(size: int) -> int | None:
    return size if size >= 0 else None
