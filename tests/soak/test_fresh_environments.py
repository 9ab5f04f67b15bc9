"""softcopy-napari as napari's plugin manager installs it: the wheel alone, into an environment that has napari."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.virtual_screen import virtual_screen
from tests.test_packaging import build_wheel

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a virtual screen"),
]

_MOST_CLICKS = 6
"""From an open napari to a live copy with its image, both paths typed or pasted."""
_BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6_Essentials<6.11"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("binding", _BINDINGS)
def test_the_wheel_alone_gives_the_sample_and_a_first_copy_with_their_images(tmp_path: Path, binding: str) -> None:
    wheel, _ = build_wheel(tmp_path / "sources")
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "napari", _BINDINGS[binding]], check=True, timeout=400)
    before = _installed(python)
    subprocess.run([*pip, str(wheel)], check=True, timeout=400)
    assert {name for name in _installed(python) - before if "qt" in name or "side" in name} == set()

    found = _run(python, "first_minutes.py", tmp_path)
    assert not [line for line in found["said"] if not line.startswith("info")], found
    assert found["seconds"] < 60
    clicked = _run(python, "first_clicks.py", tmp_path)["clicked"]
    assert clicked[0] == "Plugins" and clicked[-1] == "Start" and len(clicked) <= _MOST_CLICKS, clicked


def _run(python: str, script: str, tmp_path: Path) -> dict[str, Any]:
    """Run a script of this folder in an environment, on a screen of its own; return what it prints at last."""
    folder = tmp_path / script
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("QT_API", "PYTEST_QT_API")}
    with virtual_screen():
        environment["DISPLAY"] = os.environ["DISPLAY"]
        run = [python, str(Path(__file__).with_name(script)), str(folder)]
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _installed(python: str) -> set[str]:
    """Return the names of all installed distributions, in small letters."""
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
    return {one["name"].lower() for one in json.loads(listed.stdout)}
