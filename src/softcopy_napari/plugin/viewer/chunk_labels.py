"""The layer of the overlay: it ends with the image, and names the chunk file under the mouse.

Used by coverage_layer.py on the main thread; napari asks for names in a thread of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari import layers

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.viewer.channels_together import most_urgent
from softcopy_napari.plugin.viewer.geometry import Geometry, Lengths
from softcopy_napari.widgets.palette import chunk_name

Cells = npt.NDArray[np.uint8]
Point = npt.NDArray[np.float64]


class Labels(layers.Labels):
    """The layer; named like its base because napari chooses icons and menus by the name of the class.

    It differs from other Labels in two ways: its extent is that of the image even where the last chunk file is larger,
    so that sliders have the steps of the image; and the status bar shows the chunk file under the mouse.
    """

    def __init__(self, cells: Cells, geometry: Geometry, name_file: Callable[[Lengths], str], **kwargs: Any) -> None:
        self.geometry = geometry
        self.name_file = name_file
        self.compared = False
        """Whether two sides were only compared: then states have other names."""
        self.hidden_by_mode = False
        """Whether it is invisible because outlines take its place; then it still names chunk files."""
        super().__init__(cells, **kwargs)

    @functools.cached_property
    def extent(self) -> Any:
        """The extent of the image in the world."""
        return super().extent._replace(world=self.geometry.world, step=np.abs(self.geometry.scale))

    def get_status(self, position: npt.ArrayLike | None = None, **kwargs: Any) -> dict[str, str]:
        """Return the status bar's texts: state, index and name of the chunk file under the mouse."""
        # Not the method of Labels: it adds the features, and fails in 3D before the mouse has moved.
        status: dict[str, str] = super(layers.Labels, self).get_status(position, **kwargs)
        if words := self.describe_position(position, **kwargs):
            status["value"] = words
            status["coordinates"] = f"{status.get('coords', '')}: {words}"
        return status

    def describe_position(self, position: npt.ArrayLike | None, **kwargs: Any) -> str:
        """Return state, index and name of the chunk file at a position of `get_status`; empty where there is none."""
        # Read once: napari calls this in a thread of its own, while the array may grow.
        cells = np.asarray(self.data)
        shown = self.visible or self.hidden_by_mode
        cell = None if position is None or not shown else self.cell_at(cells, position, **kwargs)
        return "" if cell is None else self.describe(cell, int(cells[cell]))

    def describe(self, cell: Lengths, value: int) -> str:
        """Return state, index and name of a chunk file."""
        state = chunk_name(ChunkState(value), self.compared) if value in ChunkState._value2member_map_ else str(value)
        index = cell[self.geometry.padding :]
        return f"{state}, chunk file ({', '.join(map(str, index))}) {self.name_file(index)}".rstrip()

    def cell_at(
        self,
        cells: Cells,
        position: npt.ArrayLike,
        *,
        view_direction: npt.ArrayLike | None = None,
        dims_displayed: Sequence[int] | None = None,
        world: bool = False,
        **_: Any,
    ) -> Lengths | None:
        """Return the chunk file under the mouse; in 3D the first along the line of sight that is not absent."""
        place = np.asarray(position, float)
        rank = self.ndim
        here = self.world_to_data(place) if world else place[-rank:]
        displayed = [axis - (len(place) - rank) for axis in dims_displayed or ()]
        displayed = [axis for axis in displayed if axis >= 0]
        if len(displayed) == 3 and view_direction is not None:
            ahead = place + np.asarray(view_direction, float)
            direction = (self.world_to_data(ahead) if world else ahead[-rank:]) - here
            found = self._first_along(cells, here, direction, displayed)
        else:
            found = self._inside(here, self._end(cells))
        return found if found is None else self._in_channel(cells, found, displayed)

    def _in_channel(self, cells: Cells, cell: Lengths, displayed: list[int]) -> Lengths:
        """Return the cell of the channel that the picture shows at a place, where it shows all of them together."""
        axis = self.geometry.channel_axis
        if axis is None or (at := axis + self.geometry.padding) in displayed:
            return cell
        line: tuple[int | slice, ...] = (*cell[:at], slice(None), *cell[at + 1 :])
        channels = cells[line]
        return (*cell[:at], int(np.argmax(channels == most_urgent(channels, 0))), *cell[at + 1 :])

    def _end(self, cells: Cells) -> Point:
        """Return the far edges of the image in data coordinates, within these cells, which may be older."""
        return np.minimum(self.geometry.grid_end, np.asarray(cells.shape) - 0.5)

    def _inside(self, point: Point, end: Point) -> Lengths | None:
        """Return the cell at a point in data coordinates; None beyond the edges."""
        if (point < -0.5).any() or (point >= end).any():
            return None
        return tuple(np.floor(point + 0.5).astype(int).tolist())

    def _first_along(self, cells: Cells, point: Point, direction: Point, displayed: list[int]) -> Lengths | None:
        still = np.setdiff1d(np.arange(self.ndim), displayed)
        direction = direction.copy()
        direction[still] = 0
        end = self._end(cells)
        low, high = np.full(3, -0.5), end[displayed]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (np.stack([low, high]) - point[displayed]) / direction[displayed]
        near, far = np.nanmax(ends.min(axis=0)), np.nanmin(ends.max(axis=0))
        if not near < far:
            return None
        steps = int(2 * np.abs(direction).max() * (far - near)) + 2
        points = point + np.linspace(near, far, steps)[:, None] * direction
        passed = np.floor(points + 0.5).astype(int)
        passed[:, displayed] = np.clip(passed[:, displayed], 0, np.asarray(cells.shape)[displayed] - 1)
        if self._inside(np.where(np.isin(np.arange(self.ndim), displayed), 0.0, point), end) is None:
            return None
        axis = self.geometry.channel_axis
        line = [passed[:, number] for number in range(self.ndim)]
        if axis is not None and (at := axis + self.geometry.padding) not in displayed:
            line[at] = np.arange(cells.shape[at])[:, None]
        there = np.flatnonzero(np.atleast_2d(cells[tuple(line)]).any(axis=0))
        return tuple(passed[there[0]].tolist()) if len(there) else None
