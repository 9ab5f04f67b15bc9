"""A targets file dropped on the canvas opens the dock with its targets, and nothing else happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QLabel, QListView

import softcopy_napari
import softcopy_napari.plugin.dock.target_adding
from softcopy_napari.engine.client import engines
from softcopy_napari.engine.targets.targets_file import load_targets
from softcopy_napari.plugin import SoftcopyWidget
from softcopy_napari.plugin.reader import get_reader
from softcopy_napari.widgets.targets_model import NAME_ROLE

if TYPE_CHECKING:
    import napari
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.either_binding
_TARGETS = """\
targets:
  - {source: one.zarr, destination: copies/one.zarr}
  - {source: two.zarr, destination: copies/two.zarr}
"""


@pytest.fixture
def viewer(npe2pm: PluginManager, make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    """A viewer of a napari that knows this plugin only."""
    npe2pm.register(PluginManifest.from_file(Path(softcopy_napari.__file__).with_name("napari.yaml")))
    return make_napari_viewer()


def _dock(viewer: napari.Viewer) -> SoftcopyWidget:
    (widget,) = viewer.window.dock_widgets.values()
    assert isinstance(widget, SoftcopyWidget)
    return widget


def _sources(widget: SoftcopyWidget) -> list[str]:
    model = widget.findChild(QListView, "targets_table").model()
    return [model.index(row, 0).data(NAME_ROLE) for row in range(model.rowCount())]


@pytest.mark.parametrize("name", ["targets.yaml", "targets_day2.yml"])
def test_a_dropped_targets_file_is_listed_in_the_dock_and_not_started(
    viewer: napari.Viewer, tmp_path: Path, name: str, qtbot: QtBot
) -> None:
    (tmp_path / name).write_text(_TARGETS)
    assert viewer.open(tmp_path / name, plugin=None) == []
    assert len(viewer.layers) == 0
    qtbot.waitUntil(lambda: _sources(_dock(viewer)) == ["one.zarr", "two.zarr"])
    assert not engines()


def test_a_second_targets_file_comes_into_the_same_dock(viewer: napari.Viewer, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "targets1.yaml").write_text(_TARGETS)
    (tmp_path / "targets2.yaml").write_text(_TARGETS.replace("one", "three").replace("two", "four"))
    viewer.open([tmp_path / "targets1.yaml", tmp_path / "targets2.yaml"], plugin=None)
    qtbot.waitUntil(lambda: len(_sources(_dock(viewer))) == 4)


def test_a_targets_file_with_a_mistake_is_explained_in_the_dock(
    viewer: napari.Viewer, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "targets.yaml").write_text("targets:\n  - {source: one.zarr}\n")
    assert viewer.open(tmp_path / "targets.yaml", plugin=None) == []
    problem = _dock(viewer).findChild(QLabel, "banner_text")
    qtbot.waitUntil(lambda: "destination" in problem.accessibleName())
    assert _sources(_dock(viewer)) == []


def test_a_drop_does_not_wait_for_the_disk(
    viewer: napari.Viewer, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def load(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return load_targets(*arguments)

    monkeypatch.setattr(softcopy_napari.plugin.dock.target_adding, "load_targets", load)
    (tmp_path / "targets.yaml").write_text(_TARGETS)
    viewer.open(tmp_path / "targets.yaml", plugin=None)
    qtbot.waitUntil(lambda: len(_sources(_dock(viewer))) == 2)
    assert threads and threading.main_thread() not in threads


def test_other_files_are_left_to_other_readers(viewer: napari.Viewer) -> None:
    assert get_reader("/data/targets/embryo.yaml") is None
    assert get_reader(["/data/targets.yaml", "/data/notes.yaml"]) is None
    assert get_reader("/data/targets.yaml") is not None


@pytest.mark.usefixtures("no_shared_viewer")
def test_there_is_no_reader_without_a_window() -> None:
    assert get_reader("/data/targets.yaml") is None
