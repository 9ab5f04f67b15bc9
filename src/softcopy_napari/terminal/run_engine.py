"""Runs an engine in this process and shows it on the terminal until its targets have ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from softcopy_napari.engine.protocol.messages import EngineSnapshot, Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.log_lines import LogLines
from softcopy_napari.terminal.signals import INTERRUPTED, collect_signals, ended_by_system
from softcopy_napari.terminal.styled import print_line
from softcopy_napari.terminal.summary import show_summary

NOT_COMPLETE = 1
"""Exit code of a run that has left a target incomplete."""

_SOON = 1.5
"""Seconds for which a notification is waited for without a word."""
_AT_ONCE = 0.3
"""The same after Ctrl-C: enough to hand it over to the process that sends it."""
_BEFORE_KILLED = 8.0
"""The same after the system has asked the process to end: it is ended by force later than that."""
_POLL = 0.5
"""Seconds between two snapshots of the engine; Ctrl-C takes effect at the next one."""


def run_engine(make_engine: Callable[[], Engine], live: bool = True, metrics: str | None = None) -> int:
    """Run an engine in this process, show it (as a live table, if there is a terminal), and return the exit code.

    Ctrl-C while sources are watched on ends a copy that is complete.

    Parameters
    ----------
    make_engine : callable
    live : bool
        Whether a table is shown on a terminal.
    metrics : str, optional
        Address at which metrics are served.

    Raises
    ------
    TargetsError
        The targets cannot be started, or the address cannot be used; nothing was touched.
    """
    server = None
    if metrics is not None:
        from softcopy_napari.terminal.metrics import MetricsServer

        server = MetricsServer(metrics)
    engine = make_engine()
    if server is not None:
        server.engines = lambda: [engine.snapshot()]
    with collect_signals() as caught:
        engine.start()
        # The table is imported here, while the copy processes start: that takes a tenth of a second.
        with _show_progress(engine.snapshot, live) as show:
            while not engine.wait(_POLL):
                show()
                if caught:
                    if ended_by_system(caught):
                        engine.end_for_system()
                    else:
                        engine.order(Order(do="stop"))
                    engine.wait(2.0)
                    break
        last = engine.snapshot()
        engine.close()
        show_summary(last)
    with contextlib.suppress(KeyboardInterrupt):
        patience = _SOON if not caught else _BEFORE_KILLED if ended_by_system(caught) else _AT_ONCE
        if not engine.notifier.close(patience) and not caught:
            print_line("Sending a notification. Ctrl-C ends the wait for it", "dim")
            engine.notifier.close()
    if all(target.state is TargetState.COMPLETE for target in last.targets):
        return 0
    return INTERRUPTED if caught else NOT_COMPLETE


@contextlib.contextmanager
def _show_progress(snapshot: Callable[[], EngineSnapshot], live: bool) -> Iterator[Callable[[], None]]:
    """Show an engine while it works; the function that this yields is to be called a few times a second."""
    if live and sys.stdout.isatty():
        from softcopy_napari.terminal.live_table import live_table

        with live_table(snapshot) as show:
            yield show
    else:
        log = LogLines()
        yield lambda: log.show(snapshot())
        log.show(snapshot(), now=True)
