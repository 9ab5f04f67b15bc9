"""The receipt of a copy: every file's checksum, for anyone to check without this program, and what was copied how.

Two files: a checksum file, which `xxhsum -c` reads, and a JSON file; receipt_files.py says where they lie.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from xxhash import xxh3_128

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.fs.atomic_write import AtomicFile
from softcopy_napari.engine.fs.own_files import RECEIPTS
from softcopy_napari.engine.receipt.checksum_file import READ, ReceiptError, format_lines, read_lines
from softcopy_napari.engine.receipt.receipt_files import (
    can_lie_beside,
    facts_path,
    find_temporaries,
    identify_files,
    possible_receipt_files,
    temporary_path,
)

SOFTWARE = "softcopy-napari"

_BLOCK = 1 << 13
"""Lines written together."""
_NAMED = 1000
"""Files of a kind that are named at most."""


class ArrayFacts(BaseModel):
    """One array, when the copy was complete."""

    model_config = ConfigDict(extra="ignore")

    path: str
    """Relative to the destination; empty for an array at its top."""
    shape: tuple[int, ...]
    chunk_file_shape: tuple[int, ...]
    dtype: str
    chunk_files: int
    """Number of chunk files that the metadata promise."""
    never_written: int
    """Number of chunk files that never came: the fill value is read in their place."""


class Paths(BaseModel):
    """Some files or folders of a dataset."""

    model_config = ConfigDict(extra="ignore")

    count: int = 0
    first: tuple[str, ...] = ()
    """The first of them, relative to the destination, with what there is to say about each."""

    @classmethod
    def of(cls, paths: Sequence[str]) -> Paths:
        """Name so many of some paths that the receipt of a whole plate stays readable."""
        return cls(count=len(paths), first=tuple(paths[:_NAMED]))


class Receipt(BaseModel):
    """What was copied, from where, when, and how it is known to be right."""

    model_config = ConfigDict(extra="ignore")

    software: str
    """Name and version."""
    run: str = ""
    """Tells the run that wrote it from all others."""
    system: str = ""
    """Python and operating system."""
    host: str = ""
    """The computer that copied."""
    user: str = ""
    """The user who copied."""
    source: str
    """Absolute path."""
    source_folder: tuple[int, int] | None = None
    """Inode of the source's folder, and when it was made (Unix time, ns): it is known by these when copied again."""
    destination: str
    """Absolute path, or address in an object store."""
    started: str
    """When the run began; ISO 8601, with the zone."""
    finished: str
    """When the copy was complete."""
    finished_because: str = ""
    """How it was decided that the acquisition was finished."""
    verified: Literal["size", "checksum"] = "size"
    """Whether files are known by size and time, or were read back and compared as well."""
    files: int = 0
    """Regular files, each with a line in the checksum file."""
    links: int = 0
    """Links, which have none."""
    bytes: int = 0
    """Bytes of all regular files."""
    chunk_files: int = 0
    """Number of the files that are chunks or shards."""
    never_written: int = 0
    """Chunk files that metadata promise and that never came."""
    missing_images: Paths = Paths()
    """Images, wells and labels that OME metadata promise and that never came: `count`, and the `first` 1,000."""
    damaged_files: Paths = Paths()
    """Chunk files that cannot be whole, and were copied as they are."""
    open_files: Paths = Paths()
    """Files that a writer still had open or locked at the end."""
    kept_files: tuple[str, ...] = ()
    """Metadata that were changed at the destination after they were copied: without a checksum."""
    failures: tuple[str, ...] = ()
    """Files that could not be copied."""
    notes: tuple[str, ...] = ()
    """What its user was told on the way."""
    arrays: tuple[ArrayFacts, ...] = ()
    """`path`, `shape`, `chunk_file_shape`, `dtype`, `chunk_files` and `never_written` of each."""
    checksums: str = ""
    """Name of the checksum file."""
    checksums_xxh128: str = Field("", pattern=r"^([0-9a-f]{32})?$")
    """XXH128 of the checksum file itself."""


def find_receipt(destination: Path) -> tuple[Path, Receipt | None]:
    """Find a destination's checksum file, the latest one, and what is said beside it.

    Returns
    -------
    tuple of Path and Receipt, or Path and None
        None where the JSON file is missing, damaged, or somebody else's.

    Raises
    ------
    ReceiptError
        There is none.
    """
    found = []
    for sums, json in possible_receipt_files(destination):
        with contextlib.suppress(OSError):
            if sums.is_file():
                found.append((sums, json))
    if not found:
        places = possible_receipt_files(destination)
        raise ReceiptError(
            f"{destination} has no receipt: neither {places[0][0]} nor {places[-1][0]} is there. It is written when "
            "a copy is complete; to compare with the source, give both: softcopy verify SOURCE DESTINATION"
        )
    sums, json = max(found, key=_sort_key)
    return sums, read_facts(json)


def find_unchanged_receipt(destination: Path) -> tuple[Path, Receipt | None]:
    """Find a destination's receipt as `find_receipt` does, if it is still what was written with its copy.

    Raises
    ------
    ReceiptError
        There is none, it was changed, or it cannot be read.
    """
    sums, facts = find_receipt(destination)
    if facts is not None:
        check_unchanged(sums, destination, facts)
    return sums, facts


def receipt_paths(destination: Path) -> tuple[Path, Path]:
    """Choose where the checksum file and the JSON file of a destination lie: where nobody else's files are."""
    *beside, within = possible_receipt_files(destination)
    if not can_lie_beside(destination):
        return within
    owned = [(sums, json) for sums, json in beside if _is_free(sums, json) or _is_ours(sums, json)]
    return max(owned, key=_sort_key, default=within)


