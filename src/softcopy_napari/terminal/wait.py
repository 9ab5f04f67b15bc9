"""`softcopy wait`: waits until a copy has come so far, by what its progress file says alone."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import NoReturn

import click

from softcopy_napari.terminal.refusals import fail, read_destination

NOT_REACHED, TIME_OVER = 1, 3
"""Exit codes: the copy has ended before; the time is over."""
_POLL = 0.5
"""Seconds between two looks at the file: on a share, each is a few calls."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("destination")
@click.option("--until", required=True, metavar="INDEX", help="t=120, 120 on any axis, or end for the whole copy.")
@click.option("--array", metavar="PATH", help="This array in the destination.  [default: all]")
@click.option("--well", metavar="PATH", help="This well of a plate, with all its arrays.")
@click.option("--verified", is_flag=True, help="Wait until it has been read back from the destination, too.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up after this time.  [default: never]")
def wait(
    destination: str, until: str, array: str | None, well: str | None, verified: bool, timeout: float | None
) -> None:
    """Wait until a time point, or all, has been copied.

    Reads the progress file beside the destination, on any computer. Exit code 0 when it is there, 1 if the copy ended
    without it, 3 after a timeout.
    """
    from softcopy_napari.engine.watermark.progress_reader import Goal, GoalError, Waiter, WaitResult

    deadline = None if timeout is None else time.monotonic() + timeout
    path = read_destination(destination)
    if array is not None and well is not None:
        fail("give --array or --well, not both")
    try:
        waiter = Waiter(path, Goal.parse(until, array, well, verified))
    except GoalError as error:
        fail(f"--until {until}: {error}")
    while True:
        result = WaitResult.WAITING
        try:
            with contextlib.suppress(OSError):  # a share may be away for a moment
                result = waiter.check()
        except GoalError as error:
            fail(f"--until {until}: {error}")
        if result is WaitResult.REACHED:
            return
        if result is WaitResult.ENDED:
            _end(NOT_REACHED, f"the copy to {path} has ended without {until}")
        left = _POLL if deadline is None else min(_POLL, deadline - time.monotonic())
        if left <= 0:
            _end(TIME_OVER, f"{until} did not reach {path} within {timeout:g} s")
        time.sleep(left)


def _end(code: int, message: str) -> NoReturn:
    click.echo(f"softcopy: {message}", err=True)
    sys.exit(code)
