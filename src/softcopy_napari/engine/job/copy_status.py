"""Says in what state a copy is, and what it waits for.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

from typing import NamedTuple

from softcopy_napari.engine.fs.destination_problem import describe_problem
from softcopy_napari.engine.job.final_check import FinalCheck
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.job.lifecycle import Phase
from softcopy_napari.engine.pacing.pacer import Pacer
from softcopy_napari.engine.progress.forecaster import Forecaster
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.finish_rules import waiting_for
from softcopy_napari.engine.source.source_facts import gather_facts
from softcopy_napari.engine.state_folder.destination_lock import keeps_times
from softcopy_napari.engine.states import ChunkState, TargetState


class Situation(NamedTuple):
    """Holds what a job knows of its own state, for a snapshot."""

    phase: Phase
    reason: Reason | None
    """Why it has ended, or what it waits for; None where that follows from all else."""
    paused: bool
    leaving: bool
    """Whether the copy's mark is being removed from the destination."""
    silent_since: float
    """Unix time since which no worker has made progress; 0 while they do."""
    told_to_finish: bool
    """Whether the user has said that the acquisition is finished."""


class CopyStatus:
    """Makes the snapshots of a copy: its state, and the reason for it.

    Attributes
    ----------
    outcome : TargetState
        How the copy has ended, or would end if it were stopped now.
    completed, complete_since : float
        When the copy was complete: as Unix time, 0 if it is not, and as monotonic time.
    kept, lost : int
        Files that are only at the destination at the end, and files that left the source before they were copied.
    """

    def __init__(self, parts: JobParts, final: FinalCheck, pacer: Pacer, forecaster: Forecaster) -> None:
        self.outcome = TargetState.STOPPED
        self.completed = self.complete_since = 0.0
        self.kept = self.lost = 0
        self._target, self._inventory, self._tracker = parts.target, parts.inventory, parts.tracker
        self._dispatcher, self._reporter = parts.dispatcher, parts.reporter
        self._watermark = parts.watermark
        self._final, self._pacer, self._forecaster = final, pacer, forecaster

    def snapshot(self, situation: Situation, now: float) -> TargetSnapshot:
        """Return the copy's state for front ends."""
        left, obstacle = self._reporter.files_left(), self._dispatcher.destination.problem
        state = _state_of(situation, self.outcome, left, obstacle is not None, self._tracker.last_pass is None)
        acquiring = state in (TargetState.COPYING, TargetState.CAUGHT_UP, TargetState.WAITING) and (
            self._tracker.clock.live
            or self._tracker.last_pass is None
            or self._inventory.counts()[ChunkState.ABSENT] > 0
        )
        stuck = situation.phase not in (Phase.ENDED, Phase.WATCHING) and (obstacle or situation.silent_since)
        if stuck:  # what stands in the way matters more than what is waited for
            reason = self._explain(situation, state, now)
        else:
            reason = situation.reason or self._explain(situation, state, now)
        end = self.complete_since if self.completed else now
        snapshot = self._reporter.snapshot(state, reason, acquiring, self.kept, end)
        snapshot = snapshot.model_copy(update={"watermark": self._watermark.summary})
        if state.ended:
            watching = situation.phase is Phase.WATCHING
            return snapshot.model_copy(update={"completed": self.completed, "watching": watching, "lost": self.lost})
        forecast = self._forecaster.forecast
        if state is TargetState.PAUSED:  # when it will be complete is not known
            forecast = forecast.model_copy(update={"completion": None, "complete_after": None})
        source = {
            "growing": self._tracker.evidence.growing or bool(self._tracker.metadata.opaque),
            "nodes_missing": len(self._tracker.metadata.missing_nodes()),
            "quiet": self._tracker.clock.since_change(now),
            "told_to_finish": situation.told_to_finish,
        }
        return snapshot.model_copy(update={"pace": self._pacer.snapshot(), "forecast": forecast, **source})

    def why_complete(self, why: Reason | None) -> Reason:
        """Say of how much it is known to be at the destination, and by what; `why` tells why nothing more comes."""
        counts = self._inventory.counts()
        chunks = counts[ChunkState.COPIED] + counts[ChunkState.VERIFIED]
        code = ReasonCode.COMPLETE if keeps_times(self._target.destination) else ReasonCode.COMPLETE_BY_CONTENT
        if chunks and not counts[ChunkState.COPIED]:
            code = ReasonCode.COMPLETE_BY_CHECKSUM
        return make_reason(code, chunks=chunks or None, why=why)

    def _explain(self, situation: Situation, state: TargetState, now: float) -> Reason | None:
        obstacle = self._dispatcher.destination.problem
        if obstacle is not None and not state.ended and not situation.paused:
            reporter = self._reporter
            return describe_problem(
                obstacle, str(self._target.destination), reporter.files_left(), reporter.bytes_left()
            )
        if situation.silent_since and not state.ended:
            return make_reason(ReasonCode.NO_ANSWER, since=situation.silent_since)
        for folder, problem in self._tracker.metadata.unreadable().items():
            return make_reason(ReasonCode.BAD_METADATA, folder=folder, problem=problem)
        match state:
            case TargetState.COPYING if self._tracker.last_pass is None:
                return make_reason(ReasonCode.SCANNING)
            case TargetState.CAUGHT_UP:
                facts = gather_facts(self._tracker, self._inventory, situation.told_to_finish, now)
                return waiting_for(facts, self._target.settle, self._target.finish_idle)
            case TargetState.FINISHING:
                if situation.phase is Phase.FLUSHING:
                    return self._dispatcher.flushing.explain()
                if situation.phase in (Phase.SIGNING, Phase.SIGNING_ALONE):
                    return make_reason(ReasonCode.WRITING_RECEIPT)
                return self._final.explain()
        return None


def _state_of(situation: Situation, outcome: TargetState, left: int, obstacle: bool, first_walk: bool) -> TargetState:
    if situation.phase is Phase.ENDED or (situation.phase is Phase.WATCHING and not situation.leaving):
        return outcome
    if situation.paused or obstacle:
        return TargetState.PAUSED
    if situation.phase is Phase.WAITING:
        return TargetState.WAITING
    if situation.phase is not Phase.COPYING:
        return TargetState.FINISHING
    if left or first_walk:
        return TargetState.COPYING
    return TargetState.CAUGHT_UP
