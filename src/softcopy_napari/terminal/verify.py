"""`softcopy verify` in a terminal: what it is asked for, its progress, and what it found."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from softcopy_napari.engine.dispatch.priority import lower_priority
from softcopy_napari.engine.formatting import count_text, printable, size_text, time_text
from softcopy_napari.engine.receipt.freed_record import find_freed
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.verify.verify import (
    Interrupted,
    ReadAll,
    Selection,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    verify_receipt,
    verify_source,
)
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.terminal.signals import INTERRUPTED, collect_signals
from softcopy_napari.terminal.verify_report import ReportFile

_SHOWN = 20
_LOG_INTERVAL = 5.0
_WORDS = {
    CheckOutcome.MISSING: "missing",
    CheckOutcome.CHANGED: "changed",
    CheckOutcome.TRUNCATED: "truncated",
    CheckOutcome.EXTRA: "extra",
    CheckOutcome.UNREADABLE: "unreadable",
    CheckOutcome.MOVING: "still being written",
}
_AFTERWARDS = {
    CheckOutcome.MOVING: "check them again when their writer is done",
    CheckOutcome.EXTRA: "not part of the copy",
    CheckOutcome.UNREADABLE: "their content could not be checked",
}


def parse_selection(sample: str | None, part: str | None, seed: int | None) -> Selection:
    """What `--sample 5%`, `--part 3/30` and `--seed` ask for; without a seed, another sample every time.

    Raises
    ------
    ValueError
        In words for a user.
    """
    share, number, parts = 1.0, 1, 1
    if sample is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", sample.strip())
        share = float(found[1]) / 100 if found else 0.0
        if not 0 < share <= 1:
            raise ValueError(f"--sample must be a percentage such as 5%, not {printable(sample)}")
    if part is not None:
        found = re.fullmatch(r"(\d{1,6})\s*/\s*(\d{1,6})", part.strip())
        number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= parts:
            raise ValueError(f"--part must be a number of parts such as 3/30, not {printable(part)}")
    if seed is None:
        seed = secrets.randbelow(1_000_000)
    elif not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be a whole number from 0 to {2**32 - 1}, not {seed}")
    return Selection(share, number, parts, seed)


@dataclass(frozen=True, slots=True)
class How:
    """Says what `softcopy verify` was asked for.

    Parameters
    ----------
    choice : Selection
    nprocs : int
        Files to read at a time in this process.
    verbose : bool
    dask : str or None
        The scheduler of the cluster that reads them instead.
    afresh : bool
        Whether to forget what an interrupted run on a cluster found.
    report : str or None
        The file to write what was found to.
    """

    choice: Selection
    nprocs: int
    verbose: bool
    dask: str | None = None
    afresh: bool = False
    report: str | None = None


def run_verify(places: tuple[Destination, ...], how: How) -> int:
    """Verify data and print what was found; return the exit code.

    Raises
    ------
    ReceiptError
        There is no receipt to compare with, or it is damaged.
    VerifyError
        A folder is missing, or goes away meanwhile.
    TargetsError
        The cluster cannot be used.
    """
    choice = how.choice
    folders = tuple(place for place in places if isinstance(place, Path))
    if len(folders) < len(places) and how.dask is not None:
        raise VerifyError(f"{places[-1]} is in an object store, which is not verified on a cluster: leave out --dask")
    for folder in folders:
        if not folder.is_dir():
            raise VerifyError(f"{folder} is not a folder: check the path")
    if len(folders) == 2 and os.path.samefile(*folders):
        raise VerifyError(f"{folders[0]} and {folders[1]} are the same folder: it would be compared with itself")
    if len(places) == 2 and (freed := find_freed(folders[0])) is not None and not freed.deleted:
        raise VerifyError(f"{describe(freed.describe())}. To verify the copy: softcopy verify {places[1]}")
    console = Console(highlight=False, soft_wrap=True)
    findings = _Findings(console, how.verbose)
    written = ReportFile(how.report) if how.report is not None else None
    report = VerifyReport(findings.add, written.add if written is not None else None)
    started = time.monotonic()
    complete = False
    lower_priority(os.getpid())  # threads take it over
    with collect_signals() as caught:
        try:
            if isinstance(url := places[-1], StoreUrl):
                _verify_store(url, folders, how, report, console, caught)
            elif len(folders) == 1:
                _verify_receipt(folders[0], how, report, console, caught)
            else:
                _announce_source(folders[0], folders[1], choice, console)
                with (
                    _reading_on(folders, f"{folders[0]}{_chosen(choice)}", how, console) as read_all,
                    _show_progress(console, folders[1], 0, report) as show,
                ):
                    options = VerifyOptions(choice, how.nprocs, lambda: show() and not caught, read_all)
                    verify_source(folders[0], folders[1], options, report)
            complete = True
        except Interrupted:
            _say(console, f"Interrupted after {count_text(report.files, 'file')}; nothing was changed.", "yellow")
            if how.dask is not None:
                _say(console, "The same command goes on from there.")
            findings.sum_up(report)
            return INTERRUPTED
        finally:
            if written is not None:
                written.close(places, report, complete, time.monotonic() - started)
    findings.sum_up(report)
    _say(
        console, f"{_extent(report, choice)}; {size_text(report.bytes)} read in {time_text(time.monotonic() - started)}"
    )
    if report.good and report.files:
        which = "all" if choice.everything else "the chosen"
        _say(console, f"OK: {which} {count_text(report.files, 'file')} match", "green")
    return 0 if report.good else 1


def _verify_store(
    url: StoreUrl,
    sources: tuple[Path, ...],
    how: How,
    report: VerifyReport,
    console: Console,
    caught: list[int],
) -> None:
    from softcopy_napari.engine.verify.verify_store import (
        find_store_receipt,
        verify_store_receipt,
        verify_store_source,
    )

    if sources:
        expected, verify = 0, partial(verify_store_source, sources[0], url)
        _announce_source(sources[0], url, how.choice, console)
    else:
        found = find_store_receipt(url)
        verify = partial(verify_store_receipt, url, found)
        expected = _announce(url, found[1].name, found[2], how.choice, console)
    with _show_progress(console, url, expected, report) as show:
        verify(VerifyOptions(how.choice, how.nprocs, lambda: show() and not caught), report)


def _announce_source(source: Path, destination: Destination, choice: Selection, console: Console) -> None:
    _say(console, f"Comparing {destination} with {source}, byte by byte{_chosen(choice)}", "bold")


@contextlib.contextmanager
def _reading_on(folders: tuple[Path, ...], against: str, how: How, console: Console) -> Iterator[ReadAll | None]:
    """Yield what reads the files on a cluster, with a journal that is removed when all have been; None without one."""
    if how.dask is None:
        yield None
        return
    from softcopy_napari.engine.dask_workers.cluster_reader import ClusterReader
    from softcopy_napari.engine.dask_workers.preflight import check_cluster
    from softcopy_napari.engine.verify.verify_journal import VerifyJournal

    threads = check_cluster(how.dask, folders[0] if len(folders) == 2 else None, folders[-1])
    journal = VerifyJournal(folders[-1], against, how.afresh)
    read_by = count_text(threads, "thread") if threads else "no thread yet"
    _say(console, f"on the Dask cluster at {how.dask}, by {read_by}")
    if journal.files:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(journal.begun))
        found = f"{count_text(journal.files, 'file')}, {size_text(journal.size)}"
        _say(console, f"going on where a run stopped at {when}: {found} were right then (--afresh reads all)")
    yield ClusterReader(how.dask, journal).read_all
    journal.remove()


def _verify_receipt(destination: Path, how: How, report: VerifyReport, console: Console, caught: list[int]) -> None:
    choice = how.choice
    sums, facts = find_receipt(destination)
    expected = _announce(destination, str(sums), facts, choice, console)
    if facts is None or not facts.checksums_xxh128:
        _say(console, f"note: nothing beside {sums} shows whether it has been changed", "yellow")
    written = sums.stat()
    against = f"{sums}, {written.st_size} bytes of {written.st_mtime_ns}{_chosen(choice)}"
    with (
        _reading_on((destination,), against, how, console) as read_all,
        _show_progress(console, destination, expected, report) as show,
    ):
        options = VerifyOptions(choice, how.nprocs, lambda: show() and not caught, read_all)
        verify_receipt(destination, sums, facts, options, report)


def _announce(place: Destination, sums: str, facts: Receipt | None, choice: Selection, console: Console) -> int:
    """Say what is compared with which receipt; return how many files that may be, 0 if that is not known."""
    of = f" of {facts.finished}" if facts is not None and facts.finished else ""
    _say(console, f"Comparing {place} with {sums}{of}{_chosen(choice)}", "bold")
    return round(facts.files * choice.sample / choice.parts) if facts is not None else 0


class _Findings:
    """Files that do not match: the first of each kind, or all of them as they are found."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._first: dict[CheckOutcome, list[str]] = {}

    def add(self, kind: CheckOutcome, path: str) -> None:
        """Note a file that does not match, with what there is to say about it."""
        first = self._first.setdefault(kind, [])
        if self._verbose:  # there may be millions: none is kept
            _say(self._console, f"{_WORDS[kind]}: {path}", "red")
        elif len(first) < _SHOWN:
            first.append(path)

    def sum_up(self, report: VerifyReport) -> None:
        """Print how many of each kind there are, and the first of them."""
        for kind, word in _WORDS.items():
            count = report.counts.get(kind, 0)
            if not count:
                continue
            more = f"; {_AFTERWARDS[kind]}" if kind in _AFTERWARDS else ""
            _say(
                self._console,
                f"{word}: {count_text(count, 'file')}{more}",
                "yellow" if kind is CheckOutcome.MOVING or report.good else "red",
            )
            first = self._first[kind]
            for path in first:
                _say(self._console, f"  {path}")
            if first and count > len(first):
                _say(self._console, f"  and {count - len(first):,} more (--verbose lists them)")


