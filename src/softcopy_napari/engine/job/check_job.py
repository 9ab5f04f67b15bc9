"""A checked target's life: one comparison of source and destination, which changes nothing in either.

It stands where a job stands, so that front ends see and draw a check as they do a copy.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.destination.brought_files import is_chunk_of
from softcopy_napari.engine.destination.end_findings import UNLISTED
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.job.job_parts import JobParts
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

_SHOWN = 100
"""Paths of each kind that are told of at most."""
_INSPECTED_TOGETHER = 256
_INSPECTIONS_A_WORKER = 2


class CheckJob(TargetThread):
    """Compares one target's source and destination."""

    afterwards = make_reason(ReasonCode.CHECK_STOPPED)

    def __init__(self, resources: TargetResources, identity: str, ledgers: Path) -> None:
        super().__init__(JobParts(resources, identity, ledgers))
        self._outcome: TargetState | None = None
        self._missing = _Missing(self._inventory)
        self._findings = Findings()
        self._only_there = 0
        self._damaged: dict[str, str] = {}
        """Chunk files that cannot be whole, and why."""
        self._inspections: Iterator[InspectTask] | None = None
        """What is still to be inspected once everything has been compared."""
        self._inspecting = 0
        """Tasks that are with workers."""
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
        if self._tracker.take_part(answer, now, finishing=True):
            self._missing.add_folder_diff(answer)
        else:
            self._end(TargetState.FAILED, make_reason(ReasonCode.CHECK_SOURCE_GONE, source=str(self.target.source)))

    def _advance(self, now: float) -> None:
        self._tracker.after_pass(now)
        if self._tracker.last_pass is None:
            return
        if self._inspections is None:
            self._inspections = self._all_inspections()
            self._request_inspections()
        if not self._inspecting:
            self._conclude(self._tracker.last_pass)

    def _request_inspections(self) -> None:
        """Keep all workers busy with what is still to be inspected."""
        wanted = _INSPECTIONS_A_WORKER * len(self._pool.workers) - self._inspecting
        for task in itertools.islice(self._inspections or (), max(wanted, 0)):
            self._inspecting += 1
            self._dispatcher.request(task)

    def _all_inspections(self) -> Iterator[InspectTask]:
        """Tasks for all chunk files that are there and may tell whether they are whole."""
        for _, array in sorted(self._inventory.arrays.items()):
            chunk_format = array.layout.chunk_format
            if chunk_format is None:
                continue
            cells = np.concatenate([array.all_in(state) for state in (ChunkState.COPIED, ChunkState.PENDING)])
            for start in range(0, len(cells), _INSPECTED_TOGETHER):
                paths = array.paths(cells[start : start + _INSPECTED_TOGETHER])
                yield InspectTask(self._pool.new_id(), paths, chunk_format)

    def _conclude(self, done: Walk) -> None:
        for folder, reason in self._tracker.metadata.unreadable().items():
            self._reporter.notice(f"metadata of {folder} {reason}; what lies there was compared as plain files")
        layouts = {path: array.layout for path, array in self._inventory.arrays.items()}
        gone = sorted({*done.gone, *done.system})
        self._only_there = sum(path.rpartition("/")[2] in METADATA_NAMES or is_chunk_of(layouts, path) for path in gone)
        for folder in sorted(done.unlisted):
            self._reporter.notice(UNLISTED.format(folder))
        self._findings = self._missing.findings(gone).model_copy(
            update={
                "damaged": len(self._damaged),
                "damaged_paths": tuple(f"{path} {why}" for path, why in sorted(self._damaged.items())[:_SHOWN]),
            }
        )
        if done.errors:
            path, problem = next(iter(done.errors.items()))
            more = len(done.errors) - 1 or None
            where = path or str(self.target.source)
            self._end(TargetState.FAILED, make_reason(ReasonCode.CANNOT_LIST, path=where, problem=problem, more=more))
        elif self._only_there or self._reporter.files_left():
            self._end(TargetState.INCOMPLETE, self._why_incomplete(self._findings))
        else:
            by_time = keeps_times(self.target.destination)
            code = ReasonCode.EQUAL_BY_TIME if by_time else ReasonCode.EQUAL_BY_CONTENT
            equal = make_reason(code, files=self._count_compared(copied=True))
            self._end(TargetState.COMPLETE, make_reason(ReasonCode.ALL_OF, parts=(equal, *_damage(self._findings))))

    def _why_incomplete(self, found: Findings) -> Reason:
        if not (
            found.chunk_files_different or found.other_different or found.extra or self._count_compared(copied=True)
        ):
            return make_reason(ReasonCode.NOTHING_COPIED)
        kinds = (
            (ReasonCode.MISSING, found.chunk_files_missing, found.other_missing),
            (ReasonCode.DIFFERENT, found.chunk_files_different, found.other_different),
        )
        parts = [
            make_reason(code, chunks=chunk_files or None, others=others or None)
            for code, chunk_files, others in kinds
            if chunk_files or others
        ]
        if self._only_there:
            parts.append(make_reason(ReasonCode.ONLY_THERE, items=self._only_there))
        return make_reason(ReasonCode.ALL_OF, parts=(*parts, *_damage(found)))

    def _count_compared(self, copied: bool = False) -> int:
        """Files that were compared so far, or those of them that are equal."""
        states = [ChunkState.COPIED] if copied else [ChunkState.COPIED, ChunkState.PENDING]
        counts = self._inventory.counts()
        return sum(counts[state] for state in states) + self._inventory.others_in(*states)

    def _make_snapshot(self, now: float) -> TargetSnapshot:
        state = self._outcome or (TargetState.PAUSED if self._paused else TargetState.CHECKING)
        why = self._reason or make_reason(ReasonCode.COMPARED_SO_FAR, files=self._count_compared())
        snapshot = self._reporter.snapshot(state, why, acquiring=False, kept=self._only_there, now=now)
        return snapshot.model_copy(update={"findings": self._findings})


