"""Writers that pause: no copy is complete before they have come to their end, however whole the dataset looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari import start
from softcopy_napari.engine.states import TargetState
from tests.engine.support import until
from tests.support.pausing_writers import KINDS
from tests.support.trees import assert_same
from tests.support.writers import REPO

PAUSE = 2.5
SETTLE = 0.5
"""Pauses are several times as long as the quiet that would do if nothing spoke against it."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_not_complete_while_its_writer_pauses(kind: str, tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    copy = start(source, destination, nprocs=1, settle=SETTLE, linger=0.0)
    try:
        command = [sys.executable, "-m", "tests.support.pausing_writers", kind, str(source), str(PAUSE), "2"]
        written = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60)
        assert written.returncode == 0, written.stdout + written.stderr
        assert "pause" in written.stdout
        assert not until(lambda: copy.snapshot().state.ended, 3 * SETTLE), copy.snapshot().reason
        assert until(lambda: "done after 1 h without a change" in copy.snapshot().reason), copy.snapshot().reason
        end = copy.finish(timeout=30.0)
        assert end.state is TargetState.COMPLETE, end.reason
        assert_same(source, destination)
    finally:
        copy.stop()
