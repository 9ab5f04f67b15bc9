"""Runs a check: one comparison of a target's source and destination, which changes nothing in either.

Front ends show it as they show a copy.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from softcopy_napari.engine.destination.orphaned_files import is_chunk_of
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.job.missing_files import MissingFiles
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.job.target_thread import TargetThread
from softcopy_napari.engine.protocol.messages import Findings, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.walk_planner import Walk
from softcopy_napari.engine.state_folder.destination_lock import keeps_times
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import Answer, Inspected, InspectTask
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_INSPECTED_TOGETHER = 256
"""Chunk files of one task of a worker."""
_INSPECTIONS_A_WORKER = 2
"""Such tasks that a worker has at a time."""


class CheckJob(TargetThread):
    """Compares one target's source and destination."""

    afterwards = make_reason(ReasonCode.CHECK_STOPPED)

    def __init__(self, resources: TargetResources, identity: str, ledgers: Path) -> None:
        super().__init__(JobParts(resources, identity, ledgers))
        self._outcome: TargetState | None = None
        self._by_content = self.target.by_content or not keeps_times(self.target.destination)
        self._missing = MissingFiles(self._inventory)
        self._findings = Findings()
        self._only_there = 0
        """Metadata and chunk files that only the destination has."""
        self._damaged: dict[str, Reason] = {}
        """Chunk files of the source that cannot be whole, and why."""
        self._inspections: Iterator[InspectTask] | None = None
        """Tasks to inspect chunk files that no worker has yet; None before everything has been compared."""
        self._inspecting = 0
        """Number of inspections that workers have."""
        self._tracker.heeds_locks = False
        self._tracker.start_pass(full=True, now=time.monotonic())
        self._snapshot = self._make_snapshot(time.monotonic())

    @property
    def _over(self) -> bool:
        return self._outcome is not None

    def _end(self, outcome: TargetState, reason: Reason) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._reason = reason

    def _dispatch(self, now: float) -> None:
        if not self._paused:
            self._dispatcher.dispatch(now, copy=False)

    def _handle_answer(self, answer: Answer | None, now: float) -> None:
        if isinstance(answer, Inspected):
            self._damaged |= answer.damaged
            self._inspecting -= 1
            self._request_inspections()
        if not isinstance(answer, FolderDiff):
            return
        if self._tracker.apply_folder_diff(answer, now, finishing=True):
            self._missing.add_folder_diff(answer)
        else:
            self._end(TargetState.FAILED, make_reason(ReasonCode.CHECK_SOURCE_GONE, source=str(self.target.source)))

    def _advance(self, now: float) -> None:
        self._tracker.note_walk_end(now)
        if self._tracker.last_pass is None:
            return
        if self._inspections is None:
            self._inspections = self._all_inspections()
            self._request_inspections()
        if not self._inspecting:
            self._conclude(self._tracker.last_pass)

    def _request_inspections(self) -> None:
        """Hand out inspections so that all workers are busy."""
        wanted = _INSPECTIONS_A_WORKER * len(self._pool.workers) - self._inspecting
        for task in itertools.islice(self._inspections or (), max(wanted, 0)):
            self._inspecting += 1
            self._dispatcher.request(task)

    def _all_inspections(self) -> Iterator[InspectTask]:
        """Make the tasks that inspect all chunk files whose format tells whether they are whole."""
        for _, array in sorted(self._inventory.arrays.items()):
            chunk_format = array.layout.chunk_format
            if chunk_format is None:
                continue
            cells = np.concatenate([array.all_in(state) for state in (ChunkState.COPIED, ChunkState.PENDING)])
            for start in range(0, len(cells), _INSPECTED_TOGETHER):
                paths = array.paths(cells[start : start + _INSPECTED_TOGETHER])
                yield InspectTask(self._pool.new_id(), paths, chunk_format)

    def _conclude(self, done: Walk) -> None:
        """End with what was found by the walk over both sides."""
        for folder, reason in self._tracker.metadata.unreadable().items():
            self._reporter.notice(make_reason(ReasonCode.COMPARED_AS_PLAIN_FILES, folder=folder, problem=reason))
        layouts = {path: array.layout for path, array in self._inventory.arrays.items()}
        gone = sorted({*done.gone, *done.system})
        self._only_there = sum(path.rpartition("/")[2] in METADATA_NAMES or is_chunk_of(layouts, path) for path in gone)
        for folder in sorted(done.unlisted):
            self._reporter.notice(make_reason(ReasonCode.FOLDER_UNLISTABLE, folder=folder))
        self._findings = self._missing.make_findings(gone, self._damaged)
        if done.errors:
            path, problem = next(iter(done.errors.items()))
            more = len(done.errors) - 1 or None
            where = path or str(self.target.source)
            self._end(TargetState.FAILED, make_reason(ReasonCode.CANNOT_LIST, path=where, problem=problem, more=more))
        elif self._only_there or self._reporter.files_left():
            self._end(TargetState.INCOMPLETE, self._why_incomplete(self._findings))
        else:
            code = ReasonCode.EQUAL_BY_CONTENT if self._by_content else ReasonCode.EQUAL_BY_TIME
            equal = make_reason(code, files=self._inventory.count_in(ChunkState.COPIED))
            self._end(TargetState.COMPLETE, make_reason(ReasonCode.ALL_OF, parts=(equal, *_damage(self._findings))))

    def _why_incomplete(self, found: Findings) -> Reason:
        copied = self._inventory.count_in(ChunkState.COPIED)
        if not (found.chunk_files_different or found.other_different or found.extra or copied):
            return make_reason(ReasonCode.NOTHING_COPIED)
        kinds = (
            (ReasonCode.MISSING, found.chunk_files_missing, found.other_missing),
            (
                ReasonCode.DIFFERENT,
                found.chunk_files_different - found.chunk_files_times,
                found.other_different - found.other_times,
            ),
            (ReasonCode.TIMES_DIFFER, found.chunk_files_times, found.other_times),
        )
        parts = [
            make_reason(code, chunks=chunk_files or None, others=others or None)
            for code, chunk_files, others in kinds
            if chunk_files or others
        ]
        if self._only_there:
            parts.append(make_reason(ReasonCode.ONLY_THERE, items=self._only_there))
        return make_reason(ReasonCode.ALL_OF, parts=(*parts, *_damage(found)))

    def _make_snapshot(self, now: float) -> TargetSnapshot:
        state = self._outcome or (TargetState.PAUSED if self._paused else TargetState.CHECKING)
        compared = self._inventory.count_in(ChunkState.COPIED, ChunkState.PENDING)
        why = self._reason or make_reason(ReasonCode.COMPARED_SO_FAR, files=compared)
        snapshot = self._reporter.snapshot(state, why, acquiring=False, kept=self._only_there, now=now)
        return snapshot.model_copy(update={"findings": self._findings})


def _damage(found: Findings) -> Iterator[Reason]:
    if found.damaged:
        yield make_reason(ReasonCode.DAMAGED, chunks=found.damaged)
