"""Checks whether a shard's index is whole: kilobytes are read instead of the shard.

A writer that fills a shard in place writes its index last (zarr v3's codec `sharding_indexed`). The library for its
checksum is imported with the first shard that has one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import compress, islice, repeat
from operator import add, and_, gt, ne
from typing import Literal, NamedTuple, Protocol

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

MAX_CHUNKS = 1 << 18
"""Most inner chunks of an index that is checked (4 MB); shards usually have tens to tens of thousands."""
_EMPTY = (1 << 64) - 1
"""Offset and size of an inner chunk that was never written."""
_CRC_SIZE = 4


class Content(Protocol):
    """The content of a file: a buffer, or something that is sliced like one (`chunk_check.FileBytes`)."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...


class ShardIndex(NamedTuple):
    """What the index of an array's shards looks like."""

    location: Literal["start", "end"]
    n_chunks: int
    """Number of inner chunks of a shard."""
    byteorder: Literal["little", "big"] = "little"
    has_crc: bool = True

    @property
    def size(self) -> int:
        """The index's size in bytes, with the checksum."""
        return 16 * self.n_chunks + _CRC_SIZE * self.has_crc


def check_shard_index(data: Content, index: ShardIndex) -> Reason | None:
    """Return what is wrong with a shard's index.

    Parameters
    ----------
    data : Content
        The shard: `len` is its size, slices are its content.
    index : ShardIndex
        What the metadata say about its index.

    Returns
    -------
    Reason or None
        None for an index that is whole. Without a checksum that is less certain: what looks like an index may be so by
        chance, or be an older one.
    """
    size = len(data)
    if size < index.size:
        return make_reason(ReasonCode.INDEX_TOO_SHORT)
    first = size - index.size if index.location == "end" else 0
    content = bytes(data[first : first + index.size])
    if len(content) < index.size:
        return make_reason(ReasonCode.INDEX_TOO_SHORT)
    if index.has_crc:
        # Imported here because only shards need it: it takes 1 MB and 3 ms.
        from google_crc32c import value

        content, checksum = content[:-_CRC_SIZE], content[-_CRC_SIZE:]
        if value(content) != int.from_bytes(checksum, "little"):
            return make_reason(ReasonCode.INDEX_CHECKSUM)
    numbers = array("Q", content)
    if index.byteorder != sys.byteorder:
        numbers.byteswap()
    return _check_pairs(numbers[::2], numbers[1::2], size, index)


def _check_pairs(offsets: Sequence[int], sizes: Sequence[int], size: int, index: ShardIndex) -> Reason | None:
    """Return what is wrong with the places of inner chunks; all loops run in C."""
    if _EMPTY in offsets:
        used = list(map(ne, map(and_, offsets, sizes), repeat(_EMPTY)))
        offsets, sizes = list(compress(offsets, used)), list(compress(sizes, used))
    if not index.has_crc and (0 in sizes or not (sizes or size == index.size)):
        return make_reason(ReasonCode.INDEX_NOT_WHOLE)  # all zeros or ones: no index yet, or image data
    if not offsets:
        return None
    try:
        ends = array("Q", map(add, offsets, sizes))  # a third of a list's memory
    except OverflowError:
        return make_reason(ReasonCode.INDEX_BEYOND_END)
    if max(ends) > size:
        return make_reason(ReasonCode.INDEX_BEYOND_END)
    if (max(ends) > size - index.size) if index.location == "end" else (min(offsets) < index.size):
        return make_reason(ReasonCode.INDEX_INTO_ITSELF)
    if _overlap(offsets, ends):
        pairs = set(zip(offsets, ends, strict=True))  # equal chunks may share a place
        if _overlap([start for start, _ in pairs], [end for _, end in pairs]):
            return make_reason(ReasonCode.CHUNKS_OVERLAP)
    return None


def _overlap(starts: Sequence[int], ends: Sequence[int]) -> bool:
    """Whether intervals overlap."""
    if not any(map(gt, ends, islice(starts, 1, None))):  # in order, as most writers leave them
        return False
    # If any overlap, sorting starts and ends separately shows it as well.
    return any(map(gt, sorted(ends), islice(sorted(starts), 1, None)))
