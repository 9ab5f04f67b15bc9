"""Which chunk files an array has and what they are called, as read from its metadata by metadata.py.

numpy is imported where it is used, so that an engine imports it only while its copy processes start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from softcopy_napari.engine.errors import ReasonError
from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat
from softcopy_napari.engine.zarr_layout.chunk_keys import ChunkKeys, parse_names

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK = 4096  # names handled at once: large enough for numpy, small enough for the processor's cache
_DIGITS = 10  # more, no index has
_FEW = 24  # below this, a loop is faster than numpy

Runs = tuple[tuple[int, int], ...]
"""Chunk files along one axis: runs of (length in elements, number of chunk files of that length)."""


class LayoutError(ReasonError):
    """Metadata that are incomplete or invalid; the reason goes on behind the name of the file."""

    file = ""
    """Name of the metadata file at fault, without its folder."""


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """The chunk grid of one array, and the names of its chunk files.

    Chunk files are numbered in C order; that number is the flat index.
    """

    path: str
    """Relative to the source, `/` separated; empty for an array at the root."""
    zarr_format: int
    shape: tuple[int, ...]
    """Shape in elements."""
    chunk_shape: tuple[int, ...]
    """Shape of one chunk file, a chunk or a whole shard, in elements; the greatest lengths where `edge_lengths` says
    that they differ."""
    inner_chunk_shape: tuple[int, ...] | None
    """Shape of the chunks in a shard, in elements, after any transpose codec; None where not sharded."""
    dtype: str
    """Data type as the metadata spell it; JSON text where that is more than a name."""
    encoding: Literal["default", "v2", "fanout"]
    """How chunk files are named, see `ChunkKeys`."""
    separator: Literal[".", "/"]
    dimension_names: tuple[str | None, ...] | None
    chunk_format: ChunkFormat | None = None
    """How to tell that a chunk file is whole; None where nothing does."""
    suffix: str = ""
    """Suffix of every chunk file's name."""
    max_children: int = 0
    """Most names in a folder, with the encoding `fanout`."""
    edge_lengths: tuple[Runs, ...] | None = None
    """Lengths of the chunk files along each axis, as far as the array goes, in a rectilinear chunk grid; None where all
    chunk files are of one shape."""
    note: Reason | None = field(default=None, compare=False)
    """What users should know about the metadata file, as the rest of a sentence that begins with its name."""
    grid: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Shape in chunk files."""
    n_chunk_files: int = field(init=False, repr=False, compare=False)
    """Number of chunk files that the metadata promise."""
    _keys: ChunkKeys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.edge_lengths is None:
            # A chunk of length 0 is only let in where the array's length is 0 as well.
            sizes = zip(self.shape, self.chunk_shape, strict=True)
            grid = tuple(-(-n // chunk) if n else 0 for n, chunk in sizes)
        else:
            grid = tuple(sum(count for _, count in runs) for runs in self.edge_lengths)
        keys = ChunkKeys(self.encoding, self.separator, len(grid), self.suffix, self.max_children)
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "n_chunk_files", math.prod(grid))
        object.__setattr__(self, "_keys", keys)

    def key_at(self, index: Sequence[int]) -> str:
        """Return a chunk file's path relative to the array, by its index in the chunk grid or beyond its edges."""
        return self._keys.spell(index)

    def key(self, flat: int) -> str:
        """Return a chunk file's path relative to its array, by its flat index."""
        if not 0 <= flat < self.n_chunk_files:
            raise IndexError(f"{self.path or 'the array'} has {self.n_chunk_files} chunk files")
        indices = []
        for n in reversed(self.grid):
            indices.append(flat % n)
            flat //= n
        return self._keys.spell(indices[::-1])

    def keys(self, flats: npt.NDArray[np.int64]) -> list[str]:
        """Return the paths of several chunk files relative to their array."""
        form = self._keys.bulk_form
        if not self.grid or not form or len(flats) < _FEW:
            return [self.key(flat) for flat in flats.tolist()]
        import numpy as np

        keys: list[str] = []
        for start in range(0, len(flats), _BLOCK):
            block = flats[start : start + _BLOCK]
            indices = np.stack(np.unravel_index(block, self.grid), axis=-1)
            # One long format string: far faster than one short one a key.
            keys += ("\n".join([form] * len(block)) % tuple(indices.ravel().tolist())).split("\n")
        return keys

    def paths(self, flats: npt.NDArray[np.int64]) -> list[str]:
        """Return the paths of several chunk files relative to the source."""
        prefix = prefix_of(self.path)
        return [prefix + key for key in self.keys(flats)]

    def flat_index(self, key: str) -> int | None:
        """Return the flat index of the chunk file at a path relative to the array.

        Returns
        -------
        int or None
            None for anything that is no chunk of this array: `00/1`, `-1`, too few or too many indices, an index
            outside the grid.
        """
        indices = self._keys.read(key)
        if indices is None:
            return None
        flat = 0
        for index, n in zip(indices, self.grid, strict=True):
            if index >= n:
                return None
            flat = flat * n + index
        return flat

    def has_form_of_key(self, key: str) -> bool:
        """Whether a path relative to the array is a chunk key, in the grid or outside it."""
        return self._keys.read(key) is not None

    def flat_indices(self, folder: str, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the flat indices of the files in one folder.

        Parameters
        ----------
        folder : str
            Relative to the array, `/` separated; empty for the array's own folder.
        names : sequence of str
            Names of files in that folder.

        Returns
        -------
        numpy.ndarray of int64, shape (len(names),)
            Flat indices; -1 for files that are no chunk files of the array.
        """
        import numpy as np

        head = prefix_of(folder)
        flats = np.full(len(names), -1, np.int64)
        first: int | None = 0
        varying, prefix = self.grid, "c." if self.encoding == "default" else ""
        if not self._keys.bulk_form:
            varying = ()
        elif folder and self.separator == ".":
            return flats
        elif self.separator == "/" and self.grid:  # the folder has all indices but the last
            first, varying, prefix = self.flat_index(f"{head}0{self.suffix}"), self.grid[-1:], ""
        if first is None:
            return flats
        for start in range(0, len(names), _BLOCK):
            block = names[start : start + _BLOCK]
            bare = self._keys.without_suffix(block) if varying and len(block) >= _FEW else None
            indices = parse_names(bare, prefix, len(varying)) if bare is not None else None
            if indices is None:
                found = (self.flat_index(head + name) for name in block)
                flats[start : start + len(block)] = [-1 if flat is None else flat for flat in found]
            else:
                inside = (indices < varying).all(axis=1)
                known = np.ravel_multi_index(tuple(indices[inside].T), varying) + first
                flats[start : start + len(block)][inside] = known
        return flats

    def indices_below(self, folder: str) -> tuple[int, ...] | None:
        """Return the indices that a folder of the array stands for, the first ones of all the chunk files in it.

        Parameters
        ----------
        folder : str
            Relative to the array, `/` separated.

        Returns
        -------
        tuple of int or None
            None where the folder holds no chunk files, or their names tell nothing of their folder.
        """
        if self.separator != "/" or not self._keys.bulk_form or self.suffix:
            return None
        names = folder.split("/") if folder else []
        if self.encoding == "default" and names[:1] != ["c"]:
            return None
        names = names[1:] if self.encoding == "default" else names
        if not all(name.isdecimal() and name.isascii() and len(name) < _DIGITS for name in names):
            return None
        found = tuple(map(int, names))
        inside = len(found) < len(self.grid) and all(index < n for index, n in zip(found, self.grid, strict=False))
        return found if inside else None

    def flat_indices_of(self, folder: str, paths: Sequence[str]) -> npt.NDArray[np.int64] | None:
        """Return the flat indices of chunk files by their paths relative to a folder of the array, `/` separated.

        Returns
        -------
        numpy.ndarray of int64, shape (len(paths),), or None
            None if any of them is no chunk file of the array.
        """
        import numpy as np

        prefix = "c/" if self.encoding == "default" and not folder else ""
        first = self.indices_below(folder or prefix[:-1])
        if first is None:
            return None
        if not paths:
            return np.zeros(0, np.int64)
        varying = self.grid[len(first) :]
        indices = parse_names(paths, prefix, len(varying), "/")
        if indices is None or not (indices < varying).all():
            return None
        start = 0
        for index, n in zip(first + (0,) * len(varying), self.grid, strict=True):
            start = start * n + index
        found: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(indices.T), varying) + start
        return found

    def difference(self, other: ArrayLayout, *, ignore_shape: bool = False) -> Reason | None:
        """Return how this array differs from another, if their chunk files must not be mixed; else None.

        Parameters
        ----------
        other : ArrayLayout
        ignore_shape : bool
            Ignore the lengths of the dimensions, which change when an array is resized.
        """
        sharded = self.inner_chunk_shape is not None
        if self.zarr_format != other.zarr_format:
            return _differ(ReasonCode.FORMAT_DIFFERS, self.zarr_format, other.zarr_format)
        if len(self.shape) != len(other.shape):
            return _differ(ReasonCode.RANK_DIFFERS, len(self.shape), len(other.shape))
        if not ignore_shape and self.shape != other.shape:
            return _differ(ReasonCode.SHAPE_DIFFERS, self.shape, other.shape)
        if self.dtype != other.dtype:
            return _differ(ReasonCode.TYPE_DIFFERS, self.dtype, other.dtype)
        if sharded != (other.inner_chunk_shape is not None):
            return make_reason(ReasonCode.NOW_SHARDED if sharded else ReasonCode.NOT_SHARDED)
        if (self.edge_lengths or other.edge_lengths) is None and self.chunk_shape != other.chunk_shape:
            code = ReasonCode.SHARDS_DIFFER if sharded else ReasonCode.CHUNKS_DIFFER
            return _differ(code, self.chunk_shape, other.chunk_shape)
        for axis, (here, there) in enumerate(zip(self._runs(), other._runs(), strict=True)):
            if not _agree(here, there):
                return make_reason(ReasonCode.SHARDS_DIFFER if sharded else ReasonCode.CHUNKS_DIFFER, axis=axis)
        if self.inner_chunk_shape != other.inner_chunk_shape:
            return _differ(ReasonCode.INNER_CHUNKS_DIFFER, self.inner_chunk_shape, other.inner_chunk_shape)
        # With `fanout` small indices are spelled alike whatever the base is, so compare one beyond both bases.
        index = (max(self.max_children, other.max_children),) * len(self.shape)
        here_called, there_called = self.key_at(index), other.key_at(index)
        return _differ(ReasonCode.KEYS_DIFFER, here_called, there_called) if here_called != there_called else None

    def _runs(self) -> tuple[Runs, ...]:
        if self.edge_lengths is not None:
            return self.edge_lengths
        return tuple(((chunk, n),) for chunk, n in zip(self.chunk_shape, self.grid, strict=True))


@dataclass(frozen=True, slots=True)
class GroupLayout:
    """A zarr group, and what its OME metadata say lies in it."""

    path: str
    """Relative to the source, `/` separated; empty for the source itself."""
    children: tuple[str, ...]
    """Paths of arrays and groups, relative to the source."""
    note: Reason | None = field(default=None, compare=False)
    """What users should know about the metadata file, as in `ArrayLayout`."""
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """Names of the axes of its images' arrays, by their paths; `""` where an axis has none."""
    wells: tuple[str, ...] = field(default=(), compare=False)
    """Paths of its wells, if it is a plate."""


@dataclass(frozen=True, slots=True)
class OpaqueNode:
    """A zarr array or group whose metadata are complete but not understood: its files are copied as plain files.

    The number of its files is unknown, so only the user, a marker or quiet can tell when it is complete.
    """

    path: str
    """Relative to the source, `/` separated; empty for the source itself."""
    reason: Reason
    """Why it is not understood, with the name of the file at fault."""


def _differ(code: ReasonCode, here: object, there: object) -> Reason:
    return make_reason(code, here=str(here), there=str(there))


def _agree(here: Runs, there: Runs) -> bool:
    """Whether chunk files along an axis have the same lengths, as far as both arrays go."""
    n = min(sum(count for _, count in runs) for runs in (here, there))
    return list(_first(here, n)) == list(_first(there, n))


def _first(runs: Runs, n: int) -> Iterator[tuple[int, int]]:
    """Yield the runs that cover the first `n` chunk files."""
    for length, count in runs:
        if n > 0:
            yield length, min(count, n)
        n -= count


def flat_indices_below(layout: ArrayLayout, folder: str) -> range:
    """Return the flat indices of the chunk files in a folder.

    Parameters
    ----------
    layout : ArrayLayout
    folder : str
        Relative to the array. Its name gives the first indices of what lies in it; the range is empty if it is no
        folder of chunk files.
    """
    for unknown in range(1, len(layout.grid) + 1):
        first = layout.flat_index(folder + "/0" * unknown)
        if first is not None:
            return range(first, first + math.prod(layout.grid[-unknown:]))
    return range(0)
