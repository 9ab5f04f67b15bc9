"""A folder is dragged with the mouse from another program's window, through the X server, onto the dock."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from qtpy.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget

from tests.engine.support import make_array
from tests.plugin.dock.docked import Dock

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or ctypes.util.find_library("Xtst") is None, reason="needs libXtst"),
    pytest.mark.skipif(bool(os.environ.get("WAYLAND_DISPLAY")), reason="moves the mouse of an X screen"),
]


def drag(dock: Dock, path: Path, part: QWidget, taken: Callable[[], object]) -> None:
    """Drag a path onto the middle of a part of the dock, and wait until it is taken."""
    place = part.mapToGlobal(part.rect().center())
    where = [str(round(at * part.devicePixelRatioF())) for at in (place.x(), place.y())]
    command = [sys.executable, "-m", "tests.support.drag_source", str(path), *where]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as program:
        try:
            dock.until(taken)
        finally:
            program.kill()


def test_two_folders_dragged_onto_the_dock_become_source_and_destination(own_dock: Dock, tmp_path: Path) -> None:
    dock = own_dock
    window = dock.viewer.window._qt_window
    window.show()
    dock.qtbot.waitExposed(window)
    window.raise_()
    source, nas = make_array(tmp_path / "data" / "cam1.zarr", (2, 2)), tmp_path / "nas"
    nas.mkdir()
    field, target = (dock.find(QLineEdit, name) for name in ("source_edit", "destination_edit"))
    drag(dock, source, dock.find(QPushButton, "first_copy_button"), lambda: field.text() == str(source))
    drag(dock, nas, target, lambda: target.text() == str(nas / "cam1.zarr"))
    preview = dock.find(QLabel, "copy_preview")
    dock.until(lambda: f"Will create {nas / 'cam1.zarr'}" in preview.accessibleName())
    if folder := os.environ.get("SOFTCOPY_SHOTS"):
        QApplication.primaryScreen().grabWindow(0).save(str(Path(folder) / "dropped.png"))
