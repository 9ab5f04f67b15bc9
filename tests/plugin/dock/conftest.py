"""For tests of the dock: no engine outlives its test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.protocol.messages import Order


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
