"""Parses zarr metadata: whether a folder is an array or a group, and its layout.

A target's job passes in the metadata files that its copy workers have read. Only what decides where chunk files lie is
parsed, so that arrays with unknown codecs or types are followed all the same.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, GroupLayout, LayoutError, OpaqueNode, Runs
from softcopy_napari.engine.zarr_layout.chunk_format import read_v2_chunk_format, read_v3_chunk_format
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES, classify_temporary
from softcopy_napari.engine.zarr_layout.json_text import read_json
from softcopy_napari.engine.zarr_layout.ome import is_plain_path, list_promised_nodes, list_wells, read_axes
from softcopy_napari.engine.zarr_layout.probe import MAX_METADATA, SourceProbe

_MAX_RANK = 32  # numpy's and tensorstore's own limit
_MAX_LENGTH = (1 << 63) - 1
_MAX_EXACT = 1 << 53  # floats beyond may stand for several whole numbers
_MAX_DTYPE = 4096  # characters; the type is part of every snapshot
_MAX_RUNS = 1 << 18  # of chunk files of equal length, along all axes of an array


def parse_metadata(path: str, files: Mapping[str, bytes]) -> ArrayLayout | GroupLayout | OpaqueNode | None:
    """Parse the metadata of one folder.

    Parameters
    ----------
    path : str
        The folder relative to the source, `/` separated.
    files : mapping of str to bytes
        Contents of its metadata files by name, as `probe.read_metadata` returns them.

    Returns
    -------
    ArrayLayout, GroupLayout, OpaqueNode or None
        An OpaqueNode for metadata that are complete but not understood; None for a folder that is neither array nor
        group.

    Raises
    ------
    LayoutError
        The metadata are incomplete, damaged, or not zarr's; reading them again later may help.
    """
    for name, parse in (("zarr.json", _parse_v3), (".zarray", _parse_v2_array), (".zgroup", _parse_v2_group)):
        if name not in files:
            continue
        if len(files[name]) > MAX_METADATA:
            return _opaque(path, name, make_reason(ReasonCode.METADATA_TOO_LARGE, most=MAX_METADATA >> 20))
        try:
            data, note = _load(files[name])
        except LayoutError as error:
            error.file = name
            raise
        try:
            layout = parse(path, data, note, files)
            # With an axis of length 0 there are no chunk files, but numpy still multiplies the other lengths.
            if isinstance(layout, ArrayLayout) and math.prod(n or 1 for n in layout.grid) > _MAX_LENGTH:
                raise LayoutError(ReasonCode.TOO_MANY_CHUNKS)
        except LayoutError as error:
            return _opaque(path, name, error.reason)
        return layout
    return None


def why_unusable(probe: SourceProbe, any_files: bool = False) -> Reason | None:
    """Return why a folder is no zarr dataset yet; None where it is one, or where any files will do and can be read."""
    if any_files:
        return probe.error
    problem = None
    for folder, files in probe.nodes.items():
        try:
            parse_metadata(folder, files)
        except LayoutError as error:
            where = _in_file(join(folder, error.file), error.reason)
            problem = problem or make_reason(ReasonCode.METADATA_UNUSABLE, problem=where)
        else:
            return None
    return probe.error or problem or make_reason(ReasonCode.NO_METADATA)


def _opaque(path: str, file: str, reason: Reason) -> OpaqueNode:
    return OpaqueNode(path, _in_file(file, reason))


def _in_file(file: str, reason: Reason) -> Reason:
    return make_reason(ReasonCode.IN_FILE, file=file, problem=reason)


def _load(content: bytes) -> tuple[dict[str, object], Reason | None]:
    data, note = read_json(content)
    if not isinstance(data, dict):
        raise LayoutError(ReasonCode.NOT_AN_OBJECT)
    if "zarr_format" not in data:
        raise LayoutError(ReasonCode.NO_ZARR_FORMAT)
    return data, note


def _parse_v3(
    path: str, data: dict[str, object], note: Reason | None, files: Mapping[str, bytes]
) -> ArrayLayout | GroupLayout:
    _check_format(data, 3)
    node_type = data.get("node_type")
    if node_type == "group":
        return _group(path, data.get("attributes"), note)
    if node_type != "array":
        raise LayoutError(ReasonCode.NO_NODE_TYPE, value=_say(node_type) if node_type else "")
    if data.get("storage_transformers"):
        raise LayoutError(ReasonCode.STORAGE_TRANSFORMERS)
    shape = _lengths(data, "shape")
    chunk_shape, edge_lengths = _chunk_grid(data, shape)
    names = data.get("dimension_names")
    named = isinstance(names, list) and all(name is None or isinstance(name, str) for name in names)
    keys = _chunk_key_encoding(data)
    return ArrayLayout(
        path,
        3,
        shape,
        chunk_shape,
        _inner_chunk_shape(data.get("codecs"), shape),
        _dtype(data, "data_type"),
        keys.encoding,
        keys.separator,
        tuple(names) if isinstance(names, list) and named and len(names) == len(shape) else None,
        read_v3_chunk_format(data.get("codecs"), data.get("data_type"), chunk_shape if edge_lengths is None else None),
        keys.suffix,
        keys.max_children,
        edge_lengths,
        note,
    )


def _parse_v2_array(path: str, data: dict[str, object], note: Reason | None, files: Mapping[str, bytes]) -> ArrayLayout:
    _check_format(data, 2)
    shape = _lengths(data, "shape")
    chunks, dtype = _chunk_shape(data, "chunks", shape), _dtype(data, "dtype")
    separator = _separator(data.get("dimension_separator"), ".")
    chunk_format = None
    if "compressor" in data:
        chunk_format = read_v2_chunk_format(data["compressor"], data.get("filters"), data.get("dtype"), chunks)
    return ArrayLayout(path, 2, shape, chunks, None, dtype, "v2", separator, None, chunk_format, note=note)


def _parse_v2_group(path: str, data: dict[str, object], note: Reason | None, files: Mapping[str, bytes]) -> GroupLayout:
    _check_format(data, 2)
    attributes: object = {}
    with contextlib.suppress(LayoutError):
        if ".zattrs" in files:
            attributes, more = read_json(files[".zattrs"])
            note = note or more
    return _group(path, attributes, note)


def _group(path: str, attributes: object, note: Reason | None) -> GroupLayout:
    promised = list_promised_nodes(path, attributes)
    return GroupLayout(path, promised, note, read_axes(path, attributes), list_wells(path, attributes))


def _check_format(data: dict[str, object], expected: int) -> None:
    value = data["zarr_format"]
    if _number(value) != expected:
        raise LayoutError(ReasonCode.OTHER_ZARR_FORMAT, value=_say(value), expected=expected)


def _number(value: object) -> int | None:
    """Return a whole number, even if it is spelled `2.0` or `"2"`; None for anything else."""
    if isinstance(value, str):
        return int(value) if len(value) < 20 and value.isascii() and value.isdecimal() else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _length(value: object, key: str) -> int:
    length = _number(value)
    if length is None or length < 0:
        raise LayoutError(ReasonCode.NO_LENGTH, key=key, value=_say(value))
    if length > _MAX_LENGTH:
        raise LayoutError(ReasonCode.LENGTH_TOO_LARGE, key=key, value=_say(value))
    return length


def _lengths(data: Mapping[str, object], key: str) -> tuple[int, ...]:
    if key not in data:
        raise LayoutError(ReasonCode.NO_KEY, key=key)
    values = data[key]
    if _number(values) is not None:
        values = [values]  # the length of the only axis
    if not isinstance(values, list):
        raise LayoutError(ReasonCode.NO_LENGTHS, key=key, value=_say(values))
    if len(values) > _MAX_RANK:
        raise LayoutError(ReasonCode.TOO_MANY_DIMENSIONS, key=key, dimensions=len(values), most=_MAX_RANK)
    return tuple(_length(value, key) for value in values)


def _chunk_grid(data: Mapping[str, object], shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[Runs, ...] | None]:
    """Return the shape of the chunk files, and their lengths along each axis where these differ."""
    name, configuration = _extension(data, "chunk_grid")
    if name == "regular":
        return _chunk_shape(configuration, "chunk_shape", shape), None
    kind = configuration.get("kind", "inline")
    if name != "rectilinear" or kind != "inline":
        raise LayoutError(ReasonCode.UNKNOWN_GRID, value=_say(name if name != "rectilinear" else kind))
    axes = configuration.get("chunk_shapes")
    if not isinstance(axes, list):
        raise LayoutError(ReasonCode.NO_LENGTHS, key="chunk_shapes", value=_say(axes))
    if len(axes) != len(shape):
        raise LayoutError(ReasonCode.OTHER_RANK, here=len(shape), there=len(axes), key="chunk_shapes")
    runs = tuple(_runs(axis, length) for axis, length in zip(axes, shape, strict=True))
    if sum(map(len, runs)) > _MAX_RUNS:
        raise LayoutError(ReasonCode.TOO_MANY_LENGTHS)
    longest = tuple(map(_longest, axes, runs))
    return longest, runs if any(len(axis) > 1 for axis in runs) else None


def _longest(axis: object, runs: Runs) -> int:
    """Return the length of an axis's longest chunk file; where it has none yet, of the first one to come."""
    while not runs and isinstance(axis, list):
        axis = axis[0] if axis else 0
    return max((length for length, _ in runs), default=_number(axis) or 0)


