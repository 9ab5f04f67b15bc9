"""For tests of the dock: the widget in a viewer, and no engine that outlives its test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.protocol.messages import Order
from tests.plugin.dock.docked import Dock


@pytest.fixture(autouse=True)
def engines_end(state_folder_in_tmp: Path) -> Iterator[None]:
    """Stop the engines that a test has started: they outlive monitors."""
    yield
    for engine in engines():
        with contextlib.suppress(EngineGone, psutil.Error):
            process = psutil.Process(engine.run.pid)
            engine.ask(Order(do="stop"))
            engine.close()
            process.wait(10)


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> Iterator[Dock]:
    """In the viewer that is there for all tests."""
    dock = Dock(viewer, qtbot)
    yield dock
    viewer.window.remove_dock_widget(dock.frame)


@pytest.fixture
def own_dock(own_viewer: Any, qtbot: Any) -> Iterator[Dock]:
    """In a viewer that the test may close."""
    dock = Dock(own_viewer, qtbot)
    yield dock
    del dock.frame, dock.widget  # napari looks for what keeps its windows alive


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "source.zarr", tmp_path / "copy.zarr"