@contextlib.contextmanager
def _show_progress(
    console: Console, folder: Destination, expected: int, report: VerifyReport
) -> Iterator[Callable[[], bool]]:
    """Yield what shows the progress: a line that changes on a terminal, else one every few seconds; always true."""
    started = time.monotonic()
    if not console.is_terminal:
        next_line = time.monotonic() + _LOG_INTERVAL

        def log() -> bool:
            nonlocal next_line
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + _LOG_INTERVAL
                text = _progress_text(report, expected, started)
                print(f"{time.strftime('%H:%M:%S')} {printable(str(folder))}: {text}", flush=True)
            return True

        yield log
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(printable(folder.name), total=expected or None, text="")

        def show() -> bool:
            bar.update(
                task,
                completed=min(report.files, expected or report.files),
                text=_progress_text(report, expected, started),
            )
            bar.refresh()
            return True

        yield show


def _progress_text(report: VerifyReport, expected: int, started: float) -> str:
    """Return the number of files, the speed, and the time left."""
    seconds = max(0.001, time.monotonic() - started)
    parts = [
        f"{report.files:,}/{expected:,} files" if expected else count_text(report.files, "file"),
        f"{report.bytes / seconds / 1e6:.1f} MB/s",
    ]
    read = report.files - report.earlier
    if read and expected > report.files:
        parts.append(f"ETA {time_text(seconds * (expected - report.files) / read)}")
    if bad := sum(report.counts.values()):
        parts.append(f"{bad:,} do not match")
    return ", ".join(parts)


def _chosen(choice: Selection) -> str:
    parts = []
    if choice.parts > 1:
        parts.append(f"part {choice.part} of {choice.parts}")
    if choice.sample < 1:
        parts.append(f"a sample of {choice.sample * 100:g} % (--seed {choice.seed} chooses the same files again)")
    return f": {', '.join(parts)}" if parts else ""


def _extent(report: VerifyReport, choice: Selection) -> str:
    if choice.everything:
        earlier = f", {report.earlier:,} of them by the run that was interrupted" if report.earlier else ""
        return f"All {count_text(report.files, 'file')} were compared{earlier}"
    share = 100 * report.files / report.listed if report.listed else 0
    chosen = _chosen(choice).replace(":", ",", 1)
    compared = f"{report.files:,} of {count_text(report.listed, 'file')} were compared, {share:.1f} %{chosen}"
    return f"{compared}; the others were not checked"


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style))