def _runs(axis: object, extent: int) -> Runs:
    """Return the chunk files along an axis within the array; a rectilinear grid may reach further."""
    every = _number(axis)
    parts: list[object] = axis if isinstance(axis, list) else [axis]
    if every:
        parts = [[every, -(-extent // every)]]
    runs: list[tuple[int, int]] = []
    covered = 0
    for part in parts:
        pair = part if isinstance(part, list) and len(part) == 2 else [part, 1]
        length, count = (_length(value, "chunk_shapes") for value in pair)
        if not length:
            raise LayoutError(ReasonCode.LENGTH_ZERO, key="chunk_shapes")
        count = min(count, -(-(extent - covered) // length))
        if count <= 0:
            continue
        covered += length * count
        if runs and runs[-1][0] == length:
            count += runs.pop()[1]
        runs.append((length, count))
    if covered < extent:
        raise LayoutError(ReasonCode.CHUNKS_END_EARLY)
    return tuple(runs)


def _chunk_shape(data: Mapping[str, object], key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    chunks = _lengths(data, key)
    if len(chunks) != len(shape):
        raise LayoutError(ReasonCode.OTHER_RANK, here=len(shape), there=len(chunks), key=key)
    # zarr-python writes chunks of length 0 for dimensions of length 0, if told to.
    if any(n and not chunk for n, chunk in zip(shape, chunks, strict=True)):
        raise LayoutError(ReasonCode.LENGTH_ZERO, key=key)
    return chunks


def _extension(data: Mapping[str, object], key: str) -> tuple[str, Mapping[str, object]]:
    """Return the name and configuration of one of zarr v3's extension points."""
    if key not in data:
        raise LayoutError(ReasonCode.NO_KEY, key=key)
    value = data[key]
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(name, str):
        raise LayoutError(ReasonCode.NO_NAME, key=key)
    configuration = value.get("configuration") if isinstance(value, Mapping) else None
    return name, configuration if isinstance(configuration, Mapping) else {}


class _Keys(NamedTuple):
    """How chunk files are named."""

    encoding: Literal["default", "v2", "fanout"]
    separator: Literal[".", "/"]
    suffix: str
    max_children: int


def _chunk_key_encoding(data: dict[str, object]) -> _Keys:
    name, configuration = _extension(data, "chunk_key_encoding")
    suffix = ""
    while name == "suffix":
        more = configuration.get("suffix")
        if not isinstance(more, str):
            raise LayoutError(ReasonCode.NO_SUFFIX)
        suffix = more + suffix
        key = "base_encoding" if "base_encoding" in configuration else "base-encoding"  # the draft has both
        name, configuration = _extension(configuration, key)
    separator = configuration.get("separator")
    if name == "default":
        keys = _Keys("default", _separator(separator, "/"), suffix, 0)
    elif name == "v2":
        keys = _Keys("v2", _separator(separator, "."), suffix, 0)
    elif name == "fanout":
        most = _number(configuration.get("max_children", 1001))
        if most is None or not 3 < most <= _MAX_LENGTH:
            raise LayoutError(ReasonCode.BAD_VALUE, key="max_children", value=_say(configuration["max_children"]))
        keys = _Keys("fanout", "/", suffix, most)
    else:
        raise LayoutError(ReasonCode.UNKNOWN_KEYS, value=_say(name))
    _check_suffix(suffix)
    return keys


def _check_suffix(suffix: str) -> None:
    """Raise an error if names with a suffix would lie outside the array, or be those of locks or metadata."""
    name = f"0{suffix}".rpartition("/")[2]
    if not is_plain_path(f"0{suffix}") or not suffix.isprintable():
        raise LayoutError(ReasonCode.KEYS_LEAD_ELSEWHERE, suffix=_say(suffix))
    if classify_temporary(name) is not None or name in METADATA_NAMES:
        raise LayoutError(ReasonCode.KEYS_OF_OTHERS, suffix=_say(suffix))


def _separator(value: object, default: Literal[".", "/"]) -> Literal[".", "/"]:
    if value is None:
        return default
    if value not in (".", "/"):
        raise LayoutError(ReasonCode.BAD_SEPARATOR, value=_say(value))
    return "." if value == "." else "/"


def _inner_chunk_shape(codecs: object, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of the chunks in shards; other codecs may come before the sharding codec."""
    for codec in codecs if isinstance(codecs, list) else []:
        if isinstance(codec, Mapping) and codec.get("name") == "sharding_indexed":
            configuration = codec.get("configuration")
            if not isinstance(configuration, Mapping) or "chunk_shape" not in configuration:
                raise LayoutError(ReasonCode.NO_CHUNKS_IN_SHARDS)
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
        raise LayoutError(ReasonCode.VALUE_TOO_LONG, key=key, length=len(text))
    if text or value == "":
        return text
    if key not in data:
        raise LayoutError(ReasonCode.NO_KEY, key=key)
    raise LayoutError(ReasonCode.BAD_VALUE, key=key, value=_say(value))


def _say(value: object) -> str:
    """Return a JSON value as short text for a message."""
    if isinstance(value, Mapping | list):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
