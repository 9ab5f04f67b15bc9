"""Finds out how far copies are along the axis of their acquisition: time points, or wells. Threads read and count."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from softcopy_napari.engine.inventory.ledger import open_ledger
from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import LayoutError
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.plugin.dock.plate_wells import count_promised_wells, first_array, wells
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.dataset_files import read_metadata_of
from softcopy_napari.plugin.viewer.ome_placement import read_placement
from softcopy_napari.widgets.card import Arrival

_INTERVAL = 2.0
"""Seconds between two looks at the same target at least."""
_RETRY = 5.0
"""Seconds between two attempts to read the names of axes."""
_TIME = {"t", "time"}


@dataclass(frozen=True, slots=True)
class _Axis:
    """The axis along which an array is acquired."""

    number: int
    name: str


class Arrivals:
    """Keeps for each target how far it is, looked up in a thread while it is copied.

    Parameters
    ----------
    queue : MainThreadQueue
    changed : callable
        Is called when anything has changed.
    """

    def __init__(self, queue: MainThreadQueue, changed: Callable[[], object]) -> None:
        self._queue, self._changed = queue, changed
        self._known: dict[Key, Arrival] = {}
        self._axes: dict[tuple[str, str], _Axis] = {}
        """The axis of each source and array, once it is known."""
        self._plates: dict[str, int] = {}
        """How many wells each source promises, once that is known."""
        self._tried: dict[tuple[str, str], float] = {}
        self._read_at: dict[Key, tuple[float, object]] = {}
        """When each target was looked at, and its counts then."""
        self._reading = False

    @property
    def known(self) -> Mapping[Key, Arrival]:
        """How far each target is, as far as that is known."""
        return self._known

    def update(self, seen: Sequence[SeenTarget]) -> None:
        """Look at those targets that have changed."""
        now = time.monotonic()
        due = [one for one in seen if self._is_due(one, now)]
        if self._reading or not due:
            return
        self._reading = True
        for one in due:
            self._read_at[one.key] = now, _state(one.target)
        self._queue.fetch(partial(self._read_progress, due, now), self._note)

    def _is_due(self, one: SeenTarget, now: float) -> bool:
        if one.target.state.ended or not one.target.arrays:
            return False
        then, before = self._read_at.get(one.key, (-_INTERVAL, None))
        return now - then >= _INTERVAL and before != _state(one.target)

    def _read_progress(self, due: Sequence[SeenTarget], now: float) -> dict[Key, Arrival]:
        found = {one.key: self._arrival(one.target, now) for one in due}
        return {key: arrival for key, arrival in found.items() if arrival is not None}

    def _note(self, found: dict[Key, Arrival]) -> None:
        self._reading = False
        if any(self._known.get(key) != arrival for key, arrival in found.items()):
            self._known = {**self._known, **found}
            self._changed()

    def _arrival(self, target: TargetSnapshot, now: float) -> Arrival | None:
        if plate := wells(target.arrays):
            return wells_arrival(plate, self._promised_wells(target), target.nodes_missing)
        path = first_array([array.path for array in target.arrays])
        array = next(one for one in target.arrays if one.path == path)
        axis = self._axis(target, path, now)
        return None if axis is None else axis_arrival(array, axis.number, axis.name, target.growing)

    def _promised_wells(self, target: TargetSnapshot) -> int:
        """Return how many wells the metadata of a plate promise; 0 where they have not arrived."""
        if target.source not in self._plates:
            with contextlib.suppress(LayoutError):
                root = parse_metadata("", read_metadata_of(target.destination, ""))
                if promised := count_promised_wells(root):
                    self._plates[target.source] = promised
        return self._plates.get(target.source, 0)

    def _axis(self, target: TargetSnapshot, path: str, now: float) -> _Axis | None:
        """Return the time axis of an array, read from its metadata at the destination, where they have arrived."""
        key = target.source, path
        if key not in self._axes and now - self._tried.get(key, -_RETRY) >= _RETRY:
            self._tried[key] = now
            placement = read_placement(path, partial(read_metadata_of, target.destination))
            for number, name in enumerate((placement.axis_names or ()) if placement is not None else ()):
                if name.lower() in _TIME:
                    self._axes[key] = _Axis(number, name)
        return self._axes.get(key)


def _state(target: TargetSnapshot) -> object:
    return target.counts, target.nodes_missing, target.growing


def wells_arrival(plate: Mapping[str, tuple[int, int]], promised: int, missing: int) -> Arrival:
    """Return how many wells of a plate have arrived, of those that the metadata promise.

    Parameters
    ----------
    plate : mapping
        The chunk files copied, and in all, for each well that has begun.
    promised : int
        Wells that the metadata promise; 0 where that is not known.
    missing : int
        Wells, images and levels that are promised and not there yet: while a well begins it is counted among both.
    """
    whole = sum(copied == total > 0 for copied, total in plate.values())
    if not missing:
        return Arrival(f"{whole:,} of {max(promised, len(plate)):,} wells")
    of = f" of {max(promised, len(plate)):,} wells" if promised else f" {'well' if whole == 1 else 'wells'}"
    return Arrival(f"{whole:,}{of}", open_ended=True)


def axis_arrival(array: ArraySnapshot, axis: int, name: str, growing: bool) -> Arrival | None:
    """Return how far an array has arrived along an axis; None where its ledger is gone, or it has no such axis.

    Parameters
    ----------
    array : ArraySnapshot
    axis : int
    name : str
        The axis' name.
    growing : bool
        Whether nobody knows how long it will be.
    """
    try:
        states = open_ledger(array.ledger)
    except (OSError, ValueError):
        return None
    if axis >= states.ndim or states.shape != array.grid:
        return None
    others = tuple(number for number in range(states.ndim) if number != axis)
    arrived = ((states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)).any(axis=others)
    newest = int(np.flatnonzero(arrived)[-1]) + 1 if arrived.any() else 0
    position = min(newest * array.chunk_shape[axis], array.shape[axis])
    if growing:
        noun = "time point" if name.lower() in _TIME else f"position along {name}"
        return Arrival(f"{position:,} {noun}{'' if position == 1 else 's'}", open_ended=True)
    return Arrival(f"{name} {position:,} of {array.shape[axis]:,}")
