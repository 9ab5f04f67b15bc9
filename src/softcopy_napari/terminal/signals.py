"""Collects Ctrl-C and requests to end, so that what runs in the foreground ends in good order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""


def ended_by_system(caught: Sequence[int]) -> bool:
    """Whether the first signal came from the system or another program, not from the user's keyboard."""
    return bool(caught) and signal.Signals(caught[0]).name in ("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def collect_signals() -> Iterator[list[int]]:
    """Collect the numbers of signals that ask the process to end, which then do not end it by themselves."""
    caught: list[int] = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    if "SIGHUP" in names and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        names.remove("SIGHUP")  # set by `nohup`: the process is to outlive its session
    before = {name: signal.signal(getattr(signal, name), lambda number, _: caught.append(number)) for name in names}
    try:
        yield caught
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
