"""Imports in a thread what napari imports when it makes its first layers: the window would hang for seconds."""

from __future__ import annotations

import contextlib
import threading
from functools import cache


@cache
def preload() -> threading.Thread:
    """Begin, once a process. Most of it is pandas and scikit-image, which napari needs for Labels."""
    # No name of ours, and a daemon: nobody waits for it.
    thread = threading.Thread(target=_make_layers, name="preload", daemon=True)
    thread.start()
    return thread


def _make_layers() -> None:
    with contextlib.suppress(Exception):  # whatever it is will be said when it is needed
        import numpy as np
        from napari.layers import Image, Labels

        Labels(np.zeros((2, 2), np.uint8))
        Image(np.zeros((2, 2), np.uint8))
        import tensorstore  # noqa: F401
