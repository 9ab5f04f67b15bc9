"""A target to be tormented."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.destination import availability
from softcopy_napari.engine.dispatch import retries
from softcopy_napari.engine.source import walk_schedule
from tests.engine.jobs import jobs, wait_less  # noqa: F401
from tests.faults.lab import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab, in which everybody waits less."""
    wait_less(monkeypatch)
    monkeypatch.setattr(walk_schedule, "_WALK_INTERVAL", 1.0)
    monkeypatch.setattr(retries, "_FIRST", 0.1)
    monkeypatch.setattr(retries, "_CHANGING_LAST", 0.5)
    monkeypatch.setattr(availability, "_RETRY", 0.5)
    lab = Lab(tmp_path)
    yield lab
    lab.close()
    left = [line for line in mounts() if f"{tmp_path}/" in line]
    assert not left, f"the test left mounted: {left}"


def mounts() -> list[str]:
    """What is mounted, a line each."""
    return Path("/proc/self/mounts").read_text().splitlines() if sys.platform == "linux" else []


def why_no_mounts() -> str:
    """Why tests may not mount anything here; empty where they may."""
    if sys.platform != "linux":
        return "mounts of Linux are needed"
    return "" if os.geteuid() == 0 else "only root may mount"
