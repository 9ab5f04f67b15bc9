"""The benchmarks can be started: nobody runs all of them at every change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_every_script_of_make_bench_tells_what_it_does() -> None:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from report import ORDER
    finally:
        sys.path.remove(str(BENCHMARKS))
    running = {
        name: subprocess.Popen(
            [sys.executable, BENCHMARKS / f"{name}.py", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for name in [*ORDER, "everything"]
    }
    for name, process in running.items():
        said = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0 and said.startswith("usage:"), f"{name}: {said}"
