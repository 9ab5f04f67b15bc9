"""Waits so long for a disk or share to answer, and no longer: one that hangs must hold up nobody who starts a copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.session_limits import NO_THREADS

if TYPE_CHECKING:
    from softcopy_napari.engine.targets.target import Target

T = TypeVar("T")

_ANSWER = 30.0
"""Seconds that are enough for every disk that answers at all."""


def in_time(look: Callable[[], T], targets: Sequence[Target]) -> T:
    """Look at sources and destinations.

    Parameters
    ----------
    look : callable
        Looks; runs in a thread, which is left behind where it hangs: such a call cannot be ended.
    targets : sequence of Target
        Whose.

    Raises
    ------
    TargetsError
        There was no answer.
    BaseException
        What `look` raises.
    """
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="look", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise TargetsError(NO_THREADS) from None
    deadline = time.monotonic() + _ANSWER
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.2)  # in steps: Windows hears no Ctrl-C during a longer one
    if raised:
        raise raised[0]
    if not found:
        sides = [f"source {one.source} or destination {one.destination}" for one in targets]
        raise TargetsError(
            f"{', or '.join(sides)} has not answered for {_ANSWER:.0f} s: "
            "see whether their disks or shares can be reached, then start again"
        )
    return found[0]
