"""The overlay: a Labels layer over the chunk grid of one array, whose data is the memory-mapped ledger.

Used by target_layers.py. All of it runs on the main thread: the ledger is a local file that is mapped into memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import DirectLabelColormap

from softcopy_napari.engine.inventory.ledger import open_ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.viewer.channels_together import LedgerOfChannels, picture
from softcopy_napari.plugin.viewer.chunk_edges import ChunkEdges, shown_key
from softcopy_napari.plugin.viewer.chunk_labels import Cells, Labels
from softcopy_napari.plugin.viewer.clip import EdgeClip
from softcopy_napari.plugin.viewer.geometry import Geometry, Lengths
from softcopy_napari.plugin.viewer.ome_placement import Placement
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget
from softcopy_napari.widgets.overlay_modes import Marking, OverlayMode, marking_of
from softcopy_napari.widgets.palette import chunk_name, label_colours

OVERLAY_NAME = "softcopy coverage"
OPACITY = 0.4
_BLOCK = 1 << 22
_RECENT = 3.0
"""Seconds for which a chunk file that has arrived belongs to the frontier."""
_LARGEST_FRONTIER = 1 << 21
"""Chunk files in a picture of which it is noted when they arrived, at most."""
_ARRIVED = np.isin(np.arange(256), (ChunkState.COPIED, ChunkState.VERIFIED))


class CoverageLayer:
    """Keeps the overlay of one array up to date with its ledger.

    Parameters
    ----------
    viewer : napari.Viewer
    array : ArraySnapshot
        An array that is not empty.
    placement : Placement
    target : TargetSnapshot
        The array's.
    mode : OverlayMode

    Raises
    ------
    OSError, ValueError
        The ledger does not exist (any more).
    """

    def __init__(
        self, viewer: Any, array: ArraySnapshot, placement: Placement, target: TargetSnapshot, mode: OverlayMode
    ) -> None:
        self._viewer = viewer
        self._mode, self._target = mode, target
        self._marking = self._wanted_marking()
        self._tinted = _tinted(self._marking)
        self._seen: tuple[Any, Cells] | None = None
        """The picture that the frontier was drawn of, and its cells."""
        self._arrived_at: npt.NDArray[np.float64] | None = None
        self._array = array
        self._placement = placement
        self._drawn: Cells | None = None
        self._asked = False
        """Whether something else is to be marked now: then the picture is drawn at once, whatever it costs."""
        self._budget = RedrawBudget()
        self._edges = ChunkEdges(viewer, self._budget)
        geometry = Geometry.of(array, placement)
        self.layer = Labels(
            _map_ledger(array, geometry),
            geometry,
            self._name_file,
            name=OVERLAY_NAME,
            metadata=_metadata(array, target),
            colormap=_colormap(self._marking),
            features={"index": [int(state) for state in ChunkState], "state": [chunk_name(s) for s in ChunkState]},
            opacity=OPACITY,
            blending="translucent",
            scale=geometry.grid_scale,
            translate=geometry.grid_translate,
            axis_labels=geometry.axis_labels,
            units=geometry.units,
        )
        self._clip = EdgeClip(viewer, self.layer)
        self.layer.compared = target.compares_only
        self.layer.editable = False
        if hasattr(self.layer, "locked"):
            self.layer.locked = True
        self._visible = True
        """Whether the mode wants it to be seen; the user may want otherwise."""
        self._show_or_hide()

    @property
    def geometry(self) -> Geometry:
        """The geometry of the array as it is shown."""
        return self.layer.geometry

    @property
    def mode(self) -> OverlayMode:
        """What is marked."""
        return self._mode

    @mode.setter
    def mode(self, mode: OverlayMode) -> None:
        if mode is not self._mode:
            self._mode = mode
            self._mark()

    def update(self, array: ArraySnapshot, placement: Placement, target: TargetSnapshot) -> None:
        """Use a newer snapshot: the array may have grown, and its ledger be another file."""
        self._target = target
        self.layer.compared = target.compares_only
        self._mark()
        if array == self._array and placement == self._placement:
            return
        before = self._array
        geometry = Geometry.of(array, placement)
        cells = None
        if (array.ledger, array.grid) != (before.ledger, before.grid):
            try:
                cells = _map_ledger(array, geometry)
            except (OSError, ValueError):
                return  # just replaced: the next snapshot names the new one
        self._use(array, placement, geometry, cells)

    def can_show(self, array: ArraySnapshot, placement: Placement) -> bool:
        """Whether another array may take the place of this one in the layer."""
        geometry = Geometry.of(array, placement)
        alike = len(geometry.grid) == self.layer.ndim and geometry.units == self.geometry.units
        return alike and self.layer in self._viewer.layers

    def show(self, array: ArraySnapshot, placement: Placement, target: TargetSnapshot, mode: OverlayMode) -> None:
        """Show another array in the same layer: to add one takes napari a third of a second, and to remove one, too.

        Raises
        ------
        OSError, ValueError
            Its ledger does not exist (any more); the layer is as it was.
        """
        geometry = Geometry.of(array, placement)
        cells = _map_ledger(array, geometry)
        self._target, self._mode = target, mode
        self.layer.compared = target.compares_only
        self.layer.metadata = _metadata(array, target)
        self._asked = True
        self._use(array, placement, geometry, cells)

    def _use(self, array: ArraySnapshot, placement: Placement, geometry: Geometry, cells: Cells | None) -> None:
        """Show an array with its cells; None where they are still the same file."""
        self._array, self._placement = array, placement
        moved = geometry != self.layer.geometry
        self.layer.geometry = geometry
        if moved:
            self.layer.scale, self.layer.translate = geometry.grid_scale, geometry.grid_translate
            self.layer.units = geometry.units
            self.layer.axis_labels = geometry.axis_labels
        if cells is not None or moved:
            self.layer.data = self.layer.data if cells is None else cells
            self.layer.editable = False  # setting data makes it editable again
            self._drawn = None
            self.clip()

    def clip(self) -> None:
        """Fit the layer to the displayed axes; to be called when it is added, and when others are displayed."""
        self._clip.update(self.geometry)
        self._mark()

    def refresh(self) -> None:
        """Draw again if the picture has changed, and if the budget of the main thread allows it."""
        shown = self.shown() if self.layer.visible or self.layer.hidden_by_mode else None
        if shown is None:
            self._edges.remove()
            return
        if not (self._asked or self._budget.due()):
            return
        self._asked = False
        axis = self.geometry.channel_axis
        cells = picture(np.asarray(self.layer.data), shown, None if axis is None else axis + self.geometry.padding)
        if self._marking.edges:
            self._draw_edges(cells, shown)
        if not self._marking.faces:
            return
        before, self._drawn = self._drawn, np.array(cells)  # the ledger changes all the while
        if before is not None and self._look_alike(before, self._drawn):
            return
        with self._budget.measured():
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _look_alike(self, before: Cells, now: Cells) -> bool:
        """Whether all cells that have changed are tinted as they were; those of a picture are millions, these few."""
        if before.shape != now.shape:
            return False
        changed = before != now
        return np.array_equal(self._tinted[before[changed]], self._tinted[now[changed]])

    def remove(self) -> None:
        """Remove the layer, and the outlines."""
        self._edges.remove()
        if self.layer in self._viewer.layers:
            if hasattr(self.layer, "locked"):
                self.layer.locked = False
            self._viewer.layers.remove(self.layer)

    @property
    def layers(self) -> list[Any]:
        """The layer, and that of the outlines where there is one."""
        return [self.layer] if self._edges.layer is None else [self.layer, self._edges.layer]

    def forget(self, layer: Any) -> bool:
        """Note that a layer is no longer in the viewer; return whether it was the overlay itself."""
        self._edges.forget(layer)
        if layer is not self.layer:
            return False
        self._edges.remove()
        return True

    def _wanted_marking(self) -> Marking:
        settings = self._target.settings
        verify = settings is not None and settings.verify == "checksum"
        return marking_of(self._mode, self._target.state, verify, self._viewer.dims.ndisplay == 3)

    def _mark(self) -> None:
        """Mark what the mode, the target's state and the displayed axes ask for."""
        before, self._marking = self._marking, self._wanted_marking()
        self._show_or_hide()
        if self._marking == before:
            return
        self._asked = True
        if self._marking.faces != before.faces:
            self.layer.colormap = _colormap(self._marking)
            self._tinted = _tinted(self._marking)
            self._drawn = None
        if self._marking.edges != before.edges:
            self._edges.remove()
            self._seen = self._arrived_at = None

    def _show_or_hide(self) -> None:
        """Hide the layer where it would have nothing to draw: a volume costs time even if all of it is transparent."""
        volume = self._viewer.dims.ndisplay == 3
        wanted = self._mode is not OverlayMode.OFF and (bool(self._marking.faces) or not volume)
        self.layer.hidden_by_mode = self._mode is not OverlayMode.OFF and not wanted
        if wanted != self._visible:
            self._visible = wanted
            self.layer.visible = wanted

    def _draw_edges(self, cells: Cells, shown: tuple[int | slice, ...]) -> None:
        colours = list(self._marking.edges.values())
        numbers = np.zeros(256, np.uint8)
        for number, state in enumerate(self._marking.edges, start=1):
            numbers[state] = number
        marks = numbers[cells]
        if self._marking.recent is not None and cells.size <= _LARGEST_FRONTIER:
            colours.append(self._marking.recent)
            marks[self._recent(cells, shown) & (marks == 0)] = len(colours)
        self._edges.show(marks, shown, colours, self.geometry, self.layer)

    def _recent(self, cells: Cells, shown: tuple[int | slice, ...]) -> npt.NDArray[np.bool_]:
        """Return which chunk files have arrived in the last seconds, as far as this picture was seen before."""
        now, key = time.perf_counter(), (self._array.ledger, shown_key(shown), cells.shape)
        if self._seen is None or self._arrived_at is None or self._seen[0] != key:
            self._arrived_at = np.full(cells.shape, -np.inf)
        else:
            self._arrived_at[_ARRIVED[cells] & ~_ARRIVED[self._seen[1]]] = now
        self._seen = key, cells.copy()
        recent: npt.NDArray[np.bool_] = _ARRIVED[cells] & (now - self._arrived_at < _RECENT)
        return recent

    def shown(self) -> tuple[int | slice, ...] | None:
        """Return the index of the cells in the picture; None where the sliders are beyond the array."""
        return shown_part(self._viewer, self.layer, self.geometry.grid)

    def find(self, state: ChunkState) -> Lengths | None:
        """Return the first chunk file in a state, in C order; None where there is none."""
        flat = np.asarray(self.layer.data).reshape(-1)
        for start in range(0, len(flat), _BLOCK):
            found = flat[start : start + _BLOCK] == state
            first = int(found.argmax())
            if found[first]:
                return tuple(int(index) for index in np.unravel_index(start + first, self.geometry.grid))
        return None

    def _name_file(self, cell: Lengths) -> str:
        layout = self._placement.layout
        if layout is None:
            return ""
        key = layout.key_at(cell)
        return f"{self._array.path}/{key}" if self._array.path else key


