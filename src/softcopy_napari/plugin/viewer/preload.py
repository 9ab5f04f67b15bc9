"""Imports in a thread what napari imports for its first layers, as the window would hang for seconds."""

from __future__ import annotations

import contextlib
import threading
from functools import cache


@cache
def preload() -> threading.Thread:
    """Start the thread, once per process. Most imports are pandas and scikit-image, which Labels need."""
    # A daemon, without the name of our threads: nobody waits for it.
    thread = threading.Thread(target=_make_layers, name="preload", daemon=True)
    thread.start()
    return thread


def _make_layers() -> None:
    with contextlib.suppress(Exception):  # errors are reported when the modules are needed
        import numpy as np
        from napari.layers import Image, Labels

        Labels(np.zeros((2, 2), np.uint8))
        Image(np.zeros((2, 2), np.uint8))
        import tensorstore  # noqa: F401
