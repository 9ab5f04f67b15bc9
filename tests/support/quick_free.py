"""The `softcopy` command, which takes a source for quiet a moment after its last change."""

from __future__ import annotations

import sys

from softcopy_napari import cli
from softcopy_napari.engine.freeing import source_scan

COMMAND = [sys.executable, "-m", "tests.support.quick_free"]

if __name__ == "__main__":
    source_scan.QUIET = 0.2
    cli.main()
