"""What the `softcopy` command shows: a live table on a terminal, log lines elsewhere, a summary at the end.

What draws on terminals takes 40 ms to import, a tenth of a short run: without a terminal it is not.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from softcopy_napari.engine.formatting import GOES_ON, count_text, size_text, time_text
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Findings, TargetSnapshot
from softcopy_napari.engine.states import TargetState

_LOG_INTERVAL = 5.0
_LOG_LONGEST = 60.0
"""Seconds between log lines of a target of which there is nothing new to say."""
_SHOWN_FAILURES = 10
_SHOWN_FINDINGS = 5
_TO_AND_FRO = {TargetState.COPYING, TargetState.CAUGHT_UP}
COLOURS = {
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


def files_text(target: TargetSnapshot) -> str:
    """Chunk files that have arrived, of how many."""
    return f"{target.chunk_files_copied:,}/{target.chunk_files:,}" if target.arrays else "-"


def reason_text(target: TargetSnapshot) -> str:
    """Why it is in its state, and what its user can do about it from a terminal."""
    if target.can_finish:
        return ". ".join(filter(None, (target.reason, "Over already? `softcopy finish`")))
    return target.reason


def eta_text(target: TargetSnapshot) -> str:
    """When it will be complete, or how long it took."""
    if target.state.ended:
        return time_text(target.elapsed)
    if target.eta is not None:
        return time_text(target.eta)
    return "acquiring" if target.acquiring else "-"


def rate_text(target: TargetSnapshot) -> str:
    """In MB/s."""
    return f"{target.bytes_per_second / 1e6:.1f}"


def outlook(target: TargetSnapshot) -> list[str]:
    """At what pace it goes, where that is held back, and what is to be expected."""
    return [words for words in (target.pace.words, target.forecast.words) if words]


@contextlib.contextmanager
def watch(snapshot: Callable[[], EngineSnapshot], live: bool = True) -> Iterator[Callable[[], None]]:
    """Show an engine while it works; what is yielded is to be called a few times a second."""
    if live and sys.stdout.isatty():
        from softcopy_napari.terminal.live_table import live_table

        with live_table(snapshot) as show:
            yield show
    else:
        log = _Log()
        yield lambda: log.show(snapshot())
        log.show(snapshot(), now=True)


class _Log:
    """A line a target every few seconds, and at every change of its state, for logs and pipes.

    While a source is watched on there is nothing to tell.
    """

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
                new = self._text(target, resumed=state is TargetState.COMPLETE and not target.state.ended)
                again = time.monotonic() - when >= _LOG_LONGEST and not target.watching
                repeats = new == text and not now and not again
                if changed or not repeats:
                    self._said[target.id] = target.state, new, time.monotonic()
                    self._line(new)
            for notice in target.notices:
                if (target.id, notice) not in self._told:
                    self._told.add((target.id, notice))
                    self._line(f"{target.source}: note: {notice}")

    @staticmethod
    def _text(target: TargetSnapshot, resumed: bool) -> str:
        parts = [
            f"{target.source}: {target.state_text}" + (" again: the source has changed" if resumed else ""),
            f"{files_text(target)} chunk files",
            f"{rate_text(target)} MB/s",
            f"ETA {eta_text(target)}" if not target.state.ended else f"took {eta_text(target)}",
        ]
        if target.failed_files:
            parts.append(f"{target.failed_files:,} failed")
        parts += filter(None, (*outlook(target), reason_text(target)))
        return ", ".join(parts)

    @staticmethod
    def _line(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def show_summary(engine: EngineSnapshot) -> None:
    """Print what became of each target."""
    for target in engine.targets:
        _print()
        for text, style in _summary(target):
            _print(text, style)


def _print(text: str = "", style: str = "", begin: str = "", end: str = "") -> None:
    """A line; the style is that of its middle."""
    if not sys.stdout.isatty():
        print(begin + text + end)
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False, soft_wrap=True).print(Text(begin).append(text, style=style).append(end))


def _summary(target: TargetSnapshot) -> Iterator[tuple[str, str]]:
    yield f"{target.source} -> {target.destination}", "bold"
    reason = reason_text(target)
    yield f"  {target.state_text}" + (f": {reason}" if reason else ""), COLOURS[target.state]
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
        attempts = f" ({failure.attempts} attempts)" if failure.attempts > 1 else ""
        yield f"  failed: {failure.path} {failure.reason}{attempts}", "red"
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
    if found.damaged:
        yield f"  damaged at the source: {count_text(found.damaged, 'chunk file')}", "yellow"
        yield from _paths(found.damaged_paths, found.damaged)
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
    if not engines:
        _print("No copy is running.")
    for engine in engines:
        for target in engine.targets:
            numbers = f"{files_text(target)} chunk files  {rate_text(target)} MB/s  ETA {eta_text(target)}"
            _print(target.state_text, COLOURS[target.state], f"process {engine.pid}  ", f"  {numbers}")
            _print(f"  {target.source} -> {target.destination}")
            for words in filter(None, (reason_text(target), *outlook(target))):
                _print(f"  {words}", "dim")
            for words in target.forecast.warnings:
                _print(f"  {words}", "yellow")
