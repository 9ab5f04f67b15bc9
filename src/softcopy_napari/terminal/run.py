"""Runs an engine in this process and shows it on the terminal until its targets have ended."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from softcopy_napari.engine.protocol.messages import Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.states import TargetState

NOT_COMPLETE = 1
INTERRUPTED = 130

_POLL = 0.5
"""Seconds between looks at the engine: Ctrl-C is heard at the next one."""


def run(engine: Engine, live: bool = True) -> int:
    """Run an engine in this process, show it (as a live table, if there is a terminal), and return the exit code.

    Ctrl-C while sources are watched on ends a copy that is complete.
    """
    with signals() as caught:
        engine.start()
        # Now, while the copy processes start: what draws tables takes a tenth of a second to import.
        from softcopy_napari.terminal.terminal import show_summary, watch

        with watch(engine.snapshot, live) as show:
            while not engine.wait(_POLL):
                show()
                if caught:
                    engine.order(Order(do="stop"))
                    engine.wait(2.0)
                    break
        last = engine.snapshot()
        engine.close()
        show_summary(last)
    if all(target.state is TargetState.COMPLETE for target in last.targets):
        return 0
    return INTERRUPTED if caught else NOT_COMPLETE


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and requests to end, instead of being torn away by them."""
    caught: list[int] = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    if "SIGHUP" in names and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        names.remove("SIGHUP")  # by `nohup`: it is to outlive its session
    before = {name: signal.signal(getattr(signal, name), lambda number, _: caught.append(number)) for name in names}
    try:
        yield caught
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
