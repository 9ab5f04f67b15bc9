"""Where the C library lies and whether it is used. worker/native.c and watch/source_events.c are built into it."""

from __future__ import annotations

import ctypes
import os

LIBRARY = os.path.join(os.path.dirname(__file__), "worker", "libsoftcopy.so")


def load_library() -> ctypes.CDLL:
    """Return the library.

    Raises
    ------
    OSError
        There is none, it is for another system, or `SOFTCOPY_NATIVE=0` leaves it aside.
    """
    if os.environ.get("SOFTCOPY_NATIVE") == "0":
        raise OSError("SOFTCOPY_NATIVE=0")
    return ctypes.CDLL(LIBRARY)
