"""The output of `softcopy status`: what runs, and how the last copies ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import PurePath

from softcopy_napari.engine.formatting import clock_text, count_text
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.state_folder.history import Ending
from softcopy_napari.terminal.styled import print_line
from softcopy_napari.terminal.texts import COLOURS, eta_text, files_text, forecast_lines, rate_text
from softcopy_napari.terminal.wording import explain_state

_SHOWN = 10
"""Endings that need nobody, at most."""


def show_status(engines: Sequence[EngineSnapshot]) -> None:
    """Print what these engines are doing."""
    if not engines:
        print_line("No copy is running.")
    for engine in engines:
        for target in engine.targets:
            numbers = f"{files_text(target)} chunk files  {rate_text(target)} MB/s  ETA {eta_text(target)}"
            name = PurePath(target.source).name
            print_line(target.state_text, COLOURS[target.state], f"{name}  ", f"  {numbers}")
            print_line(f"  {target.source} -> {target.destination}  (process {engine.pid})")
            for words in filter(None, (explain_state(target), *forecast_lines(target))):
                print_line(f"  {words}", "dim")
            for words in target.forecast.warnings:
                print_line(f"  {words}", "yellow")


def show_endings(endings: Sequence[Ending], running: Sequence[EngineSnapshot]) -> None:
    """Print the latest result of each destination, all failures first; not of those that are shown as running."""
    shown = {target.destination for engine in running for target in engine.targets}
    left = [ending for ending in endings if ending.destination not in shown]
    failures = [ending for ending in left if ending.needs_attention]
    others = [ending for ending in left if not ending.needs_attention]
    if left:
        print_line()
        print_line("Ended:", "bold")
    for ending in (*failures, *others[:_SHOWN]):
        _show_ending(ending)
    if len(others) > _SHOWN:
        print_line(f"and {len(others) - _SHOWN:,} more")
    if failures:
        print_line(f"{count_text(len(failures), 'failure')} shown until dismissed: softcopy status --dismiss", "dim")


def _show_ending(ending: Ending) -> None:
    target, now = ending.target, time.time()
    name = f"{PurePath(ending.source).name}  " + ("check: " if ending.check else "")
    when = f"  started {clock_text(ending.at, now)}" if ending.crashed else f"  {clock_text(ending.at, now)}"
    numbers = f"  {files_text(target)} chunk files" if target.chunk_files else ""
    print_line(ending.state_text, "red" if ending.needs_attention else COLOURS[target.state], name, when + numbers)
    print_line(f"  {ending.source} -> {ending.destination}")
    if ending.reason:
        print_line(f"  {ending.reason}", "dim")
    if target.failed_files:
        first = target.failures[0]
        more = f" and {target.failed_files - 1:,} more" if target.failed_files > 1 else ""
        print_line(f"  failed: {first.path} {first.reason}{more}", "red")
