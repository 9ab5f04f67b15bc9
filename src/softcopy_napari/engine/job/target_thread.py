"""The thread of one target: handles messages, keeps the workers busy, and makes snapshots for front ends.

Its subclasses say what it does with the target: a copy job copies it, a check job only compares its two sides.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from softcopy_napari.engine.dispatch.worker_pool import WorkerAnswer, WorkerDied
from softcopy_napari.engine.fs.capabilities import leftovers_of
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.protocol.messages import Changes, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.state_folder.history import HistoryWriter
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import Answer

_TICK = 0.2
"""Seconds between two steps of the job."""
_CALM_TICK = 2.0
"""Seconds between two steps while nothing happens and nothing waits, as between two time points."""
_CALM_AFTER = 5.0
"""Seconds without a message after which nothing counts as happening."""
_TICK_SHARE = 10
"""A step takes at most one part in so many of the time."""
_STOP_TIMEOUT = 1.8
"""Seconds that a stop takes at most, where the destination does not answer: two are promised."""

log = logging.getLogger(__name__)


class TargetThread(ABC):
    """Runs one target. It alone changes the target's inventory; whatever happens elsewhere reaches it as a message.

    Parameters
    ----------
    parts : JobParts
        What it works with. The lock is released when the thread ends.

    Attributes
    ----------
    target, identity
        Those of the parts.
    ended : threading.Event
        Set when the thread has ended, and everything has been released.
    """

    afterwards: Reason
    """What the user can do after the target was ended early."""

    def __init__(self, parts: JobParts) -> None:
        self._parts = parts
        self.target, self.identity = parts.target, parts.identity
        self.ended = threading.Event()
        self._inbox = parts.resources.inbox
        self._inventory, self._walks, self._tracker = parts.inventory, parts.walks, parts.tracker
        self._lock, self._pool, self._dispatcher = parts.lock, parts.pool, parts.dispatcher
        self._reporter, self._watermark = parts.reporter, parts.watermark
        self._history = HistoryWriter(parts.target.check)
        self._reason: Reason | None = None
        self._paused = self._stop_asked = False
        self._silent_since = 0.0
        """Unix time since which no worker has made progress; 0 while they do."""
        self._next: TargetThread | None = None
        """Takes over with the same workers; None unless another dataset has taken the place of this one's."""
        self._was_idle = True
        self._next_tick = 0.0
        self._last_message = 0.0
        self._snapshot: TargetSnapshot
        """Set by the subclass at the end of its constructor."""

    # -- for other threads ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=f"job-{self.identity}", daemon=True).start()

    def order(self, what: str) -> None:
        """Ask for pause, resume, finish, unfinish, stop, or terminate: a stop that the system wants."""
        if self._next is not None:
            self._next.order(what)
            return
        self._stop_asked = self._stop_asked or what in ("stop", "terminate")
        self._inbox.put(what)

    def change(self, changes: Changes) -> Reason | None:
        """Change settings of a running target; return why that is not possible, or None."""
        return make_reason(ReasonCode.ONLY_COMPARED, source=str(self.target.source))

    def snapshot(self) -> TargetSnapshot:
        """Return what was known at the last step: a moment ago, if anything happens."""
        return self._snapshot if self._next is None else self._next.snapshot()

    # -- what subclasses do ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def _over(self) -> bool:
        """Whether the target has ended."""

    @property
    def _nearly_done(self) -> bool:
        """Whether the end may come as soon as all workers are idle."""
        return True

    @property
    def _calm(self) -> bool:
        """Whether no step is due before something happens."""
        return False

    @abstractmethod
    def _end(self, outcome: TargetState, reason: Reason) -> None:
        """End the target, unless it has ended already."""

    @abstractmethod
    def _handle_answer(self, answer: Answer | None, now: float) -> None:
        """Act upon a worker's answer."""

    @abstractmethod
    def _advance(self, now: float) -> None:
        """Take the next step towards the end."""

    @abstractmethod
    def _dispatch(self, now: float) -> None:
        """Give the workers something to do."""

    @abstractmethod
    def _make_snapshot(self, now: float) -> TargetSnapshot:
        """Return the target's state for front ends."""

    def _apply_source_events(self, now: float) -> None:  # noqa: B027
        """Apply what the watcher has reported since the last call."""

    def _close_digests(self) -> None:
        """Close the digests, and keep those that a later run can use: none here."""
        self._inventory.digests.close()

    def _note_finish_order(self, over: bool) -> None:  # noqa: B027
        """Note that the user has said that the acquisition is finished, or that it is not after all."""

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        self._history.note(self._snapshot)
        try:
            while not self._over:
                self._step()
        except Exception:
            log.exception("%s: unexpected error", self.target.source)
            self._end(TargetState.FAILED, make_reason(ReasonCode.INTERNAL_ERROR, next=self.afterwards))
        if self._next is not None:
            self._close_parts()
            self._next._run()
            return
        try:
            self._shut_down()
        except Exception:
            log.exception("%s: unexpected error at the end", self.target.source)
        finally:
            self._parts.resources.slot.release()
            self._lock.release()
            self.ended.set()

    def _step(self) -> None:
        self._pool.start_missing(time.monotonic())
        self._receive()
        now = time.monotonic()
        for worker in self._pool.kill_hung(now):
            self._reporter.notice(make_reason(ReasonCode.WORKER_SILENT, who=worker.link.name))
        self._apply_source_events(now)
        idle = self._dispatcher.idle
        # The last answer may be the one that the next step waits for.
        if now >= self._next_tick or (idle and not self._was_idle and self._nearly_done):
            self._tick(now)
            # With thousands of arrays a snapshot takes time: never spend more than a part of it on them.
            calm = now - self._last_message > _CALM_AFTER and self._calm
            self._next_tick = now + max(_CALM_TICK if calm else _TICK, _TICK_SHARE * (time.monotonic() - now))
        self._dispatch(now)
        self._was_idle = idle and self._dispatcher.idle

    def _receive(self) -> None:
        """Wait for messages until the next step is due, and handle those that are there."""
        with contextlib.suppress(queue.Empty):
            self._handle_message(self._inbox.get(timeout=max(0.001, self._next_tick - time.monotonic())))
            self._last_message = time.monotonic()
            self._next_tick = min(self._next_tick, self._last_message + _TICK)
            for _ in range(256):
                self._handle_message(self._inbox.get_nowait())

    def _handle_message(self, message: WorkerAnswer | WorkerDied | str | Callable[[], None] | None) -> None:
        now = time.monotonic()
        match message:
            case WorkerAnswer():
                answer = self._dispatcher.apply_answer(message, now)
                if self._over:  # it was stopped a moment ago: this must not set it going again
                    return
                self._handle_answer(answer, now)
                if not isinstance(answer, FolderDiff | FolderBatch | None):  # rare, and the next step waits for it
                    self._next_tick = now
            case WorkerDied():
                if message.reason is not None and not message.worker.hung:
                    self._reporter.notice(message.reason)
                self._dispatcher.replace_worker(message, now)
            case "pause" | "resume":
                self._paused = message == "pause"
                self._dispatcher.destination.retry_now()
            case "finish" | "unfinish":
                self._note_finish_order(message == "finish")
            case "stop":
                self._end(TargetState.STOPPED, self.afterwards)
            case "terminate":
                self._end(TargetState.STOPPED, make_reason(ReasonCode.ENDED_BY_SYSTEM))
            case _ if callable(message):  # another thread has finished something
                message()
                self._next_tick = now

    def _tick(self, now: float) -> None:
        if not self._over:
            self._advance(now)
        for problem in filter(None, (*self._pool.problems, self._inventory.digests.problem)):
            self._reporter.notice(problem)
        silence = self._pool.silent_for(now)
        if not silence:
            self._silent_since = 0.0
        elif not self._silent_since:
            self._silent_since = time.time() - silence
        self._reporter.update_rates(now)
        if not self._over:  # the last snapshot is made when the workers have gone
            self._snapshot = self._make_snapshot(now)
            self._history.note(self._snapshot)

    def _shut_down(self) -> None:
        deadline = time.monotonic() + _STOP_TIMEOUT
        self._lock.note_doing("left")
        left = self._pool.stop() + self._dispatcher.unswept()
        marker = self._parts.marker
        if (marker or left) and not isinstance(self.target.destination, StoreUrl):
            # In a thread: the destination may be what hangs.
            clock: list[int] = []
            names = [(name, folders) for own, folders in left for name in leftovers_of(own)]
            arguments = (self.target.destination, names, marker, clock)
            sweeper = threading.Thread(target=_sweep, args=arguments, daemon=True)
            sweeper.start()
            sweeper.join(max(0.0, deadline - time.monotonic()))
            self._dispatcher.read_back.note_clock(sum(clock))
        self._snapshot = self._make_snapshot(time.monotonic())
        self._history.note(self._snapshot)
        self._watermark.close(max(0.0, deadline - time.monotonic()))
        self._close_parts()

    def _close_parts(self) -> None:
        """Release what is known of the source's files."""
        self._tracker.end()
        self._dispatcher.read_back.close()
        self._close_digests()
        self._inventory.versions.store.close()
        self._inventory.ledgers.close()


def _sweep(destination: Path, left: list[tuple[str, list[str]]], marker: str, clock: list[int]) -> None:
    """Remove temporaries that workers could not; append the time of the destination's clock to `clock`."""
    place = RootFolder(str(destination))
    with contextlib.suppress(OSError):
        place.open(marker=marker)
        clock.append(place.read_clock(marker))
    place.close()
    for temporary, folders in [(marker, [""]), *left] if marker else left:
        for folder in folders:
            with contextlib.suppress(OSError):
                os.unlink(destination / folder / temporary)
