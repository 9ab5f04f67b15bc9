"""Bins the coverage along an axis to the width of a plot, for `coverage_plot`. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Chunk files at each position of an axis: copied, pending and missing, as three rows."""

    counts: Counts
    """Shape (3, positions)."""

    @classmethod
    def of(cls, copied: npt.ArrayLike, pending: npt.ArrayLike, missing: npt.ArrayLike) -> Coverage:
        """Make one of three arrays of the same length.

        Raises
        ------
        ValueError
            They differ in length, or have more than one dimension.
        """
        arrays = [np.asarray(array, dtype=np.int64) for array in (copied, pending, missing)]
        if any(array.ndim != 1 or array.size != arrays[0].size for array in arrays):
            raise ValueError(f"three 1-D arrays of one length are needed, not {[array.shape for array in arrays]}")
        return cls(np.stack(arrays))

    @property
    def positions(self) -> int:
        """The length of the axis in positions."""
        return int(self.counts.shape[1])

    def bins(self, width: int) -> tuple[Counts, Counts]:
        """Sum neighbouring positions so that there are at most as many bins as pixels.

        Returns
        -------
        counts : ndarray, shape (3, bins)
            Sums; every chunk file is in exactly one bin.
        edges : ndarray, shape (bins + 1,)
            The first position of each bin, and the length at the end.
        """
        number = max(0, min(self.positions, width))
        edges = np.arange(number + 1, dtype=np.int64) * self.positions // max(1, number)
        if number == 0:
            return np.zeros((3, 0), np.int64), edges
        return np.add.reduceat(self.counts, edges[:-1], axis=1), edges


def stack_heights(counts: Counts, height: int) -> Counts:
    """Turn counts into pixels.

    Parameters
    ----------
    counts : ndarray, shape (3, bins)
        Copied, pending, missing.
    height : int
        Pixels of a full bar.

    Returns
    -------
    ndarray, shape (3, bins)
        Pixels of each part. They add up to the height wherever there is anything, and what is there has a pixel
        at least: one chunk file missing among a thousand must be seen.
    """
    total = counts.sum(axis=0)
    pixels = np.floor(counts * (height / np.maximum(total, 1))).astype(np.int64)
    pixels = np.maximum(pixels, counts > 0)
    largest = np.argmax(counts, axis=0)
    columns = np.arange(counts.shape[1])
    pixels[largest, columns] += np.where(total > 0, height, 0) - pixels.sum(axis=0)
    heights: Counts = np.maximum(pixels, 0)
    return heights
