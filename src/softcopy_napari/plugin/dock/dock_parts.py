"""The parts that a dock widget joins, for those of its helpers that act on several of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor
from softcopy_napari.plugin.dock.target_list import TargetList
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.panel import Panel


@dataclass(frozen=True, slots=True)
class DockParts:
    """Holds the parts of one dock widget."""

    panel: Panel
    monitor: EngineMonitor
    queue: MainThreadQueue
    targets: TargetList
    settings: Callable[[], Settings]
    """Returns the settings of targets that have none of their own."""
    show_rows: Callable[[], object]
    """Shows the present list."""
