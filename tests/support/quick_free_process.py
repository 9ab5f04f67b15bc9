"""The process that frees a source for napari, which takes a source for quiet a moment after its last change."""

from __future__ import annotations

import sys
from pathlib import Path

from softcopy_napari.engine.freeing import free_process, source_scan

COMMAND = [sys.executable, "-m", "tests.support.quick_free_process"]

if __name__ == "__main__":
    source_scan.QUIET = 0.2
    free_process.main(Path(sys.argv[1]), Path(sys.argv[2]))
