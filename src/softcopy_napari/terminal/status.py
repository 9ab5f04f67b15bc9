"""The output of `softcopy status`: what runs, and how the last copies ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import PurePath

import click

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.formatting import clock_text, count_text
from softcopy_napari.engine.notify.crash_reports import report_crashes
from softcopy_napari.engine.notify.failure_record import forget_problem, read_problem
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.state_folder import history
from softcopy_napari.engine.state_folder.history import Ending, endings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from softcopy_napari.terminal.all_users import OthersReport, report_others
from softcopy_napari.terminal.status_report import make_report
from softcopy_napari.terminal.styled import print_line
from softcopy_napari.terminal.texts import (
    COLOURS,
    forecast_lines,
    labelled_eta_text,
    labelled_files_text,
    rate_text,
)
from softcopy_napari.terminal.wording import explain_state, foreign_words

_SHOWN = 10
"""Endings that need nobody, at most."""


def run_status(everything: bool, dismiss: bool, as_json: bool, all_users: bool) -> None:
    """Print what runs and how the last copies ended.

    Parameters
    ----------
    everything : bool
        Whether to print all copies that have ended, and not only the newest.
    dismiss : bool
        Whether failures are marked as seen afterwards.
    as_json : bool
        Whether to print a `StatusReport` as JSON, and nothing else.
    all_users : bool
        Whether other users' copies are wanted, too.
    """
    running, foreign = _ask_engines()
    found, problem = endings(), read_problem()
    others = report_others() if all_users else None
    if as_json:
        report = make_report(running, found, foreign, problem)
        if others is not None:
            both = {"copies": report.copies + others.copies, "not_shown": report.not_shown + others.not_shown}
            report = report.model_copy(update=both)
        print(report.model_dump_json(indent=1))
    else:
        for words in foreign:
            click.echo(f"softcopy: {words}", err=True)
        show_status(running)
        show_endings(found, running, everything)
        show_notification_problem(problem)
        if others is not None:
            show_others(others)
        report_crashes(found)
    if dismiss:
        history.dismiss(ending for ending in found if ending.needs_attention)
        forget_problem()


def _ask_engines() -> tuple[list[EngineSnapshot], list[str]]:
    """Return what the running engines say, and words about those of another version."""
    snapshots, foreign = [], []
    for engine in engines():
        try:
            snapshots.append(engine.snapshot())
        except EngineGone:
            continue
        except ValueError:
            foreign.append(foreign_words(engine.run.pid))
    return [snapshot for snapshot in snapshots if not snapshot.ended], foreign


def show_status(engines: Sequence[EngineSnapshot]) -> None:
    """Print what these engines are doing."""
    if not engines:
        print_line("No copy is running.")
    for engine in engines:
        for target in engine.targets:
            numbers = f"{labelled_files_text(target)}  {rate_text(target)} MB/s  {labelled_eta_text(target)}"
            name = PurePath(target.source).name
            print_line(target.state_text, COLOURS[target.state], f"{name}  ", f"  {numbers}")
            print_line(f"  {target.source} -> {target.destination}  (process {engine.pid})")
            watermark = target.watermark.words if target.watermark is not None else ""
            for words in filter(None, (explain_state(target), watermark, *forecast_lines(target))):
                print_line(f"  {words}", "dim")
            for words in target.forecast.warnings:
                print_line(f"  {words}", "yellow")


def show_endings(ended: Sequence[Ending], running: Sequence[EngineSnapshot], everything: bool = False) -> None:
    """Print the latest result of each destination: failures that nobody has dismissed, and then the newest others.

    Parameters
    ----------
    ended : sequence of Ending
        The newest first.
    running : sequence of EngineSnapshot
        Engines whose targets are shown already.
    everything : bool
        Whether to print all that are kept.
    """
    shown = {target.destination for engine in running for target in engine.targets}
    left = [ending for ending in ended if ending.destination not in shown]
    failures = [ending for ending in left if ending.needs_attention]
    others = [ending for ending in left if not ending.needs_attention]
    if left:
        print_line()
        print_line("Ended:", "bold")
    shown_others = others if everything else others[:_SHOWN]
    for ending in (*failures, *shown_others):
        _show_ending(ending)
    if more := len(others) - len(shown_others):
        print_line(f"and {more:,} more: softcopy status --all", "dim")
    if failures:
        print_line(f"{count_text(len(failures), 'failure')} shown until dismissed: softcopy status --dismiss", "dim")


def _show_ending(ending: Ending) -> None:
    target, now = ending.target, time.time()
    name = f"{PurePath(ending.source).name}  " + ("check: " if ending.check else "")
    when = f"  started {clock_text(ending.at, now)}" if ending.crashed else f"  {clock_text(ending.at, now)}"
    numbers = f"  {labelled_files_text(target)}" if target.chunk_files or target.any_files else ""
    print_line(ending.state_text, "red" if ending.failed else COLOURS[target.state], name, when + numbers)
    print_line(f"  {ending.source} -> {ending.destination}")
    if ending.reason:
        print_line(f"  {ending.reason}", "dim")
    if target.not_freed is not None:
        print_line(f"  {describe(target.not_freed)}", "yellow")
    if target.failed_files:
        first = target.failures[0]
        more = f" and {target.failed_files - 1:,} more" if target.failed_files > 1 else ""
        print_line(f"  failed: {first.path} {first.reason}{more}", "red")


def show_notification_problem(problem: Reason | None) -> None:
    """Print why the last notification could not be sent, if so."""
    if problem is not None:
        print_line()
        print_line(f"{describe(problem)}. Try it: softcopy notify-test", "yellow")


def show_others(report: OthersReport) -> None:
    """Print the copies of other users, and what cannot be shown of them."""
    print_line()
    print_line("Other users:", "bold")
    for one in report.copies:
        state = TargetState[one.state.upper()]
        style = "red" if one.crashed else COLOURS[state]
        chunks = one.chunk_files
        total = sum(count for _, count in chunks)
        numbers = f"  {chunks.copied + chunks.verified:,}/{total:,} chunk files" if total else ""
        print_line(one.state_text, style, f"{one.user}  {PurePath(one.source).name}  ", numbers)
        print_line(f"  {one.source} -> {one.destination}  (process {one.pid})")
        if one.reason:
            print_line(f"  {one.reason}", "dim")
    for words in report.not_shown:
        print_line(words, "dim")
    if not (report.copies or report.not_shown):
        print_line("No other user has copies here.")
