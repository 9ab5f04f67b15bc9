"""Take the pictures of docs/images from the real thing: `docs_images.py [FOLDER] [NAME ...]`.

A napari with the dock, engines, and the simulated microscope; nothing in the pictures is made up. Needs the extras
`all` and `demo`, and makes a screen of its own where there is none. Pictures are brought under 300 KB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

os.environ["NAPARI_CONFIG"] = ""  # pictures show the defaults

import napari
from PIL import Image, ImageOps
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QApplication, QLabel

from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget
from softcopy_napari.plugin.dock.open_dock import open_dock
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition
from softcopy_napari.virtual_screen import virtual_screen

SIZE = (1240, 860)
PATIENCE = 120.0
LARGEST = 300_000
"""Bytes of a picture."""
TILES = ("--size", "8x512x512", "--slab", "8", "--tile", "64", "--rate", "0.25", "--frames", "8")


def until(condition: Callable[[], object]) -> None:
    """Keep the window alive until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("this did not come true")
        QApplication.processEvents()
        time.sleep(0.02)


def rest(seconds: float) -> None:
    """Let the window show what is known."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


@contextmanager
def window(theme: str) -> Iterator[tuple[napari.Viewer, SoftcopyWidget]]:
    """A napari with the dock."""
    viewer = napari.Viewer(title="napari")
    viewer.theme = theme
    viewer.window.resize(*SIZE)
    try:
        yield viewer, open_dock(viewer)
    finally:
        viewer.close()
        QApplication.processEvents()


def share(widget: SoftcopyWidget) -> float:
    """How much of the first target has been copied."""
    rows = widget._panel.rows
    target = rows[0].snapshot if rows else None
    return target.chunk_files_copied / target.chunk_files if target is not None and target.chunk_files else 0.0


def state(widget: SoftcopyWidget) -> TargetState | None:
    """Of the first target."""
    return widget._panel.rows[0].state if widget._panel.rows else None


def save(viewer: napari.Viewer, path: Path, turn: Callable[[], object] = lambda: None) -> None:
    """Take a picture of the whole window, of what `turn` turns to at the last moment."""
    rest(1.0)
    viewer.reset_view()
    rest(1.0)
    turn()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    picture = Image.open(path).convert("RGB")
    for bits in (8, 6, 5):  # fewer shades where it takes them; the colours of states stay apart
        ImageOps.posterize(picture, bits).save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    print(f"{path} ({path.stat().st_size / 1000:.0f} kB)", flush=True)


def live(folder: Path, name: str, theme: str, at: float, *options: str) -> None:
    """A copy of a running acquisition, when so much has been copied."""
    with window(theme) as (viewer, widget), acquisition(widget, *(options or TILES)):
        until(lambda: share(widget) > at and len(viewer.layers) > 1)  # the image, too

        def turn() -> None:
            """To a frame that has just been begun, and wait until a part of it is there."""
            frames = viewer.dims.nsteps[0]
            until(lambda: share(widget) * frames % 1 < 0.1)
            viewer.dims.set_current_step(0, min(int(share(widget) * frames), frames - 1))
            until(lambda: share(widget) * frames % 1 > 0.3)

        save(viewer, folder / f"{name}.png", turn if not options else lambda: None)
        widget.stop()
        until(lambda: state(widget) is TargetState.STOPPED)


@contextmanager
def acquisition(widget: SoftcopyWidget, *options: str) -> Iterator[TemporaryAcquisition]:
    """A microscope and the copy of what it writes."""
    simulation = TemporaryAcquisition(*options)
    try:
        key = widget.add_target(simulation.source, simulation.destination)
        widget.start([key] if key is not None else [])
        yield simulation
    finally:
        simulation.end()
        simulation.wait(PATIENCE)


def write_acquisition(source: Path, *options: str) -> None:
    """Have the simulated microscope write an acquisition to its end."""
    command = [sys.executable, "-m", "softcopy_napari.simulation.microscope", str(source), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def first(folder: Path) -> None:
    """The dock with both folders of a new copy picked."""
    with window("dark") as (viewer, widget), tempfile.TemporaryDirectory(prefix="softcopy-images-") as place:
        source, cluster = Path(place, "embryo.zarr"), Path(place, "cluster")
        options = ("--size", "8x512x512", "--slab", "8", "--tile", "64", "--rate", "0", "--frames", "1")
        write_acquisition(source, *options)
        cluster.mkdir()
        widget._panel.set_paths(str(source), str(cluster / source.name))
        preview = widget.findChild(QLabel, "copy_preview")
        until(lambda: "Will create" in preview.accessibleName())
        save(viewer, folder / "first.png")


def during(folder: Path) -> None:
    """During an acquisition."""
    live(folder, "during", "dark", 0.55)


def light(folder: Path) -> None:
    """The same in napari's light theme."""
    live(folder, "light", "light", 0.4)


def plate(folder: Path) -> None:
    """An HCS plate, well after well."""
    options = ("--plate", "3x4", "--frames", "2", "--size", "4x128x128", "--rate", "4", "--channels", "1")
    live(folder, "plate", "dark", 0.5, *options)


def complete(folder: Path) -> None:
    """Everything has been copied."""
    options = ("--size", "8x512x512", "--slab", "8", "--tile", "64", "--rate", "4", "--frames", "8")
    with window("dark") as (viewer, widget), acquisition(widget, *options):
        until(lambda: state(widget) is TargetState.COMPLETE)
        viewer.dims.set_current_step(0, 5)
        save(viewer, folder / "complete.png")


def check(folder: Path) -> None:
    """Check coverage of a copy of which a part is missing."""
    place = Path(tempfile.mkdtemp(prefix="softcopy-images-"))
    try:
        source, destination = place / "embryo.zarr", place / "cluster.zarr"
        options = ("--size", "8x512x512", "--slab", "8", "--tile", "64", "--rate", "0", "--frames", "6")
        write_acquisition(source, *options)
        shutil.copytree(source, destination, copy_function=shutil.copy2)
        for number in (4, 5):
            for path in sorted((destination / "0" / "c" / str(number)).rglob("*"))[number - 2 :: number - 2]:
                path.unlink() if path.is_file() else None
        with window("dark") as (viewer, widget):
            widget._panel.set_paths(str(source), str(destination))
            widget.findChild(QAction, "check_coverage").trigger()
            until(lambda: state(widget) is TargetState.INCOMPLETE and len(viewer.layers) > 1)
            viewer.dims.set_current_step(0, 4)
            save(viewer, folder / "check.png")
    finally:
        shutil.rmtree(place, ignore_errors=True)


PICTURES = {one.__name__: one for one in (first, during, complete, plate, check, light)}


def main() -> None:
    """Take all pictures, or those that are named."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            stack.enter_context(virtual_screen())
        for name in sys.argv[2:] or PICTURES:
            PICTURES[name](folder)


if __name__ == "__main__":
    main()
