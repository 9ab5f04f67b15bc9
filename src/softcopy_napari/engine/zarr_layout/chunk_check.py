"""Checks from a chunk file's own bytes whether it is whole, nearly always without decoding it.

The copy workers look at what they read anyway: a few bytes at both ends, block headers, a checksum in passing.
Libraries for checksums and gzip are imported with the first file that needs them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeGuard

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.shard_index import Content, ShardIndex, check_shard_index

_TAIL = 64
_CHECKSUM_SIZE = 4
_BLOCK = 1 << 20
_ENDS_EARLY = make_reason(ReasonCode.ENDS_EARLY)

_BLOSC_HEADER = 16
_GZIP_LEAST = 18  # header, trailer and an empty body
_GZIP_WINDOW, _ZLIB_WINDOW = 31, 15
_STARTS = {"bz2": b"BZh", "lzma": b"\xfd7zXZ\0"}
_LZ4_LEAST = 5

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f
_ZSTD_MOST = 1 << 17  # bytes of a block
_ZSTD_RAW, _ZSTD_RLE, _ZSTD_RESERVED = 0, 1, 3
_MANY_EMPTY = 16


class FileBytes:
    """An open file that is sliced like a buffer. Without `pread` (Windows) slicing moves its position.

    Parameters
    ----------
    fd : int
        The file's descriptor.
    size : int
        The file's size; slices are shorter if it has shrunk since.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        size, parts = stop - start, []
        if sys.platform == "win32":
            os.lseek(self._fd, start, os.SEEK_SET)
        while size > 0:
            read = os.read(self._fd, size) if sys.platform == "win32" else os.pread(self._fd, size, start)
            if not read:
                break
            parts.append(read)
            size -= len(read)
            start += len(read)
        return b"".join(parts)


class ChunkEncoding(NamedTuple):
    """The outermost encoding of an array's chunk files, made from its metadata by chunk_format.py."""

    codec: str
    """`raw`, or the name of the last codec: one of `CODECS`."""
    decoded_size: int = -1
    """Bytes before that codec is applied; -1 where that is not known."""
    at_start: bool = False
    """Whether the checksum comes before the data."""


ChunkFormat = ChunkEncoding | ShardIndex
"""What is known about the bytes of an array's chunk files."""
Finding = Reason | Literal[True] | None
"""Whether a chunk file is whole: True if it is, the reason if it cannot be, None if nothing is known."""


def can_prove_whole(chunk_format: ChunkFormat | None) -> bool:
    """Whether a chunk file of this format can prove that it is whole; others can only be found damaged."""
    if isinstance(chunk_format, ShardIndex):
        return chunk_format.has_crc
    if chunk_format is None or chunk_format.codec not in _PROVING:
        return False
    return chunk_format.codec != "gzip" or chunk_format.decoded_size >= 0


def needs_checksum(chunk_format: ChunkFormat | None) -> TypeGuard[ChunkEncoding]:
    """Whether checking a chunk file of this format takes a checksum of all its bytes."""
    return isinstance(chunk_format, ChunkEncoding) and chunk_format.codec in _CHECKSUMS


def needs_content(chunk_format: ChunkFormat) -> bool:
    """Whether `check_chunk` without a checksum reads a file of this format, or looks only at its size."""
    return not (
        needs_checksum(chunk_format) or (isinstance(chunk_format, ChunkEncoding) and chunk_format.codec == "raw")
    )


class Checksum:
    """The checksum of a chunk file's content, updated as the file is read block by block."""

    def __init__(self, encoding: ChunkEncoding, size: int) -> None:
        self._extend, self._value = _CHECKSUMS[encoding.codec]()
        self._at = 0
        self._first = _CHECKSUM_SIZE if encoding.at_start else 0
        self._end = size if encoding.at_start else size - _CHECKSUM_SIZE

    def update(self, block: memoryview | bytes) -> None:
        """Add the next block."""
        start, stop = max(self._first - self._at, 0), self._end - self._at
        self._at += len(block)
        if start or stop < len(block):
            block = block[start : max(stop, start)]
        if block:
            self._value = self._extend(self._value, block)

    @property
    def value(self) -> int:
        """The checksum of the blocks so far."""
        return self._value & 0xFFFFFFFF


def check_chunk(data: Content, chunk_format: ChunkFormat, checksum: Checksum | None = None) -> Finding:
    """Check whether a chunk file is whole.

    A file that zarr readers could read is never called damaged: in doubt, nothing is known.

    - no compression: the size is exact. That does not find a file that is made of full size and filled later (see
      `has_written_end`). A longer file is not called damaged.
    - blosc: the header holds the file's size.
    - zstd: the last block and checksum end where the file does. The content is not decoded.
    - gzip: the end holds the decoded size. If that is not the expected one, or none is expected, the file is inflated
      to see whether it ends; so is zlib, whose end tells no size.
    - crc32c, crc32, adler32 as the last codec: the checksum matches.
    - shards: the index matches its checksum and the file's size; without a checksum it is never proven.
    - bz2, lzma, lz4: a wrong beginning means damage; nothing else is known.

    Parameters
    ----------
    data : Content
        The file: `len` is its size, slices are its content.
    chunk_format : ChunkFormat
        The format of its array's chunk files.
    checksum : Checksum, optional
        The checksum of the whole file, where `needs_checksum`; without it only the size of such a file is checked.
    """
    if isinstance(chunk_format, ShardIndex):
        damage = check_shard_index(data, chunk_format)
        return damage or (True if chunk_format.has_crc else None)
    if not len(data) and chunk_format.decoded_size:
        return make_reason(ReasonCode.FILE_EMPTY)
    if needs_checksum(chunk_format):
        return _check_sum(data, chunk_format, checksum)
    return CODECS[chunk_format.codec](data, chunk_format)


