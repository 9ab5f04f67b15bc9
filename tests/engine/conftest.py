"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.job import final_check, job_parts, readiness
from softcopy_napari.engine.source import event_rules, source_tracker
from tests.engine.jobs import Jobs


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    for module in (event_rules, job_parts, source_tracker):  # seconds of quiet, so that tests need not wait for two
        monkeypatch.setattr(module, "QUIET", 0.3)
    monkeypatch.setattr(readiness, "_PROBE_INTERVAL", 0.2)
    monkeypatch.setattr(final_check, "LAST_CHANCE", 1.0)
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.stop()
