"""A copied target's life, from waiting for its source to complete.

What happens elsewhere reaches it as messages: hints of the watcher, answers of the workers, orders of front ends.
"""

from __future__ import annotations

import logging
import threading
import time
from enum import Enum, auto
from pathlib import Path

from softcopy_napari.engine.account import Account
from softcopy_napari.engine.before import GONE, Before, unready
from softcopy_napari.engine.capabilities import remark_texts
from softcopy_napari.engine.compare import FolderPart
from softcopy_napari.engine.crew import Crew
from softcopy_napari.engine.earlier import Keeper
from softcopy_napari.engine.finish import finished_because, waiting_for
from softcopy_napari.engine.lock import Doubt
from softcopy_napari.engine.loop import TargetLoop
from softcopy_napari.engine.messages import Changes, TargetSnapshot
from softcopy_napari.engine.obstacle import words
from softcopy_napari.engine.outlook import Outlook
from softcopy_napari.engine.pacer import Pacer
from softcopy_napari.engine.probe import METADATA_NAMES, Folder, Probe
from softcopy_napari.engine.receipt import Receipt
from softcopy_napari.engine.remembered import FromReceipt
from softcopy_napari.engine.retries import LAST_ATTEMPTS
from softcopy_napari.engine.room import Room
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.tasks import (
    Answer,
    Flushed,
    FlushTask,
    ProbeTask,
    Reached,
    ReachTask,
    ReadDone,
    ReadTask,
    RoomTask,
)
from softcopy_napari.engine.text import GOES_ON, count_text

_PROBE_INTERVAL = 0.5
_ROOM_INTERVAL = 10.0
_LONG_PROOF = 30.0
"""Seconds of reading back after which everything is compared once more."""

log = logging.getLogger(__name__)


class _Phase(Enum):
    PROBING = auto()
    COPYING = auto()
    FINISHING = auto()
    FLUSHING = auto()
    SIGNING = auto()
    ENDED = auto()


