"""What the `softcopy` command shows: a live table on a terminal, log lines elsewhere, a summary at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from softcopy_napari.engine.messages import EngineSnapshot, Findings, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.text import GOES_ON, count_text, size_text, time_text

_LOG_INTERVAL = 5.0
_LOG_LONGEST = 60.0
"""Seconds between log lines of a target of which there is nothing new to say."""
_SHOWN_FAILURES = 10
_SHOWN_FINDINGS = 5
_SHOWN_NOTICES = 3
_TO_AND_FRO = {TargetState.COPYING, TargetState.CAUGHT_UP}
_COLOURS = {
    TargetState.WAITING: "yellow",
    TargetState.COPYING: "cyan",
    TargetState.CAUGHT_UP: "blue",
    TargetState.FINISHING: "cyan",
    TargetState.CHECKING: "cyan",
    TargetState.COMPLETE: "green",
    TargetState.INCOMPLETE: "red",
    TargetState.PAUSED: "yellow",
    TargetState.FAILED: "red",
    TargetState.STOPPED: "yellow",
}


def _files_text(target: TargetSnapshot) -> str:
    return f"{target.chunk_files_copied:,}/{target.chunk_files:,}" if target.arrays else "-"


def _eta_text(target: TargetSnapshot) -> str:
    if target.state.ended:
        return time_text(target.elapsed)
    if target.eta is not None:
        return time_text(target.eta)
    return "acquiring" if target.acquiring else "-"


def _rate_text(target: TargetSnapshot) -> str:
    return f"{target.bytes_per_second / 1e6:.1f}"


def _outlook(target: TargetSnapshot) -> list[str]:
    """At what pace it goes, where that is held back, and what is to be expected."""
    return [words for words in (target.pace.words, target.forecast.words) if words]


@contextlib.contextmanager
def watch(snapshot: Callable[[], EngineSnapshot], live: bool = True) -> Iterator[Callable[[], None]]:
    """Show an engine while it works; what is yielded is to be called a few times a second."""
    console = Console()
    if live and console.is_terminal:
        with Live(_live(snapshot(), console.width), console=console, auto_refresh=False) as table:
            yield lambda: table.update(_live(snapshot(), console.width), refresh=True)
            table.update(_live(snapshot(), console.width), refresh=True)
    else:
        log = _Log()
        yield lambda: log.show(snapshot())
        log.show(snapshot(), now=True)


def _live(engine: EngineSnapshot, width: int) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("target", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("", width=max(8, min(24, width // 6)))
    table.add_column("chunk files", justify="right", no_wrap=True)
    table.add_column("MB/s", justify="right", no_wrap=True)
    table.add_column("ETA", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    lines: list[RenderableType] = [table]
    for target in engine.targets:
        table.add_row(
            Text(PurePath(target.source).name),  # as it is: a name may look like rich's markup
            ProgressBar(total=max(1, target.chunk_files), completed=target.chunk_files_copied),
            _files_text(target),
            _rate_text(target),
            _eta_text(target),
            Text(target.state, style=_COLOURS[target.state]),
        )
        if target.reason and not target.state.ended:
            lines.append(Text(f"{_name(target, engine)}{target.reason}", style="dim"))
        lines += [Text(f"{_name(target, engine)}{words}", style="dim") for words in _outlook(target)]
        lines += [Text(f"{_name(target, engine)}{words}", style="yellow") for words in target.forecast.warnings]
        if target.failed_files and not target.state.ended:
            failure = target.failures[0]
            more = f" (and {target.failed_files - 1:,} more)" if target.failed_files > 1 else ""
            lines.append(Text(f"{failure.path} {failure.reason}{more}; trying again", style="red"))
        if not target.state.ended:
            lines += [
                Text(f"{_name(target, engine)}{notice}", style="yellow") for notice in target.notices[-_SHOWN_NOTICES:]
            ]
    return Group(*lines)


def _name(target: TargetSnapshot, engine: EngineSnapshot) -> str:
    """The target's name where there are several."""
    return f"{PurePath(target.source).name}: " if len(engine.targets) > 1 else ""


