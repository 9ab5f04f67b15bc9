"""Gathers what a forecast needs: how fast the acquisition writes, how much is to come, and how much room there is.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import time
from collections import deque

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.progress.forecast import Forecast, ForecastFacts, forecast
from softcopy_napari.engine.progress.reporter import Reporter
from softcopy_napari.engine.protocol.messages import ForecastSnapshot
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.states import ChunkState

_ROOM_INTERVAL = 10.0
"""Seconds between looks how much room there is."""
_STEP = 2.0
_WINDOW = 120.0
"""Seconds over which the acquisition's rate is averaged: it comes in stacks, with pauses between them."""
_SHORTEST = 20.0
_FEWEST = 8
"""Chunk files of an array from which the size of the others is told."""
_BACKLOG = 2.0
_FIRM = 3
"""Forecasts in a row that warn of something, before it is noted."""
_STALE = 60.0
"""Seconds after which what is known of the room counts no longer."""


class ForecastInputs:
    """Keeps a target's forecast.

    Parameters
    ----------
    inventory, dispatcher, survey, reporter
        The job's.
    """

    def __init__(self, inventory: Inventory, dispatcher: Dispatcher, survey: SourceTracker, reporter: Reporter) -> None:
        self.forecast = Forecast()
        self._inventory = inventory
        self._dispatcher = dispatcher
        self._survey = survey
        self._reporter = reporter
        self._room: FreeSpace | None = None
        self._room_seen = 0.0
        self._next = 0.0
        self._present: dict[TrackedArray, int] | None = None
        """Chunk files of each array that were there already; None before the first walk has seen them."""
        self._acquired = 0.0
        """Bytes written since."""
        self._series: deque[tuple[float, float]] = deque()
        self._copied = (0.0, 0, 0)
        self._copy_rate = 0.0
        """What copying manages."""
        self._warned = {"destination": 0, "source": 0}
        """Forecasts in a row that warned of each."""
        self._noted: set[str] = set()
        self._asked_for_room = -_ROOM_INTERVAL

    def wants_room(self, now: float) -> bool:
        """Whether it is time for a worker to look how much room there is; counts as asked then."""
        due = now - self._asked_for_room > _ROOM_INTERVAL
        if due:
            self._asked_for_room = now
        return due

    def take_room(self, room: FreeSpace, now: float) -> None:
        """Take in how much room a worker found."""
        self._room, self._room_seen = room, now

    def full_in(self) -> float | None:
        """Seconds until the source's disk is full, where that is to be feared."""
        full = self.forecast.source_full
        return None if full is None else max(0.0, full - time.time())

    def tick(self, now: float, acquiring: bool, limit: float) -> None:
        """Look ahead anew, if it is time.

        Parameters
        ----------
        now : float
            Monotonic, s.
        acquiring : bool
            Whether more may be written.
        limit : float
            Bytes a second that its user allows.
        """
        if now < self._next:
            return
        self._next = now + _STEP
        self._note_copied(now)
        if self._survey.last_pass is not None:
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
        if self._reporter.left() > _BACKLOG * (files - files_then) / (now - then):  # it is as fast as it can
            self._copy_rate += 0.2 * (rate - self._copy_rate) if self._copy_rate else rate
        else:
            self._copy_rate = max(self._copy_rate, rate)

    def _note_acquired(self, now: float) -> None:
        first, self._present = self._present is None, self._present if self._present is not None else {}
        for array in self._inventory.arrays.values():
            there = array.layout.n_chunk_files - array.ledger.counts[ChunkState.ABSENT]
            if first:
                self._present[array] = there
            elif (mean := self._mean(array)) is not None:
                self._acquired += max(0, there - self._present.get(array, 0)) * mean
                self._present[array] = there
        self._series.append((now, self._acquired))
        while self._series[0][0] < now - _WINDOW:
            self._series.popleft()

    def _mean(self, array: TrackedArray) -> float | None:
        """Bytes of a chunk file of an array; None while that cannot be told."""
        files, size = self._dispatcher.results.sizes.get(array, (0, 0))
        return size / files if files >= _FEWEST else None

    def _coming(self) -> tuple[int | None, bool]:
        """Bytes of the chunk files that are promised and not there, as far as known, and whether that is all."""
        known, all_known = None, self._survey.metadata.all_known
        for array in self._inventory.arrays.values():
            if absent := array.ledger.counts[ChunkState.ABSENT]:
                mean = self._mean(array)
                all_known = all_known and mean is not None
                known = (known or 0) + round(absent * mean) if mean is not None else known
        return known, all_known

    def _acquisition_rate(self) -> float | None:
        if not self._series or self._series[-1][0] - self._series[0][0] < _SHORTEST:
            return None
        (start, first), (end, last) = self._series[0], self._series[-1]
        return (last - first) / (end - start)

    def _facts(self, now: float, acquiring: bool, limit: float) -> ForecastFacts:
        room = self._room if now - self._room_seen < _STALE else None
        coming, all_known = self._coming()
        return ForecastFacts(
            now=time.time(),
            acquiring=acquiring,
            acquisition_rate=self._acquisition_rate(),
            copy_rate=min(self._copy_rate, limit) or None,
            waiting=self._reporter.bytes_left(),
            coming=coming,
            all_known=all_known,
            source_free=_known(room.source_free) if room else None,
            destination_free=_known(room.destination_free) if room else None,
            same_disk=room is not None and room.source_device == room.destination_device != 0,
        )

    def _warn(self) -> None:
        """Note what is to be feared, once, when it is no passing guess."""
        found = self.forecast
        for kind, feared in (("destination", found.destination_short > 0), ("source", found.source_full is not None)):
            self._warned[kind] = self._warned[kind] + 1 if feared else 0
            if self._warned[kind] == _FIRM and kind not in self._noted:
                self._noted.add(kind)
                words = found.warnings[0] if kind == "destination" else found.warnings[-1]
                self._reporter.notice(f"{words} (as it looked at {time.strftime('%H:%M')})")

    def snapshot(self) -> ForecastSnapshot:
        """What front ends are told."""
        found = self.forecast
        return ForecastSnapshot(
            words=found.words,
            warnings=found.warnings,
            complete_after=found.complete_after,
            source_full=found.source_full,
            destination_short=found.destination_short,
        )


def _known(size: int) -> int | None:
    return size if size >= 0 else None
