"""Shows the chunk files of all channels in one picture: images show all channels at once, so no slider chooses one.

The overlay's data stay the ledger, with its channel axis. Only the pictures that napari cuts out of them show, for each
place, the channel of which there is most to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.states import ChunkState

Cells = npt.NDArray[np.uint8]

_BY_URGENCY = np.array(
    [
        ChunkState.VERIFIED,
        ChunkState.COPIED,
        ChunkState.ABSENT,
        ChunkState.WRITING,
        ChunkState.PENDING,
        ChunkState.COPYING,
        ChunkState.FAILED,
    ],
    np.uint8,
)
_URGENCY = np.zeros(256, np.uint8)
_URGENCY[_BY_URGENCY] = np.arange(len(_BY_URGENCY))


def most_urgent(cells: Cells, axis: int) -> Cells:
    """Return, along an axis, the state of which there is most to say: a failure, what is under way, what is missing."""
    found: Cells = _BY_URGENCY[_URGENCY[cells].max(axis=axis)]
    return found


class LedgerOfChannels(np.ndarray[Any, np.dtype[np.uint8]]):
    """A ledger of which pictures (whole displayed axes, a number for each other one) show all channels together.

    Everything else that is read of it is what the ledger holds; `numpy.asarray` of it is the plain ledger.
    """

    channel_axis: int | None = None

    @classmethod
    def of(cls, cells: Cells, channel_axis: int | None) -> Cells:
        """Return a view of a ledger; the ledger itself where it has no channel axis."""
        if channel_axis is None:
            return cells
        view = cells.view(cls)
        view.channel_axis = channel_axis
        return view

    def __getitem__(self, index: Any) -> Any:
        axis = self.channel_axis
        if axis is None or not self._is_picture(index, axis):
            return np.asarray(self)[index]
        return picture(np.asarray(self), index, axis)

    def _is_picture(self, index: Any, axis: int) -> bool:
        if not isinstance(index, tuple) or len(index) != self.ndim or isinstance(index[axis], slice):
            return False
        whole = sum(isinstance(one, slice) and one == slice(None) for one in index)
        return whole in (2, 3) and index[axis] == 0


def picture(cells: Cells, index: tuple[Any, ...], channel_axis: int | None) -> Cells:
    """Cut a picture out of a ledger: of all channels together, unless their axis is displayed."""
    if channel_axis is None or isinstance(index[channel_axis], slice):
        whole: Cells = cells[index]
        return whole
    found: Cells = cells[(*index[:channel_axis], slice(None), *index[channel_axis + 1 :])]
    return most_urgent(found, sum(isinstance(one, slice) for one in index[:channel_axis]))
