"""Outlines of chunk files, as a Vectors layer: rectangles in 2D, the edges of boxes in 3D, which hide nothing.

Used by coverage_layer.py on the main thread. The layer is there while something is outlined.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari import layers

from softcopy_napari.plugin.viewer.geometry import Geometry
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget
from softcopy_napari.widgets.palette import Rgb

EDGES_NAME = "softcopy outlines"
_MOST = {2: 1000, 3: 250}
"""Outlines at most, by the number of displayed axes; of more chunk files, neighbours get one together."""
_WIDTH = 0.02
"""Width of a line, as a part of a chunk file."""

Marks = npt.NDArray[np.uint8]
"""For each chunk file in the picture 0, or the number of its colour, from 1; a greater one wins among neighbours."""


class Vectors(layers.Vectors):
    """The layer; named like its base because napari chooses icons and menus by the name of the class."""

    def __init__(self, geometry: Geometry, **kwargs: Any) -> None:
        self.geometry = geometry
        super().__init__(**kwargs)

    @functools.cached_property
    def extent(self) -> Any:
        """The extent of the image in the world: outlines give sliders no other steps."""
        return super().extent._replace(world=self.geometry.world, step=np.abs(self.geometry.scale))


class ChunkEdges:
    """Outlines chunk files in the picture.

    Parameters
    ----------
    viewer : napari.Viewer
    budget : RedrawBudget
        Measures what drawing costs.
    """

    def __init__(self, viewer: Any, budget: RedrawBudget) -> None:
        self._viewer = viewer
        self._budget = budget
        self._layer: Vectors | None = None
        self._drawn: tuple[Any, ...] | None = None

    @property
    def layer(self) -> Any:
        """The layer; None while there is none."""
        return self._layer

    def show(
        self, marks: Marks, shown: tuple[int | slice, ...], colours: Sequence[Rgb], geometry: Geometry, below: Any
    ) -> None:
        """Outline chunk files.

        Parameters
        ----------
        marks : ndarray of uint8
            As `Marks` says; has the displayed axes.
        shown : tuple
            The index of the picture in the chunk grid: a number, or a slice for a displayed axis.
        colours : sequence of tuple
        geometry : Geometry
        below : napari layer
            The layer that it is put above.
        """
        key = (marks.tobytes(), marks.shape, shown_key(shown), tuple(colours), geometry)
        if key == self._drawn:
            return
        self._drawn = key
        with self._budget.measured():
            self._draw(marks, shown, colours, geometry, below)

    def _draw(
        self, marks: Marks, shown: tuple[int | slice, ...], colours: Sequence[Rgb], geometry: Geometry, below: Any
    ) -> None:
        lines, kinds, width = outline(marks, shown, geometry)
        rgba = np.array([(*colour, 255) for colour in colours], float)[kinds - 1] / 255
        if self._layer is None:
            if len(lines):
                self._add(lines, rgba, width, geometry, below)
            return
        if geometry != self._layer.geometry:
            self._layer.geometry = geometry
            self._layer.scale, self._layer.translate = geometry.grid_scale, geometry.grid_translate
            self._layer.units = geometry.units
        self._layer.data = lines
        if len(lines):
            self._layer.edge_color = rgba
            if self._layer.edge_width != width:
                self._layer.edge_width = width

    def forget(self, layer: Any) -> None:
        """Note that the user has removed the layer; it comes back when something else is outlined."""
        if layer is self._layer:
            self._layer = None

    def remove(self) -> None:
        """Remove the layer."""
        layer, self._layer, self._drawn = self._layer, None, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _add(
        self, lines: npt.NDArray[Any], rgba: npt.NDArray[Any], width: float, geometry: Geometry, below: Any
    ) -> None:
        viewer = self._viewer
        self._layer = Vectors(
            geometry,
            data=lines,
            name=EDGES_NAME,
            edge_color=rgba,
            edge_width=width,
            vector_style="line",
            opacity=0.9,
            blending="translucent_no_depth",
            scale=geometry.grid_scale,
            translate=geometry.grid_translate,
            axis_labels=geometry.axis_labels,
            units=geometry.units,
        )
        selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
        at = viewer.layers.index(below) + 1 if below in viewer.layers else len(viewer.layers)
        viewer.layers.insert(at, self._layer)
        if selected:
            viewer.layers.selection = selected


def shown_key(shown: tuple[int | slice, ...]) -> tuple[int | None, ...]:
    """Return an index as something that can be compared."""
    return tuple(None if isinstance(one, slice) else one for one in shown)


def outline(
    marks: Marks, shown: tuple[int | slice, ...], geometry: Geometry
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], float]:
    """Return lines around marked chunk files, in coordinates of the chunk grid, the mark of each, and their width.

    Returns
    -------
    lines : ndarray of float32, shape (lines, 2, dimensions)
        Starting points and directions.
    kinds : ndarray of int, shape (lines,)
    width : float
    """
    displayed = [axis for axis, one in enumerate(shown) if isinstance(one, slice)]
    coarse, factor = _coarsen(marks, _MOST[3 if len(displayed) == 3 else 2])
    boxes = np.argwhere(coarse)
    kinds = coarse[tuple(boxes.T)].astype(np.intp)
    end = np.asarray(geometry.grid_end)[displayed]
    low = boxes * factor - 0.5
    high = np.minimum(low + factor, end)
    corner = np.array([0.0 if isinstance(one, slice) else one for one in shown], np.float32)
    lines = []
    for along in range(len(displayed)):
        for sides in itertools.product((0, 1), repeat=len(displayed) - 1):
            at = [*sides[:along], 0, *sides[along:]]
            start = np.tile(corner, (len(boxes), 1))
            start[:, displayed] = np.where(at, high, low)
            step = np.zeros_like(start)
            step[:, displayed[along]] = (high - low)[:, along]
            lines.append(np.stack([start, step], axis=1))
    count = len(lines)
    return np.concatenate(lines).astype(np.float32), np.tile(kinds, count), _WIDTH * factor


def _coarsen(marks: Marks, most: int) -> tuple[Marks, int]:
    """Join neighbours until there are few enough; return the marks, and how many chunk files make one of them."""
    factor = 1
    while np.count_nonzero(marks) > most:
        marks = np.pad(marks, [(0, n % 2) for n in marks.shape])
        for axis in range(marks.ndim):
            first, second = (marks[(slice(None),) * axis + (slice(start, None, 2),)] for start in (0, 1))
            marks = np.maximum(first, second)
        factor *= 2
    return marks, factor
