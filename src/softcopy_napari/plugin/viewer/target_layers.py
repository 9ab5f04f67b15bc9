"""The layers of the selected target: the image and the overlay of one of its arrays.

The dock widget chooses what they show, and passes snapshots. Everything here runs on the main thread; only
metadata are read and arrays opened in threads, as a network drive may be slow.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.targets.store_url import name_of
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.canvas_context import free_in_context
from softcopy_napari.plugin.viewer.coverage_layer import OVERLAY_NAME, CoverageLayer
from softcopy_napari.plugin.viewer.dataset_files import read_metadata_of
from softcopy_napari.plugin.viewer.image_layers import ImageLayers
from softcopy_napari.plugin.viewer.level_box import narrow_level_boxes
from softcopy_napari.plugin.viewer.navigation import NewestFollower, jump_to_cell, move_slider
from softcopy_napari.plugin.viewer.ome_placement import Placement, acquisition_axis, plain_placement, read_placement
from softcopy_napari.plugin.viewer.preload import preload
from softcopy_napari.widgets.overlay_modes import OverlayMode

_INTERVAL = 0.2
"""Seconds between two looks at the ledger by default."""
_METADATA_TIMEOUT = 1.5
"""Seconds to wait for metadata before the overlay is shown without them."""
_RETRY = 1.0
"""Seconds between two attempts to read metadata at least."""


class TargetLayers(QObject):
    """The layers of one target in the viewer.

    It touches no other layers, and those that the user removes stay away until they are shown again.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    problem = Signal(str)
    """Why something cannot be shown, in words for users."""
    follow_changed = Signal(bool)
    """The new `follow_newest`; sent also when the user has moved a slider, which ends following."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._target: TargetSnapshot | None = None
        self._path: str | None = None
        self._choice, self._mode = "destination", OverlayMode.PROBLEMS
        self._follower = NewestFollower(viewer)
        self._follower.changed.connect(self.follow_changed)
        self._overlay: CoverageLayer | None = None
        self._image: ImageLayers | None = None
        self._placement: Placement | None = None
        self._queue = MainThreadQueue()
        self._reading = self._settled = False
        self._shown_at = 0.0
        self._next_read = 0.0
        self._removed = self._image_removed = self._problem_reported = False
        self._old: list[CoverageLayer | ImageLayers] = []
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.interval = _INTERVAL
        self._timer.timeout.connect(self._poll)
        free_in_context(viewer)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.ndisplay.connect(self._on_axes)
        viewer.dims.events.order.connect(self._on_axes)

    @property
    def interval(self) -> float:
        """Seconds between two looks at the ledger and at the image."""
        return self._timer.interval() / 1000

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._timer.setInterval(int(1000 * seconds))

    @property
    def overlay_mode(self) -> OverlayMode:
        """What the overlay marks: `PROBLEMS` by default, `FRONTIER`, `ALL` or `OFF`; kept when others are shown."""
        return self._mode

    @overlay_mode.setter
    def overlay_mode(self, mode: OverlayMode | str) -> None:
        self._mode = OverlayMode(mode)
        if self._overlay is not None:
            self._overlay.mode = self._mode

    @property
    def follow_newest(self) -> bool:
        """Whether the sliders move to the newest plane that has arrived; False once the user has moved one."""
        return self._follower.on

    @follow_newest.setter
    def follow_newest(self, follow: bool) -> None:
        self._follower.on = follow

    @property
    def overlay(self) -> Any:
        """The overlay's layer; None while there is none."""
        return None if self._overlay is None else self._overlay.layer

    @property
    def images(self) -> list[Any]:
        """The image layers."""
        return [] if self._image is None else list(self._image.layers)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the shown array's axes; empty where they are not known."""
        return (self._placement.axis_names or ()) if self._placement is not None else ()

    @property
    def time_axis(self) -> int:
        """The axis of the shown array along which it is acquired; the first one where that is not known."""
        return (acquisition_axis(self._placement) or 0) if self._placement is not None else 0

    def show(self, target: TargetSnapshot | None, array: str | None, image: str = "destination") -> None:
        """Show an array of a target in place of the present one.

        Returns at once; the layers appear when what they need has been read.

        Parameters
        ----------
        target : TargetSnapshot or None
            None removes all layers.
        array : str or None
            Its path; None for the target's first array. It need not exist yet.
        image : str
            Where the pixels are read from: `destination`, `source`, or `none`.
        """
        if self._closed:
            return
        if target is None:
            self._clear()
            self._target = None
            return
        path = array if array is not None else (target.arrays[0].path if target.arrays else None)
        same = self._target is not None and _same(self._target, target)
        if same and path == self._path and image == self._choice and not (self._removed or self._image_removed):
            self.update(target)
            return
        self._retire()
        self._follower.forget()
        self._target, self._path, self._choice = target, path, image
        self._placement, self._reading, self._settled, self._problem_reported = None, False, False, False
        self._removed = self._image_removed = False
        self._queue.close()  # drops what was requested for the array before
        self._queue = MainThreadQueue()
        self._shown_at = self._next_read = time.perf_counter()
        self._timer.start()
        self._poll()

    def update(self, target: TargetSnapshot) -> None:
        """Use a newer snapshot of the shown target; snapshots of others are ignored."""
        if self._closed or self._target is None or not _same(self._target, target):
            return
        before = self._target
        ends = [(one.state.ended, one.completed) for one in (before, target)]
        if ends[0] != ends[1]:  # a source that is still watched may change
            self._settled, self._next_read = False, time.perf_counter()
        self._target = target
        if self._path is None and target.arrays:
            self._path = target.arrays[0].path
        array = self._array()
        if array is None or 0 in array.shape:
            return
        placement = self._placement_of(array)
        with self._follower.own_moves():
            if self._overlay is not None:
                self._overlay.update(array, placement, target)
            if self._image is not None:
                self._image.update(target, array, placement)

    def jump_to(self, state: ChunkState) -> None:
        """Bring the first chunk file in a state into view, if there is one."""
        cell = None if self._overlay is None else self._overlay.find(state)
        if self._overlay is not None and cell is not None:
            jump_to_cell(self._viewer, self._overlay.geometry, cell)

    def go_to(self, axis: int, position: int) -> None:
        """Move the slider of one of the array's axes to a position, counted in chunk files."""
        if self._overlay is not None:
            move_slider(self._viewer, self._overlay.geometry, axis, position)

    def close(self) -> None:
        """Remove all layers, and stop updating; may be called more than once."""
        if self._closed:
            return
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.dims.events.ndisplay.disconnect(self._on_axes)
        self._viewer.dims.events.order.disconnect(self._on_axes)
        self._clear()
        self._follower.close()
        self._closed = True

    # -- what is shown ---------------------------------------------------------------------------------------

    def _array(self) -> ArraySnapshot | None:
        """Return the array to show, as the engine has last reported it."""
        arrays = self._target.arrays if self._target is not None else ()
        return next((array for array in arrays if array.path == self._path), None)

    def _placement_of(self, array: ArraySnapshot) -> Placement:
        """Return what is known of the placement of an array."""
        if self._placement is not None and len(self._placement.scale) == len(array.shape):
            return self._placement
        return plain_placement(array.path, len(array.shape))

    def _poll(self) -> None:
        """Add layers that have become possible, and draw what has changed."""
        array, target = self._array(), self._target
        now = time.perf_counter()
        if array is None or target is None:
            if now - self._shown_at > _METADATA_TIMEOUT:
                self._drop_old()
            return
        if preload().is_alive():  # what layers and units need is loaded by one thread alone
            return
        self._read_metadata(target, array, now)
        if 0 not in array.shape:
            placed = self._placement is not None
            if self._overlay is None and not self._removed and (placed or now - self._shown_at > _METADATA_TIMEOUT):
                self._add_overlay(target, array)
            decided = self._overlay is not None or self._removed or self._problem_reported
            if self._image is None and placed and self._choice != "none" and decided:
                self._add_image(target, array)
        if self._overlay is not None:
            self._follower.find_newest_plane(array, self._overlay.geometry, self.time_axis)
            self._overlay.refresh()
        if self._image is not None:
            self._image.poll()

    def _read_metadata(self, target: TargetSnapshot, array: ArraySnapshot, now: float) -> None:
        """Read the placement of the array, repeatedly until the copy ends: writers may complete it at the end."""
        if self._reading or self._settled or now < self._next_read:
            return
        self._reading = True
        sides = [target.source] if self._choice == "source" else [target.destination, target.source]
        ended = target.state.ended

        def get() -> Placement | None:
            good: list[Placement] = []
            for side in sides:  # the source's disk is spared if the destination has all metadata
                found = _placement(side, array.path)
                good += [found] if found is not None else []
                if found is not None and found.in_image:
                    return found
            return good[0] if good else None

        self._queue.fetch(get, lambda placement: self._placed(placement, ended))

    def _placed(self, placement: Placement | None, ended: bool) -> None:
        self._reading = False
        now = time.perf_counter()
        # Less and less often: most arrays without OME metadata never get any, and few metadata ever change.
        self._next_read = now + max(_RETRY, (now - self._shown_at) / 4)
        array, target, before = self._array(), self._target, self._placement
        if placement is None or array is None or target is None:
            return
        lost = before is not None and before.in_image and not placement.in_image  # they are being rewritten
        self._settled = ended and target.state.ended and not lost
        if placement == before or lost:
            return
        self._placement = placement
        other = before is not None and replace(before, layout=None) != replace(placement, layout=None)
        if self._image is not None and other:  # channels and levels may differ
            image, self._image = self._image, None
            image.close()
        self.update(target)
        self._poll()

    def _add_overlay(self, target: TargetSnapshot, array: ArraySnapshot) -> None:
        placement = self._placement_of(array)
        old = next((one for one in self._old if isinstance(one, CoverageLayer)), None)
        before = old.geometry if old is not None else None
        try:
            if old is not None and old.can_show(array, placement):
                with self._follower.own_moves():
                    old.show(array, placement, target, self._mode)
                overlay = old
            else:
                overlay = CoverageLayer(self._viewer, array, placement, target, self._mode)
        except (OSError, ValueError):  # the ledger was just replaced, or removed after its engine had ended
            if not self._problem_reported and time.perf_counter() - self._shown_at > _METADATA_TIMEOUT:
                self._problem_reported = True
                self.problem.emit(
                    f"The coverage of {target.source} is no longer known: its copy has ended. "
                    "Press Check coverage, or start the copy again"
                )
            return
        viewer = self._viewer
        if before is not None and before.units != overlay.geometry.units:
            self._drop_old()  # napari warns of layers whose units differ
        first, others = not len(viewer.layers), self._others()
        self._overlay = overlay
        if overlay is old:
            self._old.remove(old)
        else:
            with self._follower.own_moves():
                viewer.add_layer(overlay.layer)
        self._drop_old()
        overlay.layer.name = OVERLAY_NAME  # napari adds a number while the old one is still there
        time_axis = acquisition_axis(placement)
        if first and time_axis is not None:  # napari goes to the middle, where nothing has been acquired yet
            axis = time_axis + overlay.geometry.padding
            with self._follower.own_moves():
                viewer.dims.set_point(axis, overlay.geometry.translate[axis])
        moved = before and not np.allclose(before.bounds, overlay.geometry.bounds, equal_nan=True)
        if moved and not others:
            viewer.reset_view()
        overlay.clip()

    def _add_image(self, target: TargetSnapshot, array: ArraySnapshot) -> None:
        from_source = self._choice == "source"
        root = target.source if from_source else target.destination
        name = name_of(root) + (f"/{array.path}" if array.path else "")
        image = ImageLayers(self._viewer, root, from_source, name, self._queue, self._describe_chunk)
        image.problem.connect(self.problem)
        image.added.connect(self._insert)
        image.update(target, array, self._placement_of(array))
        self._image = image

    def _describe_chunk(self, position: Any, **kwargs: Any) -> str:
        overlay = self._overlay  # napari calls this in a thread of its own
        return "" if overlay is None else overlay.layer.describe_position(position, **kwargs)

    def _insert(self, layers: list[Any]) -> None:
        """Put image layers below the overlay, and keep the selection."""
        self._drop_old()
        viewer = self._viewer
        selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
        for layer in layers:
            below = self.overlay if self.overlay is not None and self.overlay in viewer.layers else None
            with self._follower.own_moves():
                viewer.layers.insert(len(viewer.layers) if below is None else viewer.layers.index(below), layer)
        if selected:
            viewer.layers.selection = selected
        QTimer.singleShot(0, narrow_level_boxes)

    # -- removing --------------------------------------------------------------------------------------------

    def _others(self) -> bool:
        """Whether the user has layers in the viewer."""
        parts = (self._overlay, self._image, *self._old)
        own = [layer for part in parts if part is not None for layer in part.layers]
        return any(not any(layer is one for one in own) for layer in self._viewer.layers)

    def _retire(self) -> None:
        """Keep the present layers until others have been added, so that sliders and camera stay where they are."""
        self._old += [part for part in (self._overlay, self._image) if part is not None]
        self._overlay = self._image = None

    def _drop_old(self) -> None:
        old, self._old = self._old, []
        with self._follower.own_moves():
            for part in old:
                part.close() if isinstance(part, ImageLayers) else part.remove()

    def _clear(self) -> None:
        self._timer.stop()
        self._queue.close()
        self._retire()
        self._drop_old()
        self._placement, self._path = None, None

    def _on_removed(self, event: Any) -> None:
        """Note that the user has removed a layer."""
        if self._overlay is not None and self._overlay.forget(event.value):
            self._overlay, self._removed = None, True
        elif self._image is not None:
            self._image_removed |= any(event.value is layer for layer in self._image.layers)
            self._image.forget(event.value)

    def _on_axes(self, event: Any = None) -> None:
        if self._overlay is not None:
            self._overlay.clip()


def _same(one: TargetSnapshot, other: TargetSnapshot) -> bool:
    """Whether both snapshots are of one target, be it of one engine or of two."""
    return (one.source, one.destination) == (other.source, other.destination)


def _placement(side: str, path: str) -> Placement | None:
    """Read the placement from the metadata at the source or the destination; waits for the disk."""
    return read_placement(path, partial(read_metadata_of, side))
