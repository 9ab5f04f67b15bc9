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


_UNITS_MEANWHILE = """
import sys
sys.setswitchinterval(1e-6)
import pint
from softcopy_napari.plugin.viewer.preload import preload

units = pint.get_application_registry()
lazy = units.get()
thread = preload()
while thread.is_alive() and units.get() is lazy:
    assert type(lazy) is pint.LazyRegistry, "it is loaded where others see it"
assert str(units.pixel) == "pixel"
thread.join()
"""


@pytest.mark.either_binding
def test_units_are_never_half_loaded_for_others() -> None:
    done = subprocess.run([sys.executable, "-c", _UNITS_MEANWHILE], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
