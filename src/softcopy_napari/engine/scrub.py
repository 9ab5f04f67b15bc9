"""Checks data by content: against a receipt, or one folder against another. For `softcopy verify`."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from xxhash import xxh3_64_intdigest

from softcopy_napari.engine.files import extended_path, native
from softcopy_napari.engine.pace import lower_priority
from softcopy_napari.engine.place import Place
from softcopy_napari.engine.readback import hash_file
from softcopy_napari.engine.receipt import read_lines
from softcopy_napari.engine.writers import RECEIPTS, is_own_temporary, temporary_of

_BATCH = 128
_BUFFER = 4 << 20
_KEPT = 100_000
"""Paths of each kind that are kept to be told."""
_Item = TypeVar("_Item")


class Kind(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"
    TRUNCATED = "truncated"
    EXTRA = "extra"
    UNREADABLE = "unreadable"
    MOVING = "still being written"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the files are looked at.

    Parameters
    ----------
    sample : float
        Share of the files, by chance: 0.05 for 5 %.
    part, parts : int
        Of this many parts the one with this number, from 1; all parts together are all files, each once.
    seed : int
        Another one chooses another sample.
    """

    sample: float = 1.0
    part: int = 1
    parts: int = 1
    seed: int = 0

    @property
    def everything(self) -> bool:
        """Whether no file is left out."""
        return self.sample >= 1.0 and self.parts == 1

    def has(self, path: str) -> bool:
        """Whether a file is among them."""
        if self.everything:
            return True
        name = os.fsencode(path)
        if self.parts > 1 and xxh3_64_intdigest(name) % self.parts != self.part - 1:
            return False
        return self.sample >= 1.0 or xxh3_64_intdigest(name, self.seed + 1) < self.sample * 2**64


