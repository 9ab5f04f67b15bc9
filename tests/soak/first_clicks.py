"""A new user's way to a first live copy with its image, by mouse and keyboard, run by the Python of any environment.

`python first_clicks.py FOLDER` opens napari while a simulated microscope writes, and prints what was clicked, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMenu, QMenuBar, QPushButton, QWidget

from softcopy_napari.engine.client import engines
from softcopy_napari.plugin import SoftcopyWidget

_WAIT = 120.0
_NOISE = 100
"""Grey value of the microscope's background: what is brighter has been read from a file."""


class User:
    """Clicks, types, and waits; knows only what is on the screen.

    Attributes
    ----------
    clicked : list of str
        What was clicked, in order.
    """

    def __init__(self, window: QWidget) -> None:
        self._window = window
        self.clicked: list[str] = []

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:
        """Handle events until a condition is true; return its value."""
        deadline = time.monotonic() + _WAIT
        while not (value := condition()):
            assert time.monotonic() < deadline, what
            QApplication.processEvents()
            time.sleep(0.01)
        return value

    def click(self, part: QWidget, name: str, place: QPoint | None = None) -> None:
        """Click a part of the window once."""
        self.clicked.append(name)
        left, no_keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(part, left, no_keys, part.rect().center() if place is None else place)

    def choose(self, menu: QMenu | QMenuBar, text: str) -> None:
        """Click an entry of a menu."""
        action = next(one for one in menu.actions() if one.text().replace("&", "").startswith(text))
        self.click(menu, text, menu.actionGeometry(action).center())

    def press(self, text: str) -> None:
        """Click the button with this text."""
        button = self.wait_for(text, lambda: self._button(text))
        self.click(button, text)

    def _button(self, text: str) -> QPushButton | None:
        buttons = self._window.findChildren(QPushButton)
        shown = [one for one in buttons if one.text().replace("&", "") == text and one.isVisible() and one.isEnabled()]
        return shown[0] if shown else None

    def type(self, text: str) -> None:
        """Type where the keyboard is."""
        QTest.keyClicks(QApplication.focusWidget(), text)

    def go_to_next_field(self) -> None:
        """Press Tab until text can be typed."""
        before = QApplication.focusWidget()
        while not isinstance(QApplication.focusWidget(), QLineEdit) or QApplication.focusWidget() is before:
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)


def is_shown(viewer: Any) -> bool:
    """Whether there are an overlay, and pixels of an image."""
    images = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Image)]
    overlays = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Labels)]
    return bool(overlays) and any(layer._data_view.max() > _NOISE for layer in images)


def main(folder: Path) -> None:
    """Do it."""
    source, destination = folder / "embryo.zarr", folder / "nas" / "embryo.zarr"
    destination.parent.mkdir()
    microscope = [sys.executable, "-m", "softcopy_napari.simulation.microscope", str(source)]
    with subprocess.Popen([*microscope, "--frames", "10000", "--rate", "1", "--size", "4x64x64"]) as writing:
        try:
            clicked = copy(source, destination)
            assert writing.poll() is None, "the microscope was to be at work all the while"
        finally:
            writing.terminate()
    print(json.dumps({"clicked": clicked}))


def copy(source: Path, destination: Path) -> list[str]:
    """Open napari, and copy; return what was clicked until the image was there."""
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    user = User(window)
    user.wait_for("the window", window.isVisible)
    window.activateWindow()
    user.choose(window.menuBar(), "Plugins")
    menu = user.wait_for("the menu", QApplication.activePopupWidget)
    user.choose(menu, "Softcopy")
    if (below := QApplication.activePopupWidget()) is not None and below is not menu:
        user.choose(below, "Softcopy")
    user.wait_for("the dock", lambda: window.findChildren(SoftcopyWidget))
    user.press("Copy an acquisition\u2026")
    user.type(str(source))
    user.go_to_next_field()
    user.type(str(destination))
    user.press("Start")
    user.wait_for("the image", lambda: is_shown(viewer))
    (dock,) = window.findChildren(SoftcopyWidget)
    dock.stop()
    user.wait_for("the end", lambda: not engines())
    viewer.close()
    return user.clicked


if __name__ == "__main__":
    main(Path(sys.argv[1]))
