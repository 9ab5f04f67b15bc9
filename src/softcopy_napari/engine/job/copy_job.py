"""Runs a copy from the wait for its source until it is complete, and beyond: does what lifecycle.py decides.

Events of the watcher, answers of the workers and orders of front ends reach it as messages, in one thread.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from softcopy_napari.engine.checksums.digest_journal import DigestJournal
from softcopy_napari.engine.checksums.receipt_reader import ReceiptReader
from softcopy_napari.engine.destination.final_verdict import FinalVerdict
from softcopy_napari.engine.destination.preparation import DestinationPreparation
from softcopy_napari.engine.fs.capabilities import Remark, describe_remarks
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.job.copy_status import CopyStatus, Situation
from softcopy_napari.engine.job.final_check import FinalCheck
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.job.lifecycle import Action, Event, Phase, next_phase
from softcopy_napari.engine.job.readiness import Readiness
from softcopy_napari.engine.job.signer import Signer
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.job.target_thread import TargetThread
from softcopy_napari.engine.pacing.pacer import Pacer
from softcopy_napari.engine.progress.forecaster import Forecaster
from softcopy_napari.engine.protocol.messages import Changes, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.finish_rules import finished_because
from softcopy_napari.engine.source.source_facts import gather_facts
from softcopy_napari.engine.state_folder.destination_lock import ReverifyReason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import Answer, Flushed, FreeSpaceTask, Reached, ReadDone, Swept, TailDone
from softcopy_napari.engine.zarr_layout.probe import SourceProbe

_GENERATION = 1_000_000
"""Step between the numbers of the ledger folders of two datasets, one made in the other's place."""
log = logging.getLogger(__name__)


