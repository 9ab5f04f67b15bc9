"""The image layers of one array that is still being written or copied; they open, grow and refresh by themselves.

Used by target_layers.py on the main thread; threads open the arrays.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari import layers
from qtpy.QtCore import QObject, Signal

from softcopy_napari.engine.inventory.ledger import open_ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.contrast import Limits, channel_colormap
from softcopy_napari.plugin.viewer.dataset_files import path_in
from softcopy_napari.plugin.viewer.geometry import Geometry
from softcopy_napari.plugin.viewer.live_array import LARGEST, LiveArray
from softcopy_napari.plugin.viewer.ome_placement import Channel, Level, Placement
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget
from softcopy_napari.plugin.viewer.zarr_reader import CannotShow, Pixels, Region, ZarrReader, open_array

_RETRY = 1.0
"""Seconds until an array that did not exist, or was still short, is opened again."""
_QUIET = 1.0
"""Seconds without a copied file after which the picture is read once more."""
_THUMBNAIL = 2.0
"""Seconds between two thumbnails."""
_LONGEST = 1 << 20
"""Pixels in a row of a picture: napari cuts it into textures, and takes minutes on the main thread for thousands."""


class FileMarks:
    """The marks of the files that pixels are read from, by the ledger of their array.

    Parameters
    ----------
    own : bool
        Whether the files are the destination's, which exist when COPIED; otherwise they are the source's, where any
        change of state may mean new pixels.
    """

    def __init__(self, own: bool) -> None:
        self._own = own
        self._array: ArraySnapshot | None = None
        self._cells: np.ndarray[Any, Any] | None = None

    @property
    def chunk(self) -> tuple[int, ...]:
        """Pixels in a chunk file."""
        return self._array.chunk_shape if self._array is not None else ()

    def update(self, array: ArraySnapshot | None) -> None:
        """Use a newer snapshot."""
        before, self._array = self._array, array
        if array is None:
            self._cells = None
        elif before is None or (before.ledger, before.grid) != (array.ledger, array.grid):
            try:
                self._cells = open_ledger(array.ledger, array.grid)
            except (OSError, ValueError):
                self._cells = None  # just replaced: the next snapshot names the new one
                self._array = before

    def marks(self, region: Region) -> Pixels | None:
        """Return a value for each chunk file of a region, as `live_array.Arrivals` describes."""
        if self._cells is None or self._array is None or len(region) != self._cells.ndim or not self._array.regular:
            return None
        index = []
        for part, chunk, n in zip(region, self._array.chunk_shape, self._array.grid, strict=True):
            stop = -(-part.stop // chunk)
            if stop > n:
                return None
            index.append(slice(part.start // chunk, stop))
        cells = self._cells[tuple(index)]
        if self._own:
            return np.asarray((cells == ChunkState.COPIED) | (cells == ChunkState.VERIFIED))
        return np.array(cells)


class Image(layers.Image):
    """An image layer that adds the chunk file under the mouse to the status bar.

    It is named like its base because napari chooses icons and menus by the name of the class.
    """

    def __init__(self, data: Any, describe: Callable[..., str], **kwargs: Any) -> None:
        self.describe = describe
        super().__init__(data, **kwargs)

    def get_status(self, position: npt.ArrayLike | None = None, **kwargs: Any) -> dict[str, str]:
        """Return the status bar's texts about the position under the mouse."""
        status: dict[str, str] = super().get_status(position, **kwargs)
        if words := self.describe(position, **kwargs):
            status["coordinates"] = f"{status.get('coordinates', '')}; {words}"
        return status


@dataclass(slots=True)
class _ChannelLayer:
    """The layer of one channel."""

    layer: Image
    number: int
    """The number of its channel, which is not its position: the user may have removed others."""
    limits: Limits
    levels: list[LiveArray]


