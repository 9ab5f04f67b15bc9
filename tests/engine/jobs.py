"""Runs one job in the test's own process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from softcopy_napari.engine.job import final_check, job_parts, readiness
from softcopy_napari.engine.job.copy_job import CopyJob
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.source import event_rules, source_tracker
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import tree, until
from tests.support.preloaded import workers_of


class Jobs:
    """Runs a job over one source and destination."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "source.zarr", folder / "destination"
        self.job: CopyJob | None = None

    def start(self, **settings: Any) -> CopyJob:
        target = make_target(self.source, self.destination, Settings(**{"nprocs": 2, "settle": 1000.0, **settings}))
        self.job = CopyJob(TargetResources(target, DestinationLock(target.destination)), "1", ledger_folder() / "1")
        self.job.start()
        return self.job

    @property
    def now(self) -> TargetSnapshot:
        assert self.job is not None
        return self.job.snapshot()

    def caught_up(self) -> bool:
        return bool(until(lambda: self.now.state is TargetState.CAUGHT_UP))

    def ends(self, timeout: float = 30.0) -> TargetSnapshot:
        assert self.job is not None
        assert self.job.ended.wait(timeout), f"still {self.now.state}: {self.now.reason}"
        return self.now

    def equal(self) -> bool:
        return bool(until(lambda: tree(self.source) == tree(self.destination)))

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in workers_of(os.getpid()):
            with contextlib.suppress(psutil.Error):  # it may have died just now
                if "softcopy_napari" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def stop(self) -> None:
        if self.job is not None:
            self.job.order("stop")
            assert self.job.ended.wait(30.0)


def wait_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have jobs wait for less than two seconds of quiet, for their source, and for writers at the end."""
    for module in (event_rules, job_parts, source_tracker):
        monkeypatch.setattr(module, "QUIET", 0.3)
    monkeypatch.setattr(readiness, "_PROBE_INTERVAL", 0.2)
    monkeypatch.setattr(final_check, "LAST_CHANCE", 1.0)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    wait_less(monkeypatch)
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.stop()
