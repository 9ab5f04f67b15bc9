"""An array that its writer has deleted, with the chunk files of it that were copied."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

_ARRIVED = (ChunkState.COPIED, ChunkState.VERIFIED)


class OldArray(NamedTuple):
    """An array of a dataset that is no more."""

    layout: ArrayLayout
    copied: npt.NDArray[np.bool_] | None = None
    """Which of its chunk files may be removed; None for all."""
    if_made_anew: bool = False
    """Remove nothing unless the source has an array in its place."""


def old_array(array: TrackedArray) -> OldArray:
    """An array that its writer deletes, with the chunk files that have been copied."""
    return OldArray(array.layout, np.isin(array.ledger.flat, _ARRIVED))