class ImageLayers(QObject):
    """The image layers of one array: one for each channel, all its levels in each.

    Parameters
    ----------
    viewer : napari.Viewer
    root : str
        Folder of the dataset to read: the destination or the source.
    from_source : bool
        Whether `root` is the source.
    name : str
        Name of the layers.
    queue : MainThreadQueue
    describe : callable
        Describes the chunk file at a position (see `Labels.describe_position`).
    """

    problem = Signal(str)
    """Why the image cannot be shown; sent once."""
    added = Signal(object)
    """The layers, when they have been made."""

    def __init__(
        self, viewer: Any, root: str, from_source: bool, name: str, queue: MainThreadQueue, describe: Callable[..., str]
    ) -> None:
        super().__init__()
        self._shown: list[_ChannelLayer] = []
        self._viewer = viewer
        self._root = root
        self._name = name
        self._queue = queue
        self._describe = describe
        self._from_source = from_source
        self._target: TargetSnapshot | None = None
        self._array: ArraySnapshot | None = None
        self._placement: Placement | None = None
        self._marks: dict[str, FileMarks] = {}
        self._readers: dict[str, ZarrReader] = {}
        self._levels: tuple[str, ...] = ()
        self._opening = False
        self._next_opening = 0.0
        self._reported = ""
        self._budget = RedrawBudget()
        self._dirty = False
        self._thumbnail_at = 0.0
        self._files_copied = 0
        self._moved_at = 0.0
        self._read_at = 0.0
        self._closed = False

    @property
    def layers(self) -> list[Image]:
        """The layers that the user has not removed."""
        return [one.layer for one in self._shown]

    def update(self, target: TargetSnapshot, array: ArraySnapshot, placement: Placement) -> None:
        """Use a newer snapshot."""
        if target.files_copied != self._files_copied:
            self._files_copied, self._moved_at = target.files_copied, time.perf_counter()
        grown = self._array is not None and self._array.shape != array.shape
        self._target, self._array, self._placement = target, array, placement
        arrays = {one.path: one for one in target.arrays}
        for level in placement.levels:
            if level.path not in self._marks:
                self._marks[level.path] = FileMarks(not self._from_source)
            self._marks[level.path].update(arrays.get(level.path))
        if grown and self._shown:
            self._fit()

    def poll(self) -> None:
        """Open missing levels, and read what has changed; to be called a few times a second."""
        if self._closed or self._placement is None:
            return
        now = time.perf_counter()
        if not self._opening and now >= self._next_opening and self._incomplete():
            self._open()
        for one in self._shown:
            if one.layer.visible:
                for data in one.levels:
                    data.refresh_shown()
        if self._moved_at > self._read_at and now - self._moved_at > _QUIET:
            self._read_at = now
            for one in self._shown:
                for data in one.levels:
                    data.read_again()
        self._refresh()

    def close(self) -> None:
        """Remove the layers that the user has not removed already."""
        self._closed = True
        for layer in self.layers:
            if layer in self._viewer.layers:
                if hasattr(layer, "locked"):
                    layer.locked = False
                self._viewer.layers.remove(layer)
        self._shown = []

    def forget(self, layer: Any) -> None:
        """Note that a layer is no longer in the viewer."""
        left = [one for one in self._shown if one.layer is not layer]
        if len(left) < len(self._shown):
            self._shown, self._closed = left, not left

    # -- opening and growing -------------------------------------------------------------------------------

    def _incomplete(self) -> bool:
        """Whether a level is missing, or the array is shorter than its engine reports."""
        assert self._placement is not None and self._array is not None
        if any(level.path not in self._readers for level in self._placement.levels):
            return True
        return self._readers[self._array.path].shape != self._array.shape

    def _open(self) -> None:
        assert self._placement is not None
        self._opening = True
        assert self._placement.layout is not None
        root, levels, zarr_format = self._root, self._placement.levels, self._placement.layout.zarr_format

        def get() -> tuple[dict[str, ZarrReader], str]:
            found, said = {}, ""
            for level in levels:
                try:
                    reader = open_array(path_in(root, level.path), zarr_format)
                except CannotShow as error:
                    said = said or str(error)
                else:
                    if reader is not None:
                        found[level.path] = reader
            return found, said

        self._queue.fetch(get, self._opened)

    def _opened(self, result: tuple[dict[str, ZarrReader], str]) -> None:
        self._opening = False
        self._next_opening = time.perf_counter() + _RETRY
        found, said = result
        if self._closed or self._array is None or self._placement is None:
            return
        if said and said != self._reported:
            self._reported = said
            self.problem.emit(f"The image cannot be shown: {said}")
        changed = {path for path, reader in found.items() if self._shape_of(path) != reader.shape}
        self._readers |= found
        if self._array.path not in self._readers or not changed:
            return
        if len(self._readers[self._array.path].shape) != len(self._array.shape):
            return
        if self._shown:
            self._fit()
        else:
            self._show()

    def _shape_of(self, path: str) -> tuple[int, ...] | None:
        return self._readers[path].shape if path in self._readers else None

    def _usable(self) -> list[tuple[Level, ZarrReader]]:
        """Return the array itself and the coarser levels that exist, each smaller than the one before."""
        assert self._placement is not None
        found: list[tuple[Level, ZarrReader]] = []
        for level in self._placement.levels:
            reader = self._readers.get(level.path)
            if reader is None or 0 in reader.shape:
                continue
            if found:
                before = found[-1][1]
                smaller = all(a <= b for a, b in zip(reader.shape, before.shape, strict=False))
                if len(reader.shape) != len(before.shape) or reader.shape == before.shape or not smaller:
                    continue
            found.append((level, reader))
        return found

    def _shape(self, level: Level, reader: ZarrReader, geometry: Geometry) -> tuple[int, ...]:
        """Return the shape to show of a level, which its files may lag behind.

        Where a level is not coarser along an axis, it is as long as the array itself, or napari would think that it
        is coarser there by a little.
        """
        assert self._placement is not None
        if level.path == self._placement.levels[0].path:
            return geometry.shape
        finest = self._placement.levels[0]
        coarser = [abs(a) != abs(b) for a, b in zip(level.scale, finest.scale, strict=True)]
        shape = list(reader.shape)
        for axis, n in enumerate(shape):
            same = not coarser[axis] if any(coarser) else n == self._readers[finest.path].shape[axis]
            if same or axis == geometry.channel_axis:
                shape[axis] = geometry.shape[axis + geometry.padding]
        return (1,) * geometry.padding + tuple(shape)

    def _show(self) -> None:
        assert self._placement is not None and self._array is not None
        geometry = Geometry.of(self._array, self._placement)
        usable = self._usable()
        if geometry.empty or not usable or usable[0][0].path != self._array.path:
            return
        size, plane = min((math.prod(one.shape[-2:]) * one.dtype.itemsize, one.shape[-2:]) for _, one in usable)
        longest = max(plane, default=0)
        if size > LARGEST or longest > _LONGEST:
            self._closed = True
            what = f"{size / 1e9:.1f} GB" if size > LARGEST else f"{longest:,} pixels in a row"
            self.problem.emit(f"The image cannot be shown: a plane of it has {what}, and there are no coarser levels")
            return
        self._levels = tuple(level.path for level, _ in usable)
        channels = self._placement.channels
        for number, channel in enumerate(channels):
            limits = Limits(channel, usable[0][1].dtype)
            levels = [self._live(level, reader, geometry, number, limits) for level, reader in usable]
            limits.layer = self._layer(number, channel, limits, levels, geometry)
            self._shown.append(_ChannelLayer(limits.layer, number, limits, levels))
        self.added.emit(self.layers)

    def _live(self, level: Level, reader: ZarrReader, geometry: Geometry, number: int, limits: Limits) -> LiveArray:
        def changed(found: tuple[float, float] | None) -> None:
            limits.note(found)
            self._dirty = True
            self._refresh()

        return LiveArray(
            reader,
            self._shape(level, reader, geometry),
            self._queue,
            self._marks[level.path],
            changed,
            geometry.padding,
            None if geometry.channel_axis is None else (geometry.channel_axis, number),
        )

    def _layer(
        self, number: int, channel: Channel, limits: Limits, levels: list[LiveArray], geometry: Geometry
    ) -> Image:
        assert self._placement is not None
        several = len(self._placement.channels) > 1
        pyramid = len(self._placement.levels) > 1
        return Image(
            levels if pyramid else levels[0],
            self._describe,
            name=" ".join(filter(None, (self._name, channel.name or (f"channel {number}" if several else "")))),
            rgb=False,
            multiscale=pyramid,
            cache=False,
            projection_mode="none",
            contrast_limits=limits.start,
            colormap=channel_colormap(number, self._placement.channels),
            blending="additive" if several else "translucent",
            visible=channel.active,
            scale=geometry.scale,
            translate=geometry.translate,
            axis_labels=geometry.axis_labels,
            units=geometry.units,
        )

    def _fit(self) -> None:
        """Adapt the layers to the present shape of the array."""
        assert self._placement is not None and self._array is not None
        geometry = Geometry.of(self._array, self._placement)
        usable = self._usable()
        if geometry.empty or not usable or usable[0][0].path != self._array.path:
            return
        paths = tuple(level.path for level, _ in usable)
        if paths != self._levels and len(self._placement.levels) > 1:
            self._levels = paths
            for one in self._shown:
                one.levels = [self._live(level, reader, geometry, one.number, one.limits) for level, reader in usable]
        for one in self._shown:
            for data, (level, reader) in zip(one.levels, usable, strict=False):
                data.grow(reader, self._shape(level, reader, geometry))
        for one in self._shown:
            one.layer.data = list(one.levels) if len(self._placement.levels) > 1 else one.levels[0]

    # -- drawing -------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Draw new pixels, if the budget of the main thread allows it."""
        if not self._dirty or self._closed or not self._budget.due():
            return
        self._dirty = False
        now = time.perf_counter()
        if thumbnail := now - self._thumbnail_at > _THUMBNAIL:
            self._thumbnail_at = now
        with self._budget.measured():
            for one in self._shown:
                one.limits.apply()
                one.layer.refresh(extent=False, thumbnail=thumbnail, highlight=False)
