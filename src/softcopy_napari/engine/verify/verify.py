"""Checks data by content: against a receipt, or one folder against another. For `softcopy verify`.

Files are read by threads: what they do, reading and hashing, happens outside of Python's lock, and a thread that
hangs on a share that does not answer keeps nobody from ending the command. (Measured: processes were no faster from a
disk, and twice as fast at best with tiny files from memory.)
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from xxhash import xxh3_64_intdigest

from softcopy_napari.engine.fs.files import extended_path, native_path
from softcopy_napari.engine.fs.name_clashes import find_other_spellings
from softcopy_napari.engine.fs.own_files import OWN_FILES, is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import WrongFolder
from softcopy_napari.engine.fs.system_names import lies_in_system_folder
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import Receipt, check_unchanged
from softcopy_napari.engine.verify.content_reader import ContentReader, identify
from softcopy_napari.engine.verify.dataset_arrays import DatasetArrays
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult
from softcopy_napari.engine.zarr_layout.file_names import classify_temporary

_MOST = 64
"""Files that a thread takes together: those of a folder are best read by one."""
_LONG = 0.1
"""Seconds after which it should come back for more, so that large files are shared out."""
_BLOCK = 1 << 14
_POLL = 0.1
_GRACE = 1.0
"""Seconds that threads are given to end before the command ends without them."""
_Item = TypeVar("_Item")
Items = Iterator[tuple[str, bytes]]
ReadAll = Callable[["Path | None", Path, Items, "VerifyOptions", "VerifyReport"], None]


class Interrupted(Exception):
    """The check was told to stop."""


class VerifyError(Exception):
    """The data cannot be checked to the end; the message says why, for a user."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the files to check.

    Parameters
    ----------
    sample : float
        Share of the files, chosen at random: 0.05 for 5 %.
    part, parts : int
        Which of how many parts, from 1; all parts together are all files, each once.
    seed : int
        Chooses the sample; not negative.
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
        """Whether a file is among them: decided by a hash of its path, so that it is the same on every computer."""
        if self.everything:
            return True
        name = os.fsencode(path)
        if self.parts > 1 and xxh3_64_intdigest(name) % self.parts != self.part - 1:
            return False
        return self.sample >= 1.0 or xxh3_64_intdigest(name, self.seed + 1) < self.sample * 2**64


@dataclass(slots=True)
class VerifyReport:
    """What was found so far.

    Parameters
    ----------
    tell : callable
        Called with what is wrong with each file that is not as it should be, and with its path and details.
    record : callable, optional
        The same, with path and details apart.
    """

    tell: Callable[[CheckOutcome, str], None]
    record: Callable[[CheckOutcome, str, str], None] | None = None
    files: int = 0
    """Files that were checked."""
    bytes: int = 0
    """Bytes read at the destination, now."""
    earlier: int = 0
    """Those of them that an earlier run found right, before it was interrupted."""
    listed: int = 0
    """Files there should be, those that were left out included."""
    counts: dict[CheckOutcome, int] = field(default_factory=dict)
    faults: int = 0
    """Files with which something is wrong; what others put beside the data is no fault of theirs."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def good(self) -> bool:
        """Whether all files that were checked are as they should be."""
        return not self.faults

    def note(self, kind: CheckOutcome, path: str, detail: Reason | str = "", fault: bool = True) -> None:
        """Count a file that is not as it should be, and tell of it. Any thread may call this."""
        with self._lock:
            self.faults += fault and not lies_in_system_folder(path)
            self.counts[kind] = self.counts.get(kind, 0) + 1
            words = detail if isinstance(detail, str) else describe(detail)
            self.tell(kind, f"{path} ({words})" if words else path)
            if self.record is not None:
                self.record(kind, path, words)

    def add_result(self, path: str, result: CheckResult) -> None:
        """Count a file that was checked."""
        with self._lock:
            self.files += 1
            self.bytes += result.size
        if not result.good:
            self.note(result.outcome, path, result.detail)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Says which files are checked, and how.

    Parameters
    ----------
    selection : Selection
        Files that should not be there are looked for only where all files are selected.
    nprocs : int
        How many files are read at a time.
    progress : callable
        Called several times a second; returns false to stop the check.
    read_all : callable, optional
        Checks files in place of threads of this process: on a cluster. Takes the source or None, the destination, the
        files with the digests that they should have, these options, and the report.
    """

    selection: Selection
    nprocs: int
    progress: Callable[[], bool] = lambda: True
    read_all: ReadAll | None = None


def verify_receipt(
    destination: Path, sums: Path, facts: Receipt | None, options: VerifyOptions, report: VerifyReport
) -> None:
    """Compare data with their receipt.

    Parameters
    ----------
    destination : Path
    sums : Path
        The checksum file.
    facts : Receipt or None
        What the JSON file beside it says.
    options : VerifyOptions
    report : VerifyReport
        Receives what is found.

    Raises
    ------
    ReceiptError
        The receipt is damaged, or cannot be read.
    VerifyError
        The destination has gone.
    Interrupted
        `progress` said so.
    """
    if facts is not None:
        in_threads(options, lambda _: check_unchanged(sums, destination, facts))
    selection, known = options.selection, array("Q")

    def selected() -> Iterator[tuple[str, bytes]]:
        for digest, path in read_lines(sums, destination):
            report.listed += 1
            if selection.everything:
                known.append(xxh3_64_intdigest(os.fsencode(path)))
            if selection.has(path):
                yield path, digest

    (options.read_all or _read_all)(None, destination, selected(), options, report)
    if facts is not None:
        known.extend(xxh3_64_intdigest(os.fsencode(path)) for path in facts.kept_files)
    if selection.everything:
        in_threads(options, lambda check: _find_unlisted(destination, known, facts, report, check))


