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
os.environ["SOFTCOPY_STATE_DIR"] = tempfile.mkdtemp(prefix="softcopy-images-")  # whoever takes them has a history

import napari
from PIL import Image, ImageDraw, ImageOps
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QApplication, QComboBox, QLabel

from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget
from softcopy_napari.plugin.dock.open_dock import open_dock
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition
from softcopy_napari.virtual_screen import virtual_screen
from softcopy_napari.widgets.coverage_view import OVERLAYS
from softcopy_napari.widgets.overlay_modes import OverlayMode

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
    write(Image.open(path).convert("RGB"), path)


def write(picture: Image.Image, path: Path) -> None:
    """Write a picture, small enough."""
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
        until(lambda: not any(row.running for row in widget._panel.rows))


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
    options = ("--plate", "3x4", "--frames", "2", "--size", "4x128x128", "--rate", "1", "--channels", "1")
    live(folder, "plate", "dark", 0.4, *options)


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


def overlays(folder: Path) -> None:
    """The same moment of a copy in three modes of the overlay, side by side."""
    modes = (OverlayMode.PROBLEMS, OverlayMode.FRONTIER, OverlayMode.ALL)
    names = {mode: name for name, mode in OVERLAYS}
    side, gap, top = 420, 8, 26
    shots: list[Image.Image] = []
    with window("dark") as (viewer, widget), acquisition(widget, *TILES):
        until(lambda: share(widget) > 0.4 and len(viewer.layers) > 1)
        chooser = widget.findChild(QComboBox, "overlay_mode")
        frames = viewer.dims.nsteps[0]
        until(lambda: 0.6 < share(widget) * frames % 1 < 0.7)
        viewer.dims.set_current_step(0, int(share(widget) * frames))
        widget.pause()  # all three are to show the same
        until(lambda: widget._panel.rows[0].snapshot.counts[ChunkState.PENDING] > 12)
        viewer.reset_view()
        for mode in (*modes, OverlayMode.PROBLEMS):  # the last is what the next picture finds
            chooser.setCurrentIndex(chooser.findData(mode.value))
            chooser.activated.emit(chooser.currentIndex())
            rest(0.7)
            shot = Image.fromarray(viewer.screenshot(flash=False)).convert("RGB")
            shots.append(ImageOps.fit(shot, (side, side)))
        widget.stop()
        until(lambda: not any(row.running for row in widget._panel.rows))
    picture = Image.new("RGB", (3 * side + 2 * gap, side + top), "white")
    for at, (mode, shot) in enumerate(zip(modes, shots, strict=False)):
        picture.paste(shot, (at * (side + gap), top))
        ImageDraw.Draw(picture).text((at * (side + gap) + 2, 4), names[mode], "black", font_size=16)
    write(picture, folder / "overlays.png")


def cards(folder: Path) -> None:
    """The dock with copies in many states, and the history."""
    tiles = ("--size", "8x256x256", "--slab", "8", "--tile", "64", "--channels", "1")
    with window("dark") as (_, widget), ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="softcopy-images-")))
        live_one = stack.enter_context(acquisition(widget, *tiles, "--rate", "0.5", "--frames", "60"))
        for name in ("cam1", "cam2"):
            write_acquisition(place / f"{name}.zarr", *tiles, "--rate", "0", "--frames", "2")
        full = place / "full"
        full.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(full)]
        if not subprocess.run(mount, capture_output=True).returncode:
            stack.callback(subprocess.run, ["umount", str(full)], check=True)
        pairs = {"cam1.zarr": place / "nas", "cam2.zarr": full, "late.zarr": place / "nas"}
        keys = [widget.add_target(place / name, folder / name) for name, folder in pairs.items()]
        widget.add_target(place / "next.zarr", place / "nas" / "next.zarr")
        widget.start([key for key in keys if key is not None])
        wanted = {"cam1.zarr": "Done", "cam2.zarr": "Disk full", "late.zarr": "Waiting"}

        def headlines() -> dict[str, str]:
            return {card.name: card.headline for card in widget._panel._model.cards}

        until(lambda: all(headlines().get(name, "").startswith(words) for name, words in wanted.items()))
        until(lambda: share(widget) > 0.1)
        widget._panel.select([row.key for row in widget._panel.rows if row.source == str(live_one.source)])
        rest(3.0)
        dock = widget.grab()
        dock.save(str(folder / "cards.png"))
        write(Image.open(folder / "cards.png").convert("RGB"), folder / "cards.png")
        widget.stop()
        until(lambda: not any(row.running for row in widget._panel.rows))


PICTURES = {one.__name__: one for one in (first, during, complete, plate, check, light, overlays, cards)}


@contextmanager
def on_screen() -> Iterator[None]:
    """Have a screen, of its own where there is none; what copies have noted is removed afterwards."""
    with ExitStack() as stack:
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            stack.enter_context(virtual_screen())
        stack.callback(shutil.rmtree, os.environ["SOFTCOPY_STATE_DIR"], ignore_errors=True)
        yield


def main() -> None:
    """Take all pictures, or those that are named."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images")
    folder.mkdir(parents=True, exist_ok=True)
    with on_screen():
        for name in sys.argv[2:] or PICTURES:
            shutil.rmtree(Path(os.environ["SOFTCOPY_STATE_DIR"], "history"), ignore_errors=True)
            PICTURES[name](folder)


if __name__ == "__main__":
    main()
