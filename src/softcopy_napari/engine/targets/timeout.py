"""Asks a disk or share with a time limit: one that hangs must hold up nobody who starts a copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from softcopy_napari.engine.errors import NO_THREADS, TargetsError

T = TypeVar("T")

SECONDS = 30.0
"""Enough for every disk that answers at all."""


def call_with_timeout(function: Callable[[], T], message: str) -> T:
    """Call a function that asks disks, and return what it returns.

    Parameters
    ----------
    function : callable
        Runs in a thread, which is left behind if it hangs: such a call cannot be ended.
    message : str
        What to tell the user if there is no answer after `SECONDS`.

    Raises
    ------
    TargetsError
        There was no answer, or no thread can be started.
    BaseException
        What the function raises.
    """
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="ask-disks", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise TargetsError(NO_THREADS) from None
    deadline = time.monotonic() + SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.2)  # in steps: Windows hears no Ctrl-C during a longer one
    if raised:
        raise raised[0]
    if not returned:
        raise TargetsError(message)
    return returned[0]
