"""How fast one target is copied: brings together what its user set, and what the acquisition can bear.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable

from softcopy_napari.engine.activity_board import ActivityBoard
from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.dispatch.worker_pool import WorkerPool
from softcopy_napari.engine.pacing.effort import Decision, EffortController, Sample
from softcopy_napari.engine.protocol.messages import Changes, PaceSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME

_STEP = 1.0
"""Seconds between two decisions."""
_SPAN = 5
"""Decisions over which the rate is averaged: longer than bursts, in which nothing is copied."""
_WORTH_TELLING = 0.02
"""Workers do not hear of changes smaller than this share."""
_LATELY = 10.0
"""Seconds for which another acquisition on this machine is named after it was at work."""

log = logging.getLogger(__name__)


class Pacer:
    """Tells the workers of a target how fast they may copy.

    Parameters
    ----------
    target : Target
    pool, dispatcher, tracker
        Those of the job.
    board : ActivityBoard
    """

    def __init__(
        self, target: Target, pool: WorkerPool, dispatcher: Dispatcher, tracker: SourceTracker, board: ActivityBoard
    ) -> None:
        self._source = target.source
        self._size = target.nprocs
        self._mode = target.pace
        self._max_rate = target.max_rate
        self._sleep_time = target.sleep_time
        self._pool = pool
        self._dispatcher = dispatcher
        self._tracker = tracker
        self._board = board
        self._controller = EffortController()
        self._decision = Decision()
        """What the acquisition can bear, in mode auto."""
        self._others_at_work = -math.inf
        """When another acquisition was seen at work last."""
        self._most_reading = 0
        """Workers that had something to read at a time, since the last decision."""
        self._divisor = target.nprocs
        """Workers that the limit is shared by."""
        self._sent = math.inf
        """Bytes a second that each worker was told last."""
        self._before = deque([(time.monotonic(), 0, 0)], maxlen=_SPAN)
        """When the last decisions were made, with bytes and files copied until then."""
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
            self._controller, self._decision = EffortController(), Decision()
        self._apply()

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
        moved, files = self._dispatcher.bytes_moved, self._dispatcher.results.files_copied
        then, bytes_then, _ = self._before[-1]
        first, _, files_then = self._before[0]
        self._before.append((now, moved, files))
        holds = self._tracker.pop_hold_times()
        if self._mode == "full":
            return
        live = acquiring and self._tracker.clock.writing(now)
        if not live and any(self._board.held_until()):
            self._others_at_work = now
        before = self._decision.reason
        self._decision = self._controller.decide(
            Sample(
                now=now,
                live=live,
                rate=max(0, moved - bytes_then) / max(now - then, 1e-3),
                backlog=left * max(now - first, 1e-3) / max(files - files_then, 1e-3) if left else 0.0,
                holds=holds,
                full_in=full_in,
            )
        )
        if self._decision.reason != before:
            log.info("%s: %s", self._source, describe(self._decision.reason) or "copies as fast as it can")

    @property
    def _effort(self) -> float:
        return ALL_THE_TIME if self._mode == "full" else self._decision.effort

    @property
    def set_rate(self) -> float:
        """Bytes a second that the user allows at this time of day."""
        now = time.localtime()
        return self._max_rate.at(now.tm_hour * 60 + now.tm_min)

    def _apply(self) -> None:
        share = self.set_rate / self._divisor
        small = share < math.inf and abs(share - self._sent) < _WORTH_TELLING * share
        if not small:
            self._sent = share
        self._pool.set_pace(self._sent, self._sleep_time, self._effort)

    @property
    def _reason(self) -> Reason | None:
        if self._decision.reason is not None or self._mode == "full":
            return self._decision.reason
        if time.monotonic() - self._others_at_work < _LATELY:
            return make_reason(ReasonCode.IN_PAUSES_OF_OTHERS)
        return None

    def snapshot(self) -> PaceSnapshot:
        """Return what front ends show of it."""
        limit, why = self.set_rate, self._reason
        if limit < math.inf and (why is None or why.code == ReasonCode.IN_PAUSES):
            why = make_reason(ReasonCode.LIMIT_AS_SET)
        return PaceSnapshot(
            mode=self._mode,
            max_rate=self._max_rate,
            sleep_time=self._sleep_time,
            limit=None if limit == math.inf else limit,
            why=why,
        )
