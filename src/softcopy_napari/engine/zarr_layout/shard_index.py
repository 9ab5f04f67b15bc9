"""Tells whether a shard file's index is whole: kilobytes are read instead of the shard.

A writer that fills a shard in place writes its index last (zarr v3's codec `sharding_indexed`). Used by the copy
workers, and imports nothing heavy: the checksum's library only with the first shard that has one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import compress, islice, repeat
from operator import add, and_, gt, ne
from typing import Literal, NamedTuple, Protocol

MAX_CHUNKS = 1 << 18
"""Inner chunks of the largest index that is checked (4 MB); usual are tens to some ten thousands."""
_EMPTY = (1 << 64) - 1
"""Offset and size of an inner chunk that was never written."""
_CRC_SIZE = 4
_NOT_WHOLE = "its index is not whole yet"


class Content(Protocol):
    """What a file holds: a buffer, or something that is sliced like one (`chunk_check.FileBytes`)."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...


class ShardIndex(NamedTuple):
    """What the index of an array's shards looks like."""

    location: Literal["start", "end"]
    n_chunks: int
    """Inner chunks of a shard."""
    byteorder: Literal["little", "big"] = "little"
    has_crc: bool = True

    @property
    def size(self) -> int:
        """In bytes, with the checksum."""
        return 16 * self.n_chunks + _CRC_SIZE * self.has_crc


def check_shard_index(data: Content, index: ShardIndex) -> str:
    """Say what is wrong with a shard's index.

    Parameters
    ----------
    data : Content
        The shard: `len` is its size, slices are its content.
    index : ShardIndex
        What its index should look like.

    Returns
    -------
    str
        Words that go on after the file's name; empty for an index that is whole. Without a checksum this says
        less: what looks like an index may be one by chance, or an older one.

    Raises
    ------
    OSError
        The shard cannot be read.
    """
    size = len(data)
    if size < index.size:
        return "is too short for its index"
    first = size - index.size if index.location == "end" else 0
    content = bytes(data[first : first + index.size])
    if len(content) < index.size:
        return "is too short for its index"
    if index.has_crc:
        # Here: 1 MB and 3 ms that workers without shards do not need.
        from google_crc32c import value

        content, checksum = content[:-_CRC_SIZE], content[-_CRC_SIZE:]
        if value(content) != int.from_bytes(checksum, "little"):
            return f"{_NOT_WHOLE} (checksum)"
    numbers = array("Q", content)
    if index.byteorder != sys.byteorder:
        numbers.byteswap()
    return _check_pairs(numbers[::2], numbers[1::2], size, index)


def _check_pairs(offsets: Sequence[int], sizes: Sequence[int], size: int, index: ShardIndex) -> str:
    """Say whether inner chunks lie where none can; all loops are in C."""
    if _EMPTY in offsets:
        used = list(map(ne, map(and_, offsets, sizes), repeat(_EMPTY)))
        offsets, sizes = list(compress(offsets, used)), list(compress(sizes, used))
    if not index.has_crc and (0 in sizes or not (sizes or size == index.size)):
        return _NOT_WHOLE  # zeros, or ones throughout: what is there before an index is, or bright image
    if not offsets:
        return ""
    try:
        ends = array("Q", map(add, offsets, sizes))  # a third of a list's memory
    except OverflowError:
        return "its index points beyond its end"
    if max(ends) > size:
        return "its index points beyond its end"
    if (max(ends) > size - index.size) if index.location == "end" else (min(offsets) < index.size):
        return "its index points into itself"
    if _overlap(offsets, ends):
        pairs = set(zip(offsets, ends, strict=True))  # several may share what is equal
        if _overlap([start for start, _ in pairs], [end for _, end in pairs]):
            return "its inner chunks overlap"
    return ""


def _overlap(starts: Sequence[int], ends: Sequence[int]) -> bool:
    """Whether intervals overlap."""
    if not any(map(gt, ends, islice(starts, 1, None))):  # as most writers leave them
        return False
    # Where some overlap, sorting both sides apart shows it as well.
    return any(map(gt, sorted(ends), islice(sorted(starts), 1, None)))
