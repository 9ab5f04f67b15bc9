"""What an engine and its front ends say to each other: snapshots one way, orders the other.

Plain JSON on the wire. Both sides validate what they receive, so that a damaged or hostile
message is refused with a reason and never acted upon.
"""

from __future__ import annotations

import time
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from softcopy_napari.engine.formatting import clock_text, count_text, size_text
from softcopy_napari.engine.protocol.message import Count, Counts, Lengths, Message, Text, Why
from softcopy_napari.engine.reasons import Reason, ReasonCode
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.rate_schedule import FULL, RateSetting
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.watermark_words import describe_watermark
from softcopy_napari.engine.wording import INTERRUPTED, SCANNING, STATES, describe

_NOTHING = 1000.0
"""Bytes a second that are as good as none."""


class Failure(Message):
    """One file that could not be copied so far, or that is damaged."""

    path: Text
    """Relative to the source, `/` separated."""
    why: Why
    attempts: Count = 1

    @property
    def reason(self) -> str:
        """The reason in words that follow the path."""
        return describe(self.why)


class ArraySnapshot(Message):
    """One zarr array of a target."""

    path: Text
    """Relative to the source, `/` separated; empty for an array at the root."""
    shape: Lengths
    """Shape in elements."""
    chunk_shape: Lengths
    """Shape in elements of a chunk file, a chunk or a whole shard; the longest along each axis where not `regular`."""
    grid: Lengths
    """The shape in chunk files; the shape of the ledger."""
    dtype: Text
    """Data type, as in the metadata."""
    ledger: str
    """Path of the ledger, a `.npy` file of uint8 `ChunkState`s that may be mapped read-only."""
    counts: Counts
    """Chunk files in each state."""
    regular: bool = True
    """Whether all chunk files are of one shape; those of a rectilinear chunk grid are not."""

    @model_validator(mode="after")
    def _is_an_array(self) -> Self:
        if not len(self.shape) == len(self.chunk_shape) == len(self.grid):
            raise ValueError("shape, chunk_shape and grid are of different lengths")
        sizes = zip(self.shape, self.chunk_shape, self.grid, strict=True)
        for length, chunk, n in sizes:
            fewest = -(-length // max(chunk, 1))
            if (length and not chunk) or not fewest <= n <= (fewest if self.regular else length):
                raise ValueError("the grid is not the shape in chunk files")
        return self


class Findings(Message):
    """What a check found: how the destination is not as the source is."""

    chunk_files_missing: Count = 0
    """Chunk files that the destination lacks."""
    chunk_files_different: Count = 0
    chunk_files_times: Count = 0
    """Those of the different ones that have the same size and another time; their content was not compared."""
    other_missing: Count = 0
    """Files other than chunks that the destination lacks."""
    other_different: Count = 0
    other_times: Count = 0
    extra: Count = 0
    """Files and folders that only the destination has; a folder counts as one, with what lies in it."""
    damaged: Count = 0
    """Chunk files that cannot be whole at the source, as far as can be told without reading them."""
    missing_paths: tuple[Text, ...] = ()
    """The first of them (at most 100), relative to the source; so are those of the other kinds."""
    different_paths: tuple[Text, ...] = ()
    extra_paths: tuple[Text, ...] = ()
    """The first of what only the destination has; folders end in `/`."""
    damaged_files: tuple[Failure, ...] = ()

    @property
    def damaged_paths(self) -> tuple[str, ...]:
        """The first damaged chunk files, each with what is wrong with it."""
        return tuple(f"{one.path} {one.reason}" for one in self.damaged_files)


class PaceSnapshot(Message):
    """How fast a target is copied, and why not faster."""

    mode: Literal["auto", "full"] = "auto"
    """Whether it copies in the pauses of the acquisition only, as far as those suffice; as set."""
    max_rate: RateSetting = FULL
    """As set."""
    sleep_time: float = 0.0
    """Seconds that each copy process sleeps after each file; as set."""
    limit: float | None = None
    """Bytes a second that are allowed now; None where there is no limit."""
    why: Why | None = None
    """What is given way to, or why there is a limit; None where there is neither."""

    @property
    def reason(self) -> str:
        """What is given way to, or why there is a limit, in words for its user; empty where there is neither."""
        return describe(self.why)

    @property
    def words(self) -> str:
        """The limit and its reason in one sentence; empty where there is none."""
        if self.limit is None or self.limit < _NOTHING:
            return self.reason
        return f"at most {size_text(self.limit)}/s: {self.reason}"


class ForecastSnapshot(Message):
    """What is going to happen, as far as that can be known."""

    completion: Why | None = None
    """When the copy will be complete; None while that is not known."""
    dangers: tuple[Why, ...] = ()
    """What will go wrong if nothing is done."""
    complete_after: float | None = None
    """Seconds from the end of the acquisition until everything is copied."""
    source_full: float | None = None
    """Unix time at which the source's disk is full."""
    destination_short: Count = 0
    """Bytes for which there will be no room at the destination."""

    @property
    def words(self) -> str:
        """When the copy will be complete, in words; empty while that is not known."""
        return describe(self.completion)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will go wrong if nothing is done, each in one sentence."""
        return tuple(map(describe, self.dangers))


class Mark(Message):
    """How far something is complete along its first axis."""

    axis: Text = ""
    """Name of the axis; empty where it has none."""
    copied: Count = 0
    """Number of indices from 0 that are at the destination."""
    verified: Count = 0
    """Number of them that were read back."""
    of: Count = 0
    """Length of the axis."""


class ArrayMark(Mark):
    """How far one array is complete."""

    path: Text


class WatermarkSnapshot(Mark):
    """How far all arrays of a target with the same first axis are complete, as its progress file says."""

    arrays: tuple[ArrayMark, ...] = ()
    """How far each array (each level of an image is one) is; empty where they are many."""
    wells: Count = 0
    """Wells of a plate that are complete."""
    of_wells: Count = 0
    """Wells that its metadata promise; 0 where it is no plate."""

    @property
    def words(self) -> str:
        """What is complete, in words that end in `complete at the destination`; empty where nothing is."""
        return describe_watermark(self)


class TargetSnapshot(Message):
    """One target at one moment."""

    id: Text
    """Name of the target in its engine."""
    source: Text
    """Absolute path."""
    destination: Text
    """Absolute path, or address in an object store."""
    state: TargetState
    """What it is doing; `state.ended` says whether it has ended."""
    why: Why | None = None
    """Why it is in this state; None where the state says it all."""
    counts: Counts = (0,) * len(ChunkState)
    """Chunk files in each state, all arrays together."""
    other_files: Count = 0
    """Files that are no chunks (metadata, sidecars, links), copied and known to be up to date."""
    other_waiting: Count = 0
    """Files that are no chunks and still have to be copied."""
    files_copied: Count = 0
    """Files copied by this run, rewritten ones counted each time."""
    bytes_copied: Count = 0
    """Bytes copied by this run."""
    bytes_per_second: float = 0.0
    """Averaged over the last seconds."""
    eta: float | None = None
    """Seconds until everything is copied; None while that cannot be known (still acquiring)."""
    lag: float | None = None
    """Seconds by which the copy is behind the source, estimated: files that wait, by files copied a second. 0 where
    nothing waits; None where nothing is copied just now."""
    acquiring: bool = True
    """Whether more is expected to be written to the source."""
    growing: bool = False
    """Whether arrays grow while they are acquired: nobody knows how many chunk files there will be."""
    nodes_missing: Count = 0
    """Images, wells and labels that OME metadata promise and that are not there."""
    quiet: float | None = None
    """Seconds since the source changed last, as far as that was seen; None where it was not."""
    watermark: WatermarkSnapshot | None = None
    """How far it is complete; None where nothing is said of that."""
    told_to_finish: bool = False
    """Whether its user has said that the acquisition is over; `unfinish` takes that back until it has ended."""
    failed_files: Count = 0
    """Files that could not be copied so far."""
    failures: tuple[Failure, ...] = ()
    """The first of them (at most 100)."""
    kept: Count = 0
    """Files that were copied and that the source has no more, without their writer's lock: left alone."""
    lost: Count = 0
    """Chunk files that left the source before they were copied; told at the end."""
    notes: tuple[Why, ...] = ()
    """Things its user should know, each told once (a stale lock, no watches left, ...)."""
    started: float = 0.0
    """Unix time."""
    completed: float = 0.0
    """Unix time at which it was complete; 0 where it is not."""
    watching: bool = False
    """Whether it is complete, and its source is watched on: copying resumes when that changes."""
    elapsed: float = 0.0
    """Seconds since the start, until the end where it has ended."""
    settings: Settings | None = None
    """How it is copied, with what was changed since its start; None from an engine that does not tell."""
    pace: PaceSnapshot = PaceSnapshot()
    """How fast it is copied, and why not faster."""
    forecast: ForecastSnapshot = ForecastSnapshot()
    """What is going to happen."""
    findings: Findings | None = None
    """What a check found, filled in at its end; None for a copy."""
    arrays: tuple[ArraySnapshot, ...] = ()
    """Its arrays, as far as they are known."""

    @property
    def over(self) -> bool:
        """Whether its engine has done with it: it has ended, and its source is not watched."""
        return self.state.ended and not self.watching

    @property
    def ended_by_system(self) -> bool:
        """Whether it was stopped by the system, as at a logout, and not by its user."""
        return (
            self.state is TargetState.STOPPED and self.why is not None and self.why.code == ReasonCode.ENDED_BY_SYSTEM
        )

    @property
    def not_freed(self) -> Reason | None:
        """Why its source was not freed although its settings say so; None where nothing is known of that."""
        return next((note for note in self.notes if note.code == ReasonCode.SOURCE_NOT_FREED), None)

    @property
    def can_finish(self) -> bool:
        """Whether it waits for the end of the acquisition, which its user may know of: front ends say how to tell."""
        return self.state is TargetState.CAUGHT_UP

    @property
    def compares_only(self) -> bool:
        """Whether its two sides are only compared, and nothing is copied."""
        return self.findings is not None or self.state is TargetState.CHECKING

    @property
    def reason(self) -> str:
        """Why it is in this state, in words for its user; empty where the state says it all."""
        return describe(self.why)

    @property
    def notices(self) -> tuple[str, ...]:
        """Things its user should know, in words."""
        return tuple(map(describe, self.notes))

    @property
    def state_text(self) -> str:
        """Its state in words; where its source is watched on, since when it is complete."""
        if self.why is not None and self.why.code == ReasonCode.SCANNING:
            return SCANNING
        name = INTERRUPTED if self.ended_by_system else STATES[self.state]
        return f"{name} {clock_text(self.completed, time.time())}, watching on" if self.watching else name

    @property
    def chunk_files(self) -> int:
        """Chunk files that the metadata promises."""
        return sum(self.counts)

    @property
    def any_files(self) -> bool:
        """Whether the source is a folder of any files: nobody knows how many will come."""
        return self.settings is not None and self.settings.kind == "folder"

    @property
    def copied_text(self) -> str:
        """How many files have arrived, in words, and how much this run has copied of them: `12 files, 3.0 GB`."""
        files = count_text(self.chunk_files_copied + self.other_files, "file")
        return f"{files}, {size_text(self.bytes_copied)}" if self.bytes_copied else files

    @property
    def chunk_files_copied(self) -> int:
        """Chunk files at the destination that are equal to the source's."""
        return self.counts[ChunkState.COPIED] + self.counts[ChunkState.VERIFIED]

    @property
    def chunk_files_absent(self) -> int:
        """Chunk files that the metadata promises and that never came: the fill value."""
        return self.counts[ChunkState.ABSENT] - self.lost

    @property
    def files_left(self) -> int:
        """Files seen at the source that are still to be copied, those that are being written among them."""
        states = (ChunkState.WRITING, ChunkState.PENDING, ChunkState.COPYING)
        return sum(self.counts[state] for state in states) + self.other_waiting


class EngineSnapshot(Message):
    """One engine and all its targets at one moment."""

    pid: Count
    version: Text
    started: float
    """Unix time."""
    ended: bool = False
    targets: tuple[TargetSnapshot, ...] = ()


class Changes(Message):
    """Settings of a target to be changed while it runs; None for those that stay."""

    sleep_time: float | None = Field(None, ge=0)
    max_rate: RateSetting | None = None
    """`full` for no limit."""
    pace: Literal["auto", "full"] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is changed, by name."""
        return {name: value for name, value in self if value is not None}

    def words(self) -> str:
        """Return what is changed, as settings are spelled."""
        given = self.given.items()
        return ", ".join(f"{name} {f'{value:g}' if name == 'sleep_time' else value}" for name, value in given)


class Order(Message):
    """What a front end asks of an engine."""

    do: Literal["snapshot", "pause", "resume", "finish", "unfinish", "stop", "set"]
    target: str | None = None
    """A target's id; None means all of them."""
    changes: Changes | None = None
    """What to set."""
    only_changes: bool | None = None
    """Leave out of the answer the arrays that are as they were in the one before on this connection."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.do == "set") != (self.changes is not None):
            raise ValueError("changes go with set, and set with changes")
        return self


class Reply(Message):
    """What an engine answers to an order."""

    snapshot: EngineSnapshot | None = None
    left_out: tuple[Count, ...] = ()
    """How many arrays of each target are as they were in the answer before, and not told again (`only_changes`)."""
    error: Why | None = None
    """Why the order was not carried out; None if it was."""
