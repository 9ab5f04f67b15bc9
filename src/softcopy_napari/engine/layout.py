"""Reads zarr metadata: which arrays a source holds, and which chunk files, under which names, they promise.

The target's job passes what the copy workers read of metadata files. Only what decides where chunk files
lie is looked at, so that arrays whose codecs or types nobody here knows are followed all the same.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.chunkkeys import key_form, key_pattern, parse_names
from softcopy_napari.engine.ome import children_of
from softcopy_napari.engine.ome import promised_children as promised_children
from softcopy_napari.engine.shardindex import ShardIndex, index_of

_MAX_RANK = 32  # numpy's and tensorstore's own limit
_MAX_LENGTH = (1 << 63) - 1
_MAX_DTYPE = 4096  # characters; it is part of every snapshot
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
        keys: list[str] = []
        for start in range(0, len(flats), _BLOCK):
            block = flats[start : start + _BLOCK]
            indices = np.stack(np.unravel_index(block, self.grid), axis=-1)
            # One long format string: far faster than one short one a key.
            keys += ("\n".join([self._format] * len(block)) % tuple(indices.ravel().tolist())).split("\n")
        return keys

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


def parse_metadata(path: str, files: Mapping[str, bytes]) -> ArrayLayout | GroupLayout | None:
    """Read the metadata of one folder.

    Parameters
    ----------
    path : str
        The folder relative to the source, `/` separated.
    files : mapping of str to bytes
        Contents of those of `probe.METADATA_NAMES` that lie in it.

    Returns
    -------
    ArrayLayout, GroupLayout or None
        None for a folder that is neither array nor group.

    Raises
    ------
    LayoutError
        The metadata cannot be followed, or is half written.
    """
    for name, parse in (("zarr.json", _parse_v3), (".zarray", _parse_v2_array), (".zgroup", _parse_v2_group)):
        if name in files:
            try:
                layout = parse(path, _load(files[name]), files)
                # An axis of length 0 makes none of it, but numpy multiplies the others all the same.
                if isinstance(layout, ArrayLayout) and math.prod(n or 1 for n in layout.grid) > _MAX_LENGTH:
                    raise LayoutError("promises more chunk files than any disk can hold")
                return layout
            except LayoutError as error:
                error.file = name
                raise
    return None


def _load(content: bytes) -> dict[str, object]:
    if not content.strip():
        raise LayoutError("is empty")
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise LayoutError("is not valid JSON (not UTF-8 text)") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise LayoutError(f"is not valid JSON ({where}: {error.msg})") from None
    except RecursionError:
        raise LayoutError("is not valid JSON (nested too deeply)") from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise LayoutError("is not valid JSON (a number is too large)") from None
    if not isinstance(data, dict):
        raise LayoutError("is not zarr metadata: not a JSON object")
    return data


def _parse_v3(path: str, data: dict[str, object], files: Mapping[str, bytes]) -> ArrayLayout | GroupLayout:
    _check_format(data, 3)
    node_type = data.get("node_type")
    if node_type == "group":
        return GroupLayout(path, children_of(path, data.get("attributes")))
    if node_type != "array":
        reason = f"its node_type is {_say(node_type)}" if node_type else "it has no node_type"
        raise LayoutError(f"is not zarr metadata: {reason}")
    if data.get("storage_transformers"):
        raise LayoutError("has storage transformers, which decide where its chunks lie and are not supported")
    shape = _lengths(data, "shape")
    grid_name, grid = _extension(data, "chunk_grid")
    if grid_name != "regular":
        raise LayoutError(f"has a chunk grid of the kind {_say(grid_name)}; only regular ones are supported")
    names = data.get("dimension_names")
    named = isinstance(names, list) and all(name is None or isinstance(name, str) for name in names)
    chunk_shape = _chunk_shape(grid, "chunk_shape", shape)
    return ArrayLayout(
        path,
        3,
        shape,
        chunk_shape,
        _inner_chunk_shape(data.get("codecs"), shape),
        _dtype(data, "data_type"),
        *_chunk_key_encoding(data),
        tuple(names) if isinstance(names, list) and named and len(names) == len(shape) else None,
        index_of(data.get("codecs"), chunk_shape),
    )


def _parse_v2_array(path: str, data: dict[str, object], files: Mapping[str, bytes]) -> ArrayLayout:
    _check_format(data, 2)
    shape = _lengths(data, "shape")
    chunks, dtype = _chunk_shape(data, "chunks", shape), _dtype(data, "dtype")
    separator = _separator(data.get("dimension_separator"), ".")
    return ArrayLayout(path, 2, shape, chunks, None, dtype, "v2", separator, None)


def _parse_v2_group(path: str, data: dict[str, object], files: Mapping[str, bytes]) -> GroupLayout:
    _check_format(data, 2)
    try:
        attributes = _load(files[".zattrs"]) if ".zattrs" in files else {}
    except LayoutError:
        attributes = {}
    return GroupLayout(path, children_of(path, attributes))


def _check_format(data: dict[str, object], expected: int) -> None:
    if "zarr_format" not in data:
        raise LayoutError("is not zarr metadata: it has no zarr_format")
    value = data["zarr_format"]
    if isinstance(value, bool) or value != expected:
        raise LayoutError(f"is not zarr metadata: its zarr_format is {_say(value)}, not {expected}")


def _lengths(data: Mapping[str, object], key: str) -> tuple[int, ...]:
    if key not in data:
        raise LayoutError(f"has no {key}")
    values = data[key]
    if not isinstance(values, list):
        raise LayoutError(f"has a {key} that is {_say(values)}, not a list of lengths")
    if len(values) > _MAX_RANK:
        raise LayoutError(f"has a {key} with {len(values)} dimensions; at most {_MAX_RANK} are supported")
    lengths = []
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise LayoutError(f"has a {key} with {_say(value)} in it, which is no length")
        if value > _MAX_LENGTH:
            raise LayoutError(f"has a {key} with {_say(value)} in it, which is too large")
        lengths.append(value)
    return tuple(lengths)


def _chunk_shape(data: Mapping[str, object], key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    chunks = _lengths(data, key)
    if len(chunks) != len(shape):
        raise LayoutError(f"has {len(shape)} dimensions in its shape, but {len(chunks)} in its {key}")
    # zarr-python writes chunks of length 0 for dimensions of length 0, if told to.
    if any(n and not chunk for n, chunk in zip(shape, chunks, strict=True)):
        raise LayoutError(f"has {key} with a length of 0")
    return chunks


def _extension(data: Mapping[str, object], key: str) -> tuple[str, Mapping[str, object]]:
    """Name and configuration of one of zarr v3's extension points."""
    if key not in data:
        raise LayoutError(f"has no {key}")
    value = data[key]
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(name, str):
        raise LayoutError(f"has a {key} without a name")
    configuration = value.get("configuration") if isinstance(value, Mapping) else None
    return name, configuration if isinstance(configuration, Mapping) else {}