class CopyJob(TargetThread):
    """Copies one target, and watches its source afterwards."""

    afterwards = make_reason(ReasonCode.STOPPED)

    def __init__(self, resources: TargetResources, identity: str, ledgers: Path) -> None:
        journal = self._journal = DigestJournal(resources.target.destination)
        parts = JobParts(resources, identity, ledgers, journal.path)
        super().__init__(parts)
        self._phase = Phase.WAITING
        self._told_to_finish = False
        self._why_finished: Reason | None = None
        self._has_receipt = False
        self._source_when_complete = 0
        """The count of the source's changes when it was complete."""
        target, inventory, post = parts.target, parts.inventory, parts.post
        self._preparation = DestinationPreparation(target, inventory, journal, parts.marker, post, lambda: self._over)
        self._final = FinalCheck(parts)
        self._ready = Readiness(parts, self._preparation)
        self._signer = Signer(parts, journal)
        self._pacer = Pacer(target, parts.pool, parts.dispatcher, parts.tracker, resources.board)
        self._forecaster = Forecaster(inventory, parts.dispatcher, parts.tracker, parts.reporter)
        self._status = CopyStatus(parts, self._final, self._pacer, self._forecaster)
        if not isinstance(place := target.destination, StoreUrl):  # whose manifest has them
            receipt = ReceiptReader(inventory, place, ledgers, post)
            parts.dispatcher.read_back.use_known_digests(journal, receipt)
        if self._lock.reverify_reason is not None:
            self._reverify(self._lock.reverify_reason)
        self._snapshot = self._make_snapshot(time.monotonic())

    def change(self, changes: Changes) -> Reason | None:
        """Change settings of the running copy; return why that is not possible, or None."""
        if self._next is not None:
            return self._next.change(changes)
        if self.ended.is_set():
            return make_reason(ReasonCode.HAS_ENDED, source=str(self.target.source))
        self._inbox.put(lambda: self._apply_changes(changes))
        return None

    def _apply_changes(self, changes: Changes) -> None:
        self._pacer.change_settings(changes)
        self._reporter.change_settings(changes)

    def _reverify(self, why: ReverifyReason) -> None:
        """Have everything read back, since equal size and time no longer prove that what was copied is there."""
        self._lock.note_reverify_reason(why)  # a later run must know
        self._reporter.notice(make_reason(why.value))
        self._dispatcher.read_back.verify_all()
        self._watermark.note_doubt()
        self._final.recheck()

    @property
    def _over(self) -> bool:
        return self._phase is Phase.ENDED

    @property
    def _ending(self) -> bool:
        return self._phase in (Phase.CHECKING, Phase.FLUSHING, Phase.SIGNING)

    def _note_finish_order(self, over: bool) -> None:
        if over and self._phase is Phase.WATCHING:  # what came since may not have been reported yet
            self._final.recheck()
            self._transition(Event.CHANGED, time.monotonic())
        self._told_to_finish = over

    def _close_digests(self) -> None:
        self._lock.note_clean_end(self._dispatcher.at_rest)
        self._inventory.digests.close(remove=False)
        self._journal.end(self._inventory, complete=self._has_receipt or self._next is not None)

    # -- phases ---------------------------------------------------------------------------------------

    def _transition(self, event: Event, now: float) -> None:
        """Enter the phase that follows an event, and carry out the actions of the transition."""
        before = self._phase
        self._phase, actions = next_phase(before, event)
        if self._phase is not before:
            log.info("%s: %s, %s", self.target.source, event.name, self._phase.name)
        for action in actions:
            self._carry_out(action, now)

    def _carry_out(self, action: Action, now: float) -> None:
        match action:
            case Action.COPY:
                self._lock.note_source(self._ready.folder)
                self._ready.arrival.before = None
                self._reason = None
                self._watermark.start(self._preparation.replaces, now)
                self._update_pace(now)
            case Action.FORGET_SOURCE:
                gone = make_reason(ReasonCode.SOURCE_GONE, source=str(self.target.source))
                self._ready.forget_source(self._has_receipt, gone, now)
            case Action.CHECK:
                self._final.start(now)
            case Action.WALK:
                self._final.start_walk(now)
            case Action.FLUSH:
                self._final.request_flush()
            case Action.SIGN:
                self._final.signing = self._final.changes
                snapshot, folder = self._make_snapshot(time.monotonic()), self._ready.folder
                self._signer.start_writing(snapshot, describe(self._why_finished), folder, self._handle_receipt)
            case Action.ANNOUNCE:
                self._announce_complete(now)
            case Action.RESUME:
                if self._tracker.changes != self._source_when_complete:  # else the user just wants a recheck
                    self._tracker.evidence.note_resumed()
                    self._told_to_finish = False  # that was true of what had come before
                self._status.completed = 0.0
                self._why_finished = None
                self._lock.note_doing("filled")
                self._lock.note_clean_end(False)
                self._reason = None
                changed = make_reason(ReasonCode.SOURCE_CHANGED, source=str(self.target.source))
                self._ready.forget_source(self._has_receipt, changed, now)

    # -- messages and steps ---------------------------------------------------------------------------

    def _apply_source_events(self, now: float) -> None:
        if not self._tracker.apply_events(now, self._ending) or self._tracker.deletion.made_anew:
            self._handle_source_lost(now)
        if (task := self._tracker.held_back.manifest.pop_task(now, self._pool.new_id)) is not None:
            self._dispatcher.request(task)
        for read in self._tracker.metadata.pop_tasks(self._pool.new_id):
            self._dispatcher.request(read)

    def _dispatch(self, now: float) -> None:
        may_copy = not self._paused and self._phase in (Phase.COPYING, Phase.CHECKING, Phase.FLUSHING)
        may_copy = may_copy and self._watermark.allows_changes(now)
        self._dispatcher.read_back.finishing = self._ending
        self._dispatcher.retries.long_pauses = self.target.is_folder and not self._ending
        self._dispatcher.results.as_it_is = self._ending and self._final.last_chance_over(now)
        self._inventory.queue.looking_around = self._tracker.looking_around
        # A released destination has no mark of this copy: what would be compared could be another one's.
        compare = self._phase is not Phase.WATCHING or self._dispatcher.destination.claimed
        self._dispatcher.dispatch(now, copy=may_copy, compare=compare)

    def _handle_answer(self, answer: Answer | None, now: float) -> None:
        match answer:
            case FolderDiff() as part:
                finishing = self._phase is Phase.CHECKING
                if not self._tracker.apply_folder_diff(part, now, finishing) and self._phase is not Phase.WAITING:
                    self._handle_source_lost(now)
            case FolderBatch() as batch:
                self._tracker.apply_folder_batch(batch, now, self._phase is Phase.CHECKING)
            case ReadDone(contents):
                self._tracker.apply_files(contents)
            case TailDone() as tail:
                self._tracker.apply_tail(tail)
            case SourceProbe() as probe:
                if self._ready.handle_probe(probe, self._told_to_finish, now):
                    self._start_successor()
            case Reached(obstacle):
                if obstacle is None and self._ready.start_copy(lambda: self._inbox.put(None), now):
                    self._transition(Event.SOURCE_READY, now)
            case Flushed() as flushed:
                self._handle_flushed(flushed, now)
            case Swept() if self._ready.awaited is Swept:
                self._ready.awaited = None
            case FreeSpace() as free:
                self._forecaster.note_free_space(free, now)

    def _advance(self, now: float) -> None:
        remarks = self._dispatcher.results.remarks | self._inventory.versions.remarks
        if remarks & Remark.NO_TIMES:
            self._lock.note_times_lost()
        self._reporter.notice(
            *describe_remarks(remarks, str(self.target.destination)), *self._dispatcher.links.notices()
        )
        if self._dispatcher.source_lost:
            self._dispatcher.source_lost = False
            self._handle_source_lost(now)
        if self._dispatcher.destination.taken_away:
            self._dispatcher.destination.taken_away = False
            self._reverify(ReverifyReason.TAKEN_AWAY)
        if self._dispatcher.flushing.doubt is not None:
            self._reverify(self._dispatcher.flushing.doubt)
            self._dispatcher.flushing.doubt = None
        if self._phase is Phase.WAITING:
            if self._ready.failure:
                self._end(TargetState.FAILED, self._ready.failure)
            else:
                self._ready.probe_if_due(now)
            return
        self._update_pace(now)
        self._journal.note_if_due(self._inventory, now)
        self._watermark.update_if_due(now)
        self._tracker.note_walk_end(now)
        if self._tracker.last_full is not None and self._watermark.allows_changes(now):
            self._preparation.remove_old_files_if_due(self._dispatcher.source, self._handle_removed)
        match self._phase:
            case Phase.COPYING if not self._paused and self._tracker.last_pass is not None:
                self._check_finished(now)
            case Phase.CHECKING if not self._paused:
                self._advance_final_check(now)
            case Phase.WATCHING:
                self._watch_source(now)

    def _update_pace(self, now: float) -> None:
        """Update the forecast, and decide how fast to copy."""
        acquiring = self._phase is Phase.COPYING
        if acquiring and self._forecaster.ask_free_space(now):
            self._dispatcher.request(FreeSpaceTask(self._pool.new_id()))
        self._forecaster.update_if_due(now, acquiring and self._tracker.clock.live, self._pacer.set_rate)
        self._pacer.update(now, acquiring, self._reporter.files_left, self._forecaster.seconds_until_full())

    # -- the source's coming and going ----------------------------------------------------------------

    def _start_successor(self) -> None:
        """Hand over to a new job for the dataset that took this one's place: nothing known of this one holds."""
        before = self._parts.ledgers
        ledgers = before.with_name(str(int(before.name) + _GENERATION))
        following = CopyJob(self._parts.resources, self.identity, ledgers)
        following.ended = self.ended
        following._paused = self._paused
        self._ready.hand_over_to(following._ready)
        following._watermark.adopt_file(self._watermark)
        following._inherit(self._snapshot)
        self._next = following
        self._transition(Event.ENDS, time.monotonic())

    def _inherit(self, before: TargetSnapshot) -> None:
        """Adopt what the user was told, and has set."""
        self._reporter.notice(*before.notes, make_reason(ReasonCode.MADE_ANEW, source=str(self.target.source)))
        if (known := before.settings) is not None:
            self._apply_changes(Changes(sleep_time=known.sleep_time, max_rate=known.max_rate, pace=known.pace))
        self._snapshot = self._make_snapshot(time.monotonic())

    def _handle_removed(self, notices: list[Reason]) -> None:
        """Have everything compared, now that another dataset's files have been removed from the destination."""
        self._reporter.notice(*notices)
        self._final.recheck()

    def _handle_source_lost(self, now: float) -> None:
        """Wait for the source to come back. Nothing is deleted anywhere."""
        self._tracker.await_deletion(lambda: self._stop_asked)
        if self._phase is Phase.SIGNING:
            self._tracker.apply_events(now)  # what was reported before it went
        self._transition(Event.SOURCE_LOST, now)

    # -- the end --------------------------------------------------------------------------------------

    @property
    def _nearly_done(self) -> bool:
        # During an acquisition, workers are idle after every few files.
        return self._phase is not Phase.COPYING or not self._tracker.clock.live

    @property
    def _calm(self) -> bool:
        return self._phase in (Phase.COPYING, Phase.WATCHING) and not self._final.at_work

    def _finished_because(self, now: float) -> Reason | None:
        facts = gather_facts(self._tracker, self._inventory, self._told_to_finish, now)
        return finished_because(facts, self.target.settle, self.target.finish_idle)

    def _check_finished(self, now: float) -> None:
        if not self._told_to_finish:
            self._tracker.start_light_walk_if_due(now)
            if self._final.at_work:
                return
        if self._finished_because(now):
            self._transition(Event.FINISHED, now)

    def _advance_final_check(self, now: float) -> None:
        """Take the next step of the final check: copy what is left, walk, flush, or write the receipt."""
        self._why_finished = self._finished_because(now)
        if self._why_finished is None:
            self._transition(Event.UNFINISHED, now)
            return
        step = self._final.next_step(self._preparation.unfinished, now)
        if self._final.failure is not None:
            self._end(TargetState.FAILED, self._final.failure)
        elif step is not Event.NOT_SIGNED or self._confirm_end():
            self._transition(step, now)

    def _handle_flushed(self, flushed: Flushed, now: float) -> None:
        if (doubt := self._final.handle_flushed(flushed)) is not None:
            self._reverify(doubt)
        if flushed.error:
            failed = {"destination": str(self.target.destination), "problem": flushed.error}
            self._end(TargetState.FAILED, make_reason(ReasonCode.FLUSH_FAILED, **failed))
        else:
            self._transition(Event.FLUSHED, now)

    def _confirm_end(self) -> bool:
        """Return whether the copy may end, now that all files of the source are at the destination; else fail."""
        verdict = self._signer.check_end()
        if verdict.failure is not None:
            self._fail(verdict.failure, verdict)
        return verdict.failure is None

    def _fail(self, failure: Reason, verdict: FinalVerdict) -> None:
        """End the target because files are on one side only that should be on both."""
        self._reporter.notice(*verdict.notes)
        self._status.kept, self._status.lost = verdict.kept, verdict.lost
        self._end(TargetState.FAILED, failure)

    def _handle_receipt(self, problem: Reason | None, verdict: FinalVerdict) -> None:
        """Go on now that the receipt is written, or cannot be: the copy is complete without one, too."""
        now = time.monotonic()
        final, signing = self._final, self._phase in (Phase.SIGNING, Phase.SIGNING_ALONE)
        if verdict.failure is not None and signing and final.changes == final.signing:
            self._fail(verdict.failure, verdict)
            return
        self._reporter.notice(*verdict.notes, *((problem,) if problem is not None else ()))
        final.signed, self._has_receipt = final.signing, problem is None and verdict.failure is None
        if self._phase is Phase.SIGNING_ALONE:
            self._transition(Event.NOTHING_MISSING if final.changes == final.signing else Event.CHANGED, now)
        else:
            self._transition(Event.SIGNED, now)
            if self._phase is Phase.CHECKING:
                self._advance_final_check(now)

    def _announce_complete(self, now: float) -> None:
        self._watermark.note_complete(now)
        self._lock.note_reverify_reason(None)
        self._lock.note_clean_end(True)
        self._status.outcome, self._reason = TargetState.COMPLETE, self._status.why_complete(self._why_finished)
        self._status.completed, self._status.complete_since = time.time(), now
        self._source_when_complete = self._tracker.changes
        if self._phase is Phase.WATCHING:
            self._lock.note_doing("watched")
            if self.target.linger_seconds and not self._tracker.blind:  # else walks go on, which need the mark
                self._ready.awaited = Swept
                self._dispatcher.release_destination(self._parts.marker)
            self._watch_source(now)

    def _watch_source(self, now: float) -> None:
        """Resume if the source has changed since the copy was complete; end when it was watched for long enough."""
        if self._tracker.unread:
            return  # those events come first
        if self._final.changes != self._final.signed:
            self._transition(Event.CHANGED, now)
        elif now >= self._status.complete_since + self.target.linger_seconds:
            self._transition(Event.ENDS, now)
        elif self._dispatcher.destination.claimed:
            self._tracker.start_light_walk_if_due(now)

    def _end(self, outcome: TargetState, reason: Reason) -> None:
        if self._phase not in (Phase.ENDED, Phase.WATCHING):  # what is complete stays so
            self._status.outcome = outcome
            self._reason = reason
            self._watermark.note_end(outcome, reason)
        self._transition(Event.ENDS, time.monotonic())

    def _make_snapshot(self, now: float) -> TargetSnapshot:
        situation = Situation(
            phase=self._phase,
            reason=self._reason or self._ready.reason,
            paused=self._paused,
            leaving=self._ready.awaited is Swept,
            silent_since=self._silent_since,
            told_to_finish=self._told_to_finish,
        )
        return self._status.snapshot(situation, now)
