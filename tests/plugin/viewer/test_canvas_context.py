"""Removed layers free their graphics memory in the context of napari's canvas, whoever removes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QOpenGLContext
from vispy.gloo.glir import GlirParser

from softcopy_napari.plugin.viewer.target_layers import TargetLayers


@pytest.fixture
def paint(viewer: Any, qtbot: Any) -> Callable[[], None]:
    """Shows the viewer, and waits for a picture of the canvas."""

    def paint() -> None:
        viewer.window.show()
        canvas = viewer.window._qt_viewer.canvas
        with qtbot.waitSignal(canvas.native.frameSwapped, timeout=20_000):
            canvas.native.update()

    return paint


@pytest.mark.parametrize("remove", [lambda layers: layers.remove(layers[0]), lambda layers: layers.clear()])
def test_memory_is_freed_in_the_context_of_the_canvas(
    remove: Callable[[Any], None],
    viewer: Any,
    target_layers: TargetLayers,
    paint: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_labels(np.ones((4, 4), np.uint8))
    viewer.add_image(np.ones((4, 4)))
    paint()
    deleted_in = []
    parse = GlirParser.parse

    def note(self: GlirParser, commands: list[Any]) -> None:
        if any(command[0] == "DELETE" for command in commands):
            deleted_in.append(QOpenGLContext.currentContext())
        parse(self, commands)

    monkeypatch.setattr(GlirParser, "parse", note)
    remove(viewer.layers)
    assert deleted_in
    assert all(one == viewer.window._qt_viewer.canvas.native.context() for one in deleted_in)


def test_layers_come_and_go_between_pictures(
    viewer: Any, target_layers: TargetLayers, paint: Callable[[], None]
) -> None:
    rng = np.random.default_rng(0)
    adders = (viewer.add_image, viewer.add_labels, viewer.add_vectors)
    for number in range(12):
        size = int(rng.integers(1, 40))
        shape = (size, 2, 2) if number % 3 == 2 else (2, size, size)
        adders[number % 3](rng.integers(0, 5, shape).astype(np.uint8))
        if number % 2:
            paint()
        if len(viewer.layers) > 2:
            viewer.layers.remove(viewer.layers[int(rng.integers(2))])
        if number % 3:
            paint()
    assert len(viewer.layers) == 2
