"""Writers that pause: no copy is complete before they have come to their end, however whole the dataset looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from softcopy_napari.engine.client import Copy, launch
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import until
from tests.support.pausing_writers import KINDS
from tests.support.trees import assert_same
from tests.support.writers import REPO

PAUSE = 2.5
SETTLE = 0.5
"""Pauses are several times as long as the quiet that would do if nothing spoke against it."""


def test_no_copy_is_complete_while_its_writer_pauses(tmp_path: Path) -> None:
    sources = {kind: tmp_path / f"{kind}.zarr" for kind in KINDS}
    destinations = {kind: tmp_path / "copies" / f"{kind}.zarr" for kind in KINDS}
    settings = Settings(nprocs=1, settle=SETTLE, linger=0.0)
    engine = launch([make_target(sources[kind], destinations[kind], settings) for kind in KINDS])
    copies = {kind: Copy(engine, str(number)) for number, kind in enumerate(KINDS, 1)}

    def waits_for_an_hour(copy: Copy) -> bool:
        return "done after 1 h without a change" in copy.snapshot().reason

    def ended() -> dict[str, str]:
        told = {kind: copy.snapshot() for kind, copy in copies.items()}
        return {kind: snapshot.reason for kind, snapshot in told.items() if snapshot.state.ended}

    try:
        datasets = [f"{kind}={source}" for kind, source in sources.items()]
        command = [sys.executable, "-m", "tests.support.pausing_writers", str(PAUSE), "2", *datasets]
        written = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60)
        assert written.returncode == 0, written.stdout + written.stderr
        assert not until(ended, 3 * SETTLE), ended()
        for kind, copy in copies.items():
            assert until(lambda copy=copy: waits_for_an_hour(copy)), (kind, copy.snapshot().reason)  # type: ignore[misc]
        for kind, copy in copies.items():
            end = copy.finish(timeout=30.0)
            assert end.state is TargetState.COMPLETE, (kind, end.reason)
            assert_same(sources[kind], destinations[kind])
    finally:
        for copy in copies.values():
            copy.stop()
