"""Chunk files that tell by themselves whether they are whole, which chunk they are, and which version of it."""

from __future__ import annotations

import json
import re
import struct

import google_crc32c
import numpy as np

PLANE = (256, 256)
"""Of the chunks, in elements of 8 bytes: large enough that a copy can be caught half-way."""
TILE = 64
"""Side of the inner chunks of a shard, in elements of 4 bytes; each holds one frame."""
SHARD = (8, 2, 2)
"""Inner chunks of a shard."""

_CHUNK = re.compile(r"(?:.*/)?(\d+)/(\d+)/0/0")
"""Of zarr v3 and, nested, of v2."""
_SHARD = re.compile(r"(?:.*/)?c/(\d+)/(\d+)/(\d+)")
_IMAGE = re.compile(r"pos(\d+)/img_(\d+)\.tif")
_STACK = re.compile(r"stack_\d+\.bin")
RECORD = 4096
"""Bytes of a frame in a stack, which begins with the number of its frames."""
_EMPTY = (2**64 - 1, 2**64 - 1)


def chunk(t: int, z: int, version: int) -> np.ndarray:
    """A version of the chunk (t, z): one number throughout, which says all three."""
    return np.full(PLANE, ((t << 16 | z) << 32) | version, np.uint64)


def frame(number: int) -> np.ndarray:
    """A frame of what is appended to shards."""
    return np.full((SHARD[1] * TILE * 2, SHARD[2] * TILE * 2), number + 1, np.uint32)


def check(path: str, content: bytes) -> tuple[str, int]:
    """Say what is wrong with a file.

    Parameters
    ----------
    path : str
        Relative to the dataset, `/` separated.
    content : bytes
        All of it.

    Returns
    -------
    tuple of str and int
        Words; empty for a file that is whole. And its version, which only ever grows; -1 where it has none.
    """
    if path.endswith(("zarr.json", ".zarray")):
        try:
            json.loads(content)
        except ValueError as error:
            return f"is no JSON: {error}", -1
        return "", -1
    if match := _CHUNK.fullmatch(path):
        return _check_chunk(int(match[1]), int(match[2]), content)
    if match := _SHARD.fullmatch(path):
        return _check_shard(int(match[1]), content), -1
    if match := _IMAGE.fullmatch(path):
        return _check_chunk(int(match[1]), int(match[2]), content)
    if _STACK.fullmatch(path):
        return ("" if content == stack(content[:1]) else f"is torn: {len(content)} bytes"), -1
    if path == "table.csv":
        rows = content.decode().count("\n")
        return ("" if content == table(rows) else "is torn"), rows
    return "is nobody's", -1


def stack(frames: bytes) -> bytes:
    """All of a stack; its first byte is the number of its frames."""
    return frames + b"".join(bytes([number]) * RECORD for number in range(frames[0] if frames else 0))


def table(rows: int) -> bytes:
    """A table of so many rows."""
    return b"".join(b"%d,row\n" % number for number in range(rows))


def _check_chunk(t: int, z: int, content: bytes) -> tuple[str, int]:
    expected = PLANE[0] * PLANE[1] * 8
    if len(content) != expected:
        return f"has {len(content)} bytes, not {expected}", -1
    numbers = np.frombuffer(content, np.uint64)
    first = int(numbers[0])
    if not (numbers == first).all():
        return f"is torn: {np.unique(numbers)[:5].tolist()}", -1
    if first >> 32 != t << 16 | z:
        return f"is the chunk {first >> 48}, {first >> 32 & 0xFFFF}", -1
    return "", first & 0xFFFFFFFF


def _check_shard(t: int, content: bytes) -> str:
    """A shard is whole if its index is, and if each inner chunk holds its frame."""
    n = SHARD[0] * SHARD[1] * SHARD[2]
    index, checksum = content[-16 * n - 4 : -4], content[-4:]
    if len(index) < 16 * n or google_crc32c.value(index) != int.from_bytes(checksum, "little"):
        return f"has no whole index ({len(content)} bytes)"
    for number in range(n):
        offset, size = struct.unpack_from("<QQ", index, 16 * number)
        if (offset, size) == _EMPTY:
            continue
        wanted = t * SHARD[0] + number // (SHARD[1] * SHARD[2]) + 1
        tile = np.frombuffer(content[offset : offset + size], np.uint32)
        if tile.size != TILE * TILE or not (tile == wanted).all():
            return f"is torn: frame {wanted} holds {np.unique(tile)[:5].tolist()}"
    return ""
