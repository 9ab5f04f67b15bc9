"""The napari plugin: the only code that imports napari."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget as SoftcopyWidget

__all__ = ["SoftcopyWidget"]


_OLDEST_NAPARI = (0, 6, 2)
"""napari is not among the dependencies, for the command does without: so pip cannot hold its version."""


def require_napari() -> None:
    """Check that napari is new enough.

    Raises
    ------
    ImportError
        It is too old, or not there; the message says so, for users.
    """
    from napari import __version__ as version

    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < _OLDEST_NAPARI:
        oldest = ".".join(map(str, _OLDEST_NAPARI))
        raise ImportError(f"softcopy-napari needs napari {oldest} or newer, and this is {version}: update napari")


def __getattr__(name: str) -> Any:
    # The engine's front ends that need no viewer import parts of this package without napari.
    if name != "SoftcopyWidget":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_napari()
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

    return SoftcopyWidget