class _Log:
    """A line a target every few seconds, and at every change of its state, for logs and pipes."""

    def __init__(self) -> None:
        self._next = 0.0
        self._said: dict[str, tuple[TargetState, str, float]] = {}
        self._told: set[tuple[str, str]] = set()

    def show(self, engine: EngineSnapshot, now: bool = False) -> None:
        """Print what is due."""
        due = now or time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + _LOG_INTERVAL
        for target in engine.targets:
            state, text, when = self._said.get(target.id, (None, "", 0.0))
            # Between stacks a target is caught up for a moment: that is nothing to tell.
            changed = state is not target.state and not {state, target.state} <= _TO_AND_FRO
            if changed or due:
                new = self._text(target)
                repeats = new == text and not now and time.monotonic() - when < _LOG_LONGEST
                if changed or not repeats:
                    self._said[target.id] = target.state, new, time.monotonic()
                    self._line(new)
            for notice in target.notices:
                if (target.id, notice) not in self._told:
                    self._told.add((target.id, notice))
                    self._line(f"{target.source}: note: {notice}")

    @staticmethod
    def _text(target: TargetSnapshot) -> str:
        parts = [
            f"{target.source}: {target.state}",
            f"{_files_text(target)} chunk files",
            f"{_rate_text(target)} MB/s",
            f"ETA {_eta_text(target)}" if not target.state.ended else f"took {_eta_text(target)}",
        ]
        if target.failed_files:
            parts.append(f"{target.failed_files:,} failed")
        if target.reason:
            parts.append(target.reason)
        parts += _outlook(target)
        return ", ".join(parts)

    @staticmethod
    def _line(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def show_summary(engine: EngineSnapshot) -> None:
    """Print what became of each target."""
    console = Console(highlight=False, soft_wrap=True)
    for target in engine.targets:
        console.print()
        for text, style in _summary(target):
            console.print(Text(text, style=style))


def _summary(target: TargetSnapshot) -> Iterator[tuple[str, str]]:
    yield f"{target.source} -> {target.destination}", "bold"
    yield f"  {target.state}" + (f": {target.reason}" if target.reason else ""), _COLOURS[target.state]
    yield (
        f"  {target.chunk_files_copied:,} of {target.chunk_files:,} chunk files are at the destination, "
        f"and {count_text(target.other_files, 'other file')}",
        "",
    )
    if target.findings is not None:
        yield from _found(target, target.findings)
    else:
        yield from _copied(target)
    for notice in target.notices:
        yield f"  note: {notice}", "dim"


def _copied(target: TargetSnapshot) -> Iterator[tuple[str, str]]:
    yield (
        f"  {count_text(target.files_copied, 'file')} copied in this run (each version counts), "
        f"{size_text(target.bytes_copied)} in {time_text(target.elapsed)}",
        "",
    )
    absent = target.chunk_files_absent
    if absent:
        complete = target.state is TargetState.COMPLETE
        what = "never came (the fill value is read in their place)" if complete else "not seen at the source so far"
        yield f"  {count_text(absent, 'chunk file')} {what}", ""
    if target.files_left:
        yield f"  left to copy: {count_text(target.files_left, 'file')}; {GOES_ON}", "yellow"
    for failure in target.failures[:_SHOWN_FAILURES]:
        yield f"  failed: {failure.path} {failure.reason} ({failure.attempts} attempts)", "red"
    if target.failed_files > _SHOWN_FAILURES:
        yield f"  and {target.failed_files - _SHOWN_FAILURES:,} more", "red"


def _found(target: TargetSnapshot, found: Findings) -> Iterator[tuple[str, str]]:
    if target.chunk_files_absent:
        yield f"  {count_text(target.chunk_files_absent, 'chunk file')} not at the source: never written, so far", ""
    kinds = (
        ("missing", found.chunk_files_missing, found.other_missing, found.missing_paths),
        ("different", found.chunk_files_different, found.other_different, found.different_paths),
    )
    for what, chunk_files, others, paths in kinds:
        if chunk_files or others:
            yield f"  {what}: {count_text(chunk_files, 'chunk file')}, {count_text(others, 'other file')}", "yellow"
            yield from _paths(paths, chunk_files + others)
    if found.extra:
        what = "file or folder" if found.extra == 1 else "files and folders"
        yield f"  at the destination only: {found.extra:,} {what}", "yellow" if target.kept else ""
        yield from _paths(found.extra_paths, found.extra)


def _paths(paths: Sequence[str], count: int) -> Iterator[tuple[str, str]]:
    for path in paths[:_SHOWN_FINDINGS]:
        yield f"    {path}", ""
    if count > _SHOWN_FINDINGS:
        yield f"    and {count - _SHOWN_FINDINGS:,} more", ""


def show_status(engines: Sequence[EngineSnapshot]) -> None:
    """Print what engines are doing."""
    console = Console(highlight=False, soft_wrap=True)
    if not engines:
        console.print("No copy is running.")
    for engine in engines:
        for target in engine.targets:
            line = Text(f"process {engine.pid}  ").append(target.state, style=_COLOURS[target.state])
            line.append(f"  {_files_text(target)} chunk files  {_rate_text(target)} MB/s  ETA {_eta_text(target)}")
            console.print(line)
            console.print(Text(f"  {target.source} -> {target.destination}"))
            for words in filter(None, (target.reason, *_outlook(target))):
                console.print(Text(f"  {words}", style="dim"))
            for words in target.forecast.warnings:
                console.print(Text(f"  {words}", style="yellow"))