def _metadata(array: ArraySnapshot, target: TargetSnapshot) -> dict[str, dict[str, str]]:
    """Return what tells scripts whose coverage a layer shows."""
    return {"softcopy": {"source": target.source, "destination": target.destination, "array": array.path}}


def _tinted(marking: Marking) -> Cells:
    """Return a table of all states that makes those alike that look alike, as a change among them draws nothing."""
    table = np.zeros(256, np.uint8)
    for state in marking.faces:
        table[state] = state
    return table


def _colormap(marking: Marking) -> DirectLabelColormap:
    """Return napari's colormap for the faces that are tinted."""
    return DirectLabelColormap(color_dict=label_colours(marking.faces))


def shown_part(viewer: Any, layer: Any, shape: Sequence[int]) -> tuple[int | slice, ...] | None:
    """Return the index of the part of a layer in the picture; None where the sliders are beyond it."""
    dims = viewer.dims
    missing = dims.ndim - layer.ndim
    displayed = {axis - missing for axis in dims.displayed}
    point = layer.world_to_data(dims.point)
    index: list[int | slice] = []
    for axis, n in enumerate(shape):
        if axis in displayed:
            index.append(slice(None))
            continue
        at = int(np.round(point[axis]))
        if not 0 <= at < n:
            return None
        index.append(at)
    return tuple(index)


def _map_ledger(array: ArraySnapshot, geometry: Geometry) -> Cells:
    """Map the ledger read-only, in at least two dimensions."""
    cells = open_ledger(array.ledger, array.grid).reshape(geometry.grid)
    axis = geometry.channel_axis
    return LedgerOfChannels.of(cells, None if axis is None else axis + geometry.padding)
