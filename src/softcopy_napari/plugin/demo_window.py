"""The demo in napari: a simulated acquisition, copied from the dock, with the overlay over its image."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import napari
from qtpy.QtCore import QObject, QTimer

from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor
from softcopy_napari.plugin.dock.open_dock import open_dock
from softcopy_napari.plugin.sample import SCAN, simulate
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition
from softcopy_napari.terminal.run_engine import NOT_COMPLETE
from softcopy_napari.terminal.signals import INTERRUPTED, collect_signals

_SIZE = (1240, 960)
_DRAW_DELAY = 1000
"""Milliseconds after which the dock and the overlay show what an engine has reported."""
_CHECK_INTERVAL = 200
"""Milliseconds between two checks of signals and of the microscope."""
_END_TIMEOUT = 15.0
"""Seconds within which the microscope ends and what it wrote is removed."""
_REPORT_TIMEOUT = 5_000
"""Milliseconds that a microscope which has failed has to report it, after its copy was stopped."""


def show_demo(
    arguments: Sequence[str], compare: Callable[[Path, Path], int], screenshots: Path | None, stay: bool
) -> int:
    """Run the demo in a window, and return the exit code.

    Parameters
    ----------
    arguments : sequence of str
        Options of the microscope, as on its command line.
    compare : callable
        Compares both sides when the copy is complete, prints the result, and returns the exit code.
    screenshots : Path, optional
        A folder for pictures of the window: at the start, in the middle, and when the copy is complete.
    stay : bool
        Whether the window stays open until its user closes it; otherwise it closes when the copy has ended.
    """
    with collect_signals() as caught:
        viewer = napari.Viewer(title="softcopy demo")
        viewer.window.resize(*_SIZE)
        simulation = simulate(open_dock(viewer), *SCAN, "--frames", "8", *arguments)
        click.echo("A simulated microscope writes to")
        click.echo(f"  {simulation.source}")
        click.echo("while the dock copies it to")
        click.echo(f"  {simulation.destination}")
        demo = _Demo(viewer, simulation, compare, screenshots, stay, caught)
        try:
            napari.run()
        finally:
            demo.close()
    return demo.code


class _Demo(QObject):
    """One more front end of the copy: takes the pictures and prints the result."""

    def __init__(
        self,
        viewer: napari.Viewer,
        simulation: TemporaryAcquisition,
        compare: Callable[[Path, Path], int],
        screenshots: Path | None,
        stay: bool,
        caught: list[int],
    ) -> None:
        super().__init__()
        self.code = 0 if stay else NOT_COMPLETE  # until the copy is complete: a user may close the window before
        self._viewer = viewer
        self._simulation = simulation
        self._compare = compare
        self._screenshots = screenshots
        self._stay = stay
        self._caught = caught
        self._stages = {"start": 0.2, "middle": 0.5}  # share copied at which each picture is taken
        self._time_point: int | None = None
        self._ended = self._stop_ordered = False
        self._comparison: threading.Thread | None = None
        self._why_ended = ""
        """Why the copy has ended too early."""
        self._monitor = EngineMonitor()
        self._monitor.updated.connect(self._on_update)
        self._timer = QTimer(self)  # also lets Python handle signals
        self._timer.timeout.connect(self._check)
        self._timer.start(_CHECK_INTERVAL)

    def close(self) -> None:
        """End everything, and remove what was written."""
        self._timer.stop()
        self._monitor.close()
        if self._caught:
            self._viewer.close()  # napari leaves its event loop at Ctrl-C, and the window open
        if self._comparison is not None:
            self._comparison.join()
        elif self._caught:
            self.code = INTERRUPTED
        elif not self._ended and self._stay:
            click.echo("The window was closed before everything was copied, so nothing was compared.")
        self._simulation.end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._simulation.wait(_END_TIMEOUT)

    def _check(self) -> None:
        if self._caught:
            self._viewer.close()
        elif self._simulation.failed:
            self._fail("the simulated microscope failed")

    def _on_update(self, seen: Sequence[SeenTarget]) -> None:
        for one in seen:
            if one.target.source == str(self._simulation.source) and not self._ended:
                self._follow(one)

    def _follow(self, one: SeenTarget) -> None:
        target = one.target
        if target.watching:
            if not self._stop_ordered:  # the microscope is done: the copy must not change while it is compared
                self._stop_ordered = True
                self._monitor.order("stop", [one.key])
        elif target.state is TargetState.COMPLETE:
            self._ended = True
            click.echo(f"{target.state}: {target.reason}")
            self._comparison = threading.Thread(target=self._compare_both, name="softcopy-demo-compare")
            self._comparison.start()
            self._take_picture("complete", self._leave)
        elif target.state.ended and not self._why_ended:
            # When the microscope fails, its keeper stops the copy first, and reports the failure then.
            self._why_ended = f"the copy is {target.state}: {target.reason}"
            QTimer.singleShot(_REPORT_TIMEOUT, self, lambda: self._fail(self._why_ended))
        elif one.lost:
            self._fail("copying crashed")
        elif target.chunk_files:
            share = target.chunk_files_copied / target.chunk_files
            self._turn_to(share)
            for stage in [stage for stage, begin in self._stages.items() if share > begin]:
                del self._stages[stage]
                self._take_picture(stage)

    def _turn_to(self, share: float) -> None:
        """Show the time point that is being written, until the user turns to another."""
        dims = self._viewer.dims
        if not self._viewer.layers or (self._stay and self._time_point not in (None, dims.current_step[0])):
            return
        self._time_point = min(int(share * dims.nsteps[0]), dims.nsteps[0] - 1)
        dims.set_current_step(0, self._time_point)

    def _fail(self, why: str) -> None:
        if self._ended:
            return
        self._ended = True
        self.code = NOT_COMPLETE
        click.echo(f"softcopy: {why}", err=True)
        self._leave()

    def _leave(self) -> None:
        if self._stay:
            click.echo("Close the window to end the demo and remove both folders.")
        else:
            self._viewer.close()

    def _compare_both(self) -> None:
        self.code = self._compare(self._simulation.source, self._simulation.destination)

    def _take_picture(self, stage: str, then: Callable[[], None] = lambda: None) -> None:
        """Take a picture once the window shows the present state."""

        def prepare() -> None:
            if not self._stay:
                self._viewer.reset_view()
            QTimer.singleShot(_CHECK_INTERVAL, save)

        def save() -> None:
            if self._screenshots is not None:
                path = self._screenshots / f"{stage}.png"
                self._viewer.screenshot(str(path), canvas_only=False, flash=False)
                click.echo(f"screenshot: {path}")
            then()

        QTimer.singleShot(_DRAW_DELAY, prepare)