def _find_unlisted(
    destination: Path, known: array[int], facts: Receipt | None, report: VerifyReport, check: Callable[[], None]
) -> None:
    """Find the files that a receipt does not list; that takes 16 bytes of memory for each file that it does."""
    listed = np.sort(np.frombuffer(known, np.uint64))
    root = extended_path(str(destination))
    links = 0

    def files() -> Iterator[str]:
        nonlocal links
        for path, is_link in _list_files(destination, report):
            links += is_link
            if not is_link:
                yield path

    def unlisted(paths: list[str]) -> Iterator[str]:
        hashes = np.array([xxh3_64_intdigest(os.fsencode(path)) for path in paths], np.uint64)
        at = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
        return itertools.compress(paths, listed[at] != hashes)

    arrays = DatasetArrays(root, lambda path: not list(unlisted([path])))
    for block in _batches(files(), _BLOCK):
        for path in unlisted(block):
            others = find_other_spellings(root, path)
            if len(list(unlisted(others))) == len(others):
                report.note(CheckOutcome.EXTRA, path, "not in the receipt", fault=arrays.has_chunk(path))
        check()
    if facts is not None and links != facts.links:
        kind = CheckOutcome.MISSING if links < facts.links else CheckOutcome.EXTRA
        count = f"of links there are {links:,}, not {facts.links:,}"
        report.note(kind, count, "the receipt does not name them", fault=kind is CheckOutcome.MISSING)


def verify_source(source: Path, destination: Path, options: VerifyOptions, report: VerifyReport) -> None:
    """Compare a destination with its source by content, whatever sizes and times say; see `verify_receipt`."""
    selected = ((path, b"") for path, _ in select_files(source, options.selection, report))
    (options.read_all or _read_all)(source, destination, selected, options, report)
    if options.selection.everything:
        in_threads(options, lambda check: _find_files_of_no_source(source, destination, report, check))


def select_files(source: Path, selection: Selection, report: VerifyReport) -> Iterator[tuple[str, bool]]:
    """List the files and links of a source that are to be checked, and tell which are links; all are counted."""
    for path, is_link in _list_files(source, report, "at the source: "):
        report.listed += 1
        if selection.has(path):
            yield path, is_link


def _find_files_of_no_source(source: Path, destination: Path, report: VerifyReport, check: Callable[[], None]) -> None:
    root, top = extended_path(str(source)), extended_path(str(destination))

    def is_there(path: str) -> bool:
        return os.path.lexists(os.path.join(root, native_path(path)))

    arrays = DatasetArrays(root)
    for block in _batches(_list_files(destination, report), _BLOCK):
        for path, _ in block:
            if not is_there(path) and not any(map(is_there, find_other_spellings(top, path))):
                report.note(CheckOutcome.EXTRA, path, "not at the source", fault=arrays.has_chunk(path))
        check()


def _list_files(root: Path, report: VerifyReport, where: str = "") -> Iterator[tuple[str, bool]]:
    """List all files and links below a folder, and tell which are links; without temporaries and receipts."""
    top, pending = extended_path(str(root)), [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(top, native_path(folder))) as found:
                for entry in found:
                    path = join(folder, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    elif not (is_own_temporary(entry.name) or classify_temporary(entry.name) or path in OWN_FILES):
                        yield path, entry.is_symlink()
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted just now
        except OSError as error:
            report.note(CheckOutcome.UNREADABLE, folder or str(root), f"{where}cannot be listed: {error.strerror}")


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


# -- threads ----------------------------------------------------------------------------------------------


def in_threads(options: VerifyOptions, *works: Callable[[Callable[[], None]], None]) -> None:
    """Run functions in threads; each calls now and then what it is given. Raises what one of them raises.

    A share that does not answer may hold up a thread for ever. The calling thread can be interrupted all the same.
    """
    stop, errors = threading.Event(), list[Exception]()

    def check() -> None:
        if stop.is_set():
            raise Interrupted

    def run(work: Callable[[Callable[[], None]], None]) -> None:
        try:
            work(check)
        except Interrupted:
            pass
        except Exception as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not errors:
                thread.join(_POLL)
                if not options.progress():
                    raise Interrupted
    finally:
        stop.set()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    if errors:
        raise errors[0]


def _read_all(
    source: Path | None, destination: Path, items: Items, options: VerifyOptions, report: VerifyReport
) -> None:
    """Have threads check files, which they draw from the iterator as they come to need them."""
    drawing = threading.Lock()
    identities = [identify_folder(root) for root in (destination, source) if root is not None]

    def draw(size: int) -> list[tuple[str, bytes]]:
        with drawing:
            return list(itertools.islice(items, size))

    def work(check: Callable[[], None]) -> None:
        def go_on(_: int) -> bool:
            check()
            return True

        reader = ContentReader(str(destination), None if source is None else str(source), identities, go_on)
        size = 1
        while batch := draw(size):
            began = time.monotonic()
            try:
                for path, result in reader.check(batch):
                    check()
                    report.add_result(path, result)
            except OSError as error:
                raise VerifyError(why_gone(error)) from None
            size = min(size * 2, _MOST) if time.monotonic() - began < _LONG else max(1, size // 2)

    in_threads(options, *[work] * options.nprocs)


def identify_folder(root: Path) -> tuple[int, int]:
    """Return device and inode of a folder; raise VerifyError where it cannot be looked at."""
    try:
        return identify(str(root))
    except OSError as error:
        raise VerifyError(f"{root} cannot be looked at: {error.strerror}") from None


def why_gone(error: OSError) -> str:
    """Say why a folder cannot be read any more."""
    if isinstance(error, WrongFolder):
        return f"{error.filename} has gone, and another folder lies there: was the disk taken out?"
    return f"{error.filename} cannot be reached any more: {error.strerror}"
