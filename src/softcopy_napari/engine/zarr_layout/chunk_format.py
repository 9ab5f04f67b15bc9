"""Finds out from an array's metadata what its chunk files look like, so that they can be checked (chunk_check.py).

Whatever is not known here makes less known, never an error: such files are copied all the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from softcopy_napari.engine.zarr_layout.chunk_check import CODECS, ChunkFormat, Encoding
from softcopy_napari.engine.zarr_layout.shard_index import index_of, named

_NUMCODECS = "numcodecs."
_CHECKSUMS = {"crc32c": "end", "crc32": "start", "adler32": "start"}
"""Codecs that add a checksum of four bytes, and where they put it if nothing is said."""
_SAME_SIZE = {"shuffle", "bitround"}
_XZ = 1  # lzma's default container
_V2_DTYPE = re.compile(r"[<>|]([biufcSUVmM])([1-9]\d{0,8})(?:\[\w+\])?")
_V3_DTYPE = re.compile(r"(?:u?int|float|complex)(8|16|32|64|128)")
_V3_SIZES = {"bool": 1, "bfloat16": 2, "numpy.datetime64": 8, "numpy.timedelta64": 8}


def format_of_v3(codecs: object, data_type: object, chunk_shape: Sequence[int] | None) -> ChunkFormat | None:
    """What zarr v3's metadata tell of an array's chunk files.

    Parameters
    ----------
    codecs, data_type : object
        As they stand in the metadata, whatever they are.
    chunk_shape : sequence of int or None
        In elements, of a chunk file; None where they are of several shapes.

    Returns
    -------
    ChunkFormat or None
        None where nothing is known that could be checked.
    """
    if not isinstance(codecs, list):
        return None
    if chunk_shape is not None and (index := index_of(codecs, chunk_shape)) is not None:
        return index
    chain = [named(codec) for codec in codecs]
    itemsize = _v3_itemsize(data_type)
    for number, (name, _) in enumerate(chain):
        if name == "bytes":
            size = math.prod(chunk_shape) * itemsize if itemsize > 0 and chunk_shape is not None else -1
            return _outermost(chain[number + 1 :], size)
        if name != "transpose":
            itemsize = -1  # it may make other elements of them
    return _outermost(chain, -1)


def format_of_v2(compressor: object, filters: object, dtype: object, chunk_shape: Sequence[int]) -> ChunkFormat | None:
    """What zarr v2's metadata tell of an array's chunk files; see `format_of_v3`."""
    if filters is not None and not isinstance(filters, list):
        return None
    chain = [*(filters or []), *([] if compressor is None else [compressor])]
    if not all(isinstance(codec, Mapping) for codec in chain):
        return None
    itemsize = _v2_itemsize(dtype)
    size = math.prod(chunk_shape) * itemsize if itemsize > 0 else -1
    return _outermost([(codec.get("id"), codec) for codec in chain], size)


def _outermost(chain: Sequence[tuple[object, Mapping[str, object]]], size: int) -> Encoding | None:
    """The last of the codecs that make bytes of bytes, with what is known of the size before it."""
    found = Encoding("raw", size) if size >= 0 else None
    for codec, configuration in chain:
        name = codec.removeprefix(_NUMCODECS) if isinstance(codec, str) else ""
        if name in _CHECKSUMS:
            location = configuration.get("location", _CHECKSUMS[name])
            known = location in ("start", "end")
            found = Encoding(name, size, location == "start") if known else None
            size = size + 4 if size >= 0 else -1
        elif name == "fletcher32":
            size = size + 4 if size >= 0 else -1
            found = Encoding("raw", size) if size >= 0 else None
        elif name in _SAME_SIZE:
            found = Encoding("raw", size) if size >= 0 else None
        else:
            known = name in CODECS and name != "raw" and (name != "lzma" or configuration.get("format", _XZ) == _XZ)
            found = Encoding(name, size) if known else None
            size = -1
    return found


def _v2_itemsize(dtype: object) -> int:
    """Bytes of an element, -1 where that is not known."""
    match = _V2_DTYPE.fullmatch(dtype) if isinstance(dtype, str) else None
    if match is None:
        return -1
    kind, number = match.groups()
    return int(number) * (4 if kind == "U" else 1)


def _v3_itemsize(data_type: object) -> int:
    """Bytes of an element, -1 where that is not known."""
    name, configuration = named(data_type)
    if not isinstance(name, str):
        return -1
    if match := _V3_DTYPE.fullmatch(name):
        return int(match[1]) // 8
    if match := re.fullmatch(r"r([1-9]\d{0,8})", name):
        return int(match[1]) // 8 if int(match[1]) % 8 == 0 else -1
    if name in ("fixed_length_utf32", "null_terminated_bytes", "raw_bytes"):
        length = configuration.get("length_bytes")
        return length if type(length) is int and length > 0 else -1
    return _V3_SIZES.get(name, -1)
