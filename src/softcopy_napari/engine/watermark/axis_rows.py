"""An array's slowest axis: from indices along it to the rows of chunk files that hold them, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, Runs


class AxisRows:
    """Rows of the chunk grid along an array's slowest axis; an array without axes has one row of one index.

    Attributes
    ----------
    count : int
        Number of rows.
    length : int
        Number of indices.
    """

    def __init__(self, layout: ArrayLayout) -> None:
        self.count = layout.grid[0] if layout.grid else 1
        self.length = layout.shape[0] if layout.grid else 1
        runs: Runs = ((layout.chunk_shape[0] if layout.grid else 1, self.count),)
        if layout.edge_lengths is not None:
            runs = layout.edge_lengths[0]
        lengths, counts = np.array([*runs, (1, 0)], np.int64).T  # the last one, for what lies at the end
        self._lengths = lengths
        self._first_rows = np.cumsum(counts) - counts
        self._first_indices = np.cumsum(lengths * counts) - lengths * counts

    def indices_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the first index of each row; that behind the last row is the length."""
        runs = np.searchsorted(self._first_rows, rows, "right") - 1
        found = self._first_indices[runs] + (rows - self._first_rows[runs]) * self._lengths[runs]
        indices: npt.NDArray[np.int64] = np.minimum(found, self.length)
        return indices

    def index_of(self, row: int) -> int:
        """Return the first index of a row."""
        return int(self.indices_of(np.array([row]))[0])

    def rows_before(self, index: int) -> int:
        """Return how many whole rows come before an index."""
        if index >= self.length:
            return self.count
        run = int(np.searchsorted(self._first_indices, index, "right")) - 1
        return int(self._first_rows[run] + (index - self._first_indices[run]) // self._lengths[run])

    def rows_around(self, start: int, stop: int) -> slice:
        """Return the rows that hold any index from one up to another."""
        last = self.rows_before(stop)
        return slice(self.rows_before(start), last + (self.index_of(last) < min(stop, self.length)))
