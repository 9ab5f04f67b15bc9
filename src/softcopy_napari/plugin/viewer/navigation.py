"""Moves the viewer's sliders and camera to chunk files, and along with the newest plane that has arrived.

Used by target_layers.py on the main thread; threads look for the newest plane, as ten million cells take long.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from softcopy_napari.engine.inventory.ledger import open_ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.geometry import Geometry, Lengths

_SMALL, _LARGE = 24.0, 400.0
"""Screen pixels that a chunk file should have, at least and at most, when the viewer jumps to it."""
_INTERVAL = 0.5
"""Seconds between two looks for the newest plane at least."""
_BLOCK = 1 << 22


def jump_to_cell(viewer: Any, geometry: Geometry, cell: Lengths) -> None:
    """Bring a chunk file into view."""
    dims = viewer.dims
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 has moved it
    centre, size = geometry.centre(cell), geometry.size(cell)
    missing = dims.ndim - len(centre)
    displayed = [axis - missing for axis in dims.displayed]  # below 0: an axis of a layer with more of them
    for axis in range(len(centre)):
        if axis not in displayed:
            dims.set_point(axis + missing, float(centre[axis]))
    here = camera.center[-len(displayed) :]
    place = [float(centre[axis]) if axis >= 0 else at for axis, at in zip(displayed, here, strict=True)]
    camera.center = (*(0.0,) * (3 - len(place)), *place)
    longest = max((size[axis] for axis in displayed if axis >= 0), default=0.0) * camera.zoom
    if longest:
        camera.zoom *= np.clip(longest, _SMALL, _LARGE) / longest


def move_slider(viewer: Any, geometry: Geometry, axis: int, position: int) -> None:
    """Move the slider of one of an array's axes to a position, counted in chunk files."""
    at = axis + geometry.padding
    cell = tuple(position if one == at else 0 for one in range(len(geometry.grid)))
    viewer.dims.set_point(at + viewer.dims.ndim - len(cell), float(geometry.centre(cell)[at]))


class NewestFollower(QObject):
    """Keeps the sliders at the newest plane that has arrived, until the user moves one.

    The newest plane is that of the last chunk file, in the order of acquisition, that is at the destination. Within
    this chunk file sliders stay where they are, and so do those of displayed axes and of channels.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    changed = Signal(bool)
    """Whether it follows; sent when that has changed, also by the user's moving a slider."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._on = False
        self._own = 0
        """Changes of sliders that are under way and are not the user's."""
        self._point: tuple[float, ...] = ()
        self._displayed: tuple[int, ...] = ()
        self._queue = MainThreadQueue()
        self._searching = False
        self._next_search = 0.0
        self._searched: object = None
        viewer.dims.events.point.connect(self._on_point)

    @property
    def on(self) -> bool:
        """Whether it follows."""
        return self._on

    @on.setter
    def on(self, wanted: bool) -> None:
        if wanted == self._on:
            return
        self._on, self._searched, self._next_search = wanted, None, 0.0
        self._note_point()
        self.changed.emit(wanted)

    @contextlib.contextmanager
    def own_moves(self) -> Iterator[None]:
        """Take no move of a slider within this context for the user's."""
        self._own += 1
        try:
            yield
        finally:
            self._own -= 1
            self._note_point()

    def find_newest_plane(self, array: ArraySnapshot, geometry: Geometry, time_axis: int) -> None:
        """Look for the newest plane, if something has arrived since the last time."""
        now = time.perf_counter()
        seen = (array.ledger, array.counts, geometry, tuple(self._viewer.dims.displayed))
        if not self._on or self._searching or now < self._next_search or seen == self._searched:
            return
        self._searching, self._next_search, self._searched = True, now + _INTERVAL, seen
        self._queue.fetch(partial(newest_cell, array.ledger, time_axis), partial(self._found, geometry))

    def forget(self) -> None:
        """Note that another array is shown: what is being looked for is of no use any more."""
        self._queue.close()
        self._queue = MainThreadQueue()
        self._searching, self._searched = False, None

    def close(self) -> None:
        """Follow no more, for good."""
        self._viewer.dims.events.point.disconnect(self._on_point)
        self._queue.close()
        self._on = False

    def _found(self, geometry: Geometry, cell: Lengths | None) -> None:
        self._searching = False
        if cell is None or not self._on:
            return
        dims = self._viewer.dims
        cell = (0,) * geometry.padding + cell
        missing = dims.ndim - len(cell)
        axes, values = [], []
        for axis, at in enumerate(cell):
            if axis + missing in dims.displayed or axis == geometry.channel_axis:
                continue
            place = _nearest_within(geometry, axis, at, dims.point[axis + missing])
            if place is not None:
                axes.append(axis + missing)
                values.append(place)
        if axes:
            with self.own_moves():
                dims.set_point(axes, values)

    def _note_point(self) -> None:
        self._point, self._displayed = tuple(self._viewer.dims.point), tuple(self._viewer.dims.displayed)

    def _on_point(self, event: Any = None) -> None:
        dims, before, displayed = self._viewer.dims, self._point, self._displayed
        self._note_point()
        # napari itself moves the slider that comes back when 3D is left.
        if not self._on or self._own or displayed != self._displayed:
            return
        for number in range(1, min(len(before), dims.ndim) + 1):  # from the last axis on, as napari aligns them
            start, stop, _ = dims.range[-number]
            kept = min(max(before[-number], start), stop)
            if dims.ndim - number not in dims.displayed and not math.isclose(dims.point[-number], kept, abs_tol=1e-9):
                self.on = False
                return


def _nearest_within(geometry: Geometry, axis: int, at: int, point: float) -> float | None:
    """Return the world coordinate within a chunk file that is nearest to a point; None where that is within it."""
    chunk, scale, origin = geometry.chunk[axis], geometry.scale[axis], geometry.translate[axis]
    first = math.ceil(at * chunk)
    last = max(first, min(math.ceil((at + 1) * chunk), geometry.shape[axis]) - 1)
    here = round((point - origin) / scale)
    nearest = min(max(here, first), last)
    return None if nearest == here else origin + scale * nearest


def newest_cell(ledger: str, time_axis: int) -> Lengths | None:
    """Return the last chunk file that has arrived, in the order of acquisition: by time, then by the other axes.

    Returns
    -------
    tuple of int or None
        None where none has, or the ledger is gone.
    """
    try:
        states = open_ledger(ledger)
    except (OSError, ValueError):
        return None
    if not states.size:
        return None
    if not states.ndim:
        return () if states[()] in (ChunkState.COPIED, ChunkState.VERIFIED) else None
    ordered = np.moveaxis(states, time_axis, 0)
    rows = max(1, _BLOCK // max(1, math.prod(ordered.shape[1:])))
    for stop in range(len(ordered), 0, -rows):
        start = max(0, stop - rows)
        block = ordered[start:stop]
        arrived = ((block == ChunkState.COPIED) | (block == ChunkState.VERIFIED)).reshape(-1)
        last = len(arrived) - 1 - int(arrived[::-1].argmax())
        if arrived[last]:
            found = [int(one) for one in np.unravel_index(last, block.shape)]
            found[0] += start
            found.insert(time_axis, found.pop(0))
            return tuple(found)
    return None
