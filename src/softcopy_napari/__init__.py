"""softcopy-napari copies a zarr acquisition while it is written, and shows which chunks have arrived.

Public names are loaded when first used: copy workers import this package and must stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softcopy_napari.acquisition import Following as Following
    from softcopy_napari.acquisition import follow as follow
    from softcopy_napari.engine.client import Copy as Copy
    from softcopy_napari.engine.client import EngineGone as EngineGone
    from softcopy_napari.engine.client import check as check
    from softcopy_napari.engine.client import start as start
    from softcopy_napari.engine.errors import TargetsError as TargetsError
    from softcopy_napari.engine.freeing.free_source import free as free
    from softcopy_napari.engine.freeing.refusal import FreeRefused as FreeRefused
    from softcopy_napari.engine.freeing.undo import undo_free as undo_free
    from softcopy_napari.engine.states import ChunkState as ChunkState
    from softcopy_napari.engine.states import TargetState as TargetState

__version__ = "0.1.0"

_HOMES = {
    "ChunkState": "softcopy_napari.engine.states",
    "TargetState": "softcopy_napari.engine.states",
    "Copy": "softcopy_napari.engine.client",
    "EngineGone": "softcopy_napari.engine.client",
    "FreeRefused": "softcopy_napari.engine.freeing.refusal",
    "TargetsError": "softcopy_napari.engine.errors",
    "Following": "softcopy_napari.acquisition",
    "check": "softcopy_napari.engine.client",
    "follow": "softcopy_napari.acquisition",
    "free": "softcopy_napari.engine.freeing.free_source",
    "start": "softcopy_napari.engine.client",
    "undo_free": "softcopy_napari.engine.freeing.undo",
}

__all__ = [
    "ChunkState",
    "Copy",
    "EngineGone",
    "Following",
    "FreeRefused",
    "TargetState",
    "TargetsError",
    "__version__",
    "check",
    "follow",
    "free",
    "start",
    "undo_free",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
