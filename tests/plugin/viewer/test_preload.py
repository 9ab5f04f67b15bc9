"""The main thread must have nothing left to import when the first overlay is shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FIRST_LAYERS = """
import sys
import numpy as np
from softcopy_napari.plugin.viewer.preload import preload

thread = preload()
assert preload() is thread
thread.join()
before = set(sys.modules)
from napari.layers import Image, Labels
Labels(np.zeros((2, 2), np.uint8))
Image(np.zeros((2, 2), np.uint8))
import tensorstore
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


@pytest.mark.either_binding
def test_nothing_is_left_to_be_imported_when_the_first_layers_are_made() -> None:
    done = subprocess.run([sys.executable, "-c", _FIRST_LAYERS], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
