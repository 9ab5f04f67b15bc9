"""Which chunk files an array has, and under which names: from its metadata (metadata.py), by index or by name.

numpy is imported where it is used: an engine knows layouts before its copy processes are started, and has the time
that they take to import it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from softcopy_napari.engine.chunkkeys import key_form, key_pattern, parse_names
from softcopy_napari.engine.shardindex import ShardIndex

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK = 4096  # names handled at once: large enough for numpy, small enough for the processor's cache
_FEW = 24  # below this, a loop is faster than numpy


class LayoutError(ValueError):
    """Metadata that cannot be followed; the message says why, in words that go on after the file's name."""

    file: str = ""
    """Name of the metadata file that is at fault, without its folder."""


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Where the chunk files of one array lie.

    Chunk files are numbered in C order; that number is the flat index.
    """

    path: str
    """Relative to the source, `/` separated; empty for an array at the root."""
    zarr_format: int
    shape: tuple[int, ...]
    """In elements."""
    chunk_shape: tuple[int, ...]
    """In elements, of one chunk file: a chunk, or a whole shard."""
    inner_chunk_shape: tuple[int, ...] | None
    """In elements, of the chunks in a shard, as seen after a transpose codec; None where not sharded."""
    dtype: str
    """As the metadata has it; JSON text where that is more than a name."""
    encoding: Literal["default", "v2"]
    separator: Literal[".", "/"]
    dimension_names: tuple[str | None, ...] | None
    shard_index: ShardIndex | None = None
    """What the index of its shards looks like; None where not sharded, or where it cannot be checked."""
    grid: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The shape in chunk files."""
    n_chunk_files: int = field(init=False, repr=False, compare=False)
    """Chunk files that the metadata promises."""
    _format: str = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A chunk of length 0 is only let in where the array's length is 0 as well.
        sizes = zip(self.shape, self.chunk_shape, strict=True)
        grid = tuple(-(-n // chunk) if n else 0 for n, chunk in sizes)
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "n_chunk_files", math.prod(grid))
        object.__setattr__(self, "_format", key_form(self.encoding, self.separator, len(grid), "%d"))
        object.__setattr__(self, "_pattern", key_pattern(self.encoding, self.separator, len(grid)))

    def key(self, flat: int) -> str:
        """Path of a chunk file relative to its array.

        Raises
        ------
        IndexError
            The array has no such chunk file.
        """
        if not 0 <= flat < self.n_chunk_files:
            raise IndexError(f"{self.path or 'the array'} has {self.n_chunk_files} chunk files")
        indices = []
        for n in reversed(self.grid):
            indices.append(flat % n)
            flat //= n
        return self._format % tuple(indices[::-1])

    def keys(self, flats: npt.NDArray[np.int64]) -> list[str]:
        """Paths of several chunk files relative to their array."""
        if not self.grid or len(flats) < _FEW:
            return [self.key(flat) for flat in flats.tolist()]
        import numpy as np

        keys: list[str] = []
        for start in range(0, len(flats), _BLOCK):
            block = flats[start : start + _BLOCK]
            indices = np.stack(np.unravel_index(block, self.grid), axis=-1)
            # One long format string: far faster than one short one a key.
            keys += ("\n".join([self._format] * len(block)) % tuple(indices.ravel().tolist())).split("\n")
        return keys

    def paths(self, flats: npt.NDArray[np.int64]) -> list[str]:
        """Paths of several chunk files relative to the source."""
        prefix = self.path + "/" if self.path else ""
        return [prefix + key for key in self.keys(flats)]

    def flat_index(self, key: str) -> int | None:
        """Flat index of the chunk file at a path relative to the array.

        Returns
        -------
        int or None
            None for what no zarr writer would call a chunk of this array: `00/1`, `-1`, too few or
            too many indices, an index outside the grid.
        """
        match = self._pattern.fullmatch(key)
        if match is None:
            return None
        flat = 0
        for digits, n in zip(match.groups(), self.grid, strict=True):
            index = int(digits)
            if index >= n:
                return None
            flat = flat * n + index
        return flat

    def has_form_of_key(self, key: str) -> bool:
        """Whether a path relative to the array is that of a chunk file, in the grid or outside of it."""
        return self._pattern.fullmatch(key) is not None

    def flat_indices(self, folder: str, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Flat indices of the files of one folder.

        Parameters
        ----------
        folder : str
            Relative to the array, `/` separated; empty for the array's own folder.
        names : sequence of str
            Names of files in it.

        Returns
        -------
        numpy.ndarray of int64, shape (len(names),)
            -1 for files that are no chunk files of the array.
        """
        import numpy as np

        head = f"{folder}/" if folder else ""
        flats = np.full(len(names), -1, np.int64)
        if folder and self.separator == ".":
            return flats
        first: int | None = 0
        varying, prefix = self.grid, "c." if self.encoding == "default" else ""
        if self.separator == "/" and self.grid:  # the folder has all indices but the last
            first, varying, prefix = self.flat_index(f"{head}0"), self.grid[-1:], ""
        if first is None:
            return flats
        for start in range(0, len(names), _BLOCK):
            block = names[start : start + _BLOCK]
            indices = parse_names(block, prefix, len(varying)) if varying and len(block) >= _FEW else None
            if indices is None:
                found = (self.flat_index(head + name) for name in block)
                flats[start : start + len(block)] = [-1 if flat is None else flat for flat in found]
            else:
                inside = (indices < varying).all(axis=1)
                known = np.ravel_multi_index(tuple(indices[inside].T), varying) + first
                flats[start : start + len(block)][inside] = known
        return flats

    def difference(self, other: ArrayLayout, *, ignore_shape: bool = False) -> str:
        """Say in what this is another array than `other`, so that their chunk files must not be mixed.

        Parameters
        ----------
        other : ArrayLayout
            What this should be like.
        ignore_shape : bool
            Let the lengths of the dimensions differ, as they do when an array is resized.

        Returns
        -------
        str
            Words about this array, such as `its chunks are (1, 64, 64), not (1, 128, 128)`; empty
            where there is no difference.
        """
        if self.zarr_format != other.zarr_format:
            return f"it is of zarr format {self.zarr_format}, not {other.zarr_format}"
        if len(self.shape) != len(other.shape):
            return f"its number of dimensions is {len(self.shape)}, not {len(other.shape)}"
        if not ignore_shape and self.shape != other.shape:
            return f"its shape is {self.shape}, not {other.shape}"
        if self.dtype != other.dtype:
            return f"its type is {self.dtype}, not {other.dtype}"
        sharded = self.inner_chunk_shape is not None
        if sharded != (other.inner_chunk_shape is not None):
            return f"it is {'' if sharded else 'not '}sharded"
        if self.chunk_shape != other.chunk_shape:
            return f"its {'shards' if sharded else 'chunks'} are {self.chunk_shape}, not {other.chunk_shape}"
        if self.inner_chunk_shape != other.inner_chunk_shape:
            return f"the chunks in its shards are {self.inner_chunk_shape}, not {other.inner_chunk_shape}"
        here, there = (key_form(a.encoding, a.separator, len(a.shape), "0") for a in (self, other))
        return f"its chunk files are called {here}, not {there}" if here != there else ""

    def same_array(self, other: ArrayLayout) -> bool:
        """Whether both are the same array, resized or not."""
        return not self.difference(other, ignore_shape=True)


@dataclass(frozen=True, slots=True)
class GroupLayout:
    """A zarr group, and what its OME metadata promises to lie in it."""

    path: str
    """Relative to the source, `/` separated; empty for the source itself."""
    children: tuple[str, ...]
    """Paths of arrays and groups, relative to the source."""