def check_chunk_in_memory(data: memoryview, chunk_format: ChunkFormat) -> Finding:
    """Check a file that is in memory as `check_chunk` does, with its checksum."""
    if not isinstance(chunk_format, ChunkEncoding) or chunk_format.codec not in _CHECKSUMS:
        return check_chunk(data, chunk_format)
    checksum = Checksum(chunk_format, len(data))
    checksum.update(data)
    return check_chunk(data, chunk_format, checksum)


def has_written_end(data: Content) -> bool:
    """Whether a file's end was written: one that is made of full size first ends in zeros until it is filled."""
    return bool(bytes(data[max(len(data) - _TAIL, 0) : len(data)]).strip(b"\0"))


def _check_raw(data: Content, encoding: ChunkEncoding) -> Finding:
    size, expected = len(data), encoding.decoded_size
    if size < expected:
        return make_reason(ReasonCode.ENDS_EARLY, size=size, expected=expected)
    return True if size == expected else None  # a longer one is odd, but complete


def _check_blosc(data: Content, encoding: ChunkEncoding) -> Finding:
    header = data[0:_BLOSC_HEADER]
    if len(header) < _BLOSC_HEADER:
        return _ENDS_EARLY
    if not header[0]:  # the version of the format; never 0
        return make_reason(ReasonCode.BEGINS_WITH_ZEROS, codec="blosc")
    size = int.from_bytes(header[12:16], "little")
    if size > len(data):
        return make_reason(ReasonCode.ENDS_EARLY, size=len(data), expected=size)
    decoded = int.from_bytes(header[4:8], "little")
    return True if size == len(data) and decoded == _expected(encoding, decoded) else None


def _expected(encoding: ChunkEncoding, found: int) -> int:
    """Return the expected decoded size, or the one found where none is expected."""
    return found if encoding.decoded_size < 0 else encoding.decoded_size


def _check_gzip(data: Content, encoding: ChunkEncoding) -> Finding:
    size = len(data)
    if size < _GZIP_LEAST:
        return _ENDS_EARLY
    if bytes(data[0:2]) != b"\x1f\x8b":
        return make_reason(ReasonCode.BEGINS_OTHERWISE, codec="gzip")
    if encoding.decoded_size >= 0 and bytes(data[size - 4 : size]) == _gzip_size(encoding):
        return True
    return _inflate(data, _GZIP_WINDOW)


def _gzip_size(encoding: ChunkEncoding) -> bytes:
    return (encoding.decoded_size & 0xFFFFFFFF).to_bytes(4, "little")


def _inflate(data: Content, window: int) -> Finding:
    """Inflate gzip or zlib data to see whether they end; they may have several members, and anything may follow."""
    import zlib

    inflate = zlib.decompressobj(window)
    for start in range(0, len(data), _BLOCK):
        block, full = bytes(data[start : start + _BLOCK]), True
        while (block or full) and not inflate.eof:
            try:
                full = len(inflate.decompress(block, _BLOCK)) == _BLOCK
            except zlib.error:
                return make_reason(ReasonCode.CANNOT_INFLATE)
            block = inflate.unconsumed_tail
        if inflate.eof:
            return None  # whole, but not known to be of the right size, or followed by something
    return _ENDS_EARLY


def _check_zlib(data: Content, encoding: ChunkEncoding) -> Finding:
    head = bytes(data[0:2])
    if len(head) < 2:
        return _ENDS_EARLY
    if head[0] & 15 != 8 or int.from_bytes(head, "big") % 31:
        return make_reason(ReasonCode.BEGINS_OTHERWISE, codec="zlib")
    return _inflate(data, _ZLIB_WINDOW)


def _check_start(data: Content, encoding: ChunkEncoding) -> Finding:
    start = _STARTS[encoding.codec]
    begins = bytes(data[0 : len(start)]) == start
    return None if begins else make_reason(ReasonCode.BEGINS_OTHERWISE, codec=encoding.codec)


def _check_lz4(data: Content, encoding: ChunkEncoding) -> Finding:
    if len(data) < _LZ4_LEAST and encoding.decoded_size > 0:
        return _ENDS_EARLY
    zeros = encoding.decoded_size > 0 and not any(data[0:4])  # the decoded size
    return make_reason(ReasonCode.BEGINS_WITH_ZEROS, codec="lz4") if zeros else None


