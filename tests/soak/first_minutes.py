"""What a new user does first, run by the Python of a fresh environment: opens the sample, and copies a dataset.

`python first_minutes.py FOLDER` prints JSON: what napari notified of, and the seconds until the sample was seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from softcopy_napari.engine.client import engines

_WAIT = 60.0
_NOISE = 100
"""Grey value of the microscope's background: what is brighter has been read from a file."""


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Handle events until a condition is true."""
    deadline = time.monotonic() + _WAIT
    while not condition():
        assert time.monotonic() < deadline, what
        QApplication.processEvents()
        time.sleep(0.01)


def is_shown(viewer: Any) -> bool:
    """Whether there are an overlay, and pixels of an image."""
    images = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Image)]
    overlays = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Labels)]
    return bool(overlays) and any(layer._data_view.max() > _NOISE for layer in images)


def main(folder: Path) -> None:
    """Do it."""
    began = time.monotonic()
    viewer = napari.Viewer()
    viewer.open_sample("softcopy-napari", "simulated_acquisition")
    wait_for("the sample", lambda: is_shown(viewer))
    seconds = time.monotonic() - began
    viewer.close()

    source, destination = folder / "embryo.zarr", folder / "copy.zarr"
    microscope = [sys.executable, "-m", "softcopy_napari.simulation.microscope", str(source)]
    subprocess.run([*microscope, "--frames", "3", "--rate", "0", "--size", "4x64x64"], check=True)
    viewer = napari.Viewer()
    _, widget = viewer.window.add_plugin_dock_widget("softcopy-napari", "Softcopy")
    widget.add_target(source, destination)
    widget.start()
    wait_for("the first copy", lambda: is_shown(viewer))
    wait_for("its receipt", lambda: any(folder.glob("copy.zarr*.xxh128")))
    widget.stop()  # its source would be watched on for a day
    wait_for("the end", lambda: not engines())
    viewer.close()
    said = [f"{one.severity}: {one.message}" for one in notification_manager.records]
    print(json.dumps({"said": said, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
