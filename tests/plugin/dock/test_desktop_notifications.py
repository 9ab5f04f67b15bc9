"""A notification reaches a desktop's notification service over D-Bus, from a napari whose window is not in front."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.writers import REPO

# Not imported here: a second Qt does not fit beside another binding's. The desktop is a process of its own.
pytestmark = [
    pytest.mark.skipif(find_spec("PyQt6.QtDBus") is None, reason="the desktop of this test is made with it"),
    pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon"),
]

SHOW = """
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from softcopy_napari.plugin.dock import notifications
app = QApplication([])
assert notifications.show_on_desktop("cam1.zarr: done"), "no tray was found"
QTimer.singleShot(1000, app.quit)
app.exec()
"""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a session of its own."""
    with subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        yield {**os.environ, "DBUS_SESSION_BUS_ADDRESS": daemon.stdout.readline().strip()}
        daemon.terminate()


def test_it_arrives_where_the_desktop_shows_notifications(bus: dict[str, str], tmp_path: Path, qapp: object) -> None:
    """The application of pytest-qt has made sure of a screen."""
    file = tmp_path / "shown.jsonl"
    command = [sys.executable, "-m", "tests.support.desktop", str(file)]
    with subprocess.Popen(command, env=bus, cwd=REPO, stdout=subprocess.PIPE, text=True) as desktop:
        try:
            assert desktop.stdout is not None and desktop.stdout.readline() == "2 services\n"
            subprocess.run([sys.executable, "-c", SHOW], env=bus, cwd=REPO, check=True, timeout=120)
            until(file.exists)
        finally:
            desktop.kill()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"title": "Softcopy", "text": "cam1.zarr: done"}
    ]
