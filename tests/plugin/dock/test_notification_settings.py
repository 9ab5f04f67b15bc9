"""In napari, notifications are set, tried and saved where a user looks for them, and engines heed what was saved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QDialogButtonBox, QLabel, QPlainTextEdit, QPushButton

from softcopy_napari.engine.notify.preferences_file import read_preferences
from softcopy_napari.plugin import SoftcopyWidget
from softcopy_napari.widgets.notification_dialog import NotificationDialog
from tests.engine.support import make_array
from tests.support.receivers import Receiver
from tests.widgets.support import child


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver("http", tmp_path / "webhook.jsonl") as receiver:
        yield receiver


def test_notifications_are_set_tried_and_heeded_by_the_next_copy(
    viewer: Any, qtbot: Any, webhook: Receiver, tmp_path: Path
) -> None:
    make_array(tmp_path / "a.zarr", (2, 2))
    widget = SoftcopyWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Softcopy")
    child(widget, QAction, "notifications").trigger()
    qtbot.waitUntil(lambda: bool(widget.findChildren(NotificationDialog)), timeout=20_000)
    (dialog,) = widget.findChildren(NotificationDialog)
    child(dialog, QPlainTextEdit, "notification_urls").setPlainText(f"json://127.0.0.1:{webhook.port}/hunter2")
    qtbot.mouseClick(child(dialog, QPushButton, "test_notifications_button"), Qt.MouseButton.LeftButton)
    webhook.wait_for(1)
    result = child(dialog, QLabel, "notification_result")
    qtbot.waitUntil(lambda: result.accessibleName().startswith("Sent"), timeout=20_000)
    if folder := os.environ.get("SOFTCOPY_SCREENSHOTS"):
        dialog.grab().save(os.path.join(folder, "notifications.png"))
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    qtbot.mouseClick(save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.findChildren(NotificationDialog), timeout=20_000)
    said = read_preferences()
    assert said is not None and said.plain()["urls"] == [f"json://127.0.0.1:{webhook.port}/hunter2"]
    targets = tmp_path / "targets.yaml"
    targets.write_text("targets:\n- {source: a.zarr, destination: copy, nprocs: 1, linger: 0}\n")
    widget.load_targets(targets)
    widget.start()
    qtbot.waitUntil(lambda: len(webhook.messages) == 2, timeout=30_000)
    assert webhook.messages[1]["title"].startswith("Done: a.zarr ")
    viewer.window.remove_dock_widget(widget)
