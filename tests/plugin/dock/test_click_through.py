"""What a microscopist does in a day, by mouse and keyboard alone, with real engines: what no other test clicks through.

Installing is in tests/soak/test_fresh_environments.py; a first copy with browsing, a full disk, a bad target among good
ones, and a growing array are in test_dock_widget.py.
"""

from __future__ import annotations

import json
import os
import shutil
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QListWidget, QMessageBox, QPushButton, QWidget

from softcopy_napari.engine.client import engines
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.viewer.chunk_edges import EDGES_NAME
from tests.engine.support import make_array, write
from tests.plugin.dock.docked import Dock
from tests.support.command import softcopy
from tests.support.trees import assert_same
from tests.widgets.support import dialog_answered


@contextmanager
def answered(dock: Dock, answer: str) -> Iterator[list[str]]:
    """Answer the question that is asked within by a click; yields its text."""
    asked: list[str] = []

    def click(box: Any) -> None:
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        (button,) = (one for one in box.buttons() if one.text().replace("&", "") == answer)
        dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    with dialog_answered(click):
        yield asked


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that cannot be copied")
def test_a_copy_that_failed_overnight_is_told_of_found_in_the_history_and_copied_again(
    sides: tuple[Path, Path], viewer: Any, qtbot: Any
) -> None:
    source, destination = sides
    make_array(source, (2, 2))
    os.mkfifo(source / "strange")
    assert softcopy(source, destination, "--settle", "0", "--nprocs", "1").returncode == 1
    morning = Dock(viewer, qtbot)  # in the morning
    try:
        morning.until(lambda: "Failed" in morning.says() and "source.zarr" in morning.says())
        assert morning.rows == () and morning.find(QWidget, "empty_state").isVisible()
        morning.press("history_button")
        past = morning.find(QListWidget, "history_list")
        morning.until(lambda: past.count() == 1)
        headline, where = past.item(0).text().splitlines()
        assert headline.startswith("Failed ") and headline.endswith(": source.zarr") and str(destination) in where
        (source / "strange").unlink()
        middle = past.visualItemRect(past.item(0)).center()
        qtbot.mouseClick(past.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        morning.press("history_again")
        assert morning.find(QLineEdit, "source_edit").text() == str(source)
        preview = morning.find(QLabel, "copy_preview")
        morning.until(lambda: str(destination) in preview.accessibleName())
        with answered(morning, "Copy into it"):
            morning.press("start_copy_button")
            morning.until(lambda: morning.rows and morning.rows[0].running)
        with answered(morning, "It is over"):
            morning.press("finish_button")
        morning.until(lambda: past.count() == 1 and past.item(0).text().startswith("Done "))
        morning.ends_complete()
        assert_same(source, destination)
        morning.until(lambda: morning.says().startswith("Done"))
        morning.press("banner_dismiss")
        assert not morning.find(QWidget, "banner").isVisible(), "the failure is an old story"
    finally:
        viewer.window.remove_dock_widget(morning.frame)


def test_a_plate_of_384_wells_is_declared_over_after_a_question_with_what_is_missing(
    dock: Dock, sides: tuple[Path, Path]
) -> None:
    source, destination = sides
    rows, columns = string.ascii_uppercase[:16], range(1, 25)
    names = [f"{row}/{column}" for row in rows for column in columns]
    plate = {"wells": [{"path": name, "rowIndex": 0, "columnIndex": 0} for name in names], "version": "0.4"}
    write(source / ".zgroup", b'{"zarr_format": 2}')
    write(source / ".zattrs", json.dumps({"plate": plate}).encode())
    for name in names[:-24]:  # the last row has not been imaged yet
        write(source / name / ".zgroup", b'{"zarr_format": 2}')
        write(source / name / ".zattrs", b'{"well": {"images": [{"path": "0"}], "version": "0.4"}}')
        write(source / name / "0/.zgroup", b'{"zarr_format": 2}')
        make_array(source / name / "0/0", (1, 1), old=False)
    dock.fill_in(source, destination)
    dock.press("start_copy_button")
    dock.until(lambda: dock.cards and dock.cards[0].facts.startswith("360 of 384 wells"))
    assert dock.cards[0].striped and "%" not in dock.cards[0].text, "nobody knows how much is to come"
    plate_map = dock.find(QWidget, "plate_map")
    dock.until(plate_map.isVisible)
    dock.qtbot.mouseClick(plate_map, Qt.MouseButton.LeftButton, pos=plate_map.cell_rect(14, 23).center())
    dock.until(lambda: dock.overlay() is not None and dock.overlay().metadata["softcopy"]["array"] == "O/24/0/0")
    with answered(dock, "Cancel") as asked:
        dock.press("finish_button")
    assert "24 images or wells still missing" in asked[0]
    assert dock.rows[0].running and dock.rows[0].snapshot is not None and not dock.rows[0].snapshot.told_to_finish
    with answered(dock, "It is over"):
        dock.press("finish_button")
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    dock.press("stop_button")
    dock.until(lambda: not engines())
    assert len(list(destination.glob("*/*/0/0/0.0"))) == 360


def test_what_a_copy_lacks_is_seen_in_3d_as_boxes_about_the_chunks(
    dock: Dock, sides: tuple[Path, Path], viewer: Any
) -> None:
    import zarr

    source, destination = sides
    zarr.create_array(source, data=np.ones((4, 20, 20), np.uint8), chunks=(2, 10, 10))
    shutil.copytree(source, destination)
    (destination / "c/1/0/1").unlink()
    dock.fill_in(source, destination)
    dock.choose("check_coverage")
    dock.until(lambda: dock.state() is TargetState.INCOMPLETE and dock.overlay() is not None)
    assert "missing at the destination: 1 chunk" in dock.cards[0].details.lower()
    button = viewer.window._qt_viewer.viewerButtons.ndisplayButton

    def boxes() -> Any:
        return next((layer for layer in viewer.layers if layer.name == EDGES_NAME), None)

    dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    dock.until(lambda: boxes() is not None and len(boxes().data) == 12)
    assert viewer.dims.ndisplay == 3 and not dock.overlay().visible
    dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    dock.until(lambda: boxes() is None)
    assert dock.overlay().visible


def test_the_simulated_microscope_is_one_click_away(dock: Dock, monkeypatch: pytest.MonkeyPatch, viewer: Any) -> None:
    opened: list[tuple[str, str]] = []
    monkeypatch.setattr(type(viewer), "open_sample", lambda _, plugin, name: opened.append((plugin, name)))
    dock.press("sample_button")
    assert opened == [("softcopy-napari", "simulated_acquisition")]


def test_by_keyboard_alone_a_copy_is_started_paused_and_resumed(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides  # a source that does not come: it waits
    key: Callable[..., None] = dock.qtbot.keyClick
    dock.press("new_copy_button")
    at = dock.find(QLineEdit, "source_edit")
    dock.qtbot.keyClicks(at, str(source))
    key(at, Qt.Key.Key_Return)
    where = dock.find(QLineEdit, "destination_edit")
    dock.qtbot.keyClicks(where, str(destination))
    key(where, Qt.Key.Key_Return)  # it is looked at first
    preview = dock.find(QLabel, "copy_preview")
    dock.until(lambda: "will wait for it" in preview.accessibleName())
    key(where, Qt.Key.Key_Return)
    dock.until(lambda: dock.state() is TargetState.WAITING)
    table = dock.find(QWidget, "targets_table")
    key(table, Qt.Key.Key_Space)
    dock.until(lambda: dock.state() is TargetState.PAUSED)
    key(table, Qt.Key.Key_Space)
    dock.until(lambda: dock.state() is TargetState.WAITING)
    dock.qtbot.mouseClick(dock.find(QPushButton, "stop_button"), Qt.MouseButton.LeftButton)
    dock.until(lambda: dock.state() is TargetState.STOPPED)
    key(table, Qt.Key.Key_Delete)
    assert dock.rows == ()
