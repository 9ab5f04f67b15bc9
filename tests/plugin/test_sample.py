"""The sample "Simulated acquisition": a live copy in two clicks, and nothing of it left afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from npe2 import PluginManager, PluginManifest

import softcopy_napari
from softcopy_napari.engine.client import engines
from softcopy_napari.plugin import sample
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition
from tests.support.command import environment

if TYPE_CHECKING:
    import napari
    from pytestqt.qtbot import QtBot

_WAIT = 30.0


@pytest.fixture
def viewer(npe2pm: PluginManager, make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    """A viewer of a napari that knows this plugin only."""
    npe2pm.register(PluginManifest.from_file(Path(softcopy_napari.__file__).with_name("napari.yaml")))
    return make_napari_viewer()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TemporaryAcquisition]]:
    """The simulations that a test has started; all of them must have gone at its end, by whatever it did."""
    found: list[TemporaryAcquisition] = []

    class Noted(TemporaryAcquisition):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr(sample, "TemporaryAcquisition", Noted)
    yield found
    for one in found:
        one.end()
        one.wait(_WAIT)
        assert not one.folder.exists()


def _copied(simulation: TemporaryAcquisition) -> int:
    return sum(path.is_file() for path in simulation.destination.glob("0/c/*/*/*/*/*"))


def test_the_sample_is_copied_live_and_goes_with_the_window(
    viewer: napari.Viewer, started: list[TemporaryAcquisition], qtbot: QtBot
) -> None:
    assert viewer.open_sample("softcopy-napari", "simulated_acquisition") == []
    (simulation,) = started
    qtbot.waitUntil(lambda: _copied(simulation) > 5, timeout=1000 * _WAIT)
    assert not simulation.source.joinpath("complete").exists()
    viewer.close()
    qtbot.waitUntil(lambda: not simulation.folder.exists(), timeout=1000 * _WAIT)
    qtbot.waitUntil(lambda: not engines(), timeout=1000 * _WAIT)


_KILLED = """
import sys, time
from softcopy_napari import start
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition
simulation = TemporaryAcquisition("--frames", "1000", "--rate", "5")
start(simulation.source, simulation.destination, nprocs=1)
print(simulation.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_simulation_does_not_outlive_a_napari_that_was_killed() -> None:
    command = [sys.executable, "-c", _KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as ours:
        assert ours.stdout is not None
        folder = Path(ours.stdout.readline().strip())
        _wait_for(lambda: any(folder.glob("cluster.zarr/0/c/*/*/*/*/*")))
        family = psutil.Process(ours.pid).children(recursive=True)
        ours.send_signal(signal.SIGKILL)
    _wait_for(lambda: not folder.exists())
    _wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))


def test_a_microscope_that_cannot_write_is_noticed_and_leaves_nothing() -> None:
    simulation = TemporaryAcquisition("--no-such-option")
    simulation.wait(_WAIT)
    assert simulation.failed
    assert not simulation.folder.exists()
    simulation.end()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
