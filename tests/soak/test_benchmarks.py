"""The benchmarks still measure something, each tried small; those of windows open what they show as napari's plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.virtual_screen import virtual_screen
from tests.support import faultfs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="they look into /proc, and need a virtual screen"),
]


def measure(command: list[str], measured: list[str]) -> None:
    """Run one; what it measures is not judged here: other tests may run beside it."""
    run = [sys.executable, str(BENCHMARKS / command[0]), *command[1:]]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    for words in [*measured, "goal: "]:
        assert words in done.stdout, done.stdout + done.stderr
    assert "| none |" not in done.stdout


@pytest.mark.parametrize(
    ("command", "measured"),
    [
        (["overlay.py", "--seconds", "8"], ["overlay behind the ledger", "The same in 3D", "The whole"]),
        (
            ["napari_cost.py", "--rounds", "1", "--files", "1000"],
            ["a second, from the first", "without napari", "with napari"],
        ),
    ],
)
def test_a_benchmark_of_napari_measures(command: list[str], measured: list[str]) -> None:
    with virtual_screen():
        measure(command, measured)


@pytest.mark.parametrize("dataset", ["A", "C", "E", "flat"])
def test_a_dataset_of_each_kind_can_be_written_and_copied(dataset: str) -> None:
    measure(["bulk.py", "--only", dataset, "--scale", "0.001", "--rounds", "1"], ["**softcopy**", "| cp -r |", "again"])


@pytest.mark.parametrize(
    ("command", "measured"),
    [
        (["live.py", "--only", "v2-200,v3-500", "--scale", "0.1", "--rounds", "1"], ["zarr v2, 200", "zarr v3, 500"]),
        (["memory.py", "--scale", "0.01", "--rounds", "1"], ["Memory of the engine", "Peaks", "Start of the command"]),
        (["growth.py", "--scale", "0.001"], ["watches", "1,000"]),
    ],
)
def test_a_benchmark_of_the_engine_measures(command: list[str], measured: list[str]) -> None:
    measure(command, measured)


@pytest.mark.skipif(bool(faultfs.why_not()), reason=faultfs.why_not())
def test_a_share_is_measured_in_operations() -> None:
    measure(["share.py", "--only", "flat-1000", "--scale", "0.1", "--rounds", "1"], ["operations a file", "create 1"])
