"""Writers that pause: no copy is complete before they have come to their end, however whole the dataset looks."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from softcopy_napari.engine.client import Copy, launch
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import tree, until
from tests.support.pausing_writers import KINDS
from tests.support.trees import assert_same
from tests.support.writers import REPO

SETTLE = 0.5
"""Each pause is several times as long as the quiet that would do if nothing spoke against it."""
BUFFERED = {"acquire", "acquire_in_shards"}
"""Their writer may have written nothing by then, or keep a file open, which is not copied before it is whole."""


@pytest.mark.timeout(300)  # 18 copies at once
def test_no_copy_is_complete_while_its_writer_pauses(tmp_path: Path) -> None:
    sources = {kind: tmp_path / f"{kind}.zarr" for kind in KINDS}
    destinations = {kind: tmp_path / "copies" / f"{kind}.zarr" for kind in KINDS}
    settings = Settings(nprocs=1, settle=SETTLE, linger=0.0)
    engine = launch([make_target(sources[kind], destinations[kind], settings) for kind in KINDS])
    copies = {kind: Copy(engine, str(number)) for number, kind in enumerate(KINDS, 1)}
    pauses = tmp_path / "pauses"
    pauses.mkdir()
    (pauses / "2").touch()  # for those that pause once more

    def pauses_and_is_copied(kind: str) -> bool:
        if kind in BUFFERED or not (pauses / f"{kind} 1").exists():
            return (pauses / f"{kind} 1").exists()
        here, there = tree(sources[kind]), tree(destinations[kind])
        same = all(there.get(path) == content for path, content in here.items())
        return same and copies[kind].snapshot().state is TargetState.CAUGHT_UP

    def waits_for_an_hour(kind: str) -> bool:
        return "done after 1 h without a change" in copies[kind].snapshot().reason

    def ended() -> dict[str, str]:
        told = {kind: copy.snapshot() for kind, copy in copies.items()}
        return {kind: snapshot.reason for kind, snapshot in told.items() if snapshot.state.ended}

    datasets = [f"{kind}={source}" for kind, source in sources.items()]
    command = [sys.executable, "-m", "tests.support.pausing_writers", str(pauses), "2", *datasets]
    writer = subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for kind in KINDS:
            assert until(partial(pauses_and_is_copied, kind), 60.0), (kind, copies[kind].snapshot())
        assert not until(ended, 6 * SETTLE), ended()
        (pauses / "1").touch()
        assert writer.wait(60) == 0, writer.communicate()[0]
        assert not until(ended, 3 * SETTLE), ended()
        for kind, copy in copies.items():
            assert until(partial(waits_for_an_hour, kind)), (kind, copy.snapshot().reason)
        for kind, copy in copies.items():
            end = copy.finish(timeout=30.0)
            assert end.state is TargetState.COMPLETE, (kind, end.reason)
            assert_same(sources[kind], destinations[kind])
    finally:
        writer.kill()
        writer.communicate()
        for copy in copies.values():
            copy.stop()
