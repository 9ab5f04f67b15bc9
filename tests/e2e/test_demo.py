"""The demonstration ends by itself, says that both sides are equal, and notices when its microscope fails."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command import environment


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from softcopy_napari.demo import run_demo; sys.exit(run_demo({list(arguments)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment())


def test_the_demo_copies_a_simulated_acquisition_and_finds_both_sides_equal() -> None:
    done = _demo("--frames", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete: a file named 'complete' says that the acquisition is finished" in done.stdout
    assert "files are equal" in done.stdout


def test_the_demo_ends_when_its_microscope_fails() -> None:
    done = _demo("--no-such-option")
    assert done.returncode == 1
    assert "softcopy: the simulated microscope failed" in done.stderr
    assert "Traceback" not in done.stderr
