"""Frees the source of a target in an engine, by its setting `free`, once the target has ended and is complete.

With `linger` that is when its source is no longer watched. A target that its user has stopped is not freed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.engine.freeing.expiry import delete_expired
from softcopy_napari.engine.freeing.free_rules import FreeOptions
from softcopy_napari.engine.freeing.free_source import FreeJob
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.receipt.freed_record import find_freed, list_freed
from softcopy_napari.engine.state_folder.history import HistoryWriter
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.verify.verify import Interrupted

_POLL = 0.5
_LAST_WORD = 5.0
"""Seconds in which a job that is told to stop has ended."""
_ATTEMPTS = 10
"""Quiet times for which a source is waited for that keeps changing, though its copy is complete."""

log = logging.getLogger(__name__)


class AutoFreer:
    """Waits for the end of a target, and frees its source; in a thread of its own.

    Parameters
    ----------
    target : Target
        With the setting `free`.
    snapshot : callable
        Returns the snapshot of the target's job.
    jobs : sequence of threading.Event
        Set when the target's job, and those of other targets of the engine, have ended.

    Attributes
    ----------
    ended : threading.Event
        Set when nothing more is going to happen.
    """

    def __init__(self, target: Target, snapshot: Callable[[], TargetSnapshot], jobs: Sequence[threading.Event]) -> None:
        self.ended = threading.Event()
        self._target, self._snapshot, self._jobs = target, snapshot, jobs
        self._stopped = threading.Event()
        self._stopped_by: Reason | None = None
        self._now: Reason | None = None
        self._notes: tuple[Reason, ...] = ()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="free", daemon=True).start()

    def stop(self, why: Reason | None = None) -> None:
        """Free nothing, or nothing more; `why` is what the user is to be told of that."""
        self._stopped_by = self._stopped_by or why
        self._stopped.set()

    def add_to(self, snapshot: TargetSnapshot) -> TargetSnapshot:
        """Return a target's snapshot with what is known of the freeing of its source, until when it is not over."""
        at_work = snapshot.state is TargetState.COMPLETE and not self.ended.is_set()
        changes = {
            "why": self._now or snapshot.why,
            "notes": (*snapshot.notes, *self._notes),
            "watching": snapshot.watching or at_work,
        }
        return snapshot.model_copy(update=changes)

    def _run(self) -> None:
        try:
            for job in self._jobs:
                while not (job.wait(_POLL) or self._stopped.is_set()):
                    pass
            self._jobs[0].wait(_LAST_WORD)  # when all are stopped, its job says how it ended
            if self._snapshot().state is TargetState.COMPLETE:
                self._notes = self._free_unless_stopped()
                if self._notes:
                    last = self.add_to(self._snapshot()).model_copy(update={"watching": False})
                    HistoryWriter(check=False).note(last)
        finally:
            self._now = None
            self.ended.set()

    def _free_unless_stopped(self) -> tuple[Reason, ...]:
        """Free the source, and delete what has expired; return what is to be told of it."""
        source = self._target.source
        try:
            if not self._stopped.is_set():
                self._notes, self._now = (self._free(),), None
                return (*self._notes, *self._delete_expired())
            why = self._stopped_by
        except Interrupted:
            log.info("%s: freeing was stopped", source)
            why = self._stopped_by
        except Exception:
            log.exception("%s: unexpected error while freeing it", source)
            why = make_reason(ReasonCode.INTERNAL_ERROR, next=quote_text("Try softcopy free"))
        told = () if why is None else (make_reason(ReasonCode.SOURCE_NOT_FREED, why=why),)
        record = find_freed(source)
        return (*told, record.describe()) if record is not None and not record.ended else told

    def _free(self) -> Reason:
        """Free the source; return what came of it."""
        assert self._target.free is not None
        options = FreeOptions(
            keep_days=self._target.free.keep_days, nprocs=self._target.nprocs, progress=self._show_progress
        )
        deadline = time.monotonic() + _ATTEMPTS * source_scan.QUIET
        while True:
            try:
                done = FreeJob(self._target.source, self._target.folder, options).run()
            except FreeRefused as error:
                # What was written a moment ago is waited for; all else needs somebody to look at it.
                if error.reason.code == ReasonCode.FREE_TOO_RECENT and time.monotonic() < deadline:
                    self._now = error.reason
                    if self._stopped.wait(_POLL):
                        raise Interrupted from None
                    continue
                log.warning("%s was not freed: %s", self._target.source, error)
                return make_reason(ReasonCode.SOURCE_NOT_FREED, why=error.reason)
            return make_reason(ReasonCode.SOURCE_FREED, files=done.moved, grace=str(done.grace), until=done.until)

    def _show_progress(self, what: ReasonCode, files: int, total: int) -> bool:
        self._now = make_reason(what, files=files, total=total)
        return not self._stopped.is_set()

    def _delete_expired(self) -> Iterator[Reason]:
        """Delete what has expired of all sources that this user has freed; yield what speaks against it."""
        for grace, record in list_freed():
            if record is not None and record.expired:
                try:
                    done = delete_expired(grace, lambda files, total: not self._stopped.is_set(), self._target.nprocs)
                    log.info("%s: %d files deleted", grace, done.files)
                except FreeRefused as error:
                    log.warning("%s: %s", grace, error)
                    yield error.reason
                except Interrupted:
                    return
