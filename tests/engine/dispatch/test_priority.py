"""Low priority on real processes: beside other sessions too, and what is not allowed is said once."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.client import start
from softcopy_napari.engine.dispatch import priority
from softcopy_napari.engine.wording import describe
from tests.engine.support import make_array, until
from tests.support.preloaded import workers_of


def test_what_the_system_does_not_allow_is_said_in_the_same_words_for_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: psutil.Process, *_: object) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "nice", refuse)
    said = {describe(priority.lower_priority(pid)) for pid in (os.getpid(), os.getppid())}
    assert said == {"the system does not allow copying at low priority: permission denied"}


AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="sessions have no priority of their own on this system")
def test_a_low_priority_counts_beside_the_processes_of_other_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux may share out the processor among sessions before it looks at priorities."""
    monkeypatch.delenv("SOFTCOPY_SESSION_PRIORITY")
    own = AUTOGROUP.read_text()
    make_array(tmp_path / "source.zarr", (2,), chunks=False)
    copy = start(tmp_path / "source.zarr", tmp_path / "copy.zarr", nprocs=2)
    engine = psutil.Process(copy.engine.run.pid)
    try:
        assert until(lambda: len(workers_of(engine.pid)) == 2)
        wanted = {engine.pid: 10} | {child.pid: 19 for child in workers_of(engine.pid)}
        for pid, nice in wanted.items():
            group = Path(f"/proc/{pid}/autogroup")
            assert until(lambda group=group, nice=nice: group.read_text().endswith(f"nice {nice}\n"))
    finally:
        copy.stop()
    assert AUTOGROUP.read_text() == own, "that of the user stays as it was"
