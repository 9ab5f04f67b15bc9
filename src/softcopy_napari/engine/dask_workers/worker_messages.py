"""What an engine and a Dask worker tell each other of a copy process there, which serves one target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.tasks import Answer, Identity, SetPace, Setup, Task

TOPIC = "softcopy"
"""Under which Dask workers send signs of life: (process, task, bytes), as lists; all engines hear those of all."""


class ProcessRequest(NamedTuple):
    """Asks a Dask worker to start a copy process."""

    key: str
    """Names it in all messages; no other process ever has it."""
    setup: Setup
    version: str
    """The version of this program that the engine has."""


class ProcessStarted(NamedTuple):
    """A copy process has been started, or why not."""

    host: str
    """The machine's name."""
    clock: float
    """Its time, Unix, s."""
    problem: Reason | None = None


class SourceEvidence(NamedTuple):
    """By what another machine knows that a folder is the source that the engine means."""

    identity: Identity
    """Device and inode here; devices have other numbers on other machines."""
    metadata: bytes = b""
    """Digest of the zarr metadata at its top."""


class ProcessTask(NamedTuple):
    """A task for a copy process."""

    key: str
    task: Task
    pace: SetPace
    source: SourceEvidence | None
    """Of the task's source, where that names one."""


class ProcessEnd(NamedTuple):
    """Says that a copy process is no more."""

    reason: Reason | None = None
    """What to tell the user."""
    at_fault: bool = False
    """Whether the files that it was at may have brought it down."""
    unfit: bool = False
    """Whether its machine does not see what the engine sees: another process there would fare no better just now."""


class ProcessAnswer(NamedTuple):
    """What became of a task."""

    answers: Sequence[Answer] = ()
    over: ProcessEnd | None = None
