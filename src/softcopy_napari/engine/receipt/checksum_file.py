"""Checksum files as `xxhsum` reads and writes them: a line for each file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.fs.hashing import NO_DIGEST

_LINE = re.compile(rb"(\\?)(?:XXH128[ _])?([0-9a-fA-F]{32}) [ *](.+)", re.DOTALL)
_BSD = re.compile(rb"(\\?)XXH(?:3_)?128 \((.+)\) = ([0-9a-fA-F]{32})", re.DOTALL)
READ = 1 << 20
"""Bytes of lines read together; no line is as long."""
_ODD = ("//", "/./", "/../", "/.\n", "/..\n", "/\n", "\0", "\r", "\\")
"""What a block of lines that need no closer look does not have."""


class ReceiptError(Exception):
    """There is no receipt, or it cannot be read."""


def format_lines(block: list[tuple[bytes, str]], prefix: str) -> bytes:
    """Return lines as xxhsum has them; there may be ten million, so a block is made at a time."""
    digests = b"".join([digest for digest, _ in block]).hex("\n", -16).split("\n")
    text = "".join([f"{digest}  {prefix}{path}\n" for digest, (_, path) in zip(digests, block, strict=True)])
    if text.count("\n") != len(block) or "\r" in text:
        text = "".join([_format_line(digest, prefix + path) for digest, (_, path) in zip(digests, block, strict=True)])
    return os.fsencode(text)


def _format_line(digest: str, path: str) -> str:
    if "\n" in path or "\r" in path:  # as md5sum does it, and xxhsum from 0.8.2 on
        path = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{digest}  {path}\n"
    return f"{digest}  {path}\n"


def read_lines(sums: Path, destination: Path) -> Iterator[tuple[bytes, str]]:
    """Read a checksum file, also one that `xxhsum -H128` wrote.

    Yields
    ------
    tuple of bytes and str
        A file's XXH128, and its path, `/` separated and relative to the destination.

    Raises
    ------
    ReceiptError
        A line is not as it should be, or leads out of the destination; or there is none.
    """
    beside = sums.parent != destination
    number, empty = 0, True
    try:
        with open(sums, "rb") as file:
            for block in _line_blocks(file, sums):
                lines = block.split(b"\n")
                lines.pop()  # what follows the last line's end: nothing
                if (plain := _parse_plain(block, len(lines), beside)) is not None:
                    yield from plain
                    empty = False
                else:
                    for at, line in enumerate(lines, start=number + 1):
                        if not line.startswith(b"#"):  # a comment, to xxhsum as well
                            yield _parse(line, sums, at, beside)
                            empty = False
                number += len(lines)
    except OSError as error:
        raise ReceiptError(f"{sums} cannot be read: {error.strerror}") from None
    if empty:
        raise ReceiptError(f"{sums} is empty: it is damaged")


def _line_blocks(file: BinaryIO, sums: Path) -> Iterator[bytes]:
    """Yield whole lines, many at a time."""
    rest = b""
    while data := file.read(READ):
        end = data.rfind(b"\n") + 1
        if not end and len(rest) + len(data) > READ:
            raise ReceiptError(f"{sums} is not a checksum file: a line of it has no end")
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest + b"\n"


def _parse_plain(block: bytes, count: int, beside: bool) -> Iterator[tuple[bytes, str]] | None:
    """Read lines as this program writes them, much faster than `_parse`; None where one needs a closer look."""
    text = os.fsdecode(block)
    if any(odd in text for odd in _ODD):
        return None
    start = "  "
    if beside:
        start += text[34 : text.find("/") + 1]
        if "\n" in start or not start.endswith("/"):
            return None
    lines = text.split("\n")
    lines.pop()
    cut = 32 + len(start)
    try:
        digests = bytes.fromhex("".join([line[:32] for line in lines]))
    except ValueError:
        return None
    if len(digests) != len(NO_DIGEST) * count or not all(line.startswith(start, 32) for line in lines):
        return None
    paths = [line[cut:] for line in lines]
    if "" in paths or (not beside and any(path[0] in "./" for path in paths)) or (os.sep != "/" and ":" in text):
        return None
    return zip([digests[at : at + len(NO_DIGEST)] for at in range(0, len(digests), len(NO_DIGEST))], paths, strict=True)


def _parse(line: bytes, sums: Path, number: int, beside: bool) -> tuple[bytes, str]:
    line = line.removesuffix(b"\r")
    if found := _LINE.fullmatch(line):
        escaped, digest, name = found.groups()
    elif found := _BSD.fullmatch(line):
        escaped, name, digest = found.groups()
    else:
        raise ReceiptError(f"{sums}, line {number}: this is not an XXH128 checksum line; the file is damaged")
    if escaped:
        name = re.sub(rb"\\(.)", lambda match: {b"n": b"\n", b"r": b"\r"}.get(match[1], match[1]), name)
    path = os.fsdecode(name)
    if beside:  # both may have been renamed since
        path = path.partition("/")[2]
    if not _is_inside(path):
        raise ReceiptError(f"{sums}, line {number}: {printable(os.fsdecode(name))} is not a file of the destination")
    return bytes.fromhex(digest.decode()), path


def _is_inside(path: str) -> bool:
    if os.sep != "/" and ("\\" in path or ":" in path):  # Windows takes these apart too
        return False
    return not os.path.isabs(path) and all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path
