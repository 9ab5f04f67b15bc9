"""The live table of the `softcopy` command on a terminal: a row for each target."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import PurePath

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.terminal.texts import COLOURS, eta_text, files_text, forecast_lines, is_open_ended, rate_text
from softcopy_napari.terminal.wording import explain_state

_SHOWN_NOTICES = 3
_WIDE = 110
"""Columns from which on the destination has a column of its own."""
_NARROWEST_BAR = 8
_SHORTEST = 8


@contextlib.contextmanager
def live_table(snapshot: Callable[[], EngineSnapshot]) -> Iterator[Callable[[], None]]:
    """Show an engine within this context; the function that it yields draws the table again."""
    console = Console()
    with Live(draw(snapshot(), console.width), console=console, auto_refresh=False) as table:
        yield lambda: table.update(draw(snapshot(), console.width), refresh=True)
        table.update(draw(snapshot(), console.width), refresh=True)


def draw(engine: EngineSnapshot, width: int) -> RenderableType:
    """Return the table, followed by notes about each target."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    wide = width >= _WIDE
    table.add_column("target", no_wrap=True, max_width=width // 4)
    if wide:
        table.add_column("destination", no_wrap=True, ratio=1)
    table.add_column("", ratio=1, min_width=_NARROWEST_BAR)
    table.add_column("chunk files", justify="right", no_wrap=True)
    table.add_column("MB/s", justify="right", no_wrap=True)
    table.add_column("ETA", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    lines: list[RenderableType] = [table]
    for target in engine.targets:
        texts = [PurePath(target.source).name] + ([target.destination] if wide else [])
        table.add_row(
            *map(_Elided, texts),
            _bar(target),
            files_text(target),
            rate_text(target),
            eta_text(target),
            Text(target.state_text, style=COLOURS[target.state]),
        )
        if not wide:
            lines.append(_Elided(f"{_name(target, engine)}to {target.destination}", "dim"))
        if (reason := explain_state(target)) and not target.state.ended:
            lines.append(Text(f"{_name(target, engine)}{reason}", style="dim"))
        lines += [Text(f"{_name(target, engine)}{words}", style="dim") for words in forecast_lines(target)]
        lines += [Text(f"{_name(target, engine)}{words}", style="yellow") for words in target.forecast.warnings]
        if target.failed_files and not target.state.ended:
            failure = target.failures[0]
            more = f" (and {target.failed_files - 1:,} more)" if target.failed_files > 1 else ""
            lines.append(Text(f"{failure.path} {failure.reason}{more}; trying again", style="red"))
        if not target.state.ended:
            lines += [
                Text(f"{_name(target, engine)}{notice}", style="yellow") for notice in target.notices[-_SHOWN_NOTICES:]
            ]
    if any(target.watching for target in engine.targets) and all(target.state.ended for target in engine.targets):
        lines.append(Text("Ctrl-C ends it", style="dim"))
    return Group(*lines)


def _bar(target: TargetSnapshot) -> ProgressBar:
    if is_open_ended(target):
        return ProgressBar(total=None, pulse=True)
    return ProgressBar(total=max(1, target.chunk_files), completed=target.chunk_files_copied)


class _Elided:
    """A text, which is no markup, on one line: without its middle where there is no room for all of it."""

    def __init__(self, text: str, style: str = "") -> None:
        self._text, self._style = text, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text, kept = self._text, max(2, options.max_width - 1)
        if len(text) > options.max_width:
            text = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
        yield Text(text, style=self._style, no_wrap=True, overflow="ellipsis")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(_SHORTEST, len(self._text)), len(self._text))


def _name(target: TargetSnapshot, engine: EngineSnapshot) -> str:
    """Return a prefix with the target's name where there are several."""
    return f"{PurePath(target.source).name}: " if len(engine.targets) > 1 else ""
