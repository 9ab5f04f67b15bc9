"""The geometry of an array and its chunk grid in the viewer, which image and overlay share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softcopy_napari.engine.protocol.messages import ArraySnapshot
from softcopy_napari.plugin.viewer.ome_placement import Placement

Lengths = tuple[int, ...]
Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The geometry of an array in the viewer: at least two dimensions, the same for image and overlay.

    napari aligns the dimensions of layers from the last one. So nothing may have fewer of them than the overlay,
    whose data are the ledger. Where channels are layers of their own, each of these keeps the channel axis, with a
    single step, for which napari shows no slider: all channels are seen together, and so are their chunk files
    (channels_together.py). Arrays of one dimension or none get leading ones of length 1.
    """

    shape: Lengths
    """Lengths in pixels; 1 along a channel axis."""
    chunk: Floats
    """Pixels in a chunk file; 1 along a channel axis. Chunk files of unequal shapes are all drawn as large as they are
    on average: the overlay is as large as the image, and which of them covers which pixels is not seen."""
    grid: Lengths
    """Lengths in chunk files."""
    scale: Floats
    translate: Floats
    axis_labels: tuple[str, ...] | None
    units: tuple[str, ...]
    channel_axis: int | None
    padding: int
    """Number of leading dimensions that the array itself does not have."""

    @classmethod
    def of(cls, array: ArraySnapshot, placement: Placement) -> Geometry:
        """Return the geometry of an array as its engine has last reported it."""
        padding = max(0, 2 - len(array.shape))
        shape, chunk = list(array.shape), list[float](array.chunk_shape)
        if not array.regular:
            chunk = [length / max(n, 1) for length, n in zip(array.shape, array.grid, strict=True)]
        scale, translate = list(placement.scale), list(placement.translate)
        axis = placement.channel_axis
        if axis is not None:
            translate[axis] += scale[axis] * (chunk[axis] - 1) / 2
            scale[axis] *= chunk[axis]
            shape[axis], chunk[axis] = min(1, array.grid[axis]), 1
        names = placement.axis_names
        return cls(
            shape=(1,) * padding + tuple(shape),
            chunk=(1,) * padding + tuple(chunk),
            grid=(1,) * padding + array.grid,
            scale=(1.0,) * padding + tuple(scale),
            translate=(0.0,) * padding + tuple(translate),
            axis_labels=None if names is None or padding else names,
            units=("pixel",) * padding + placement.units,
            channel_axis=axis,
            padding=padding,
        )

    @property
    def empty(self) -> bool:
        """Whether there are no pixels to show."""
        return 0 in self.shape

    @property
    def grid_scale(self) -> Floats:
        """Scale of the chunk grid."""
        return tuple(scale * chunk for scale, chunk in zip(self.scale, self.chunk, strict=True))

    @property
    def grid_translate(self) -> Floats:
        """Translation of the chunk grid: napari puts the centres of pixels on whole numbers."""
        parts = zip(self.scale, self.translate, self.chunk, strict=True)
        return tuple(translate + scale * (chunk - 1) / 2 for scale, translate, chunk in parts)

    @property
    def grid_end(self) -> Floats:
        """The far edges of the image in coordinates of the chunk grid; a ragged last chunk goes beyond them."""
        return tuple(n / chunk - 0.5 for n, chunk in zip(self.shape, self.chunk, strict=True))

    @property
    def world(self) -> np.ndarray:
        """Centres of the first and of the last pixel in the world; shape (2, dimensions), the lower end first."""
        first = np.asarray(self.translate)
        last = first + np.asarray(self.scale) * (np.asarray(self.shape) - 1)
        return np.stack([np.minimum(first, last), np.maximum(first, last)])

    @property
    def bounds(self) -> np.ndarray:
        """`world` of three axes: tells whether the picture of another array lies elsewhere."""
        world = self.world
        return world[:, -3:] if world.shape[1] >= 3 else np.pad(world, ((0, 0), (3 - world.shape[1], 0)))

    def centre(self, cell: Lengths) -> np.ndarray:
        """Return the world coordinates of the middle pixel of a chunk file."""
        start = np.asarray(cell) * self.chunk
        stop = np.minimum(start + self.chunk, self.shape)
        return np.asarray(self.translate) + np.asarray(self.scale) * ((start + stop - 1) // 2)

    def size(self, cell: Lengths) -> np.ndarray:
        """Return the lengths of a chunk file in world units."""
        start = np.asarray(cell) * self.chunk
        return np.abs(self.scale) * (np.minimum(start + self.chunk, self.shape) - start)
