"""Reads zarr metadata: whether a folder is an array or a group, and of which layout.

The target's job passes what the copy workers read of metadata files. Only what decides where chunk files
lie is looked at, so that arrays whose codecs or types nobody here knows are followed all the same.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Literal

from softcopy_napari.engine.layout import ArrayLayout, GroupLayout, LayoutError
from softcopy_napari.engine.ome import children_of
from softcopy_napari.engine.shardindex import index_of

_MAX_RANK = 32  # numpy's and tensorstore's own limit
_MAX_LENGTH = (1 << 63) - 1
_MAX_DTYPE = 4096  # characters; it is part of every snapshot


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
