"""Record docs/images/live.gif from the real thing, the two clicks to a live copy: `docs_gif.py [FILE]`.

A simulated microscope writes, a mouse clicks, and an engine copies. What is painted in is the pointer, which
screenshots leave out. The file is brought under 1 MB.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from docs_images import on_screen, until, window
from napari import Viewer
from PIL import Image, ImageDraw
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget

from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget
from softcopy_napari.simulation.temporary_acquisition import TemporaryAcquisition

SECONDS = 10.0
INTERVAL = 0.2
SIZE = (1000, 640)
LARGEST = 1_000_000
"""Bytes of the file."""
MICROSCOPE = (
    "--size",
    "8x256x256",
    "--slab",
    "8",
    "--tile",
    "64",
    "--rate",
    "1",
    "--frames",
    "60",
    "--channels",
    "1",
)
_POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
_PRESSED = 13
"""Radius of the ring about the pointer while it clicks."""


class Recorder:
    """Takes pictures of a window at a steady pace, with a pointer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._place = (SIZE[0] // 2, SIZE[1] // 2)
        self._began = time.monotonic()
        self.frames: list[Image.Image] = []

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return len(self.frames) * INTERVAL

    def record(self, seconds: float, pressed: bool = False) -> None:
        """Record for a while."""
        for _ in range(round(seconds / INTERVAL)):
            due = time.monotonic() + INTERVAL
            self._take(pressed)
            until(lambda due=due: time.monotonic() >= due)

    def move(self, widget: QWidget, steps: int = 3) -> None:
        """Move the pointer to a widget, as a hand does."""
        main = self._viewer.window._qt_window
        middle: QPoint = widget.mapTo(main, widget.rect().center())
        first, last = self._place, (middle.x(), middle.y())
        for step in range(1, steps + 1):
            share = step / steps
            self._place = tuple(round(a + (b - a) * share) for a, b in zip(first, last, strict=True))  # type: ignore[assignment]
            self.record(INTERVAL)

    def click(self, widget: QWidget) -> None:
        """Move to a widget and click."""
        self.move(widget)
        QTest.mousePress(widget, Qt.MouseButton.LeftButton)
        self.record(INTERVAL, pressed=True)
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton)

    def _take(self, pressed: bool) -> None:
        QApplication.processEvents()
        shot = self._viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(shot).convert("RGB").resize(SIZE)
        draw, (x, y) = ImageDraw.Draw(picture), self._place
        if pressed:
            draw.ellipse((x - _PRESSED, y - _PRESSED, x + _PRESSED, y + _PRESSED), outline=(255, 200, 0), width=3)
        draw.polygon([(x + dx, y + dy) for dx, dy in _POINTER], fill=(255, 255, 255), outline=(0, 0, 0))
        self.frames.append(picture)


def find(widget: SoftcopyWidget, kind: type[QWidget], name: str) -> QWidget:
    """Return a part of the dock."""
    found = widget.findChild(kind, name)
    assert found is not None, name
    return found


def paste(recorder: Recorder, widget: SoftcopyWidget, name: str, path: Path) -> None:
    """Fill in a path at once, as pasting does."""
    edit = find(widget, QLineEdit, name)
    edit.setText(str(path))  # type: ignore[attr-defined]
    recorder.record(0.6)


def record_copy(recorder: Recorder, widget: SoftcopyWidget, simulation: TemporaryAcquisition) -> None:
    """Copy an acquisition in two clicks, and look on."""
    until(lambda: len(list(simulation.source.glob("0/c/*/*/*/*/*"))) > 40)
    recorder.record(0.6)
    recorder.click(find(widget, QPushButton, "first_copy_button"))
    paste(recorder, widget, "source_edit", simulation.source)
    paste(recorder, widget, "destination_edit", simulation.destination)
    preview = find(widget, QLabel, "copy_preview")
    until(lambda: "Will create" in preview.accessibleName())
    recorder.record(0.6)
    recorder.click(find(widget, QPushButton, "start_copy_button"))
    recorder.record(SECONDS - recorder.seconds)


def files(frames: list[Image.Image]) -> Iterator[bytes]:
    """Make the file, ever smaller: with fewer colours first, then with fewer pixels."""
    for scale, colours in ((1.0, 255), (1.0, 128), (1.0, 64), (0.8, 64), (0.65, 32)):
        size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
        scaled = [one.resize(size, Image.Resampling.LANCZOS) for one in frames]
        palette = _beside_each_other(scaled[::6]).quantize(colours, dither=Image.Dither.NONE)
        indexed = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in scaled]
        file = io.BytesIO()
        first, *rest = indexed
        first.save(
            file, "GIF", save_all=True, append_images=rest, duration=round(INTERVAL * 1000), loop=0, optimize=True
        )
        yield file.getvalue()


def _beside_each_other(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures into one, whose colours are those of all."""
    width, height = pictures[0].size
    joined = Image.new("RGB", (width * len(pictures), height))
    for at, picture in enumerate(pictures):
        joined.paste(picture, (at * width, 0))
    return joined


def main() -> None:
    """Record."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images" / "live.gif")
    with ExitStack() as stack:
        stack.enter_context(on_screen())
        viewer, widget = stack.enter_context(window("dark"))
        viewer.window.resize(*SIZE)
        for dock in (viewer.window._qt_viewer.dockLayerControls, viewer.window._qt_viewer.dockLayerList):
            dock.hide()  # the image is what is looked at
        simulation = TemporaryAcquisition(*MICROSCOPE)
        try:
            recorder = Recorder(viewer)
            record_copy(recorder, widget, simulation)
            widget.stop()
            until(lambda: not any(row.running for row in widget._panel.rows))
        finally:
            simulation.end()
            simulation.wait(60)
    for content in files(recorder.frames):
        path.write_bytes(content)
        print(f"{path} ({len(content) / 1000:.0f} kB, {len(recorder.frames)} frames)")
        if len(content) < LARGEST:
            return
    sys.exit("this cannot be made small enough")


if __name__ == "__main__":
    main()
