"""Reads from an array's metadata what its chunk files look like, so that chunk_check.py can check them.

Codecs that are not known here are no error: less can be checked then, and the files are copied all the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from softcopy_napari.engine.zarr_layout.chunk_check import CODECS, ChunkEncoding, ChunkFormat
from softcopy_napari.engine.zarr_layout.shard_index import MAX_CHUNKS, ShardIndex

_NUMCODECS = "numcodecs."
_CHECKSUMS = {"crc32c": "end", "crc32": "start", "adler32": "start"}
"""Codecs that add a checksum of four bytes, and where they put it by default."""
_SAME_SIZE = {"shuffle", "bitround"}
_TYPE_KEYS = {
    "astype": ("decode_dtype", "encode_dtype"),
    **dict.fromkeys(("delta", "fixedscaleoffset", "quantize"), ("dtype", "astype")),
}
"""Filters that change the type of the elements and not their number, and the keys of the old and the new one."""
_XZ = 1  # lzma's default container
_V2_DTYPE = re.compile(r"[<>|]([biufcSUVmM])([1-9]\d{0,8})(?:\[\w+\])?")
_V3_DTYPE = re.compile(r"(?:u?int|float|complex)(8|16|32|64|128)")
_V3_SIZES = {"bool": 1, "bfloat16": 2, "numpy.datetime64": 8, "numpy.timedelta64": 8}


def read_v3_chunk_format(codecs: object, data_type: object, chunk_shape: Sequence[int] | None) -> ChunkFormat | None:
    """Read the format of an array's chunk files from zarr v3 metadata.

    Parameters
    ----------
    codecs, data_type : object
        The metadata's values, which need not be valid.
    chunk_shape : sequence of int or None
        Shape of a chunk file, in elements; None where chunk files have several shapes.

    Returns
    -------
    ChunkFormat or None
        None where nothing can be checked.
    """
    if not isinstance(codecs, list):
        return None
    if chunk_shape is not None and (index := read_shard_index(codecs, chunk_shape)) is not None:
        return index
    chain = [split_codec(codec) for codec in codecs]
    itemsize = _v3_itemsize(data_type)
    for number, (name, configuration) in enumerate(chain):
        if name == "bytes":
            size = math.prod(chunk_shape) * itemsize if itemsize > 0 and chunk_shape is not None else -1
            return _outermost(chain[number + 1 :], size)
        if name != "transpose":
            itemsize = _filtered_size(name, configuration, itemsize)
    return _outermost(chain, -1)


def read_v2_chunk_format(
    compressor: object, filters: object, dtype: object, chunk_shape: Sequence[int]
) -> ChunkFormat | None:
    """Read the format of an array's chunk files from zarr v2 metadata; see `read_v3_chunk_format`."""
    if filters is not None and not isinstance(filters, list):
        return None
    chain = [*(filters or []), *([] if compressor is None else [compressor])]
    if not all(isinstance(codec, Mapping) for codec in chain):
        return None
    itemsize = _v2_itemsize(dtype)
    size = math.prod(chunk_shape) * itemsize if itemsize > 0 else -1
    return _outermost([(codec.get("id"), codec) for codec in chain], size)


def _outermost(chain: Sequence[tuple[object, Mapping[str, object]]], size: int) -> ChunkEncoding | None:
    """Return the last of the bytes-to-bytes codecs, with what is known of the size before it."""
    found = ChunkEncoding("raw", size) if size >= 0 else None
    for codec, configuration in chain:
        name = _plain_name(codec)
        if name in _CHECKSUMS:
            location = configuration.get("location", _CHECKSUMS[name])
            known = location in ("start", "end")
            found = ChunkEncoding(name, size, location == "start") if known else None
            size = size + 4 if size >= 0 else -1
        elif name == "fletcher32":
            size = size + 4 if size >= 0 else -1
            found = ChunkEncoding("raw", size) if size >= 0 else None
        elif name in _SAME_SIZE or name in _TYPE_KEYS:
            size = _filtered_size(name, configuration, size)
            found = ChunkEncoding("raw", size) if size >= 0 else None
        else:
            known = name in CODECS and name != "raw" and (name != "lzma" or configuration.get("format", _XZ) == _XZ)
            found = ChunkEncoding(name, size) if known else None
            size = -1
    return found