class Job(TargetLoop):
    """Copies one target."""

    afterwards = GOES_ON

    def __init__(self, crew: Crew, identity: str, ledgers: Path) -> None:
        self._keeper = Keeper(crew.target.destination)
        super().__init__(crew, identity, ledgers, self._keeper.path)
        self._phase = _Phase.PROBING
        self._outcome = TargetState.STOPPED
        self._told_to_finish = False
        self._awaited: type[Probe | Reached] | None = None
        """The answer that decides how it goes on while there is nothing to copy."""
        self._before: Before | None = None
        """The source as it was when it was lost."""
        self._folder: Folder | None = None
        """The source's folder."""
        self._why_finished = ""
        self._kept: list[str] = []
        self._lost_late = False
        self._flushes = 0
        """Flushes that were asked for and not answered."""
        self._bad_passes = 0
        self._proving_since = 0.0
        self._next_pass = 0.0
        self._next_probe = 0.0
        self._pacer = Pacer(self.target, self._pool, self._dispatcher, self._survey, self._inbox.put)
        self._outlook = Outlook(self._inventory, self._dispatcher, self._survey, self._reporter)
        self._signed = False
        """Whether there is a receipt."""
        self._dispatcher.prover.remember(
            FromReceipt(self._inventory, self.target.destination, ledgers, self._inbox.put),
            self._keeper.earlier,
        )
        self._asked_for_room = -_ROOM_INTERVAL
        if self._lock.doubt is not None:
            self._doubt(self._lock.doubt)
        self._snapshot = self._tell(time.monotonic())

    def change(self, changes: Changes) -> str:
        """Change settings while it runs."""
        if self.ended.is_set():
            return f"{self.target.source} is no longer copied: it has ended"
        self._inbox.put(lambda: self._take_changes(changes))
        return ""

    def _take_changes(self, changes: Changes) -> None:
        self._pacer.change(changes)
        self._reporter.change(changes)

    def _doubt(self, why: Doubt) -> None:
        """Equal size and time do not tell any more whether what was copied is still there: read it back."""
        self._lock.note_doubt(why)  # whoever goes on from here must know
        self._reporter.notice(f"{why.value}: what was copied before is read back and compared")
        self._dispatcher.prover.doubt()

    @property
    def _over(self) -> bool:
        return self._phase is _Phase.ENDED

    def _finish(self) -> None:
        self._told_to_finish = True

    def _leave(self) -> None:
        self._inventory.digests.close(remove=False)
        self._keeper.end(self._inventory, self._signed)

    # -- messages and steps ---------------------------------------------------------------------------

    def _take_hints(self, now: float) -> None:
        if not self._survey.take_hints(now):
            self._lose_source()
        for folder in self._survey.metadata_to_read():
            prefix = folder + "/" if folder else ""
            paths = [prefix + name for name in METADATA_NAMES]
            self._dispatcher.request(ReadTask(self._pool.new_id(), paths))

    def _dispatch(self, now: float) -> None:
        may_copy = not self._paused and self._phase in (_Phase.COPYING, _Phase.FINISHING, _Phase.FLUSHING)
        self._dispatcher.dispatch(now, copy=may_copy)

    def _take_answer(self, answer: Answer | None, now: float) -> None:
        match answer:
            case FolderPart() as part:
                finishing = self._phase is _Phase.FINISHING
                if not self._survey.take_part(part, now, finishing) and self._phase is not _Phase.PROBING:
                    self._lose_source()
            case ReadDone(contents):
                folder = next(iter(contents)).rpartition("/")[0]
                found = {path.rpartition("/")[2]: data for path, data in contents.items() if data is not None}
                self._survey.take_metadata(folder, found)
            case Probe() as probe:
                self._take_probe(probe, now)
            case Reached(obstacle):
                if obstacle is None and self._awaited is Reached:
                    self._begin(now)
            case Flushed() as flushed:
                self._take_flushed(flushed, now)
            case Room() as room:
                self._outlook.take_room(room, now)
                self._pacer.take_room(room)

    def _advance(self, now: float) -> None:
        for path, damage in self._dispatcher.damaged.items():
            self._reporter.notice(f"{path} was copied as it is, but its writer has not finished it: {damage}")
        remarks = self._dispatcher.remarks | self._inventory.versions.remarks
        for text in remark_texts(remarks, str(self.target.destination)):
            self._reporter.notice(text)
        if self._dispatcher.source_lost:
            self._dispatcher.source_lost = False
            self._lose_source()
        if self._dispatcher.taken_away:
            self._dispatcher.taken_away = False
            self._doubt(Doubt.TAKEN_AWAY)
        if self._phase is _Phase.PROBING:
            if now >= self._next_probe and not self._awaited:
                self._next_probe = now + _PROBE_INTERVAL
                self._awaited = Probe
                self._dispatcher.request(self._probe())
            return
        self._keep_pace(now)
        self._keeper.note_if_due(self._inventory, now)
        self._survey.after_pass(now)
        if not self._paused and self._survey.last_pass is not None:
            if self._phase is _Phase.COPYING:
                self._look_for_the_end(now)
            elif self._phase is _Phase.FINISHING:
                self._go_round(now)

    def _keep_pace(self, now: float) -> None:
        """Look ahead, and decide how fast to go."""
        acquiring = self._phase is _Phase.COPYING
        if acquiring and now - self._asked_for_room > _ROOM_INTERVAL:
            self._asked_for_room = now
            self._dispatcher.request(RoomTask(self._pool.new_id()))
        self._outlook.tick(now, acquiring and self._survey.live, self._pacer.set_rate)
        self._pacer.tick(now, acquiring, self._reporter.left, self._outlook.full_in())

    # -- the source's coming and going ----------------------------------------------------------------

    def _probe(self) -> ProbeTask:
        before = self._before
        folders, samples = (before.folders, before.samples) if before else ((), ())
        return ProbeTask(self._pool.new_id(), folders, samples)

    def _take_probe(self, probe: Probe, now: float) -> None:
        self._awaited = None
        reason = unready(self.target.source, probe, self._before)
        self._reason = reason or ""
        if reason == "":
            self._dispatcher.source, self._folder = probe.identity, probe.folder
            self._awaited = Reached
            self._dispatcher.request(ReachTask(self._pool.new_id(), claim=not self._dispatcher.claimed))
        if self._told_to_finish and reason:
            self._end(TargetState.FAILED, f"{reason}, and you said that the acquisition is finished")

    def _begin(self, now: float) -> None:
        """Watch and walk the source, which is there, as is the destination."""
        self._awaited = None
        try:
            self._survey.begin(lambda: self._inbox.put(None), now)
        except OSError as error:
            self._reason = f"{self.target.source} cannot be watched: {error.strerror}"
        else:
            self._phase = _Phase.COPYING
            self._lock.note_source(self._dispatcher.source)
            self._before = None
            self._reason = ""
            self._keep_pace(now)  # which disk it is, is asked before workers are busy with that disk

    def _lose_source(self) -> None:
        """The source has gone: wait for it to come back. Nothing is deleted anywhere."""
        if self._phase in (_Phase.ENDED, _Phase.PROBING, _Phase.SIGNING):
            self._lost_late = self._phase is _Phase.SIGNING  # when everything of it had arrived
            return
        self._survey.end()
        self._before = Before.of(self._inventory, self._folder)
        self._inventory.forget_writers()
        self._phase = _Phase.PROBING
        self._reason = GONE.format(self.target.source)

    # -- the end --------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        counts = self._inventory.counts()
        return bool(
            not self._dispatcher.idle
            or self._survey.busy
            or counts[ChunkState.PENDING]
            or counts[ChunkState.COPYING]
            or self._inventory.others_in(ChunkState.PENDING, ChunkState.COPYING)
        )

    @property
    def _nearly_done(self) -> bool:
        # While an acquisition goes on, workers are idle after every few files.
        return self._phase is not _Phase.COPYING or not self._survey.live

    @property
    def _calm(self) -> bool:
        return self._phase is _Phase.COPYING and not self._busy

    def _look_for_the_end(self, now: float) -> None:
        if not self._told_to_finish:
            self._survey.look_if_due(now)
            if self._busy:
                return
        facts = self._survey.facts(self._told_to_finish, now)
        self._why_finished = finished_because(facts, self.target.settle, self.target.finish_idle)
        if self._why_finished:
            log.info("%s: %s", self.target.source, self._why_finished)
            self._phase = _Phase.FINISHING
            self._dispatcher.prover.finishing = self._dispatcher.as_it_is = True
            self._check_everything(now)
        else:
            self._phase = _Phase.COPYING
            self._dispatcher.prover.finishing = self._dispatcher.as_it_is = False

    def _check_everything(self, now: float) -> None:
        for path in self._inventory.release_all():
            self._reporter.notice(f"{path} was still locked by its writer; what is there of it was copied as it is")
        self._dispatcher.retries.all_now()
        self._dispatcher.prover.start_anew()
        self._survey.start_pass(full=True, now=now)

    def _go_round(self, now: float) -> None:
        """Go round until a walk over everything finds nothing to do; then flush."""
        last = self._survey.last_pass
        if self._busy or self._inventory.changing or last is None or self._pool.stuck:
            return
        failed = self._dispatcher.retries.failed()
        if failed and min(trouble.attempts for trouble in failed.values()) < LAST_ATTEMPTS:
            return
        if failed:
            path, trouble = next(iter(failed.items()))
            self._end(
                TargetState.FAILED, f"{count_text(len(failed), 'file')} could not be copied; {path} {trouble.reason}"
            )
        elif last.errors:
            self._list_again(*next(iter(last.errors.items())), now)
        elif self._survey.changed_since_pass:
            self._look_for_the_end(now)  # once more: was it finished at all?
        elif not self._dispatcher.prover.done:
            self._proving_since = self._proving_since or now
        elif self._proving_since and now - self._proving_since > _LONG_PROOF:
            self._proving_since = 0.0
            self._check_everything(now)
        else:
            self._phase = _Phase.FLUSHING
            self._flushes += 1
            self._dispatcher.request(FlushTask(self._pool.new_id()))

    def _list_again(self, path: str, reason: str, now: float) -> None:
        """A folder could not be listed: a network may be gone for a moment."""
        if self._bad_passes == 0:
            self._next_pass = now
        if now < self._next_pass:
            return
        self._bad_passes += 1
        self._next_pass = now + 0.5 * 2**self._bad_passes
        if self._bad_passes < LAST_ATTEMPTS:
            self._check_everything(now)
        else:
            self._end(TargetState.FAILED, f"{path or self.target.source} {reason}")

    def _take_flushed(self, flushed: Flushed, now: float) -> None:
        self._flushes -= 1
        last = self._survey.last_pass
        if flushed.error:
            # The system says so once, and then takes what it could not write for written.
            self._doubt(Doubt.FLUSH_FAILED)
            self._end(TargetState.FAILED, f"{self.target.destination} {flushed.error}")
        elif self._phase is not _Phase.FLUSHING or self._flushes:
            pass  # the source was lost meanwhile: another flush follows, or has been asked for
        elif flushed.obstacle is not None:
            self._phase = _Phase.FINISHING
            self._check_everything(now)
        elif last is None or self._survey.changed_since_pass:
            self._phase = _Phase.FINISHING  # something changed while the disk was flushed
        else:
            self._judge(sorted(set(last.gone)))

    def _judge(self, gone: list[str]) -> None:
        """Everything of the source is at the destination; say whether that is all there is."""
        for folder, reason in self._survey.bad_metadata.items():
            self._reporter.notice(f"metadata of {folder} {reason}; what lies there was copied as plain files")
        self._kept = [path for path in gone if self._inventory.is_data(path)]
        for path in gone:
            if path not in self._kept:
                self._reporter.notice(f"{path} is at the destination only; left alone")
        if self._kept:
            files = "file of the destination is" if len(self._kept) == 1 else "files of the destination are"
            self._end(
                TargetState.FAILED,
                f"{len(self._kept):,} {files} gone from the source ({self._kept[0]}), and nobody "
                "saw their writer delete them. They were kept; delete them by hand if they should go",
            )
        else:
            self._phase = _Phase.SIGNING
            account = Account(self._inventory)
            size = self._survey.last_pass.size if self._survey.last_pass else 0
            receipt = account.receipt(self.target, self._tell(time.monotonic()), self._why_finished, size)
            threading.Thread(target=self._sign, args=(account, receipt), daemon=True).start()

    def _sign(self, account: Account, receipt: Receipt) -> None:
        """In a thread of its own: ten million lines take a while, and the destination's disk may hang."""
        problem = account.sign(self.target.destination, self._marker, receipt)
        self._inbox.put(lambda: self._complete(problem))

    def _complete(self, problem: str) -> None:
        if self._phase is not _Phase.SIGNING:
            return  # it was stopped
        if self._survey.changed_since_pass and not self._lost_late:
            self._phase = _Phase.FINISHING  # the receipt lacks what changed while it was written
            return
        if problem:
            self._reporter.notice(problem)
        self._signed = not problem
        self._lock.note_doubt(None)
        self._end(TargetState.COMPLETE, self._why_finished)

    def _end(self, outcome: TargetState, reason: str) -> None:
        if self._phase is not _Phase.ENDED:
            self._phase = _Phase.ENDED
            self._outcome = outcome
            self._reason = reason

    # -- telling --------------------------------------------------------------------------------------

    def _tell(self, now: float) -> TargetSnapshot:
        left = self._reporter.left()
        state = self._state(left)
        acquiring = state in (TargetState.COPYING, TargetState.CAUGHT_UP, TargetState.WAITING) and (
            self._survey.live or self._survey.last_pass is None or self._inventory.counts()[ChunkState.ABSENT] > 0
        )
        reason = self._explain(state, now) if self._stuck else self._reason or self._explain(state, now)
        snapshot = self._reporter.snapshot(state, reason, acquiring, len(self._kept), now)
        if state.ended:
            return snapshot
        return snapshot.model_copy(update={"pace": self._pacer.snapshot(), "forecast": self._outlook.snapshot()})

    @property
    def _stuck(self) -> bool:
        """Whether something stands in the way that matters more than what is waited for."""
        return not self._over and (self._dispatcher.obstacle is not None or bool(self._silent_since))

    def _state(self, left: int) -> TargetState:
        if self._phase is _Phase.ENDED:
            return self._outcome
        if self._paused or self._dispatcher.obstacle is not None:
            return TargetState.PAUSED
        if self._phase is _Phase.PROBING:
            return TargetState.WAITING
        if self._phase in (_Phase.FINISHING, _Phase.FLUSHING, _Phase.SIGNING):
            return TargetState.FINISHING
        if left or self._survey.last_pass is None:
            return TargetState.COPYING
        return TargetState.CAUGHT_UP

    def _explain(self, state: TargetState, now: float) -> str:
        obstacle = self._dispatcher.obstacle
        if obstacle is not None and not state.ended and not self._paused:
            reporter = self._reporter
            return words(obstacle, str(self.target.destination), reporter.left(), reporter.bytes_left())
        if self._silent_since and not state.ended:
            return f"the disk or share of source or destination has not answered since {self._silent_since}; waiting"
        for folder, reason in self._survey.bad_metadata.items():
            return f"metadata of {folder}: {reason}"
        prover = self._dispatcher.prover
        match state:
            case TargetState.COPYING if self._survey.last_pass is None:
                return "looking through all folders"
            case TargetState.CAUGHT_UP:
                facts = self._survey.facts(self._told_to_finish, now)
                return waiting_for(facts, self.target.settle, self.target.finish_idle)
            case TargetState.FINISHING:
                if self._phase is _Phase.FLUSHING:
                    return "flushing to disk"
                if self._phase is _Phase.SIGNING:
                    return "writing the receipt"
                if self._pool.stuck:
                    return "a copy process is stuck in a call to a disk or share, and could still write; waiting"
                if self._inventory.digests.problem:
                    return self._inventory.digests.problem
                if self._proving_since and not prover.done:
                    if prover.verify:
                        return f"reading back what was copied: {prover.read:,} files so far"
                    return f"finding the checksums of what was copied before: {prover.read:,} files so far"
                return "checking every file"
        return ""
