"""The live table of the `softcopy` command on a terminal: a row for each target."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import PurePath

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.terminal.texts import COLOURS, eta_text, files_text, forecast_lines, rate_text
from softcopy_napari.terminal.wording import explain_state

_SHOWN_NOTICES = 3


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
    table.add_column("target", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("", width=max(8, min(24, width // 6)))
    table.add_column("chunk files", justify="right", no_wrap=True)
    table.add_column("MB/s", justify="right", no_wrap=True)
    table.add_column("ETA", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    lines: list[RenderableType] = [table]
    for target in engine.targets:
        table.add_row(
            Text(PurePath(target.source).name),  # not as markup, which a name may look like
            ProgressBar(total=max(1, target.chunk_files), completed=target.chunk_files_copied),
            files_text(target),
            rate_text(target),
            eta_text(target),
            Text(target.state_text, style=COLOURS[target.state]),
        )
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


def _name(target: TargetSnapshot, engine: EngineSnapshot) -> str:
    """Return a prefix with the target's name where there are several."""
    return f"{PurePath(target.source).name}: " if len(engine.targets) > 1 else ""
