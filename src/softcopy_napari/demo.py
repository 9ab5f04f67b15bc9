"""`softcopy demo`: a simulated microscope writes, an engine copies meanwhile, and both are compared.

Shown in napari where that is installed, otherwise in the terminal.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from softcopy_napari.engine.protocol.messages import Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.state_folder.history import endings, forget
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.terminal.run_engine import run_engine
from softcopy_napari.virtual_screen import NoScreen, has_screen, virtual_screen


def run_demo(arguments: Sequence[str] = (), terminal: bool = False, screenshots: Path | None = None) -> int:
    """Run the demo in temporary folders, and return the exit code: 0 if the copy equals its source.

    Parameters
    ----------
    arguments : sequence of str
        Options of the microscope, as on its command line.
    terminal : bool
        Whether to run in the terminal even if napari is installed.
    screenshots : Path, optional
        A folder for pictures of napari. Without a screen, a virtual one is used, and pictures are always taken.
    """
    if terminal or not find_spec("napari"):
        return _in_terminal(arguments)
    try:
        with contextlib.nullcontext() if (stay := has_screen()) else virtual_screen():
            if not stay:
                os.environ["NAPARI_CONFIG"] = ""  # the size of a window that nobody sees must not be remembered
            from softcopy_napari.plugin.demo_window import show_demo

            if screenshots is None and not stay:
                screenshots = Path(tempfile.mkdtemp(prefix="softcopy-demo-screenshots-"))
            if screenshots is not None:
                screenshots.mkdir(parents=True, exist_ok=True)
            return show_demo(arguments, _compare, screenshots, stay)
    except (ImportError, NoScreen) as error:
        click.echo(f"napari cannot show a window here: {error}.\nSo the demo runs in the terminal.\n", err=True)
        return _in_terminal(arguments)


def _in_terminal(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="softcopy-demo-", ignore_cleanup_errors=True) as folder:
        source, destination = Path(folder, "microscope.zarr"), Path(folder, "cluster.zarr")
        click.echo("A simulated microscope writes to")
        click.echo(f"  {source}")
        click.echo("while it is copied to")
        click.echo(f"  {destination}")
        click.echo()
        engine = Engine([make_target(source, destination, Settings(nprocs=2, settle=2.0))])
        microscope = subprocess.Popen(
            [sys.executable, "-P", "-m", "softcopy_napari.simulation.microscope", str(source), *arguments]
        )
        threading.Thread(target=_stop_on_failure, args=(engine, microscope), daemon=True).start()
        try:
            code = run_engine(lambda: engine)
        finally:
            ended = microscope.poll() is not None
            microscope.terminate()
            failed = microscope.wait() != 0 and ended  # a microscope that was terminated has not failed
        forget(one for one in endings() if one.source == str(source))
        if failed:
            click.echo("softcopy: the simulated microscope failed", err=True)
        return code or int(failed) or _compare(source, destination)


def _stop_on_failure(engine: Engine, microscope: subprocess.Popen[bytes]) -> None:
    """Stop the copy when the microscope fails, as nothing more will be written."""
    if microscope.wait() != 0:
        engine.order(Order(do="stop"))


def _compare(source: Path, destination: Path) -> int:
    """Compare both sides byte by byte, print the result, and return the exit code."""
    here, there = _files(source), _files(destination)
    different = sorted(
        path
        for path in here | there
        if path not in here or path not in there or not filecmp.cmp(source / path, destination / path, shallow=False)
    )
    click.echo()
    if different:
        click.echo(f"Compared byte by byte: {len(different):,} files differ, for example {different[0]}.", err=True)
        return 1
    click.echo(f"Compared byte by byte: all {len(here):,} files are equal.")
    return 0


def _files(folder: Path) -> set[str]:
    return {os.path.relpath(os.path.join(path, name), folder) for path, _, names in os.walk(folder) for name in names}
