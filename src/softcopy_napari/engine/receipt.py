"""The receipt of a copy: every file's checksum, for anyone to check without this program, and what was copied how.

Two files beside the destination `NAME`: `NAME.xxh128`, which `xxhsum -c` reads, and `NAME.receipt.json`. What lies
beside the top of a disk is on another disk, and a folder may not be writable: then both lie in the destination, and
are called `softcopy.xxh128` and `softcopy.receipt.json`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field
from xxhash import xxh3_64_hexdigest, xxh3_128

from softcopy_napari.engine.digests import DIGEST_SIZE
from softcopy_napari.engine.text import printable
from softcopy_napari.engine.writers import RECEIPTS, TEMPORARY_PREFIX, TEMPORARY_SUFFIX

_SUMS, _JSON = ".xxh128", ".receipt.json"
_LINE = re.compile(rb"(\\?)(?:XXH128[ _])?([0-9a-fA-F]{32}) [ *](.+)", re.DOTALL)
_BSD = re.compile(rb"(\\?)XXH(?:3_)?128 \((.+)\) = ([0-9a-fA-F]{32})", re.DOTALL)
_BLOCK = 1 << 14
"""Lines written together."""
_READ = 1 << 20
"""Bytes of lines read together; no line is as long."""
_LONGEST_NAME = 255
_ODD = ("//", "/./", "/../", "/.\n", "/..\n", "/\n", "\0", "\r", "\\")
"""What a block of lines that need no closer look does not have."""


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
    user: str = ""
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
    if (
        destination.name
        and len(os.fsencode(destination.name + _JSON)) <= _LONGEST_NAME
        and not os.path.ismount(destination)
        and os.access(beside, os.W_OK | os.X_OK)
    ):
        return beside / (destination.name + _SUMS), beside / (destination.name + _JSON)
    return _within(destination)


def _within(destination: Path) -> tuple[Path, Path]:
    return destination / RECEIPTS[0], destination / RECEIPTS[1]


def find_receipt(destination: Path) -> tuple[Path, Receipt | None]:
    """Find a destination's checksum file, the latest one, and what is said beside it.

    Returns
    -------
    tuple of Path and Receipt, or Path and None
        None where the JSON file is missing or damaged.

    Raises
    ------
    ReceiptError
        There is none.
    """
    beside, within = destination.parent / (destination.name + _SUMS), _within(destination)[0]
    found = [(sums, _facts(sums)) for sums in (beside, within) if sums.is_file()]
    if not found:
        raise ReceiptError(
            f"{destination} has no receipt: neither {beside} nor {within} is there. It is written when "
            "a copy is complete; to compare with the source, give both: softcopy verify SOURCE DESTINATION"
        )
    return max(found, key=lambda one: _finished(one[1]))


def _facts(sums: Path) -> Receipt | None:
    with contextlib.suppress(OSError, ValueError):
        return Receipt.model_validate_json(sums.with_name(sums.name.removesuffix(_SUMS) + _JSON).read_bytes())
    return None


def _finished(facts: Receipt | None) -> float:
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(facts.finished).timestamp() if facts is not None else 0.0
    return 0.0


def check_unchanged(sums: Path, destination: Path, facts: Receipt) -> None:
    """See whether a checksum file is still what was written with its copy.

    Raises
    ------
    ReceiptError
        It is not, or cannot be read.
    """
    if not facts.checksums_xxh128:
        return
    hasher = xxh3_128()
    try:
        with open(sums, "rb") as file:
            while data := file.read(_READ):
                hasher.update(data)
    except OSError as error:
        raise ReceiptError(f"{sums} cannot be read: {error.strerror}") from None
    if hasher.hexdigest() != facts.checksums_xxh128:
        for _ in read_lines(sums, destination):  # if a line is no line, its number says more
            pass
        json = sums.name.removesuffix(_SUMS) + _JSON
        raise ReceiptError(
            f"{sums} is damaged or was changed: {json} beside it has another checksum for it. Copy both files "
            f"anew from where they are good; or, if it was changed on purpose, delete {json}"
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
    with contextlib.ExitStack() as stack:
        sums, facts = receipt_paths(destination)
        try:
            file = stack.enter_context(_replacing(sums))
        except PermissionError:  # Windows does not tell beforehand
            sums, facts = _within(destination)
            file = stack.enter_context(_replacing(sums))
        prefix = "" if sums.parent == destination else destination.name + "/"
        hasher, count = xxh3_128(), 0
        if not prefix:  # a source may have a receipt in it, too: this one takes its place, and cannot list itself
            lines = (line for line in lines if line[1] not in RECEIPTS)
        for block in _blocks(lines):
            data = _text(block, prefix)
            count += len(block)
            hasher.update(data)
            file.write(data)
    name = printable(sums.name)  # which may hold bytes that are no text
    whole = receipt.model_copy(update={"checksums": name, "checksums_xxh128": hasher.hexdigest(), "files": count})
    with _replacing(facts) as file:
        file.write(whole.model_dump_json(indent=2).encode() + b"\n")
    return sums


def _blocks(lines: Iterable[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    iterator = iter(lines)
    while block := list(itertools.islice(iterator, _BLOCK)):
        yield block


def _text(block: list[tuple[bytes, str]], prefix: str) -> bytes:
    """Lines as xxhsum has them; there may be ten million, so a block is made at a time."""
    digests = b"".join([digest for digest, _ in block]).hex("\n", -16).split("\n")
    text = "".join([f"{digest}  {prefix}{path}\n" for digest, (_, path) in zip(digests, block, strict=True)])
    if text.count("\n") != len(block) or "\r" in text:
        text = "".join([_line(digest, prefix + path) for digest, (_, path) in zip(digests, block, strict=True)])
    return os.fsencode(text)


def _line(digest: str, path: str) -> str:
    if "\n" in path or "\r" in path:  # as md5sum does it, and xxhsum from 0.8.2 on
        path = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{digest}  {path}\n"
    return f"{digest}  {path}\n"


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of another one when it is whole and on the disk."""
    # The same name every time: what a power failure leaves is cleared away by the next receipt.
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{xxh3_64_hexdigest(os.fsencode(path.name))}{TEMPORARY_SUFFIX}")
    try:
        try:
            temporary.unlink(missing_ok=True)
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    if os.name == "posix":
        with contextlib.suppress(OSError):  # some network file systems cannot flush folders
            fd = os.open(path.parent, os.O_RDONLY)
            try:
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
        A line is not as it should be, or leads out of the destination; or there is none.
    """
    beside = sums.parent != destination
    number, empty = 0, True
    try:
        with open(sums, "rb") as file:
            for block in _line_blocks(file, sums):
                lines = block.split(b"\n")
                lines.pop()  # what follows the last line's end: nothing
                if (plain := _plain(block, len(lines), beside)) is not None:
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
    """Whole lines, many at a time."""
    rest = b""
    while data := file.read(_READ):
        end = data.rfind(b"\n") + 1
        if not end and len(rest) + len(data) > _READ:
            raise ReceiptError(f"{sums} is no checksum file: a line of it has no end")
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest + b"\n"


def _plain(block: bytes, count: int, beside: bool) -> Iterator[tuple[bytes, str]] | None:
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
    if len(digests) != DIGEST_SIZE * count or not all(line.startswith(start, 32) for line in lines):
        return None
    paths = [line[cut:] for line in lines]
    if "" in paths or (not beside and any(path[0] in "./" for path in paths)) or (os.sep != "/" and ":" in text):
        return None
    return zip([digests[at : at + DIGEST_SIZE] for at in range(0, len(digests), DIGEST_SIZE)], paths, strict=True)


def _parse(line: bytes, sums: Path, number: int, beside: bool) -> tuple[bytes, str]:
    line = line.removesuffix(b"\r")
    if found := _LINE.fullmatch(line):
        escaped, digest, name = found.groups()
    elif found := _BSD.fullmatch(line):
        escaped, name, digest = found.groups()
    else:
        raise ReceiptError(f"{sums}, line {number}: this is no XXH128 checksum line; the file is damaged")
    if escaped:
        name = re.sub(rb"\\(.)", lambda match: {b"n": b"\n", b"r": b"\r"}.get(match[1], match[1]), name)
    path = os.fsdecode(name)
    if beside:  # both may have been renamed since
        path = path.partition("/")[2]
    if not _is_inside(path):
        raise ReceiptError(f"{sums}, line {number}: {printable(os.fsdecode(name))} is no file of the destination")
    return bytes.fromhex(digest.decode()), path


def _is_inside(path: str) -> bool:
    if os.sep != "/" and ("\\" in path or ":" in path):  # Windows takes these apart too
        return False
    return not os.path.isabs(path) and all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path