def read_facts(json: Path) -> Receipt | None:
    """Read a JSON file; None where it is missing, damaged, or was not written by this software."""
    with contextlib.suppress(OSError, ValueError):
        if not json.is_symlink():
            found = Receipt.model_validate_json(json.read_bytes())
            return found if found.software.startswith(SOFTWARE) else None
    return None


def _is_free(sums: Path, json: Path) -> bool:
    return not os.path.lexists(sums) and not os.path.lexists(json)


def _is_ours(sums: Path, json: Path) -> bool:
    """Whether files were written by this software, and have not been changed since: only then may they be replaced."""
    facts = read_facts(json)
    if facts is None:
        return False
    if not os.path.lexists(sums):
        return True
    with contextlib.suppress(OSError):
        return not sums.is_symlink() and sums.is_file() and _hash(sums) == facts.checksums_xxh128
    return False


def _sort_key(files: tuple[Path, Path]) -> tuple[float, int]:
    """Return a key by which the latest of several receipts is the greatest, and one that is not ours the least."""
    facts = read_facts(files[1])
    with contextlib.suppress(OSError, ValueError, OverflowError):
        if facts is not None:
            finished = datetime.fromisoformat(facts.finished).timestamp() if facts.finished else 0.0
            return finished, files[1].stat().st_mtime_ns
    return -1.0, 0


def _hash(sums: Path) -> str:
    hasher = xxh3_128()
    with open(sums, "rb") as file:
        while data := file.read(READ):
            hasher.update(data)
    return hasher.hexdigest()


def check_unchanged(sums: Path, destination: Path, facts: Receipt) -> None:
    """Raise a `ReceiptError` if a checksum file is not what was written with its copy."""
    if not facts.checksums_xxh128:
        return
    try:
        unchanged = _hash(sums) == facts.checksums_xxh128
    except OSError as error:
        raise ReceiptError(f"{sums} cannot be read: {error.strerror}") from None
    if not unchanged:
        for _ in read_lines(sums, destination):  # if a line is no line, its number says more
            pass
        json = facts_path(sums).name
        raise ReceiptError(
            f"{sums} is damaged or was changed: {json} beside it has another checksum for it. Copy both files "
            f"anew from where they are good; or, if it was changed on purpose, delete {json}"
        )


def write_receipt(
    destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt, mode: int | None = None
) -> Path:
    """Write both files, each whole or not at all, and flushed to the disk.

    Nothing is replaced that somebody else has put there, or changed.

    Parameters
    ----------
    destination : Path
    lines : iterable of tuple of bytes and str
        Every file's XXH128 and path, `/` separated and relative to the destination.
    receipt : Receipt
        What is said about the copy; the checksum file's name and hash and the number of files are filled in.
    mode : int, optional
        Permissions of both, less the umask; by default those of any new file.

    Returns
    -------
    Path
        The checksum file.

    Raises
    ------
    OSError
        It cannot be written.
    """
    _finish_interrupted(destination)
    sums, json = receipt_paths(destination)
    mode = 0o666 if mode is None else mode
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(AtomicFile(sums, temporary_path(sums, receipt.run), mode=mode))
        except PermissionError:  # Windows does not tell beforehand
            sums, json = possible_receipt_files(destination)[-1]
            file = stack.enter_context(AtomicFile(sums, temporary_path(sums, receipt.run), mode=mode))
        before = identify_files(sums, json)
        within = sums.parent == destination
        prefix = "" if within else destination.name + "/"
        hasher, count = xxh3_128(), 0
        if within:  # a source may have a receipt in it, too: this one takes its place, and cannot list itself
            lines = (line for line in lines if line[1] not in RECEIPTS)
        for block in _blocks(lines):
            data = format_lines(block, prefix)
            count += len(block)
            hasher.update(data)
            file.write(data)
        if not within and identify_files(sums, json) != before:  # somebody has put something there meanwhile
            sums, json = receipt_paths(destination)
            if sums.parent == destination:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(sums))
        name = printable(sums.name)  # which may hold bytes that are no text
        whole = receipt.model_copy(update={"checksums": name, "checksums_xxh128": hasher.hexdigest(), "files": count})
        facts = stack.enter_context(AtomicFile(json, temporary_path(json, receipt.run), mode=mode))
        facts.write(whole.model_dump_json(indent=2).encode() + b"\n")
        # Both are on the disk before one of them gets its name: what is interrupted here can be finished later.
        facts.finish()
        file.publish(sums)
        facts.publish(json)
    return sums


def remove_receipt(
    destination: Path, remove: Callable[[Path], None] = lambda path: path.unlink(missing_ok=True)
) -> None:
    """Remove the receipt of a copy that is being replaced, by removing its files: it is not true any more."""
    sums, json = receipt_paths(destination)
    if read_facts(json) is not None:
        remove(sums)
        remove(json)


def _finish_interrupted(destination: Path) -> None:
    """Give the JSON file its name where a run was killed after it had given the checksum file its own."""
    for sums, json in possible_receipt_files(destination):
        for left in find_temporaries(json):
            facts = read_facts(left)
            with contextlib.suppress(OSError):
                if facts and facts.checksums == printable(sums.name) and _hash(sums) == facts.checksums_xxh128:
                    left.replace(json)
        for left in (*find_temporaries(sums), *find_temporaries(json)):
            with contextlib.suppress(OSError):
                left.unlink()


def _blocks(lines: Iterable[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    iterator = iter(lines)
    while block := list(itertools.islice(iterator, _BLOCK)):
        yield block
