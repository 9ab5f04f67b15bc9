"""One `softcopy watch` has the numbers of all copies, whatever one of them is up to."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from softcopy_napari import start
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.terminal import watch
from softcopy_napari.terminal.watch import RunningEngines, run_watch
from tests.engine.support import make_array
from tests.support.command import halted, until


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that halts a process")
def test_an_engine_that_hangs_does_not_take_the_numbers_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_ANSWER", 0.5)
    source = make_array(tmp_path / "a.zarr", (1, 2))
    first, second = (start(source, tmp_path / name, nprocs=1, linger=100.0) for name in ("one", "other"))
    running = RunningEngines()
    pids = {first.engine.run.pid, second.engine.run.pid}
    until(lambda: {one.pid for one in running()} == pids)
    with halted(first.engine.run.pid):
        assert [one.pid for one in running()] == [second.engine.run.pid]
        assert [one.pid for one in running()] == [second.engine.run.pid]
    until(lambda: {one.pid for one in running()} == pids)
    first.stop()
    second.stop()
    until(lambda: running() == [])


def test_a_mistake_in_what_it_is_given_ends_it_at_once() -> None:
    with pytest.raises(TargetsError, match="--notify has a URL that is not one"):
        run_watch(["ntfy.sh"], None)
    with pytest.raises(TargetsError, match="is no address"):
        run_watch([], "localhost")
