"""The napari plugin: the only code that imports napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget as SoftcopyWidget

__all__ = ["SoftcopyWidget"]


def __getattr__(name: str) -> Any:
    # The engine's front ends that need no viewer import parts of this package without napari.
    if name != "SoftcopyWidget":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

    return SoftcopyWidget