def _plain_name(codec: object) -> str:
    return codec.removeprefix(_NUMCODECS) if isinstance(codec, str) else ""


def _filtered_size(codec: object, configuration: Mapping[str, object], size: int) -> int:
    """Return the size in bytes, of one element or of all, after a filter; -1 where that is not known."""
    name = _plain_name(codec)
    if name in _SAME_SIZE:
        return size
    old_key, new_key = _TYPE_KEYS.get(name, ("", ""))
    old = configuration.get(old_key)
    before, after = _v2_itemsize(old), _v2_itemsize(configuration.get(new_key, old))
    return size // before * after if min(size, before, after) > 0 and size % before == 0 else -1


def _v2_itemsize(dtype: object) -> int:
    """Return the size of an element in bytes, -1 where that is not known."""
    match = _V2_DTYPE.fullmatch(dtype) if isinstance(dtype, str) else None
    if match is None:
        return -1
    kind, number = match.groups()
    return int(number) * (4 if kind == "U" else 1)


def _v3_itemsize(data_type: object) -> int:
    """Return the size of an element in bytes, -1 where that is not known."""
    name, configuration = split_codec(data_type)
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


def read_shard_index(codecs: object, shard_shape: Sequence[int]) -> ShardIndex | None:
    """Read from an array's metadata what the index of its shards looks like.

    Parameters
    ----------
    codecs : object
        The metadata's `codecs`, which need not be valid.
    shard_shape : sequence of int
        Shape of a shard, in elements.

    Returns
    -------
    ShardIndex or None
        None where there are no shards, or where their index cannot be checked: it is compressed, too large, or comes
        with unknown codecs. For shards in shards it is the outer index.
    """
    shape = list(shard_shape)
    chain = codecs if isinstance(codecs, list) else []
    for number, codec in enumerate(chain):
        name, configuration = split_codec(codec)
        if name == "sharding_indexed":
            last = number == len(chain) - 1  # later codecs encode the shard, index included
            return _read_sharding(shape, configuration) if last else None
        order = configuration.get("order")
        if name != "transpose" or not isinstance(order, list) or not all(type(axis) is int for axis in order):
            return None
        if sorted(order) != list(range(len(shape))):
            return None
        shape = [shape[axis] for axis in order]
    return None


def _read_sharding(shape: list[int], configuration: Mapping[str, object]) -> ShardIndex | None:
    inner = configuration.get("chunk_shape")
    location = configuration.get("index_location", "end")
    if not isinstance(inner, list) or len(inner) != len(shape) or location not in ("start", "end"):
        return None
    lengths = list(zip(shape, inner, strict=True))
    if not all(type(n) is int and n > 0 and length > 0 and length % n == 0 for length, n in lengths):
        return None
    n_chunks = math.prod(length // n for length, n in lengths)
    if n_chunks > MAX_CHUNKS:
        return None
    default = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    codecs = configuration.get("index_codecs", default)
    chain = [split_codec(codec) for codec in codecs] if isinstance(codecs, list) else []
    endian = chain[0][1].get("endian") if chain else None
    names = [name for name, _ in chain]
    if names not in (["bytes"], ["bytes", "crc32c"]) or endian not in ("little", "big"):
        return None
    return ShardIndex(
        "start" if location == "start" else "end", n_chunks, "big" if endian == "big" else "little", len(names) > 1
    )


def split_codec(codec: object) -> tuple[object, Mapping[str, object]]:
    """Return the name and configuration of a codec; zarr v3.1 allows a bare name."""
    if not isinstance(codec, Mapping):
        return codec, {}
    configuration = codec.get("configuration")
    return codec.get("name"), configuration if isinstance(configuration, Mapping) else {}
