"""`softcopy demo`: a simulated microscope writes, the engine copies while it writes, both are compared."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from softcopy_napari.engine.messages import Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.targets import Settings, make_target
from softcopy_napari.running import run


def run_demo(arguments: Sequence[str] = ()) -> int:
    """Run the demonstration in a temporary folder, and return the exit code: 0 if the copy is equal.

    Parameters
    ----------
    arguments : sequence of str
        For the microscope, as on its command line.
    """
    with tempfile.TemporaryDirectory(prefix="softcopy-demo-", ignore_cleanup_errors=True) as folder:
        source, destination = Path(folder, "microscope.zarr"), Path(folder, "cluster.zarr")
        click.echo("A simulated microscope writes to")
        click.echo(f"  {source}")
        click.echo("while it is copied to")
        click.echo(f"  {destination}")
        click.echo()
        engine = Engine([make_target(source, destination, Settings(nprocs=2, settle=2.0))])
        microscope = subprocess.Popen([sys.executable, "-m", "softcopy_napari.microscope", str(source), *arguments])
        threading.Thread(target=_stop_with, args=(engine, microscope), daemon=True).start()
        try:
            code = run(engine)
        finally:
            ended = microscope.poll() is not None
            microscope.terminate()
            failed = microscope.wait() != 0 and ended  # what is ended by force has not failed
        if failed:
            click.echo("softcopy: the simulated microscope failed", err=True)
        return code or int(failed) or _compare(source, destination)


def _stop_with(engine: Engine, microscope: subprocess.Popen[bytes]) -> None:
    """End the copy when the microscope fails: nothing more will come."""
    if microscope.wait() != 0:
        engine.order(Order(do="stop"))


def _compare(source: Path, destination: Path) -> int:
    """Compare both sides byte by byte, and say what came of it."""
    here, there = _files(source), _files(destination)
    unlike = sorted(
        path
        for path in here | there
        if path not in here or path not in there or not filecmp.cmp(source / path, destination / path, shallow=False)
    )
    click.echo()
    if unlike:
        click.echo(f"Compared byte by byte: {len(unlike):,} files differ, {unlike[0]} for one.", err=True)
        return 1
    click.echo(f"Compared byte by byte: all {len(here):,} files are equal.")
    return 0


def _files(folder: Path) -> set[str]:
    return {os.path.relpath(os.path.join(path, name), folder) for path, _, names in os.walk(folder) for name in names}
