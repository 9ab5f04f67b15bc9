"""How fast one target is copied: brings together what its user set, and what the acquisition can bear.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.dispatch.worker_pool import WorkerPool
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.pacing.congestion import CongestionController, RateLimit, Sample
from softcopy_napari.engine.pacing.disk_load import DiskMeter, find_disk
from softcopy_napari.engine.protocol.messages import Changes, PaceSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason, quote_text
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.targets.target import Target

_STEP = 1.0
"""Seconds between two decisions."""
_WORTH_TELLING = 0.02
"""Workers do not hear of changes smaller than this share."""

log = logging.getLogger(__name__)


class Pacer:
    """Tells the workers of a target how fast they may copy.

    Parameters
    ----------
    target : Target
    pool, dispatcher, tracker
        Those of the job.
    post : callable
        Has a function called in the job's thread.
    """

    def __init__(
        self,
        target: Target,
        pool: WorkerPool,
        dispatcher: Dispatcher,
        tracker: SourceTracker,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self._source = target.source
        self._size = target.nprocs
        self._mode = target.pace
        self._max_rate = target.max_rate
        self._sleep_time = target.sleep_time
        self._pool = pool
        self._dispatcher = dispatcher
        self._tracker = tracker
        self._post = post
        self._controller = CongestionController()
        self._automatic = RateLimit()
        """What the acquisition can bear, in mode auto."""
        self._meter: DiskMeter | None = None
        self._device = 0
        """On which the source lies, as far as that was looked into."""
        self._most_reading = 0
        """Workers that had something to read at a time, since the last decision."""
        self._divisor = target.nprocs
        """Workers that the limit is shared by."""
        self._sent = math.inf
        """Bytes a second that each worker was told last."""
        self._before = (time.monotonic(), 0, 0)
        """When the last decision was made, with bytes and files copied until then."""
        self._next_decision = 0.0
        self._apply()

    def change_settings(self, changes: Changes) -> None:
        """Apply settings that a front end has changed."""
        log.info("%s: set to %s", self._source, changes.words())
        if changes.sleep_time is not None:
            self._sleep_time = changes.sleep_time
        if changes.max_rate is not None:
            self._max_rate = changes.max_rate
        if changes.pace is not None and changes.pace != self._mode:
            self._mode = changes.pace
            self._controller, self._automatic = CongestionController(), RateLimit()
        self._apply()

    def note_source_device(self, free: FreeSpace) -> None:
        """Note on which device the source lies, and have its disk found; in a thread, for that takes a moment."""
        if free.source_device in (0, self._device):
            return
        self._device = free.source_device

        def find() -> None:
            name = find_disk(free.source_device, free.source_path)
            self._post(lambda: self._measure_disk(name))

        threading.Thread(target=find, name="find-disk", daemon=True).start()

    def _measure_disk(self, disk: str) -> None:
        log.info("%s: lies on %s", self._source, f"the disk {disk}" if disk else "no disk that is known here")
        self._meter = DiskMeter(disk) if disk else None

    def update(self, now: float, acquiring: bool, left: Callable[[], int], full_in: float | None) -> None:
        """Decide once a second how fast to copy, and tell the workers.

        Parameters
        ----------
        now : float
            Monotonic, s.
        acquiring : bool
            Whether the acquisition may be going on.
        left : callable
            How many files wait to be copied.
        full_in : float or None
            Seconds until the source's disk is full, where that is to be feared.
        """
        reading = self._pool.reading
        self._most_reading = max(self._most_reading, reading)
        if now >= self._next_decision:
            self._next_decision = now + _STEP
            self._decide(now, acquiring, left(), full_in)
            self._divisor = self._most_reading or self._size
            self._most_reading = reading
            self._apply()
        elif reading > self._divisor:
            self._divisor = reading
            self._apply()

    def _decide(self, now: float, acquiring: bool, left: int, full_in: float | None) -> None:
        then, bytes_then, files_then = self._before
        moved, files = self._dispatcher.bytes_moved, self._dispatcher.results.files_copied
        self._before = now, moved, files
        seconds = max(now - then, 1e-3)
        holds = self._tracker.lock_holds()
        if self._mode == "full":
            return
        live = acquiring and self._tracker.writing(now)
        load = self._meter.measure(now) if self._meter is not None and live else None
        before = self._automatic
        self._automatic = self._controller.decide(
            Sample(
                now=now,
                live=live,
                rate=max(0, moved - bytes_then) / seconds,
                backlog=left / max((files - files_then) / seconds, 1e-3) if left else 0.0,
                holds=holds,
                busy=load.busy if load is not None else None,
                latency=load.latency if load is not None else None,
                full_in=full_in,
            )
        )
        if self._automatic.reason != before.reason:
            log.info("%s: %s", self._source, self._automatic.reason or "copies as fast as it can")

    @property
    def limit(self) -> float:
        """Bytes a second that are allowed now; inf if there is no limit."""
        return min(self._automatic.rate, self.set_rate)

    @property
    def set_rate(self) -> float:
        """Bytes a second that the user allows at this time of day."""
        now = time.localtime()
        return self._max_rate.at(now.tm_hour * 60 + now.tm_min)

    def _apply(self) -> None:
        share = self.limit / self._divisor
        small = share < math.inf and abs(share - self._sent) < _WORTH_TELLING * share
        if not small:
            self._sent = share
        self._pool.set_pace(self._sent, self._sleep_time)

    def snapshot(self) -> PaceSnapshot:
        """Return what front ends show of it."""
        limit, set_rate = self.limit, self.set_rate
        if limit == math.inf:
            why = None
        elif self._automatic.rate <= set_rate:
            why = quote_text(self._automatic.reason)
        else:
            why = make_reason(ReasonCode.LIMIT_AS_SET)
        return PaceSnapshot(
            mode=self._mode,
            max_rate=self._max_rate,
            sleep_time=self._sleep_time,
            limit=None if limit == math.inf else limit,
            why=why,
        )
