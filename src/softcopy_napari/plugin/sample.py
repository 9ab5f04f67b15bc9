"""The sample data "Simulated acquisition": a simulated microscope writes, and the dock copies it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from softcopy_napari.plugin.dock.open_dock import open_dock
from softcopy_napari.plugin.reader import NO_LAYERS, Layers, Paths
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition

if TYPE_CHECKING:
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

SCAN = ("--rate", "0.5", "--size", "8x512x512", "--slab", "8", "--tile", "64")
"""Options of the microscope for a stage that moves slowly enough to watch."""

_ACQUISITION = (*SCAN, "--frames", "30")
"""Options of the microscope for an acquisition of a minute."""


def get_reader(path: Paths) -> Callable[[Paths], Layers] | None:
    """Return the reader of the sample's address; None where there is no window. napari's entry point."""
    from napari import current_viewer

    return None if current_viewer() is None else open_sample


def open_sample(path: Paths) -> Layers:
    """Start the microscope, and copy what it writes from the dock of the current viewer."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        simulate(open_dock(viewer), *_ACQUISITION)
    return NO_LAYERS


def simulate(widget: SoftcopyWidget, *arguments: str) -> TemporaryAcquisition:
    """Start a microscope, and copy what it writes from a dock; both end with the dock or with this process.

    Parameters
    ----------
    widget : SoftcopyWidget
    *arguments : str
        Options of the microscope, as on its command line.
    """
    simulation = TemporaryAcquisition(*arguments)
    widget.destroyed.connect(lambda: simulation.end())  # a bound method would not keep the acquisition alive
    key = widget.add_target(simulation.source, simulation.destination)
    widget.start([key] if key is not None else [])
    return simulation