class _Missing:
    """Which of the files that are not equal are not at the destination at all.

    Kept by cell and path, not as a count: of a folder whose comparison was begun by a worker that died,
    parts come twice.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._cells: dict[TrackedArray, npt.NDArray[np.bool_]] = {}
        self._others: set[str] = set()

    def add_folder_diff(self, part: FolderDiff) -> None:
        """Note what a part of a folder's comparison did not find at the destination."""
        prefix = part.folder + "/" if part.folder else ""
        rest: Sequence[str] = part.lacking
        where = self._inventory.cells(part.folder, part.lacking)
        if where is not None:
            array, cells = where
            is_chunk = cells >= 0
            self._missing_cells(array)[cells[is_chunk]] = True
            rest = [name for name, chunk in zip(part.lacking, is_chunk, strict=True) if not chunk]
        self._others.update(prefix + name for name in rest)
        if part.empty:
            self._others.add(part.folder)

    def _missing_cells(self, array: TrackedArray) -> npt.NDArray[np.bool_]:
        """Which of an array's chunk files are missing; none so far, if it has become another array."""
        size = array.layout.n_chunk_files
        if array not in self._cells or len(self._cells[array]) != size:
            self._cells[array] = np.zeros(size, bool)
        return self._cells[array]

    def findings(self, extra: Sequence[str]) -> Findings:
        """What was found, with the paths that only the destination has."""
        missing: list[str] = []
        different: list[str] = []
        counts = [0, 0]
        for _, array in sorted(self._inventory.arrays.items()):
            pending = array.all_in(ChunkState.PENDING)
            lacking = self._missing_cells(array)[pending]
            for kind, cells in enumerate((pending[lacking], pending[~lacking])):
                paths = (missing, different)[kind]
                counts[kind] += len(cells)
                paths += array.paths(cells[: _SHOWN - len(paths)])
        others = sorted(path for path, state in self._inventory.others.items() if state is ChunkState.PENDING)
        others_missing = [path for path in others if path in self._others]
        others_different = [path for path in others if path not in self._others]
        return Findings(
            chunk_files_missing=counts[0],
            chunk_files_different=counts[1],
            other_missing=len(others_missing),
            other_different=len(others_different),
            extra=len(extra),
            missing_paths=tuple([*missing, *others_missing][:_SHOWN]),
            different_paths=tuple([*different, *others_different][:_SHOWN]),
            extra_paths=tuple(extra[:_SHOWN]),
        )


def _damage(found: Findings) -> Iterator[Reason]:
    if found.damaged:
        yield make_reason(ReasonCode.DAMAGED, chunks=found.damaged)
