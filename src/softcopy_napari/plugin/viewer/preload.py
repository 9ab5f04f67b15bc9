"""Imports in a thread what napari imports for its first layers, as the window would hang for seconds."""

from __future__ import annotations

import contextlib
import threading
from functools import cache
from typing import Any

from softcopy_napari.plugin.viewer.zarr_reader import load_library


@cache
def preload() -> threading.Thread:
    """Start the thread, once per process. Most imports are pandas and scikit-image, which Labels need."""
    # A daemon, without the name of our threads: nobody waits for it.
    thread = threading.Thread(target=_make_layers, name="preload", daemon=True)
    thread.start()
    return thread


def _make_layers() -> None:
    with contextlib.suppress(Exception):  # errors are reported when the modules are needed
        _load_units()
        import numpy as np
        from napari.layers import Image, Labels, Vectors

        Labels(np.zeros((2, 2), np.uint8))
        Vectors(np.zeros((1, 2, 2)))
        Image(np.zeros((2, 2), np.uint8))
        load_library()


def _load_units() -> None:
    """Load pint's units, which napari's layers use, and have them all there at once.

    pint loads them at their first use, for half a second in which other threads find no "pixel": napari's layers, made
    on the main thread meanwhile, would fail.
    """
    import pint
    from pint.registry import LazyRegistry

    units = pint.get_application_registry()  # type: ignore[no-untyped-call]
    if type(units.get()) is LazyRegistry:
        loaded: pint.UnitRegistry[Any] = pint.UnitRegistry()
        if type(units.get()) is LazyRegistry:
            pint.set_application_registry(loaded)  # type: ignore[no-untyped-call]
