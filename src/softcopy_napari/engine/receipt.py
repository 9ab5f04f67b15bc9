"""The receipt of a copy: every file's checksum, for anyone to check without this program, and what was copied how.

Two files beside the destination `NAME`: `NAME.xxh128`, which `xxhsum -c` reads, and `NAME.receipt.json`. A destination
that is the top of a disk has nothing beside it, and a folder may not be writable: then both lie in the
destination, and are called `softcopy.xxh128` and `softcopy.receipt.json`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field
from xxhash import xxh3_128

from softcopy_napari.engine.text import printable
from softcopy_napari.engine.writers import RECEIPTS, TEMPORARY_PREFIX, TEMPORARY_SUFFIX

_SUMS, _JSON = ".xxh128", ".receipt.json"
_LINE = re.compile(rb"(\\?)(?:XXH128[ _])?([0-9a-fA-F]{32}) [ *](.+)", re.DOTALL)
_BSD = re.compile(rb"(\\?)XXH(?:3_)?128 \((.+)\) = ([0-9a-fA-F]{32})", re.DOTALL)
_BLOCK = 1 << 14
"""Lines written together."""


class ReceiptError(Exception):
    """There is no receipt, or it cannot be read."""


class ArrayFacts(BaseModel):
    """One array, when the copy was complete."""

    model_config = ConfigDict(extra="ignore")

    path: str
    """Relative to the destination; empty for an array at its top."""
    shape: tuple[int, ...]
    chunk_file_shape: tuple[int, ...]
    dtype: str
    chunk_files: int
    """That the metadata promise."""
    never_written: int
    """Those of them that never came: the fill value is read in their place."""


class Receipt(BaseModel):
    """What was copied, from where, when, and how it is known to be right."""

    model_config = ConfigDict(extra="ignore")

    software: str
    """Name and version."""
    system: str = ""
    """Python and operating system."""
    host: str = ""
    source: str
    destination: str
    started: str
    """ISO 8601, with the zone."""
    finished: str
    finished_because: str = ""
    """How it was decided that the acquisition was finished."""
    verified: Literal["size", "checksum"] = "size"
    """Whether files are known by size and time, or were read back and compared as well."""
    files: int = 0
    """Regular files, each with a line in the checksum file."""
    links: int = 0
    """Links, which have none."""
    bytes: int = 0
    """Of all regular files."""
    chunk_files: int = 0
    """Those of the files that are chunks or shards."""
    never_written: int = 0
    """Chunk files that metadata promise and that never came."""
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What its user was told on the way."""
    arrays: tuple[ArrayFacts, ...] = ()
    checksums: str = ""
    """Name of the checksum file."""
    checksums_xxh128: str = Field("", pattern=r"^([0-9a-f]{32})?$")
    """XXH128 of the checksum file itself."""


def receipt_paths(destination: Path) -> tuple[Path, Path]:
    """Where the checksum file and the JSON file of a destination are to lie."""
    beside = destination.parent
    if destination.name and beside != destination and os.access(beside, os.W_OK | os.X_OK):
        return beside / (destination.name + _SUMS), beside / (destination.name + _JSON)
    return destination / RECEIPTS[0], destination / RECEIPTS[1]


def find_receipt(destination: Path) -> tuple[Path, Receipt | None]:
    """Find a destination's checksum file, and what is said beside it.

    Raises
    ------
    ReceiptError
        There is none.
    """
    beside, within = destination.parent / destination.name, destination / RECEIPTS[0].removesuffix(_SUMS)
    for stem in (beside, within):
        sums = Path(f"{stem}{_SUMS}")
        if sums.is_file():
            with contextlib.suppress(OSError, ValueError):
                return sums, Receipt.model_validate_json(Path(f"{stem}{_JSON}").read_bytes())
            return sums, None
    raise ReceiptError(
        f"{destination} has no receipt: neither {beside}{_SUMS} nor {within}{_SUMS} is there. It is written when "
        "a copy is complete; to compare with the source, give both: softcopy verify SOURCE DESTINATION"
    )


def write_receipt(destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt) -> Path:
    """Write both files, each whole or not at all, and flushed to the disk.

    Parameters
    ----------
    destination : Path
    lines : iterable of tuple of bytes and str
        Every file's XXH128 and path, `/` separated and relative to the destination.
    receipt : Receipt
        What is said about the copy; the checksum file's name and hash and the number of files are filled in.

    Returns
    -------
    Path
        The checksum file.

    Raises
    ------
    OSError
        It cannot be written.
    """
    sums, facts = receipt_paths(destination)
    prefix = b"" if sums.parent == destination else os.fsencode(destination.name) + b"/"
    hasher, count = xxh3_128(), 0
    with _replacing(sums) as file:
        for block in _blocks(lines):
            data = b"".join([_line(digest, prefix + os.fsencode(path)) for digest, path in block])
            count += len(block)
            hasher.update(data)
            file.write(data)
    whole = receipt.model_copy(update={"checksums": sums.name, "checksums_xxh128": hasher.hexdigest(), "files": count})
    with _replacing(facts) as file:
        file.write(whole.model_dump_json(indent=2).encode() + b"\n")
    return sums


def _blocks(lines: Iterable[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    block: list[tuple[bytes, str]] = []
    for line in lines:
        block.append(line)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _line(digest: bytes, path: bytes) -> bytes:
    if b"\n" in path or b"\r" in path:  # as md5sum does it, and xxhsum from 0.8.2 on
        path = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        return b"\\%s  %s\n" % (digest.hex().encode(), path)
    return b"%s  %s\n" % (digest.hex().encode(), path)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of another one when it is whole and on the disk."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if os.name == "posix":
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems cannot flush folders
                os.fsync(fd)
        finally:
            os.close(fd)


def read_lines(sums: Path, destination: Path) -> Iterator[tuple[bytes, str]]:
    """Read a checksum file, also one that `xxhsum -H128` wrote.

    Yields
    ------
    tuple of bytes and str
        A file's XXH128, and its path, `/` separated and relative to the destination.

    Raises
    ------
    ReceiptError
        A line is not as it should be, or leads out of the destination.
    """
    beside = sums.parent != destination
    try:
        with open(sums, "rb") as file:
            for number, line in enumerate(file, start=1):
                digest, path = _parse(line.rstrip(b"\r\n"), sums, number)
                if beside:  # both may have been renamed since
                    path = path.partition("/")[2]
                if not _is_inside(path):
                    raise ReceiptError(f"{sums}, line {number}: {printable(path)} is no file of {destination}")
                yield digest, path
    except OSError as error:
        raise ReceiptError(f"{sums} cannot be read: {error.strerror}") from None


def _parse(line: bytes, sums: Path, number: int) -> tuple[bytes, str]:
    if found := _LINE.fullmatch(line):
        escaped, digest, path = found.groups()
    elif found := _BSD.fullmatch(line):
        escaped, path, digest = found.groups()
    else:
        raise ReceiptError(f"{sums}, line {number}: this is no XXH128 checksum line; the file is damaged")
    if escaped:
        path = re.sub(rb"\\(.)", lambda match: {b"n": b"\n", b"r": b"\r"}.get(match[1], match[1]), path)
    return bytes.fromhex(digest.decode()), os.fsdecode(path)


def _is_inside(path: str) -> bool:
    return not os.path.isabs(path) and all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path
