"""Cuts off the part of a ragged last chunk file beyond the image, which the overlay would draw in full.

In 3D napari has clipping planes for that. In 2D it has none for pictures, so a filter of vispy is put on the picture
itself. That is reached through the listeners of the layer's events: in a napari that has it elsewhere, nothing is cut
off, and everything else works.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softcopy_napari.plugin.viewer.geometry import Geometry

_LARGEST = 4096
"""Chunk files along a picture; a larger one may be drawn in another resolution, for want of graphics memory."""


class EdgeClip:
    """Keeps one layer within the image's edges.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : napari.layers.Labels
        The overlay.
    """

    def __init__(self, viewer: Any, layer: Any) -> None:
        self._viewer = viewer
        self._layer = layer
        self._picture: Any = None
        self._filter: Any = None

    def update(self, geometry: Geometry) -> None:
        """Cut at the edges of the image, in the displayed dimensions."""
        missing = self._viewer.dims.ndim - self._layer.ndim
        displayed = [axis - missing for axis in self._viewer.dims.displayed]
        if min(displayed) < 0:
            return
        ragged = [(n, axis) for n, axis in enumerate(displayed) if geometry.shape[axis] % geometry.chunk[axis]]
        if len(displayed) == 3:
            self._cut_volume(geometry, ragged)
        else:
            self._cut_picture(geometry, displayed, ragged)

    def _cut_volume(self, geometry: Geometry, ragged: list[tuple[int, int]]) -> None:
        # Measured with napari 0.9.2: the planes are not in data coordinates, as the documentation says, but in those
        # of the scene, counted from the corner of the first voxel, which stands where its centre should.
        length = np.asarray(geometry.grid_scale) * (np.asarray(geometry.shape) / geometry.chunk)
        edges = (np.asarray(geometry.grid_translate) + length) * self._units_of_viewer()
        planes = []
        for number, axis in ragged:
            position, normal = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
            position[number], normal[number] = float(edges[axis]), -float(np.sign(geometry.scale[axis]))
            planes.append({"position": position, "normal": normal, "enabled": True})
        self._layer.experimental_clipping_planes = planes

    def _units_of_viewer(self) -> npt.NDArray[np.float64]:
        """Return the layer's unit in units of the viewer, for each axis: another layer may be in nanometres."""
        units = getattr(self._viewer.layers, "units", None)
        if units is None:
            return np.ones(self._layer.ndim)
        pairs = zip(self._layer.units, units[-self._layer.ndim :], strict=True)
        return np.array([(1 * own).to(one).magnitude for own, one in pairs])

    def _cut_picture(self, geometry: Geometry, displayed: list[int], ragged: list[tuple[int, int]]) -> None:
        picture = self._find_picture()
        if picture is None:
            return
        if picture is not self._picture:
            from vispy.visuals.filters.clipping_planes import PlanesClipper

            self._picture, self._filter = picture, PlanesClipper(coord_system="visual")
            picture.attach(self._filter)
        planes = np.zeros((len(ragged), 2, 3), np.float32)
        for plane, (number, axis) in zip(planes, ragged, strict=True):
            along = 1 - number  # vispy has columns first
            plane[0, along], plane[1, along] = geometry.shape[axis] / geometry.chunk[axis], -1
        small = max(geometry.grid[axis] for axis in displayed) <= _LARGEST
        self._filter.clipping_planes = planes if small else None

    def _find_picture(self) -> Any:
        """Return vispy's visual of the layer in 2D; None where it is not found, or napari can clip it."""
        for callback in self._layer.events.set_data.callbacks:
            owner = callback[0]() if isinstance(callback, tuple) else None
            node = getattr(owner, "node", None)
            if hasattr(node, "attach") and not hasattr(node, "clipping_planes"):
                return node
        return None
