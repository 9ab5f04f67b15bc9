"""Checks files by content on a Dask worker: what a task of `softcopy verify --dask` does there.

It changes nothing, so Dask may run it twice, and anywhere.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from typing import NamedTuple

from distributed import get_worker

from softcopy_napari.engine.dask_workers.source_evidence import find_identity
from softcopy_napari.engine.dask_workers.worker_messages import SourceEvidence
from softcopy_napari.engine.verify.content_reader import ContentReader
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult


class ReadingTask(NamedTuple):
    """Files to check."""

    destination: str
    source: str | None
    """The folder with which they are compared; None where their digests are known."""
    evidence: Sequence[SourceEvidence]
    """By what the destination is known, and the source."""
    files: Sequence[tuple[str, bytes]]


class ReadingDone(NamedTuple):
    """What was found."""

    address: str
    """Of the Dask worker."""
    seconds: float = 0.0
    """Time that it took."""
    results: Sequence[CheckResult] = ()
    """One for each file."""
    missing: str = ""
    """A folder that this machine does not see as the engine does; then there are no results."""


def check_files(message: bytes) -> bytes:
    """Check files; takes a `ReadingTask` and returns a `ReadingDone`, both pickled."""
    task: ReadingTask = pickle.loads(message)
    return pickle.dumps(_check(task), pickle.HIGHEST_PROTOCOL)


def _check(task: ReadingTask) -> ReadingDone:
    worker, identities, began = get_worker(), [], time.monotonic()
    folders = [task.destination, task.source] if task.source is not None else [task.destination]
    for folder, evidence in zip(folders, task.evidence, strict=True):
        identity = find_identity(folder, evidence)
        if identity is None:
            return ReadingDone(worker.address, missing=folder)
        identities.append(identity)
    key = worker.get_current_task()

    def go_on(_: int) -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state != "cancelled"  # else nobody waits for it any more

    try:
        found = ContentReader(task.destination, task.source, identities, go_on).check(task.files)
        results = []
        for _, result in found:
            if result.outcome is CheckOutcome.STOPPED:
                break
            results.append(result._replace(digest=b""))
        return ReadingDone(worker.address, time.monotonic() - began, results)
    except OSError as error:
        return ReadingDone(worker.address, missing=str(error.filename or task.destination))
