"""What a file system can do is found out with small files, of which none is left, whenever the worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.capabilities import detect_capabilities, leftovers_of
from softcopy_napari.engine.fs.root_folder import RootFolder

TEMPORARY = ".softcopy-0a1b2c3d-1.tmp"
DIES = """
import os, signal, sys
from softcopy_napari.engine.fs.capabilities import detect_capabilities
from softcopy_napari.engine.fs.root_folder import RootFolder
steps = int(sys.argv[2])
class Dying(RootFolder):
    def __getattribute__(self, name):
        global steps
        if name in ("open_file", "set_times", "stat", "replace", "discard", "unlink"):
            if steps == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            steps -= 1
        return super().__getattribute__(name)
place = Dying(sys.argv[1])
place.open()
detect_capabilities(place, sys.argv[3])
"""


def test_what_a_file_system_can_do_is_tried_out_without_a_trace(tmp_path: Path) -> None:
    place = RootFolder(str(tmp_path))
    place.open()
    assert detect_capabilities(place, ".softcopy-0a1b2c3d-1.tmp").keeps_times
    place.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_what_a_killed_worker_leaves_of_it_is_known_by_name(tmp_path: Path) -> None:
    left = set()
    for step in range(100):
        done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), str(step), TEMPORARY])
        here = {path.name for path in tmp_path.iterdir()}
        assert here <= set(leftovers_of(TEMPORARY))
        left |= here
        for name in here:
            (tmp_path / name).unlink()
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert step > 5 and len(left) == 2
