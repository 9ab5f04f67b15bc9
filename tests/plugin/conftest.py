"""For tests with a real viewer: the viewer, nothing left behind in Qt, and targets whose ledgers a test writes."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

os.environ.setdefault("NAPARI_CONFIG", "")  # nobody's settings are read or written

pytest.importorskip("napari")

import napari
from app_model import Application
from napari._app_model._app import NapariApplication, _napari_names
from napari._qt._qapp_model.qactions import init_qactions
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari._qt.threads.status_checker import StatusChecker
from napari.plugins import _initialize_plugins
from napari.settings import get_settings
from qtpy.QtCore import QCoreApplication, QEvent, QThread
from qtpy.QtWidgets import QApplication, QMainWindow

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.probe import read_metadata
from softcopy_napari.plugin.viewer.canvas_context import free_in_context
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from tests.support import preloaded

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

_GRACE = 3.0
"""Seconds in which what a test has ended may go."""
_ENGINE = "softcopy_napari.engine"
_WAIT_LESS = {
    **{f"{_ENGINE}.{name}.QUIET": 0.3 for name in ("source.event_rules", "source.source_tracker", "job.job_parts")},
    f"{_ENGINE}.job.final_check.LAST_CHANCE": 1.0,
    f"{_ENGINE}.job.readiness._PROBE_INTERVAL": 0.2,
}


@pytest.fixture(autouse=True)
def engines_wait_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have engines that are started from here take a source for quiet sooner: how long is no matter of windows."""
    monkeypatch.setattr(preloaded, "SETTINGS", _WAIT_LESS)


@pytest.fixture
def qtbot(qtbot: QtBot) -> QtBot:
    """Wait longer for what should come true: the machine may be busy with other tests."""
    qtbot.waitUntil = partial(qtbot.waitUntil, timeout=30_000)
    return qtbot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the tests that want a viewer of their own run last: the shared one is closed for them, once for all."""
    items.sort(key=lambda item: "no_shared_viewer" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def nothing_is_left_in_qt(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves threads, QThreads or windows of ours behind."""
    if "viewer" in request.fixturenames:
        request.getfixturevalue("shared_viewer").get()  # stays, with all its menus
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
    """Windows but those that napari and vispy keep for the next viewer or that are parts of their widgets."""
    if QApplication.instance() is None:
        return []
    return [one for one in QApplication.topLevelWidgets() if not _is_of_others(one)]


def _is_of_others(window: Any) -> bool:
    """A window of ours may have napari's main window as its parent, and nothing else of napari's."""
    while not type(window).__module__.startswith(("napari.", "vispy.", "superqt.")):
        window = window.parentWidget()
        if window is None or isinstance(window, QMainWindow):
            return False
    return True


def _close_messages() -> None:
    for message in list(NapariQtNotification._instances):
        with contextlib.suppress(RuntimeError):  # Qt has deleted it; napari keeps it in its list
            message.close()
    NapariQtNotification._instances.clear()


class SharedViewer:
    """One viewer for many tests, each of which gets it as if it were new: making one takes longer than most of them."""

    def __init__(self) -> None:
        self._viewer: Any = None
        self._patch = pytest.MonkeyPatch()

    def get(self) -> Any:
        if self._viewer is None:  # made as napari's own fixture makes them
            get_settings().reset()
            app = NapariApplication("shared")
            app.injection_store.namespace = _napari_names
            self._patch.setattr(NapariApplication, "get_app_model", lambda: app)
            self._patch.setattr(StatusChecker, "start", lambda _: None)
            self._viewer = napari.Viewer(show_welcome_screen=False)
            free_in_context(self._viewer)  # for tests of image layers alone as well
        return self._viewer

    def tidy(self) -> None:
        """Take back what a test did to it."""
        viewer = self._viewer
        _close_messages()
        viewer.layers.clear()
        viewer.dims.ndisplay = 2
        viewer.dims.axis_labels = type(viewer.dims)().axis_labels
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        camera.update(type(camera)().model_dump())

    def close(self) -> None:
        if self._viewer is None:
            return
        self._viewer.close()
        self._viewer = None
        self._patch.undo()
        Application.destroy("shared")
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()
        gc.collect()


@pytest.fixture(scope="session")
def shared_viewer(qapp: Any) -> Iterator[SharedViewer]:
    """For this process."""
    shared = SharedViewer()
    yield shared
    shared.close()


@pytest.fixture
def viewer(shared_viewer: SharedViewer, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A viewer that can be photographed and is not closed by the test."""
    yield shared_viewer.get()
    if request.node.rep_call.failed:
        shared_viewer.close()
    else:
        shared_viewer.tidy()


@pytest.fixture
def no_shared_viewer(shared_viewer: SharedViewer) -> None:
    """Close it: napari's fixture wants to be the only one who has viewers."""
    shared_viewer.close()
    _close_messages()  # of viewers that tests of their own had


@pytest.fixture
def make_napari_viewer(no_shared_viewer: None, make_napari_viewer: Callable[..., Any]) -> Callable[..., Any]:
    """Makes viewers of this test alone (napari's fixture of this name)."""
    return make_napari_viewer


@pytest.fixture
def own_viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer of this test alone, which it may close."""
    return make_napari_viewer(show=True)


@pytest.fixture
def target_layers(viewer: Any) -> Iterator[TargetLayers]:
    """The layers of a target in that viewer."""
    target_layers = TargetLayers(viewer)
    yield target_layers
    target_layers.close()


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
            ledger.copy_states(self.ledgers[path])
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
                regular=layout.edge_lengths is None,
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
