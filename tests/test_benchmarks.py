"""The benchmarks can be started, and keep what they found: nobody runs all of them at every change."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, which writes elsewhere."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which they change for themselves
    import report

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    report.PAGE.write_text("<!-- figures: goals -->\n<!-- end -->\n<!-- figures: bulk -->\n<!-- end -->\n")
    return report


def test_every_script_of_make_bench_tells_what_it_does(report: ModuleType) -> None:
    running = {
        name: subprocess.Popen(
            [sys.executable, BENCHMARKS / f"{name}.py", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for name in [*report.ORDER, "everything"]
    }
    for name, process in running.items():
        said = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0 and said.startswith("usage:"), f"{name}: {said}"


def measure(report: ModuleType, row: str, seconds: str, met: bool) -> int:
    one = report.Report("bulk", argparse.Namespace(write=True, quick=False), ["A", "B"])
    one.row = row
    one.table(f"Dataset {row}", ["seconds"], [[seconds]])
    one.goal(f"dataset {row}", "fast", seconds, met)
    return int(one.end())


def test_a_row_that_is_measured_again_leaves_the_others_on_the_page(report: ModuleType) -> None:
    assert measure(report, "B", "2 s", True) == 0
    assert measure(report, "A", "9 s", False) == 1
    assert measure(report, "A", "1 s", True) == 0
    page = report.PAGE.read_text()
    assert page.index("Dataset A") < page.index("Dataset B")
    assert "| dataset A | fast | 1 s | reached |\n| dataset B | fast | 2 s | reached |" in page
    assert "9 s" not in page


def test_what_was_measured_in_part_is_neither_judged_nor_written(report: ModuleType) -> None:
    options = report.options("").parse_args(["--scale", "0.1", "--write"])
    with pytest.raises(SystemExit, match="--scale"):
        report.Report("bulk", options)
    options.write = False
    one = report.Report("bulk", options)
    one.goal("a hundredth", "fast", "9 s", False)
    assert one.end() == 0
