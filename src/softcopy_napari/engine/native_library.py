"""Where the C library lies and whether it is used. Built from all C files of the engine."""

from __future__ import annotations

import ctypes
import os

LIBRARY = os.path.join(os.path.dirname(__file__), "worker", "libsoftcopy.so")

_INTERFACE = 5
"""Goes up with every change of what the functions of the library take or give; as in copy_files.c. A checkout that was
updated may still have an older library."""


def load_library() -> ctypes.CDLL:
    """Return the library.

    Raises
    ------
    OSError
        There is none, it is for another system or of another version, or `SOFTCOPY_NATIVE=0` leaves it aside.
    """
    if os.environ.get("SOFTCOPY_NATIVE") == "0":
        raise OSError("SOFTCOPY_NATIVE=0")
    library = ctypes.CDLL(LIBRARY)
    if not hasattr(library, "softcopy_interface") or library.softcopy_interface() != _INTERFACE:
        raise OSError(f"{LIBRARY} belongs to another version of softcopy-napari: build it again")
    return library