@dataclass(slots=True)
class Report:
    """What was found so far."""

    files: int = 0
    """Looked at."""
    bytes: int = 0
    """Read at the destination."""
    listed: int = 0
    """Files there should be, those that were left out included."""
    counts: dict[Kind, int] = field(default_factory=dict)
    paths: dict[Kind, list[str]] = field(default_factory=dict)
    """The first of each kind, with what there is to say."""

    @property
    def good(self) -> bool:
        """Whether everything that was looked at is as it should be."""
        return not self.counts

    def note(self, kind: Kind, path: str, detail: str = "") -> None:
        """Add a file that is not as it should be."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        kept = self.paths.setdefault(kind, [])
        if len(kept) < _KEPT:
            kept.append(f"{path} ({detail})" if detail else path)


Found = tuple[str, Kind, str]
"""A file that is not as it should be: its path, what is wrong, and details."""


def verify_receipt(
    destination: Path, sums: Path, choice: Choice, nprocs: int, progress: Callable[[Report], None]
) -> Report:
    """Compare data with their receipt.

    Parameters
    ----------
    destination : Path
    sums : Path
        The checksum file.
    choice : Choice
        Files that the receipt does not list are looked for only where everything is chosen.
    nprocs : int
        Processes that read.
    progress : callable
        Told now and then what was found so far.

    Raises
    ------
    ReceiptError
        The receipt cannot be read.
    """
    report = Report()
    known = array("Q")

    def chosen() -> Iterator[tuple[str, bytes]]:
        for digest, path in read_lines(sums, destination):
            report.listed += 1
            if choice.everything:
                known.append(xxh3_64_intdigest(os.fsencode(path)))
            if choice.has(path):
                yield path, digest

    _run(_against_digests, (str(destination),), chosen(), nprocs, report, progress)
    if choice.everything:
        listed = np.sort(np.frombuffer(known, np.uint64)) if len(known) else np.zeros(0, np.uint64)
        for block in _batches(_files(destination), 1 << 14):
            hashes = np.array([xxh3_64_intdigest(os.fsencode(path)) for path in block], np.uint64)
            at = np.minimum(np.searchsorted(listed, hashes), max(0, len(listed) - 1))
            there = listed[at] == hashes if len(listed) else np.zeros(len(hashes), bool)
            for path in itertools.compress(block, ~there):
                report.note(Kind.EXTRA, path, "not in the receipt")
    return report


def verify_source(
    source: Path, destination: Path, choice: Choice, nprocs: int, progress: Callable[[Report], None]
) -> Report:
    """Compare a destination with its source by content, whatever sizes and times say; see `verify_receipt`."""
    report = Report()

    def chosen() -> Iterator[tuple[str, bytes]]:
        for path in _files(source, links=True):
            report.listed += 1
            if choice.has(path):
                yield path, b""

    _run(_against_source, (str(source), str(destination)), chosen(), nprocs, report, progress)
    if choice.everything:
        root = extended_path(str(source))
        for path in _files(destination, links=True):
            if not os.path.lexists(os.path.join(root, native(path))):
                report.note(Kind.EXTRA, path, "not at the source")
    return report


def _files(root: Path, links: bool = False) -> Iterator[str]:
    """Regular files below a folder, `/` separated, but for temporaries and a receipt in it; links too if wanted."""
    top, pending = extended_path(str(root)), [""]
    while pending:
        folder = pending.pop()
        with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(top, native(folder))) as found:
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif is_own_temporary(entry.name) or temporary_of(entry.name) or path in RECEIPTS:
                    continue
                elif links or not entry.is_symlink():
                    yield path


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


# -- in processes of their own --------------------------------------------------------------------------

_Task = Callable[[tuple[str, ...], list[tuple[str, bytes]]], tuple[int, list[Found]]]


def _run(
    task: _Task,
    roots: tuple[str, ...],
    items: Iterator[tuple[str, bytes]],
    nprocs: int,
    report: Report,
    progress: Callable[[Report], None],
) -> None:
    """Have processes look at files, few batches ahead of them, and note what they find."""
    # Started anew, not forked: the same on every system, and nothing is shared by chance.
    with ProcessPoolExecutor(nprocs, get_context("spawn"), initializer=_begin) as pool:
        under_way: dict[Future[tuple[int, list[Found]]], int] = {}
        try:
            for batch in _batches(items, _BATCH):
                under_way[pool.submit(task, roots, batch)] = len(batch)
                if len(under_way) >= 4 * nprocs:
                    _take(under_way, report, progress)
            while under_way:
                _take(under_way, report, progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _take(
    under_way: dict[Future[tuple[int, list[Found]]], int], report: Report, progress: Callable[[Report], None]
) -> None:
    done, _ = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
    for future in done:
        size, found = future.result()
        report.files += under_way.pop(future)
        report.bytes += size
        for path, kind, detail in found:
            report.note(kind, path, detail)
    progress(report)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the command decides
    lower_priority()


def _against_digests(roots: tuple[str, ...], batch: list[tuple[str, bytes]]) -> tuple[int, list[Found]]:
    """Compare files with the digests that they should have."""
    size, found = 0, []
    place, view = Place(roots[0]), memoryview(bytearray(_BUFFER))
    with _held(place):
        for path, digest in batch:
            try:
                result = hash_file(place, path, view, True, _always)
            except (FileNotFoundError, NotADirectoryError):
                found.append((path, *_gone_or_moving(place, path)))
            except OSError as error:
                found.append((path, Kind.UNREADABLE, error.strerror or ""))
            else:
                assert result is not None
                size += result[0].st_size
                if result[1] != digest:
                    found.append((path, Kind.CHANGED, "empty" if result[0].st_size == 0 else ""))
    return size, found


def _against_source(roots: tuple[str, ...], batch: list[tuple[str, bytes]]) -> tuple[int, list[Found]]:
    """Compare files of a destination with those of its source."""
    size, found = 0, []
    source, destination, view = Place(roots[0]), Place(roots[1]), memoryview(bytearray(_BUFFER))
    with _held(source), _held(destination):
        for path, _ in batch:
            read, kind, detail = _compare(source, destination, path, view)
            size += read
            if kind is not None:
                found.append((path, kind, detail))
    return size, found


def _compare(source: Place, destination: Place, path: str, view: memoryview) -> tuple[int, Kind | None, str]:
    try:
        if stat.S_ISLNK(source.stat(path).st_mode):
            there = destination.read_link(path) if stat.S_ISLNK(destination.stat(path).st_mode) else None
            return (0, None, "") if there == source.read_link(path) else (0, Kind.CHANGED, "another link")
        here = hash_file(source, path, view, False, _always)
    except (FileNotFoundError, NotADirectoryError):
        try:
            source.stat(path)
            destination.stat(path)
        except OSError:
            return 0, Kind.MISSING, ""
        return 0, Kind.MOVING, ""
    except OSError as error:
        return 0, Kind.UNREADABLE, f"at the source: {error.strerror}"
    try:
        copy = hash_file(destination, path, view, True, _always)
    except (FileNotFoundError, NotADirectoryError):
        return 0, *_gone_or_moving(destination, path)
    except OSError as error:
        return 0, Kind.UNREADABLE, error.strerror or ""
    assert here is not None and copy is not None
    size, wanted = copy[0].st_size, here[0].st_size
    if copy[1] == here[1]:
        return size, None, ""
    if size < wanted:
        return size, Kind.TRUNCATED, f"{size:,} of {wanted:,} bytes"
    return size, Kind.CHANGED, "" if size == wanted else f"{size - wanted:,} bytes longer"


def _gone_or_moving(place: Place, path: str) -> tuple[Kind, str]:
    """Why a file could not be read to its end: it is not there, or somebody writes it just now."""
    try:
        place.stat(path)
    except OSError:
        return Kind.MISSING, ""
    return Kind.MOVING, ""


@contextlib.contextmanager
def _held(place: Place) -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError):  # then everything in it is missing
        place.hold()
    try:
        yield
    finally:
        place.leave()


def _always() -> bool:
    return True
