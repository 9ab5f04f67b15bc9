"""Fills the coverage part of the panel: the shown array of the selected target, its counts, wells and plot."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer

from softcopy_napari.engine.inventory.ledger import open_ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.dock.plate_wells import array_order, first_array, wells
from softcopy_napari.plugin.dock.view_memory import remember_view, view_memory
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.coverage_view import CoverageView
from softcopy_napari.widgets.overlay_modes import OverlayMode

_PLOT_INTERVAL = 1_000
"""Milliseconds between two looks for changes in the plot."""
Counts = npt.NDArray[np.int64]


class CoveragePanel:
    """Keeps the coverage part of the panel and the layers up to date with the selected target.

    Parameters
    ----------
    view : CoverageView
    layers : TargetLayers
    queue : MainThreadQueue
        Counts ledgers in threads: that takes longer than a redraw may.
    """

    def __init__(self, view: CoverageView, layers: TargetLayers, queue: MainThreadQueue) -> None:
        self._view = view
        self._layers = layers
        self._queue = queue
        self._target: TargetSnapshot | None = None
        self._array = ""
        self._paths: list[str] = []
        """Paths of the arrays, in the order in which they are offered."""
        self._chosen_array: str | None = None
        """Path of the array that the user has chosen, if any."""
        self._image = "destination"
        self._chosen_axis = ""
        """Name of the axis that the user has chosen for the plot, if any."""
        self._plotted: tuple[str, int, tuple[int, ...]] | None = None
        """Ledger, axis and counts that the plot shows."""
        self._plotting = False
        self._timer = QTimer()
        self._timer.setInterval(_PLOT_INTERVAL)
        self._timer.timeout.connect(self._plot)
        self._timer.start()
        view.array_chosen.connect(self._choose)
        view.well_clicked.connect(self._open_well)
        view.state_clicked.connect(lambda state: layers.jump_to(ChunkState(state)))
        view.axis_changed.connect(self._choose_axis)
        view.position_clicked.connect(self._go_to)
        view.image_chosen.connect(self.show_image)
        view.overlay_chosen.connect(self._choose_overlay)
        view.follow_toggled.connect(self._choose_follow)
        layers.follow_changed.connect(partial(setattr, view, "follow"))  # the user has moved a slider
        view.overlay, view.follow = view_memory().overlay, view_memory().follow
        layers.overlay_mode, layers.follow_newest = OverlayMode(view.overlay), view.follow

    def show_target(self, target: TargetSnapshot | None) -> None:
        """Show the selected target; None where none is selected, or it has not been started."""
        before, self._target = self._target, target
        if target is None:
            if before is not None:
                self._layers.show(None, None, self._image)
            self._view.set_arrays([], "")
            self._view.set_counts((0,) * len(ChunkState))
            self._view.set_wells({})
            return
        another = before is None or (before.source, before.destination) != (target.source, target.destination)
        paths = [array.path for array in target.arrays]
        if another:
            self._chosen_array = None
        # While arrays appear, the one to show first may not be the first to appear.
        chosen = self._chosen_array if self._chosen_array in paths else first_array(paths)
        if another or chosen != self._array or (before is not None and not before.arrays):
            self._array = chosen
            self._layers.show(target, chosen if paths else None, self._image)
        else:
            self._layers.update(target)
        if paths or another:
            if set(paths) != set(self._paths):  # a plate has thousands
                self._paths = sorted(paths, key=array_order)
            self._view.set_arrays(self._paths, self._array)
        array = self._snapshot()
        self._view.set_counts(array.counts if array is not None else target.counts, target.compares_only)
        self._view.set_wells(wells(target.arrays))

    def update_layers(self, target: TargetSnapshot | None) -> None:
        """Give the layers a newer snapshot, as an array may have grown; the numbers wait for `show_target`."""
        if target is not None:
            self._layers.update(target)

    def close(self) -> None:
        """Stop updating."""
        self._timer.stop()

    def show_image(self, choice: str) -> None:
        """Show the data of the destination, of the source, or none."""
        self._image = choice
        if self._target is not None and self._target.arrays:
            self._layers.show(self._target, self._array, choice)

    def show_again(self) -> None:
        """Bring back the layers of the selected target that the user has removed."""
        if self._target is not None and self._target.arrays:
            self._layers.show(self._target, self._array, self._image)

    def _choose_overlay(self, mode: str) -> None:
        remember_view(overlay=mode)
        self._layers.overlay_mode = OverlayMode(mode)

    def _choose_follow(self, on: bool) -> None:
        remember_view(follow=on)
        self._layers.follow_newest = on

    # -- the chosen array ------------------------------------------------------------------------------------

    def _snapshot(self) -> ArraySnapshot | None:
        arrays = self._target.arrays if self._target is not None else ()
        return next((array for array in arrays if array.path == self._array), None)

    def _choose(self, path: str) -> None:
        if self._target is None or path == self._array:
            return
        self._array = self._chosen_array = path
        self._layers.show(self._target, path, self._image)
        self.show_target(self._target)
        self._plot()

    def _open_well(self, well: str) -> None:
        """Show the first field of a well."""
        if self._target is not None:
            inside = [array.path for array in self._target.arrays if array.path.startswith(well + "/")]
            if inside:
                self._choose(first_array(inside))

    # -- the plot --------------------------------------------------------------------------------------------

    def _axes(self, array: ArraySnapshot) -> tuple[list[str], int]:
        """Return the names of the axes and the index of the plotted one: the user's choice, or time."""
        names, unnamed = list(self._layers.axis_names), [f"axis {number}" for number in range(len(array.grid))]
        axes = names if len(names) == len(unnamed) else unnamed
        for known in (axes, unnamed):  # the user may have chosen before the names were read
            if self._chosen_axis in known:
                return axes, known.index(self._chosen_axis)
        return axes, self._layers.time_axis if self._layers.time_axis < len(axes) else 0

    def _choose_axis(self, axis: str) -> None:
        self._chosen_axis = axis
        self._plot()

    def _plot(self) -> None:
        """Draw the plot, if anything in it has changed; a thread counts, as ten million cells take long."""
        array = self._snapshot()
        if array is None or not array.grid or self._plotting:
            return
        axes, axis = self._axes(array)
        self._view.set_axes(axes, axes[axis])
        now = (array.ledger, axis, array.counts)
        if now != self._plotted:
            self._plotted, self._plotting = now, True
            self._queue.fetch(partial(coverage_along, array.ledger, axis), self._show_plot)

    def _show_plot(self, counts: tuple[Counts, Counts, Counts] | None) -> None:
        self._plotting = False
        if counts is not None:
            self._view.set_coverage(*counts)

    def _go_to(self, position: int) -> None:
        array = self._snapshot()
        if array is not None and array.grid:
            self._layers.go_to(self._axes(array)[1], position)


def coverage_along(ledger: str, axis: int) -> tuple[Counts, Counts, Counts] | None:
    """Count the chunk files copied, still to be copied, and not there, at each position along an axis of the grid.

    Parameters
    ----------
    ledger : str
        Path of the ledger.
    axis : int

    Returns
    -------
    tuple of numpy.ndarray of int64, shape (grid[axis],), or None
        None where the ledger is gone, with its engine or by a resize.
    """
    try:
        states = open_ledger(ledger)
    except (OSError, ValueError):
        return None
    if axis >= states.ndim:
        return None
    others = tuple(number for number in range(states.ndim) if number != axis)
    copied = ((states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)).sum(axis=others, dtype=np.int64)
    missing = (states == ChunkState.ABSENT).sum(axis=others, dtype=np.int64)
    total = states.size // max(1, states.shape[axis])
    return copied, total - copied - missing, missing
