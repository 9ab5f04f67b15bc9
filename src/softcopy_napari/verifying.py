"""`softcopy verify` in a terminal: what it is asked for, its progress, and what it found."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from softcopy_napari.engine.receipt import ReceiptError, find_receipt
from softcopy_napari.engine.scrub import Choice, Kind, Report, verify_receipt, verify_source
from softcopy_napari.engine.text import printable, size_text, time_text
from softcopy_napari.running import INTERRUPTED

_SHOWN = 20
_LOG_INTERVAL = 10.0


def choice_of(sample: str | None, part: str | None, seed: int) -> Choice:
    """What `--sample 5%` and `--part 3/30` ask for.

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
    return Choice(share, number, parts, seed)


def run_verify(folders: tuple[Path, ...], choice: Choice, nprocs: int, verbose: bool) -> int:
    """Verify, and tell; returns the exit code.

    Raises
    ------
    ReceiptError
        There is no receipt to compare with, or it cannot be read; or a folder is missing.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ReceiptError(f"{folder} is not a folder: check the path")
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    total = 0
    try:
        if len(folders) == 1:
            sums, facts = find_receipt(folders[0])
            total = facts.files if facts is not None else 0
            _say(console, f"Comparing {folders[0]} with {sums}{_said(facts.finished if facts else '')}", "bold")
            report = verify_receipt(folders[0], sums, choice, nprocs, _teller(console, total, choice))
        else:
            _say(console, f"Comparing {folders[1]} with {folders[0]}, byte by byte", "bold")
            report = verify_source(folders[0], folders[1], choice, nprocs, _teller(console, 0, choice))
    except KeyboardInterrupt:
        _say(console, "Interrupted; nothing was changed.", "yellow")
        return INTERRUPTED
    _summary(console, report, choice, time.monotonic() - started, verbose)
    return 0 if report.good else 1


def _said(finished: str) -> str:
    return f" of {finished}" if finished else ""


def _teller(console: Console, total: int, choice: Choice) -> Callable[[Report], None]:
    """What tells of the progress: one line that changes in a terminal, else a line every few seconds."""
    expected = round(total * choice.sample / choice.parts)
    last = [time.monotonic()]

    def tell(report: Report) -> None:
        now = time.monotonic()
        if now - last[0] < (0.2 if console.is_terminal else _LOG_INTERVAL):
            return
        last[0] = now
        of = f" of about {expected:,}" if expected else ""
        bad = sum(report.counts.values())
        text = f"{report.files:,}{of} files, {size_text(report.bytes)} read, {bad:,} not as they should be"
        if console.is_terminal:
            console.file.write(f"\r\x1b[K{text}")
            console.file.flush()
        else:
            print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    return tell


def _summary(console: Console, report: Report, choice: Choice, seconds: float, verbose: bool) -> None:
    if console.is_terminal:
        console.file.write("\r\x1b[K")
    for kind in Kind:
        count = report.counts.get(kind, 0)
        if not count:
            continue
        _say(console, f"{kind}: {count:,} {'file' if count == 1 else 'files'}", "red")
        paths = report.paths[kind]
        shown = paths if verbose else paths[:_SHOWN]
        for path in shown:
            _say(console, f"  {printable(path)}")
        if count > len(shown):
            _say(console, f"  and {count - len(shown):,} more{'' if verbose else ' (--verbose lists them)'}")
    _say(console, f"{_extent(report, choice)}; {size_text(report.bytes)} read in {time_text(seconds)}")
    if report.good:
        what = "everything that was looked at" if not choice.everything else "everything"
        _say(console, f"{what} is as it should be", "green")


def _extent(report: Report, choice: Choice) -> str:
    if choice.everything:
        return f"all {report.files:,} files were compared"
    share = 100 * report.files / report.listed if report.listed else 0
    how = f", chosen with seed {choice.seed}" if choice.sample < 1 else ""
    part = f", part {choice.part} of {choice.parts}" if choice.parts > 1 else ""
    return f"{report.files:,} of {report.listed:,} files were compared ({share:.1f} %{part}{how}); the others were not"


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style))