def _check_zstd(data: Content, encoding: ChunkEncoding) -> Finding:
    at, size, decoded, frames = 0, len(data), 0, 0
    while at < size:
        magic = bytes(data[at : at + 4])
        if magic[1:] == _ZSTD_SKIPPABLE and magic[0] & 0xF0 == 0x50:
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if magic != _ZSTD_FRAME:
            if at or len(magic) < 4:
                return None if at else _ENDS_EARLY
            older = magic[1:] == _ZSTD_FRAME[1:] and 0x22 <= magic[0] <= 0x27
            return None if older else make_reason(ReasonCode.BEGINS_OTHERWISE, codec="zstd")
        end, content, reason = _walk_frame(data, at, size)
        if not end:
            return reason
        at, decoded, frames = end, decoded + content if min(decoded, content) >= 0 else -1, frames + 1
    if at > size:
        return _ENDS_EARLY
    if decoded >= 0:
        return True if frames and decoded == _expected(encoding, decoded) else None
    return True if frames == 1 else None  # more could be missing where several do not tell what they hold


def _walk_frame(data: Content, at: int, size: int) -> tuple[int, int, Reason | None]:
    """Walk through the blocks of a zstd frame (RFC 8878).

    Returns
    -------
    tuple of int, int and Reason or None
        Where the frame ends, 0 if that cannot be told; the size of its content, -1 if it does not say; and what is
        wrong with it.
    """
    head = bytes(data[at : at + 18])
    if len(head) < 6:
        return 0, -1, _ENDS_EARLY
    flags = head[4]
    if flags & 0x08:  # a reserved bit: a newer format
        return 0, -1, None
    single = bool(flags & 0x20)
    first = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    length = (1 if single else 0, 2, 4, 8)[flags >> 6]
    content = int.from_bytes(head[first : first + length], "little") + (256 if length == 2 else 0) if length else -1
    at += first + length
    last = empty = 0
    while not last:
        header = data[at : at + 3]
        if at + 3 > size or len(header) < 3:
            return 0, content, _ENDS_EARLY
        word = int.from_bytes(header, "little")
        last, kind, length = word & 1, word >> 1 & 3, word >> 3
        if kind == _ZSTD_RESERVED or length > _ZSTD_MOST:
            return 0, content, make_reason(ReasonCode.NO_ZSTD)
        if not word:  # an empty block, or zeros where a writer has not been yet
            empty += 1
            if empty > _MANY_EMPTY:
                zeros = _is_zero(data, at, size)
                return 0, content, make_reason(ReasonCode.ENDS_IN_ZEROS) if zeros else None
        at += 3 + (1 if kind == _ZSTD_RLE else length)
    if flags & 0x04:
        at += _CHECKSUM_SIZE
    return (at, content, None) if at <= size else (0, content, _ENDS_EARLY)


def _is_zero(data: Content, start: int, end: int) -> bool:
    return not any(bytes(data[at : at + _BLOCK]).strip(b"\0") for at in range(start, end, _BLOCK))


def _check_sum(data: Content, encoding: ChunkEncoding, checksum: Checksum | None) -> Finding:
    size, expected = len(data), encoding.decoded_size + _CHECKSUM_SIZE
    if size < _CHECKSUM_SIZE:
        return _ENDS_EARLY
    if encoding.decoded_size >= 0 and size < expected:
        return make_reason(ReasonCode.ENDS_EARLY, size=size, expected=expected)
    if checksum is None:
        return None
    stored = data[0:_CHECKSUM_SIZE] if encoding.at_start else data[size - _CHECKSUM_SIZE : size]
    agrees = int.from_bytes(stored, "little") == checksum.value
    return True if agrees else make_reason(ReasonCode.CHECKSUM_DIFFERS, codec=encoding.codec)


def _crc32c() -> tuple[Callable[[int, memoryview | bytes], int], int]:
    # Imported here because most workers do not need it: it takes 1 MB and 3 ms.
    from google_crc32c import extend

    return lambda value, block: extend(value, bytes(block)), 0  # it accepts only immutable data


def _crc32() -> tuple[Callable[[int, memoryview | bytes], int], int]:
    from zlib import crc32

    return lambda value, block: crc32(block, value), 0


def _adler32() -> tuple[Callable[[int, memoryview | bytes], int], int]:
    from zlib import adler32

    return lambda value, block: adler32(block, value), 1


_CHECKSUMS = {"crc32c": _crc32c, "crc32": _crc32, "adler32": _adler32}
_PROVING = {"raw", "blosc", "zstd", "gzip", *_CHECKSUMS}
CODECS: dict[str, Callable[[Content, ChunkEncoding], Finding]] = {
    "raw": _check_raw,
    "blosc": _check_blosc,
    "zstd": _check_zstd,
    "gzip": _check_gzip,
    "zlib": _check_zlib,
    "bz2": _check_start,
    "lzma": _check_start,
    "lz4": _check_lz4,
}
"""How files of each codec without a checksum are checked."""
