"""The benchmarks of windows still measure something: what they show, they open as napari's plugin does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.virtual_screen import virtual_screen

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a virtual screen"),
]


@pytest.mark.parametrize(
    ("command", "measured"),
    [
        (["overlay.py", "--seconds", "8"], ["overlay behind the ledger", "The same in 3D", "The whole", "goal"]),
        (
            ["napari_cost.py", "--rounds", "1", "--files", "1000"],
            ["a second, from the first", "without napari", "with napari", "goal"],
        ),
    ],
)
def test_a_benchmark_of_napari_measures(command: list[str], measured: list[str]) -> None:
    """What it measures is not judged here: other tests may run beside it."""
    with virtual_screen():
        run = [sys.executable, str(BENCHMARKS / command[0]), *command[1:]]
        done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    for words in measured:
        assert words in done.stdout, done.stdout + done.stderr
    assert " none" not in done.stdout
