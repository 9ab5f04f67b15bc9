"""The last part of a copy, when the acquisition is finished: waits for writers, has everything compared and flushed.

Part of a target's job, and called from its thread alone. `CompletionFacts.missing` says what comes next.
"""

from __future__ import annotations

from softcopy_napari.engine.dispatch.retries import LAST_ATTEMPTS
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.job.lifecycle import CompletionFacts, Event
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.walk_planner import Walk
from softcopy_napari.engine.state_folder.destination_lock import ReverifyReason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import NEVER
from softcopy_napari.engine.worker.tasks import Flushed, FlushTask

_JUST_NOW = 5.0
"""Seconds after its end for which a walk over an old dataset, in which nothing has happened since, is the last one."""
_LONG_PROOF = 30.0
"""Seconds of reading back after which everything is compared once more."""
LAST_CHANCE = 5.0
"""Seconds that writers have at the end to make whole what is not, or to let go of locks that nobody saw them take."""
OPEN_FILE_TIMEOUT = 30.0
"""Seconds that writers have for files that they were seen to open or to lock."""


class FinalCheck:
    """Decides and starts what is left to do after the end of an acquisition.

    Attributes
    ----------
    failure : Reason or None
        Why the target cannot become complete; None while it can.
    signing : int
        The count of changes when the writing of the receipt last began.
    signed : int or None
        The count of changes that the last receipt covers, also where it could not be written.
    """

    def __init__(self, parts: JobParts) -> None:
        self.failure: Reason | None = None
        self.signing = 0
        self.signed: int | None = None
        self._inventory, self._walks, self._tracker = parts.inventory, parts.walks, parts.tracker
        self._dispatcher, self._pool, self._reporter = parts.dispatcher, parts.pool, parts.reporter
        self._rechecks = 0
        self._since = 0.0
        """When the acquisition was found to be finished, monotonic."""
        self._flush_asked: tuple[int, int] | None = None
        """Files published and walks begun when the flush under way was asked for."""
        self._flushed = (-1, 0)
        """Files published and walks begun when the last successful flush was asked for."""
        self._proving_since = 0.0
        self._bad_walks = 0
        self._next_walk = 0.0

    # -- what is known --------------------------------------------------------------------------------

    @property
    def changes(self) -> int:
        """How often anything was learned or done; what proves that a copy is complete must be younger than the last."""
        return self._tracker.changes + self._dispatcher.results.published + self._rechecks

    def recheck(self) -> None:
        """Have everything compared once more, although nothing is known to have changed at the source."""
        self._rechecks += 1

    def last_chance_over(self, now: float) -> bool:
        """Return whether writers have had their time to complete what is not whole."""
        return now - self._since > LAST_CHANCE

    @property
    def at_work(self) -> bool:
        """Whether anything is being compared or copied, or waits for that."""
        waiting = self._inventory.count_in(ChunkState.PENDING, ChunkState.COPYING)
        return bool(not self._dispatcher.idle or self._tracker.busy or waiting)

    def completion_facts(self, removing: bool) -> CompletionFacts:
        """Return what decides whether the copy is complete; `removing` says whether files are still being removed."""
        inventory, dispatcher = self._inventory, self._dispatcher
        unfinished = inventory.count_in(ChunkState.WRITING, ChunkState.PENDING, ChunkState.COPYING)
        last = self._tracker.last_full
        stuck = bool(self._pool.stuck) or dispatcher.destination.problem is not None
        return CompletionFacts(
            unread=self._tracker.unread,
            unfinished=unfinished + len(inventory.writers.held) + len(inventory.writers.changing),
            unproven=not dispatcher.read_back.done,
            failed=len(dispatcher.retries.failed()),
            busy=not dispatcher.idle or self._tracker.busy or stuck or removing,
            changes=self.changes,
            walked=last.changes if last is not None and self._has_proved(last) else None,
            published=dispatcher.results.published,
            flushed=self._flushed[0],
            signed=self.signed,
            blind=self._tracker.blind,
            walks=self._walks.full_begun,
            walks_at_flush=self._flushed[1],
        )

    def _has_proved(self, walk: Walk) -> bool:
        """Whether a walk has seen everything, and has flushed the destination's folders if they have to be."""
        return not walk.errors and (walk.flushes or not self._dispatcher.flushing.needs_folder_flush)

    def explain(self) -> Reason:
        """Say what takes its time."""
        read_back = self._dispatcher.read_back
        if self._pool.stuck:
            return make_reason(ReasonCode.WORKER_STUCK)
        if self._inventory.digests.problem:
            return self._inventory.digests.problem
        if not read_back.done:
            code = ReasonCode.READING_BACK if read_back.verify else ReasonCode.FINDING_CHECKSUMS
            return make_reason(code, files=read_back.read)
        return make_reason(ReasonCode.CHECKING_FILES)

    # -- steps ----------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Retry everything that failed, as the acquisition is finished, and have both sides compared once more."""
        self._since = now
        self._inventory.recheck_kept()
        self._dispatcher.retries.retry_all()
        self._dispatcher.read_back.start_over()
        last = self._tracker.last_full
        fresh = last is not None and last.changes == self.changes and now - last.ended < _JUST_NOW
        if last is not None and fresh and not self._dispatcher.retries.failed():
            self._dispatcher.read_back.newest_change = last.newest_change
        else:
            self.start_walk(now)

    def start_walk(self, now: float) -> None:
        """Walk over both sides: what an earlier walk saw of the destination holds no longer."""
        self._dispatcher.read_back.newest_change = NEVER
        self._tracker.start_pass(True, now, self.changes, flushes=self._dispatcher.flushing.needs_folder_flush)

    def next_step(self, removing: bool, now: float) -> Event:
        """Return what is missing for the copy to be complete; sets `failure` where nothing will help."""
        self._wait_for_writers(now)
        if self._may_use_temporaries(now):
            return Event.WORK_LEFT
        last = self._tracker.last_full
        if last is not None and last.changes == self.changes and last.flushes and not last.errors:
            self._dispatcher.flushing.note_folders_flushed()
        missing = self.completion_facts(removing).missing
        if missing is Event.WORK_LEFT:
            if not self._dispatcher.read_back.done:
                self._proving_since = self._proving_since or now
            self._give_up_failed()
            return missing
        if missing is not Event.NOTHING_MISSING and self._long_proof_has_ended(now):
            self._rechecks += 1
            missing = Event.NOT_WALKED
        if missing is Event.NOT_WALKED and last is not None and last.errors:
            return self._walk_again(*next(iter(last.errors.items())), now)
        return missing

    def _wait_for_writers(self, now: float) -> None:
        """Give up on files that writers have had open or locked for too long: name them, and copy what is there."""
        for path, held in list(self._inventory.writers.held.items()):
            seen = held.open or self._tracker.locked_lately(path, now)
            if now - max(held.since, self._since) > (OPEN_FILE_TIMEOUT if seen else LAST_CHANCE):
                self._inventory.writers.abandon_file(path)
                self._rechecks += 1
                code = ReasonCode.LEFT_OPEN if held.open else ReasonCode.LEFT_LOCKED
                self._reporter.notice(make_reason(code, path=path))

    def _may_use_temporaries(self, now: float) -> bool:
        """Return whether writers may still turn temporaries into files; their names do not tell into which."""
        left = self._tracker.scratch
        if left.count and not self.last_chance_over(now):
            self._tracker.recheck_temporaries(now)
            return True
        if left.count:
            self._reporter.notice(make_reason(ReasonCode.TEMPORARIES_LEFT, files=left.count, path=left.first))
        return False

    def _give_up_failed(self) -> None:
        """Fail because of files that failed too often, once there is nothing else to do."""
        dispatcher, changing = self._dispatcher, self._inventory.writers.changing
        if self.at_work or changing or self._pool.stuck or dispatcher.destination.problem is not None:
            return
        failed = self._dispatcher.retries.failed()
        if failed and all(file.given_up for file in failed.values()):
            path, file = next(iter(failed.items()))
            self.failure = make_reason(ReasonCode.FILES_FAILED, files=len(failed), path=path, why=file.reason)

    def _long_proof_has_ended(self, now: float) -> bool:
        """Return whether reading back has just ended, and took so long that everything must be compared once more."""
        begun, self._proving_since = self._proving_since, 0.0
        return bool(begun) and now - begun > _LONG_PROOF

    def _walk_again(self, path: str, reason: Reason, now: float) -> Event:
        """Walk again after a growing pause, as a folder could not be listed: a network may be gone for a moment."""
        if self._bad_walks == 0:
            self._next_walk = now
        if now < self._next_walk:
            return Event.WORK_LEFT
        self._bad_walks += 1
        self._next_walk = now + 0.5 * 2**self._bad_walks
        if self._bad_walks < LAST_ATTEMPTS:
            self._dispatcher.retries.retry_all()
            return Event.NOT_WALKED
        self.failure = make_reason(ReasonCode.CANNOT_LIST, path=path or str(self._tracker.source), problem=reason)
        return Event.WORK_LEFT

    # -- the flush ------------------------------------------------------------------------------------

    def request_flush(self) -> None:
        """Ask for a flush of the destination, unless one is still unanswered."""
        if self._flush_asked is None:
            self._flush_asked = self._dispatcher.results.published, self._walks.full_begun
            self._dispatcher.request(FlushTask(self._pool.new_id()))

    def handle_flushed(self, flushed: Flushed) -> ReverifyReason | None:
        """Note the answer; return why what was copied may be lost, if it may."""
        asked, self._flush_asked = self._flush_asked, None
        if flushed.error:  # the system says so once, and then takes what it could not write for written
            return ReverifyReason.FLUSH_FAILED
        if flushed.unsure:
            return ReverifyReason.FLUSH_UNSURE
        if flushed.obstacle is not None:
            self._rechecks += 1
        elif asked is not None:
            self._flushed = asked
        return None
