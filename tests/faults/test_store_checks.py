"""`softcopy check` of a copy in a real object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.job.check_job import CheckJob
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Target
from tests.engine.store_jobs import NAME, StoreJobs, jobs_over

jobs = jobs_over((2, 3))


def check(jobs: StoreJobs) -> tuple[TargetState, str]:
    """Compare both sides, and return how that ended."""
    jobs.number += 1
    target = Target(source=jobs.source, destination=jobs.url, check=True)
    resources = TargetResources(target, DestinationLock(jobs.url, "checked"))
    job = CheckJob(resources, "1", ledger_folder() / str(jobs.number))
    job.start()
    assert job.ended.wait(60.0), job.snapshot().reason
    return job.snapshot().state, str(job.snapshot().reason)


def test_a_check_tells_what_differs(jobs: StoreJobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jobs.complete()
    assert check(jobs)[0] is TargetState.COMPLETE
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(tmp_path / "another computer"))
    assert check(jobs)[0] is TargetState.COMPLETE
    jobs.store.write(f"{NAME}/1.1", b"somebody else's")
    jobs.store.delete(f"{NAME}/0.0")
    state, words = check(jobs)
    assert state is TargetState.INCOMPLETE and "1 chunk" in words, words
    assert jobs.store.read(f"{NAME}.receipt.json")
