"""The settings of the simulated microscope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from string import ascii_uppercase


class MicroscopeError(Exception):
    """The microscope cannot start; the message is one line for its user."""


@dataclass(frozen=True, slots=True)
class MicroscopeSettings:
    """What to acquire; the defaults are those of the demo: 13 s, 1,536 chunk files, 151 MB.

    Parameters
    ----------
    frames : int
        Time points (of each well, on a plate).
    rate : float
        Time points per second; 0 for as many as possible.
    channels : int
    size : tuple of int
        Pixels of a volume along z, y and x.
    slab : int
        Planes in a chunk.
    tile : int
        Pixels of a chunk along y and x, between which the stage moves; 0 for whole planes.
    blobs : int
    seed : int
        The same seed gives the same pixels.
    zarr_format : int
        2 (OME-Zarr 0.4) or 3 (OME-Zarr 0.5).
    shards : bool
        Put all slabs of a volume into one shard, written at once.
    grow : bool
        Start with one time point and resize before each further one.
    plate : tuple of int, optional
        Rows and columns of a plate, whose wells appear one after another.
    complete_file : bool
        Leave a file named `complete` when everything has been written.
    """

    frames: int = 32
    rate: float = 2.5
    channels: int = 2
    size: tuple[int, int, int] = (16, 256, 256)
    slab: int = 1
    tile: int = 0
    blobs: int = 6
    seed: int = 0
    zarr_format: int = 3
    shards: bool = False
    grow: bool = False
    plate: tuple[int, int] | None = None
    complete_file: bool = True

    def __post_init__(self) -> None:
        counts = (self.frames, self.channels, self.slab, *self.size, *(self.plate or ()))
        if min(counts) < 1 or min(self.blobs, self.seed, self.tile) < 0 or not 0 <= self.rate < math.inf:
            raise MicroscopeError("frames, channels, sizes and plate must be at least 1, and rate at least 0")
        if self.zarr_format not in (2, 3):
            raise MicroscopeError(f"there is no zarr format {self.zarr_format}: choose 2 or 3")
        if self.shards and self.zarr_format == 2:
            raise MicroscopeError("zarr format 2 has no shards: choose format 3")
        if self.shards and self.tile:
            raise MicroscopeError("a shard is a whole volume: choose either shards or a tile")
        if self.plate and self.plate[0] > 26:
            raise MicroscopeError("a plate has at most 26 rows, A to Z")

    @property
    def wells(self) -> tuple[str, ...]:
        """Paths of the wells, such as `B/3`, in the order of their acquisition."""
        rows, columns = self.plate or (0, 0)
        return tuple(f"{row}/{column + 1}" for row in ascii_uppercase[:rows] for column in range(columns))