def _chunk_key_encoding(data: dict[str, object]) -> tuple[Literal["default", "v2"], Literal[".", "/"]]:
    name, configuration = _extension(data, "chunk_key_encoding")
    separator = configuration.get("separator")
    if name == "default":
        return "default", _separator(separator, "/")
    if name == "v2":
        return "v2", _separator(separator, ".")
    raise LayoutError(f"names its chunks in a way that is not known: {_say(name)}")


def _separator(value: object, default: Literal[".", "/"]) -> Literal[".", "/"]:
    if value is None:
        return default
    if value not in (".", "/"):
        raise LayoutError(f'separates chunk indices by {_say(value)}; only "." and "/" are allowed')
    return "." if value == "." else "/"


def _inner_chunk_shape(codecs: object, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Chunk shape in shards; other codecs may stand before the one that makes them."""
    for codec in codecs if isinstance(codecs, list) else []:
        if isinstance(codec, Mapping) and codec.get("name") == "sharding_indexed":
            configuration = codec.get("configuration")
            if not isinstance(configuration, Mapping) or "chunk_shape" not in configuration:
                raise LayoutError("has shards without a chunk_shape")
            return _chunk_shape({"chunks in shards": configuration["chunk_shape"]}, "chunks in shards", shape)
    return None


def _dtype(data: dict[str, object], key: str) -> str:
    value = data.get(key)
    if isinstance(value, Mapping) and not value.get("configuration"):
        value = value.get("name")
    text = ""
    if isinstance(value, str):
        text = value if value.isprintable() else json.dumps(value)
    elif isinstance(value, Mapping | list):
        with contextlib.suppress(RecursionError):
            text = json.dumps(value, sort_keys=True)
    if len(text) > _MAX_DTYPE:
        raise LayoutError(f"has a {key} of {len(text):,} characters, which is too long")
    if text or value == "":
        return text
    raise LayoutError(f"has no {key}" if key not in data else f"has a {key} that is {_say(value)}")


def _say(value: object) -> str:
    """A short word for a JSON value."""
    if isinstance(value, Mapping | list):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
