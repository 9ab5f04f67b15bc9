"""A dock widget in a real viewer, with hands and eyes for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QDockWidget, QLabel, QLineEdit, QPushButton

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.plugin import SoftcopyWidget
from softcopy_napari.widgets.card import Card
from softcopy_napari.widgets.target_row import Row

TIMEOUT = 60_000
"""Milliseconds that anything may take."""


class Dock:
    """The widget, docked, and hands and eyes for it."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.widget = SoftcopyWidget(viewer)
        self.frame: QDockWidget = viewer.window.add_dock_widget(self.widget, name="Softcopy", area="right")

    def find(self, kind: type[Any], name: str) -> Any:
        found = self.widget.findChild(kind, name)
        assert found is not None, f"there is no {name}"
        return found

    def press(self, name: str) -> None:
        button = self.find(QPushButton, name)
        self.until(button.isEnabled)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def type(self, name: str, text: Path) -> None:
        edit = self.find(QLineEdit, name)
        edit.clear()
        self.qtbot.keyClicks(edit, str(text))

    def fill_in(self, source: Path, destination: Path) -> None:
        """Open the panel for a new copy, and type both paths."""
        self.press("new_copy_button")
        self.type("source_edit", source)
        self.type("destination_edit", destination)

    def choose(self, name: str) -> None:
        """Choose an entry of a menu."""
        self.find(QAction, name).trigger()

    def says(self) -> str:
        """What the banner says."""
        return str(self.find(QLabel, "banner_text").accessibleName())

    def reason(self) -> str:
        """What the engine says of the first target."""
        return self.target.reason if self.target else ""

    @property
    def cards(self) -> tuple[Card, ...]:
        return self.widget._panel._model.cards

    def until(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=TIMEOUT)

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.widget._panel.rows

    @property
    def target(self) -> TargetSnapshot | None:
        (row,) = self.rows
        return row.snapshot

    def at_work(self, row: Row) -> bool:
        return row.running and not row.starting

    def state(self) -> TargetState | None:
        return self.rows[0].state if self.rows else None

    def copied(self) -> int:
        return self.target.chunk_files_copied if self.rows and self.target else 0

    def ends_complete(self) -> None:
        """Wait until all is complete, and have no source watched on: then nothing of an engine lies anywhere."""
        self.until(lambda: {row.state for row in self.rows} == {TargetState.COMPLETE})
        self.widget.stop()
        self.until(lambda: all(row.snapshot and row.snapshot.over for row in self.rows))

    def overlay(self) -> Any:
        return next((layer for layer in self.viewer.layers if "softcopy" in layer.metadata), None)

    def shown(self, state: ChunkState) -> int:
        layer = self.overlay()
        return 0 if layer is None else int(np.count_nonzero(np.asarray(layer.data) == state))
