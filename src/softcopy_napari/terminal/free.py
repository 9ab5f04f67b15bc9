"""`softcopy free` in a terminal: the plan, the question, the progress, and what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from softcopy_napari.engine.dispatch.priority import lower_priority
from softcopy_napari.engine.formatting import clock_text, count_text, size_text
from softcopy_napari.engine.freeing.expiry import Deleted, delete_expired
from softcopy_napari.engine.freeing.free_rules import FreeOptions, FreePlan
from softcopy_napari.engine.freeing.free_source import FreeJob
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.freeing.undo import undo_free
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.receipt.freed_record import FreedRecord, grace_folder_of, list_freed, read_record
from softcopy_napari.engine.verify.verify import Interrupted
from softcopy_napari.engine.wording import describe
from softcopy_napari.terminal.signals import INTERRUPTED, collect_signals
from softcopy_napari.terminal.styled import print_line

_NOT_DONE = 1
_LOG_INTERVAL = 5.0


class NotConfirmed(Exception):
    """The user was asked and said no, or could not be asked; the message says so, if there is more to say."""


def run_free(source: Path, destination: Path, options: FreeOptions, dry_run: bool, yes: bool) -> int:
    """Show what freeing a source would do, ask, and do it; returns the exit code.

    Raises
    ------
    FreeRefused, NotConfirmed
        Nothing was moved, or nothing more.
    """
    lower_priority(os.getpid())
    with collect_signals() as caught:
        plan = FreeJob(source, destination, options).plan()
        _show_plan(plan, options)
        if dry_run:
            print_line("Nothing was moved (--dry-run).")
            return 0
        if not plan.files and not plan.moved:
            record = read_record(plan.grace)
            print_line(describe(record.describe()) if record is not None else "Nothing is left to be moved.")
            return 0
        _confirm("Free the source?", yes, "free it")
        try:
            with _show_progress() as show:

                def progress(what: ReasonCode, files: int, total: int) -> bool:
                    show(make_reason(what, files=files, total=total))
                    return not caught

                done = FreeJob(source, destination, replace(options, progress=progress)).run(planned=True)
        except Interrupted:
            print_line(f"Interrupted: what was moved is in {plan.grace}. Run it again to continue", "yellow")
            return INTERRUPTED
    freed = make_reason(ReasonCode.SOURCE_FREED, files=done.moved, grace=str(done.grace), until=done.until)
    print_line(describe(freed), "green")
    print_line(f"  {size_text(done.bytes)} are deleted by softcopy free --expired after that; undo until then:")
    print_line(f"  softcopy free --undo {done.source}")
    return 0


def _show_plan(plan: FreePlan, options: FreeOptions) -> None:
    print_line(f"{plan.source}: {count_text(plan.files, 'file')}, {size_text(plan.bytes)}", "bold")
    print_line(f"  are also at    {plan.destination}")
    print_line(f"  with receipt   {plan.checksums}")
    print_line(f"  would go to    {plan.grace}, kept for {options.keep_days:g} days")
    if plan.moved:
        print_line(f"  there already  {count_text(plan.moved, 'file')}")
    if plan.left.total:
        print_line(f"  would stay     {plan.left} (links, or made by the system)")
    if os.stat(plan.source).st_dev == os.stat(plan.destination).st_dev:
        print_line("  note: the copy is on the same disk: if that fails, both are lost", "yellow")
    print_line("  Before each file is moved, its copy is read back and compared with the receipt and the source.")


def _confirm(question: str, yes: bool, what: str) -> None:
    if yes:
        return
    if not _can_ask():
        raise NotConfirmed(f"cannot ask without a terminal: add --yes to {what}")
    if not click.confirm(question):
        raise NotConfirmed("")


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def run_undo(source: Path) -> int:
    """Move the files of a freed source back; returns the exit code.

    Raises
    ------
    FreeRefused
    """
    done = undo_free(source)
    if done.record.deleted:
        print_line(f"{describe(done.record.describe())}. Copy it back from there", "yellow")
        return _NOT_DONE
    print_line(f"{count_text(done.files, 'file')} moved back to {source}", "green" if not done.taken.total else "")
    for path in done.taken.first:
        print_line(describe(make_reason(ReasonCode.UNDO_TAKEN, path=path, grace=str(done.grace))), "yellow")
    if done.taken.total > len(done.taken.first):
        print_line(f"and {done.taken.total - len(done.taken.first):,} more", "yellow")
    return _NOT_DONE if done.taken.total else 0


def run_list(sources: Sequence[Path]) -> int:
    """Print the freed sources: those that are named, or all that this user freed on this computer."""
    found: list[tuple[Path, FreedRecord | None]]
    found = [(grace, read_record(grace)) for grace in map(grace_folder_of, sources)] if sources else list_freed()
    if not found:
        print_line("No source has been freed.")
    for grace, record in found:
        if record is None:
            print_line(f"{grace}: not there, or it cannot be read", "yellow")
            continue
        print_line(_state(record), "yellow" if record.expired or not record.ended else "", f"{record.source}  ")
        print_line(f"  {count_text(record.files, 'file')}, {size_text(record.bytes)}; copy: {record.destination}")
        if not record.deleted:
            print_line(f"  grace folder: {grace}")
    return 0


def _state(record: FreedRecord) -> str:
    now = time.time()
    if record.deleted:
        return f"freed {clock_text(record.ended, now)}, deleted {clock_text(record.deleted, now)}"
    if not record.ended:
        return f"being freed since {clock_text(record.begun, now)}"
    if record.expired:
        return f"freed {clock_text(record.ended, now)}, expired {clock_text(record.until, now)}"
    return f"freed {clock_text(record.ended, now)}, kept until {clock_text(record.until, now)}"


def run_expired(sources: Sequence[Path], nprocs: int, dry_run: bool, yes: bool) -> int:
    """Delete the files of freed sources whose time is over; returns the exit code.

    Raises
    ------
    NotConfirmed
        Nothing was deleted.
    """
    lower_priority(os.getpid())
    chosen = [grace_folder_of(source) for source in sources]
    due = [(grace, one) for grace, one in list_freed() if one is not None and one.expired and not chosen]
    due += [(grace, one) for grace in chosen if (one := read_record(grace)) is not None and one.expired]
    if not due:
        print_line("Nothing has expired.")
        return 0
    for grace, record in due:
        size = f"{count_text(record.files, 'file')}, {size_text(record.bytes)}"
        print_line(f"{grace}: {size}; copy: {record.destination}")
    if dry_run:
        print_line("Nothing was deleted (--dry-run).")
        return 0
    _confirm("Delete these files for good?", yes, "delete them")
    failed = False
    with collect_signals() as caught:
        for grace, _ in due:
            try:
                done = _delete(grace, nprocs, caught)
                print_line(f"{count_text(done.files, 'file')} deleted, {size_text(done.bytes)}: {grace}", "green")
            except FreeRefused as error:
                print_line(f"{grace}: {error}", "red")
                failed = True
            except Interrupted:
                print_line("Interrupted. Run it again to continue", "yellow")
                return INTERRUPTED
    return _NOT_DONE if failed else 0


def _delete(grace: Path, nprocs: int, caught: list[int]) -> Deleted:
    with _show_progress() as show:

        def progress(files: int, total: int) -> bool:
            show(make_reason(ReasonCode.DELETING_FREED, files=files, total=total))
            return not caught

        return delete_expired(grace, progress, nprocs)


@contextmanager
def _show_progress() -> Iterator[Callable[[Reason], None]]:
    """Yield what shows how far it is: a line that changes on a terminal, else one every few seconds."""
    next_line = time.monotonic() + _LOG_INTERVAL
    if not sys.stdout.isatty():

        def log(reason: Reason) -> None:
            nonlocal next_line
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + _LOG_INTERVAL
                print(f"{time.strftime('%H:%M:%S')} {describe(reason)}", flush=True)

        yield log
        return
    from rich.console import Console

    with Console().status("") as status:
        yield lambda reason: status.update(describe(reason))
