"""For tests with a real viewer: the viewer, nothing left behind in Qt, and targets whose ledgers a test writes."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("NAPARI_CONFIG", "")  # nobody's settings are read or written

pytest.importorskip("napari")

from qtpy.QtCore import QCoreApplication, QEvent, QThread
from qtpy.QtWidgets import QApplication

from softcopy_napari.engine.layout import ArrayLayout
from softcopy_napari.engine.ledger import Ledger
from softcopy_napari.engine.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.metadata import parse_metadata
from softcopy_napari.engine.probe import read_metadata
from softcopy_napari.engine.statefolder import ledger_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.plugin.scene import Scene

_GRACE = 3.0
"""Seconds in which what a test has ended may go."""


@pytest.fixture(autouse=True)
def nothing_is_left_in_qt() -> Iterator[None]:
    """Fail a test that leaves threads, QThreads or windows of ours behind."""
    threads = set(threading.enumerate())
    windows = set(_windows())
    gc.freeze()  # what is there already is no matter of this test, and looking through all of napari takes long
    yield
    deadline = time.monotonic() + _GRACE
    while True:
        if QApplication.instance() is not None:
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            QCoreApplication.processEvents()
        gc.collect()
        left = [f"thread {one.name}" for one in threading.enumerate() if one not in threads and _is_ours(one)]
        left += [f"QThread {one!r}" for one in gc.get_objects() if isinstance(one, QThread) and _runs(one)]
        left += [f"window {one!r}" for one in _windows() if one not in windows]
        if not left:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    pytest.fail(f"the test left behind: {', '.join(left)}")


def _is_ours(thread: threading.Thread) -> bool:
    """Not the threads of tensorstore that Python got to see, nor napari's pool for slicing."""
    return thread.name.startswith("softcopy") or not thread.daemon


def _runs(thread: QThread) -> bool:
    try:
        return type(thread).__module__.startswith("softcopy") and thread.isRunning()
    except RuntimeError:  # Qt has deleted it
        return False


def _windows() -> list[Any]:
    """Windows but those that napari and vispy keep for the next viewer."""
    if QApplication.instance() is None:
        return []
    others = ("napari.", "vispy.", "superqt.")
    return [one for one in QApplication.topLevelWidgets() if not type(one).__module__.startswith(others)]


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer that can be photographed."""
    return make_napari_viewer(show=True)


@pytest.fixture
def scene(viewer: Any) -> Iterator[Scene]:
    """A scene in that viewer."""
    scene = Scene(viewer)
    yield scene
    scene.close()


class Staged:
    """A target as an engine would tell of it, whose ledgers the test writes.

    Parameters
    ----------
    source, destination : Path
    state : Path
        Where to keep ledgers.
    *paths : str
        Arrays, relative to the source.
    """

    def __init__(self, source: Path, destination: Path, state: Path, *paths: str) -> None:
        self.source, self.destination = source, destination
        self._state = state
        self._made = 0
        self.ledgers: dict[str, Ledger] = {}
        self.layouts: dict[str, ArrayLayout] = {}
        self.files_copied = 0
        for path in paths:
            self.read(path)

    def read(self, path: str = "") -> None:
        """Read an array's metadata, as it is new or has grown."""
        layout = parse_metadata(path, read_metadata(str(self.source), path))
        assert isinstance(layout, ArrayLayout)
        self._made += 1
        ledger = Ledger(self._state / f"{self._made}.npy", layout.grid)
        if path in self.ledgers:
            ledger.take_over(self.ledgers[path])
        self.layouts[path], self.ledgers[path] = layout, ledger

    def cells(self, path: str = "") -> Any:
        """An array's states, to be written, in the shape of the chunk grid."""
        ledger = self.ledgers[path]
        return ledger.flat.reshape(ledger.grid)

    @property
    def snapshot(self) -> TargetSnapshot:
        """The target now."""
        counts = [np.bincount(ledger.flat, minlength=len(ChunkState)) for ledger in self.ledgers.values()]
        arrays = tuple(
            ArraySnapshot(
                path=path,
                shape=layout.shape,
                chunk_shape=layout.chunk_shape,
                grid=layout.grid,
                dtype=layout.dtype,
                ledger=str(self.ledgers[path].path),
                counts=tuple(count.tolist()),
            )
            for (path, layout), count in zip(self.layouts.items(), counts, strict=True)
        )
        return TargetSnapshot(
            id="1",
            source=str(self.source),
            destination=str(self.destination),
            state=TargetState.COPYING,
            files_copied=self.files_copied,
            arrays=arrays,
        )


@pytest.fixture
def staged() -> Callable[..., Staged]:
    """Makes a `Staged` target."""

    def make(source: Path, *paths: str, destination: Path | None = None) -> Staged:
        return Staged(source, destination or source, ledger_folder() / "1", *(paths or ("",)))

    return make
