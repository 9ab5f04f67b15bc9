"""The dock widget in a real viewer, with real engines and writers: what a user does, and every way of leaving."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from app_model.types import Action as AppAction
from app_model.types import KeyBinding
from napari._qt._qapp_model import qactions
from napari._qt._qapp_model.qactions._file import _close_app
from napari.settings import get_settings
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from softcopy_napari.engine.client import EngineHandle, engines
from softcopy_napari.engine.protocol.messages import Order
from softcopy_napari.engine.state_folder.run_file import run_files
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.targets.targets_file import load_targets
from softcopy_napari.plugin.dock import close_prompt, free_prompt, overwrite_prompt, preferences
from softcopy_napari.plugin.dock.preferences import Preferences
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.target_row import Action
from softcopy_napari.widgets.targets_view import TargetsView
from tests.engine.support import make_array
from tests.engine.support import replace as replace_file
from tests.plugin.dock.docked import Dock
from tests.support import quick_free, quick_free_process
from tests.support.command import Softcopy, halted
from tests.support.trees import assert_same, contents
from tests.support.writers import Writer, write
from tests.widgets.support import choose_in, dialog_answered

ENDLESS = 2000
"""Frames of a writer that is killed when the test has seen enough."""


@pytest.fixture(autouse=True)
def one_copy_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each target, instead of four: most of a short copy's time goes into starting them."""
    preferred = preferences.preferences
    monkeypatch.setattr(preferences, "preferences", lambda: replace(preferred(), nprocs=1))


def test_pick_start_watch_finish(dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, delay=0.03) as writer:
        dock.fill_in(source, destination)
        preview = dock.find(QLabel, "copy_preview")
        dock.until(lambda: f"Will create {destination}" in preview.accessibleName())
        assert " free" in preview.accessibleName()
        dock.press("start_copy_button")
        dock.until(lambda: dock.rows)
        assert dock.rows[0].source == str(source)
        assert not dock.find(QWidget, "new_copy").isVisible()
        dock.until(lambda: dock.copied() > 5)
        assert writer.running, "this is to be a live copy"
        dock.until(lambda: dock.shown(ChunkState.COPIED) > 5)
        layer = dock.overlay()
        assert layer.metadata["softcopy"] == {"source": str(source), "destination": str(destination), "array": ""}
        dock.until(lambda: len(dock.viewer.layers) == 2)
        details = dock.find(QPlainTextEdit, "target_details")
        dock.until(lambda: re.search(r"0 to \d+ .*complete at the destination", details.toPlainText()))
        asked: list[str] = []
        monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, *__: bool(asked.append(text)))
        dock.press("finish_button")
        assert "The microscope seems to be writing" in asked[0] and "chunks copied" in asked[0]
        writer.kill()
    monkeypatch.setattr(dock.widget._panel, "ask", lambda *_: True)
    dock.press("finish_button")
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    dock.until(lambda: dock.shown(ChunkState.COPIED) == dock.copied() > 5)
    dock.ends_complete()
    assert_same(source, destination)


def test_a_first_copy_with_browsing_goes_into_the_folder_that_was_pointed_at(dock: Dock, tmp_path: Path) -> None:
    source, nas = make_array(tmp_path / "data" / "cam1.zarr", (3, 2)), tmp_path / "nas"
    make_array(nas / "older.zarr", (1, 1))
    before = contents(nas / "older.zarr")
    dock.press("first_copy_button")
    for field, folder in (("source_edit", source), ("destination_edit", nas)):
        browse = dock.find(QPushButton, f"{field}_browse")
        with dialog_answered(lambda dialog, folder=folder: choose_in(dialog, folder)):
            dock.qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
    assert dock.find(QLineEdit, "destination_edit").text() == str(nas / "cam1.zarr")
    preview = dock.find(QLabel, "copy_preview")
    dock.until(lambda: f"Will create {nas / 'cam1.zarr'}" in preview.accessibleName())
    dock.press("start_copy_button")
    dock.ends_complete()
    assert_same(source, nas / "cam1.zarr")
    assert contents(nas / "older.zarr") == before
    assert {path.name for path in nas.iterdir() if path.is_dir()} == {"cam1.zarr", "older.zarr"}


def test_wrong_paths_are_explained_and_nothing_is_listed(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, _ = sides
    source.mkdir()
    dock.press("new_copy_button")
    dock.type("source_edit", source)
    dock.find(QLineEdit, "destination_edit").setText(str(source / "inside"))
    dock.press("start_copy_button")  # faster than the look at the paths
    problem = dock.find(QLabel, "form_problem")
    dock.until(problem.isVisible)
    assert "lies inside" in problem.accessibleName()
    at_field = dock.find(QLabel, "destination_edit_problem")
    dock.until(lambda: "lies inside" in at_field.accessibleName())
    assert not dock.find(QPushButton, "start_copy_button").isEnabled()
    assert dock.rows == ()


def test_a_targets_file_is_loaded_and_all_of_it_started(dock: Dock, tmp_path: Path) -> None:
    names = ["one", "two", "three"]
    for seed, name in enumerate(names):
        write("tensorstore", tmp_path / f"{name}.zarr", frames=3, seed=seed)
    lines = "".join(f"  - {{source: {name}.zarr, destination: copies/{name}.zarr, settle: 0}}\n" for name in names)
    (tmp_path / "targets.yaml").write_text(f"targets:\n{lines}")
    dock.widget.load_targets(tmp_path / "targets.yaml")
    assert [Path(row.source).stem for row in dock.rows] == names
    dock.press("start_button")
    dock.ends_complete()
    for name in names:
        assert_same(tmp_path / f"{name}.zarr", tmp_path / "copies" / f"{name}.zarr")


@pytest.mark.either_binding
def test_what_is_ordered_while_targets_are_being_started_reaches_them(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    write("tensorstore", source, frames=2, planes=2)
    dock.widget.add_target(source, destination)
    dock.widget.start()
    dock.widget.finish()
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    assert "you said" in dock.reason()


@pytest.mark.either_binding
def test_what_is_refused_is_no_matter_of_other_targets_that_are_being_started(
    dock: Dock, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    (tmp_path / "file").touch()
    good = dock.widget.add_target(source, destination)
    bad = dock.widget.add_target(tmp_path / "file", tmp_path / "copy of file")
    assert good and bad
    dock.widget.start([good])
    dock.widget.finish()
    dock.widget._monitor.refused.emit("something else was refused")
    assert [row.starting for row in dock.rows] == [True, False]
    dock.widget.start([bad])
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    assert "you said" in dock.rows[0].snapshot.reason  # type: ignore[union-attr]
    dock.until(lambda: not dock.rows[1].starting)
    assert "is a file, not a folder" in dock.rows[1].problem
    dock.until(lambda: "is a file, not a folder" in dock.says())


def test_a_wrong_targets_file_is_explained(dock: Dock, tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text("targets:\n  - {source: a, destinaton: b}\n")
    dock.widget.load_targets(tmp_path / "targets.yaml")
    assert dock.find(QWidget, "banner").isVisible() and "did you mean" in dock.says()
    assert dock.rows == ()


def _occupy(destination: Path) -> None:
    """Have something of its user's there."""
    destination.mkdir()
    (destination / "notes.txt").write_text("mine")


@pytest.mark.either_binding
def test_a_destination_that_holds_something_is_asked_about(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=2)
    _occupy(destination)
    asked: list[str] = []
    answer = [False]

    def ask(title: str, text: str, yes: str, no: str = "Cancel") -> bool:
        asked.append(text)
        return answer[0]

    monkeypatch.setattr(dock.widget._panel, "ask", ask)
    dock.widget.add_target(source, destination)
    dock.press("start_button")
    dock.until(lambda: asked)
    assert str(destination) in asked[0]
    assert dock.rows[0].snapshot is None and not dock.rows[0].problem
    answer[0] = True
    dock.press("start_button")
    dock.until(lambda: dock.copied() == 8)
    assert (destination / "notes.txt").read_text() == "mine"


@pytest.mark.either_binding
def test_another_dataset_of_the_same_name_is_replaced_only_if_its_user_says_so(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    write("tensorstore", destination, frames=2, seed=1)
    first = contents(destination)
    write("tensorstore", source, frames=2, seed=2)
    asked: list[tuple[str, str]] = []
    answer = [False]
    monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, yes, *__: (asked.append((text, yes)), answer[0])[1])
    dock.widget.add_target(source, destination)
    dock.press("start_button")
    dock.until(lambda: asked)
    assert "a copy of another acquisition" in asked[0][0] and "--overwrite" not in asked[0][0]
    assert asked[0][1] == "Replace it" and contents(destination) == first
    answer[0] = True
    dock.press("start_button")
    dock.until(lambda: contents(destination).items() >= contents(source).items())
    assert not dock.widget._target_list.targets(dock.widget._target_list.keys(), Settings())[0].overwrite


@pytest.mark.either_binding
def test_the_parent_of_other_datasets_is_asked_about_in_those_words(
    dock: Dock, sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = sides
    make_array(source, (1, 1))
    make_array(tmp_path / "nas" / "other.zarr", (1, 1))
    before = contents(tmp_path / "nas")
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, yes, *__: bool(asked.append((text, yes))))
    dock.widget.add_target(source, tmp_path / "nas")
    dock.press("start_button")
    dock.until(lambda: asked)
    ((text, yes),) = asked
    assert text.startswith(f"{tmp_path / 'nas'} holds 1 other dataset (other.zarr)") and yes == "Copy among them"
    assert not dock.rows[0].starting and contents(tmp_path / "nas") == before


@pytest.mark.either_binding
def test_of_several_targets_the_good_ones_start_and_the_bad_one_says_why_in_its_card(
    dock: Dock, tmp_path: Path
) -> None:
    (tmp_path / "bad.zarr").touch()
    for name in ("one", "two"):
        make_array(tmp_path / f"{name}.zarr", (2, 2))
    for name in ("one", "bad", "two"):
        dock.widget.add_target(tmp_path / f"{name}.zarr", tmp_path / "copies" / f"{name}.zarr")
    dock.widget.start()
    dock.until(lambda: [row.state for row in dock.rows] == [TargetState.COMPLETE, None, TargetState.COMPLETE])
    dock.until(lambda: [card.headline for card in dock.cards][1] == "Cannot start")  # a card holds a state for a moment
    assert "is a file, not a folder" in dock.cards[1].facts
    assert dock.find(QLabel, "targets_summary").text() == "2 done \u00b7 1 needs you"
    (tmp_path / "bad.zarr").unlink()
    make_array(tmp_path / "bad.zarr", (2, 2))
    dock.widget.start()
    dock.ends_complete()


@pytest.mark.either_binding
def test_a_growing_array_shows_time_points_and_no_share(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, _ = sides
    with Writer("tensorstore", source, frames=ENDLESS, planes=2, grow=True, delay=0.1) as writer:
        dock.widget.add_target(*sides)
        dock.widget.start()
        dock.until(lambda: dock.target and dock.target.growing)
        dock.until(lambda: dock.cards[0].striped)
        assert dock.cards[0].fraction is None and "%" not in dock.cards[0].text
        writer.kill()
    dock.widget.stop()
    dock.until(lambda: dock.state() is TargetState.STOPPED)


@pytest.mark.either_binding
def test_a_full_disk_has_a_state_of_its_own_and_the_copy_goes_on_by_itself(
    dock: Dock, sides: tuple[Path, Path]
) -> None:
    source, destination = sides
    destination.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(destination)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        ballast = destination / "ballast"
        ballast.write_bytes(bytes(900_000))
        make_array(source, (2, 1))
        (source / "large").write_bytes(bytes(300_000))
        dock.widget.add_target(source, destination)
        dock.widget.start()
        dock.until(lambda: dock.cards[0].headline == "Disk full")
        card = dock.cards[0]
        assert card.tone is Tone.NEEDS_USER and card.facts.endswith("resumes by itself")
        assert dock.find(QLabel, "targets_summary").text() == "1 needs you"
        assert not dock.find(QPushButton, "pause_button").text().endswith("Res&ume"), "nobody has paused it"
        ballast.unlink()
        dock.until(lambda: dock.cards[0].headline.startswith("Done"))
        dock.widget.stop()
        dock.until(lambda: dock.target and dock.target.over)
    finally:
        dock.until(lambda: subprocess.run(["umount", str(destination)], capture_output=True).returncode == 0)


@pytest.mark.either_binding
def test_only_paths_that_worked_are_offered_again(dock: Dock, tmp_path: Path) -> None:
    (tmp_path / "bad.zarr").touch()
    make_array(tmp_path / "good.zarr", (1, 1))
    recent = dock.widget._panel._new.source
    for name in ("bad", "good"):
        dock.widget.add_target(tmp_path / f"{name}.zarr", tmp_path / "copies" / f"{name}.zarr")
    dock.widget.start()
    dock.until(lambda: dock.rows[1].state is TargetState.COMPLETE)
    assert recent.recent == [str(tmp_path / "good.zarr")]


def test_a_stop_makes_no_notification_and_an_ending_one_that_is_not_cut(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    toasts: list[str] = []
    monkeypatch.setattr(dock.widget._endings, "_notify", lambda _, text: toasts.append(text))
    dock.widget.add_target(*sides)
    dock.widget.start()
    dock.until(lambda: dock.at_work(dock.rows[0]))
    dock.press("stop_button")
    dock.until(lambda: dock.state() is TargetState.STOPPED)
    make_array(sides[0], (2, 2))
    dock.press("start_button")
    dock.until(lambda: toasts)
    assert toasts == ["source.zarr: done"]
    assert dock.says().startswith("Done")
    dock.press("banner_dismiss")
    assert not dock.find(QWidget, "banner").isVisible()


def test_start_pressed_twice_asks_once_and_starts_once(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    _occupy(destination)
    looking, look = threading.Event(), overwrite_prompt._not_empty
    monkeypatch.setattr(overwrite_prompt, "_not_empty", lambda folders: (looking.wait(10), look(folders))[1])
    asked: list[str] = []
    monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, *__: not asked.append(text))
    started: list[object] = []
    monkeypatch.setattr(dock.widget._monitor, "start_targets", started.append)
    dock.widget.add_target(source, destination)
    dock.press("start_button")
    dock.press("start_button")
    looking.set()
    dock.until(lambda: started)
    dock.qtbot.wait(100)
    assert len(asked) == len(started) == 1


def test_a_destination_that_does_not_answer_when_start_is_pressed_is_named_until_it_does(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    looking, look = threading.Event(), overwrite_prompt._not_empty
    monkeypatch.setattr(overwrite_prompt, "_not_empty", lambda folders: (looking.wait(20), look(folders))[1])
    monkeypatch.setattr(overwrite_prompt, "_SLOW", 100)
    started: list[object] = []
    monkeypatch.setattr(dock.widget._monitor, "start_targets", started.append)
    dock.widget.add_target(source, destination)
    dock.press("start_button")
    dock.until(lambda: dock.says().startswith(f"{destination}: no answer yet"))
    assert not started
    looking.set()
    dock.until(lambda: started)
    assert not dock.says()


def test_a_target_that_was_started_while_it_was_asked_about_is_not_started_again(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    _occupy(destination)
    started: list[object] = []
    monkeypatch.setattr(dock.widget._monitor, "start_targets", started.append)
    asked: list[str] = []

    def ask(_: str, text: str, *__: str) -> bool:
        dock.widget.start()
        asked.append(text)
        return True

    monkeypatch.setattr(dock.widget._panel, "ask", ask)
    dock.widget.add_target(source, destination)
    dock.press("start_button")
    dock.until(lambda: asked)
    assert len(started) == 1


@pytest.mark.either_binding
def test_a_destination_that_was_only_checked_is_asked_about(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    _occupy(destination)
    asked: list[str] = []
    monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, *__: bool(asked.append(text)))
    dock.widget.add_target(source, destination)
    dock.find(TargetsView, "targets_table").request(Action.CHECK)
    dock.until(lambda: dock.state() is TargetState.INCOMPLETE)
    dock.press("start_button")
    dock.until(lambda: asked)
    assert not dock.rows[0].starting and not (destination / "zarr.json").exists()


def test_pause_resume_and_stop(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, delay=0.02) as writer:
        dock.widget.add_target(source, destination)
        dock.widget.start()
        dock.until(lambda: dock.copied() > 3)
        dock.press("pause_button")
        dock.until(lambda: dock.state() is TargetState.PAUSED)
        before = dock.copied()
        dock.until(lambda: dock.target and dock.target.counts[ChunkState.PENDING] > 10)
        assert dock.copied() <= before + 8  # what was with a worker
        dock.press("pause_button")
        dock.until(lambda: dock.copied() > before + 10)
        started = time.monotonic()
        dock.press("stop_button")
        dock.until(lambda: dock.state() is TargetState.STOPPED)
        assert time.monotonic() - started < 5  # a second, but the machine may be busy
        assert "Press Start to continue" in dock.cards[0].facts
        dock.press("start_button")
        dock.until(lambda: dock.at_work(dock.rows[0]))
        writer.kill()
    dock.widget.finish()
    dock.ends_complete()
    assert_same(source, destination)


def test_the_pace_of_a_running_copy_is_changed_in_the_dock(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    write("tensorstore", source, frames=2)
    (source / "large").write_bytes(bytes(20_000_000))
    with Softcopy("--max-rate", "1 kB/s", "--settle", "0", source, destination) as command:
        dock.until(lambda: dock.rows and dock.target and dock.target.pace.limit == 1000)
        dock.press("speed_button")
        edit = dock.find(QLineEdit, "max_rate_edit")
        dock.until(lambda: edit.text() == "1 kB/s")
        details = dock.find(QPlainTextEdit, "target_details")
        assert "At most 1.0 kB/s: speed limit as set" in details.toPlainText()
        edit.setFocus()
        edit.selectAll()
        dock.qtbot.keyClicks(edit, "full")
        dock.qtbot.keyClick(edit, Qt.Key.Key_Return)
        assert command.wait() == 0
    assert_same(source, destination)


def test_what_an_engine_refuses_is_said(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    destination.mkdir()
    (destination / "zarr.json").write_text("{}")
    write("tensorstore", destination / "other.zarr", frames=1)
    with Softcopy(source, destination) as command:
        dock.until(lambda: dock.rows)
        dock.widget._monitor.start_targets(dock.widget._target_list.targets([dock.rows[0].key], _defaults(dock)))
        dock.until(lambda: str(command.process.pid) in dock.says())
        assert dock.rows[0].running, "the copy of the command goes on"
        command.interrupt()


def _defaults(dock: Dock) -> Any:
    return dock.widget._preferences.settings


@pytest.mark.either_binding
def test_a_copy_that_the_command_started_is_found_and_shown(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    with (
        Writer("tensorstore", source, frames=20, delay=0.03),
        Softcopy(source, destination, "--settle", "0.5") as command,
    ):
        dock.until(lambda: dock.copied() > 3)
        assert dock.rows[0].key[0] == command.process.pid
        dock.until(lambda: dock.shown(ChunkState.COPIED) > 3)
        command.wait()
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    assert command.process.returncode == 0


@pytest.mark.either_binding
def test_an_engine_that_is_killed_is_missed_and_its_copy_can_be_resumed(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, delay=0.03) as writer:
        dock.widget.add_target(source, destination)
        dock.widget.start()
        dock.until(lambda: dock.copied() > 3)
        pid = dock.rows[0].key[0]
        psutil.Process(pid).kill()
        killed = time.monotonic()
        dock.until(lambda: dock.rows[0].lost)
        assert time.monotonic() - killed < 10  # two seconds, but the machine may be busy
        dock.press("pause_button")  # it says Resume
        dock.until(lambda: dock.at_work(dock.rows[0]) and dock.rows[0].key[0] != pid)
        writer.kill()
    dock.widget.finish()
    dock.ends_complete()
    assert_same(source, destination)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_an_engine_that_hangs_holds_up_nobody(dock: Dock, tmp_path: Path) -> None:
    with (
        Writer("tensorstore", tmp_path / "a", frames=ENDLESS, delay=0.03) as a,
        Writer("tensorstore", tmp_path / "b", frames=ENDLESS, delay=0.03) as b,
    ):
        for name in "ab":
            dock.widget.add_target(tmp_path / name, tmp_path / f"copy-{name}")
            dock.widget.start()
            dock.until(lambda: all(map(dock.at_work, dock.rows)))
        hanging, other = dock.rows[0].key[0], dock.rows[1]
        assert hanging != other.key[0]
        with halted(hanging):
            before = other.snapshot.files_copied if other.snapshot else 0
            dock.until(lambda: dock.rows[1].snapshot and dock.rows[1].snapshot.files_copied > before + 5)
        a.kill()
        b.kill()


def _leave_by_dock(dock: Dock) -> None:
    dock.viewer.window.remove_dock_widget(dock.frame)


def _leave_by_viewer(dock: Dock) -> None:
    dock.viewer.close()


def _leave_by_hiding(dock: Dock) -> None:
    dock.frame.hide()


def _leave_by_deleting(dock: Dock) -> None:
    dock.frame.setWidget(QWidget())
    dock.widget.setParent(None)
    dock.widget.deleteLater()


@pytest.mark.parametrize("leave", [_leave_by_dock, _leave_by_viewer, _leave_by_hiding, _leave_by_deleting])
def test_a_copy_goes_on_whatever_is_closed(
    own_dock: Dock, sides: tuple[Path, Path], leave: Callable[[Dock], None], capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, delay=0.03) as writer:
        own_dock.widget.add_target(source, destination)
        own_dock.widget.start()
        own_dock.until(lambda: own_dock.copied() > 3)
        leave(own_dock)
        QApplication.processEvents()
        (engine,) = engines()
        before = engine.snapshot().targets[0].files_copied
        own_dock.until(lambda: engine.snapshot().targets[0].files_copied > before + 5)
        writer.kill()
    if leave is _leave_by_viewer:
        assert "will continue" in capsys.readouterr().out
    if leave is _leave_by_hiding:
        own_dock.frame.show()
        own_dock.until(lambda: own_dock.copied() > before)
    _finish(engine, own_dock)
    assert_same(source, destination)


def test_an_open_dock_shows_what_was_started_before(own_viewer: Any, qtbot: Any, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, delay=0.03) as writer:
        first = Dock(own_viewer, qtbot)
        first.widget.add_target(source, destination)
        first.widget.start()
        first.until(lambda: first.shown(ChunkState.COPIED) > 3)
        own_viewer.window.remove_dock_widget(first.frame)
        first.until(lambda: first.overlay() is None)  # nothing that is no longer kept up to date stays
        second = Dock(own_viewer, qtbot)
        second.until(lambda: second.shown(ChunkState.COPIED) > 3)
        second.widget.finish()
        second.widget.stop()
        second.qtbot.wait(500)
        assert second.rows[0].running, "it is another window's"
        writer.kill()
    second.widget.finish(second.widget.keys())
    second.until(lambda: second.state() is TargetState.COMPLETE)


def _finish(engine: EngineHandle, dock: Dock) -> None:
    engine.ask(Order(do="finish"))
    dock.until(lambda: engine.snapshot().targets[0].state is TargetState.COMPLETE)
    engine.ask(Order(do="stop"))
    dock.until(lambda: engine.snapshot().targets[0].over)
    engine.close()


@pytest.mark.either_binding
def test_an_array_that_grows_gets_longer_sliders(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    with Writer("tensorstore", source, frames=ENDLESS, planes=2, grow=True, delay=0.1) as writer:
        dock.widget.add_target(source, destination)
        dock.widget.start()
        dock.until(lambda: dock.overlay() is not None)
        first = dock.viewer.dims.nsteps[0]
        dock.until(lambda: dock.viewer.dims.nsteps[0] > first)
        writer.kill()
    dock.widget.finish()
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    array = dock.target.arrays[0]  # type: ignore[union-attr]
    dock.until(lambda: dock.viewer.dims.nsteps[0] == array.shape[0])
    dock.until(lambda: dock.shown(ChunkState.COPIED) == array.counts[ChunkState.COPIED] > 0)


def test_a_well_of_a_plate_opens_its_field(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    write("plate", source, wells=["A/1", "A/2", "B/1"], frames=2, planes=2)
    dock.widget.add_target(source, destination)
    dock.widget.start()
    dock.widget.finish()
    chooser = dock.find(QComboBox, "array_chooser")
    dock.until(lambda: chooser.count() == 6)
    dock.until(lambda: dock.shown(ChunkState.COPIED) == 4)  # of the field that was found first
    plate = dock.find(QWidget, "plate_map")
    assert plate.isVisible()
    for row, array in ((1, "B/1/0/0"), (0, "A/1/0/0")):
        dock.qtbot.mouseClick(plate, Qt.MouseButton.LeftButton, pos=plate.cell_rect(row, 0).center())
        dock.until(lambda array=array: dock.overlay() and dock.overlay().metadata["softcopy"]["array"] == array)
    chooser.setCurrentIndex(chooser.findText("A/2/0/1"))
    chooser.activated.emit(chooser.currentIndex())
    dock.until(lambda: dock.overlay() and dock.overlay().metadata["softcopy"]["array"] == "A/2/0/1")


@pytest.mark.either_binding
def test_coverage_is_checked_without_copying_and_the_target_can_be_copied_afterwards(
    dock: Dock, sides: tuple[Path, Path]
) -> None:
    source, destination = sides
    write("tensorstore", source, frames=3, planes=4)
    dock.fill_in(source, destination)
    dock.choose("check_coverage")
    dock.until(lambda: dock.state() is TargetState.INCOMPLETE)
    assert not destination.exists()
    dock.until(lambda: dock.shown(ChunkState.PENDING) == 12)
    dock.widget.start()
    dock.widget.finish()
    dock.ends_complete()
    assert_same(source, destination)
    dock.find(TargetsView, "targets_table").request(Action.CHECK)
    dock.until(lambda: dock.target and dock.target.findings is not None and dock.state() is TargetState.COMPLETE)


@pytest.mark.either_binding
def test_files_of_which_only_the_times_differ_are_compared_by_content_at_the_press_of_a_button(
    dock: Dock, sides: tuple[Path, Path]
) -> None:
    source, destination = sides
    make_array(source, (3, 2))
    shutil.copytree(source, destination, copy_function=shutil.copyfile)  # as many programs copy: without times
    dock.fill_in(source, destination)
    dock.choose("check_coverage")
    dock.until(lambda: dock.state() is TargetState.INCOMPLETE)
    assert "only the times differ: 6 chunks" in dock.cards[0].details.lower()
    assert "Compare by content" in dock.cards[0].details and not dock.find(QPushButton, "finish_button").isVisible()
    dock.press("compare_button")
    dock.until(lambda: dock.state() is TargetState.COMPLETE)
    assert dock.cards[0].headline == "Equal" and "equal in size and content" in dock.cards[0].details
    assert not dock.find(QPushButton, "compare_button").isVisible()


@pytest.mark.either_binding
def test_quotes_that_copying_a_path_adds_are_taken_off(dock: Dock, tmp_path: Path) -> None:
    """Explorer's "Copy as path" adds them."""
    file = tmp_path / "targets.yaml"
    file.write_text("targets:\n  - {source: a.zarr, destination: copies/a.zarr}\n")
    dock.widget.load_targets(f'"{file}"')
    dock.widget.add_target(f'"{tmp_path / "b.zarr"}"', f"\u201c{tmp_path / 'copies' / 'b.zarr'}\u201d")
    assert [(row.source, row.destination) for row in dock.rows] == [
        (str(tmp_path / f"{name}.zarr"), str(tmp_path / "copies" / f"{name}.zarr")) for name in "ab"
    ]


@pytest.mark.either_binding
def test_the_source_of_a_complete_copy_is_freed_and_brought_back_by_its_menu(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it is watched on: then the watching ends."""
    source, destination = sides
    make_array(source, (2, 2))
    before = contents(source)
    monkeypatch.setattr(free_prompt, "_COMMAND", [*quick_free.COMMAND, "free"])
    monkeypatch.setattr(free_prompt, "_FREE", quick_free_process.COMMAND)
    asked: list[str] = []
    monkeypatch.setattr(dock.widget._panel, "ask", lambda _, text, *__: bool(asked.append(text)) or True)
    dock.widget.add_target(source, destination)
    dock.widget.start()
    dock.until(lambda: dock.target is not None and dock.target.watching)
    cards = dock.find(TargetsView, "targets_table")
    cards.select(dock.widget.keys())
    logged: list[str] = []
    monkeypatch.setattr(dock.widget._panel, "log", lambda _, words: logged.append(words))
    headlines: set[str] = set()
    dock.widget._panel._model.dataChanged.connect(lambda *_: headlines.add(dock.cards[0].headline))
    cards.request(Action.FREE)
    dock.until(lambda: any("The source is freed" in words for words in logged))
    assert "Freeing the source" in headlines and "The source is freed" in dock.says()
    assert "5 files" in asked[0] and contents(destination) == before and contents(source) == {}
    cards.request(Action.FREE)
    dock.until(lambda: any("5 files moved back" in words for words in logged))
    assert contents(source) == before


@pytest.mark.either_binding
def test_a_check_leaves_the_settings_of_a_listed_target_as_they_are(dock: Dock, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    write("tensorstore", source, frames=1)
    dock.widget._preferences = Preferences(nprocs=1, settle=7.0)
    dock.widget.add_target(source, destination)
    dock.widget._preferences = Preferences(nprocs=1)
    dock.fill_in(source, destination)
    dock.choose("check_coverage")
    dock.until(lambda: dock.state() is TargetState.INCOMPLETE)
    (target,) = dock.widget._target_list.targets(dock.widget._target_list.keys(), Settings())
    assert (target.settle, target.check) == (7.0, False)


@pytest.mark.parametrize(
    ("answer", "closes", "stops"),
    [("Keep copying", True, 0), ("Stop copying", True, 1), ("Cancel", False, 0)],
)
def test_a_user_who_closes_the_window_is_asked_whether_copies_go_on(
    dock: Dock, monkeypatch: pytest.MonkeyPatch, answer: str, closes: bool, stops: int
) -> None:
    notice = dock.widget._close_prompt
    stopped: list[None] = []
    monkeypatch.setattr(notice, "_stop", lambda: stopped.append(None))
    asked: list[str] = []

    def press(dialog: Any) -> None:
        asked.append(dialog.text())
        (button,) = (one for one in dialog.buttons() if one.text().replace("&", "") == answer)
        dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    with dialog_answered(press):
        assert notice._may_close(2, by_user=True) is closes
    assert "2 copies are running and will continue without napari" in asked[0]
    assert len(stopped) == stops


def _finished(dock: Dock, sides: tuple[Path, Path]) -> None:
    """Copy an acquisition that is over, and have its source watched on."""
    make_array(sides[0], (4, 2))
    dock.widget.add_target(*sides)
    dock.widget.start()
    dock.until(lambda: dock.rows[0].watched)


def _log(dock: Dock) -> str:
    return "\n".join(text for _, _, text in dock.widget._panel._log._view._lines)


@pytest.mark.either_binding
def test_a_source_that_changes_after_complete_is_copied_on_and_the_dock_says_so(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = sides
    _finished(dock, sides)
    dock.until(lambda: re.fullmatch(r"Done \d\d:\d\d", dock.cards[0].headline))
    assert dock.cards[0].facts.endswith("watching on")
    dock.until(lambda: dock.says().startswith("Done ") and str(destination) in dock.says())
    monkeypatch.setattr(dock.widget._panel, "ask", lambda *_: True)
    dock.until(lambda: dock.shown(ChunkState.COPIED) == 8)
    replace_file(source / "0.0", b"written after all")
    dock.until(lambda: (destination / "0.0").read_bytes() == b"written after all")
    dock.until(lambda: dock.state() is TargetState.CAUGHT_UP)
    dock.until(lambda: dock.cards[0].details.endswith("Over already? Press Acquisition is over"))
    assert "again: the source has changed" in _log(dock)
    dock.press("finish_button")
    dock.until(lambda: dock.rows[0].watched)
    assert dock.shown(ChunkState.COPIED) == 8
    assert not dock.find(QPushButton, "finish_button").isEnabled()
    dock.press("stop_button")
    dock.until(lambda: dock.rows[0].state is TargetState.COMPLETE and not dock.rows[0].watched)
    assert "its source is no longer watched" in _log(dock)
    assert_same(source, destination)


@pytest.mark.either_binding
@pytest.mark.parametrize("action", [Action.START, Action.CHECK])
def test_a_target_that_is_watched_on_can_be_copied_or_checked_again(
    dock: Dock, sides: tuple[Path, Path], action: Action
) -> None:
    _finished(dock, sides)
    pid = dock.rows[0].key[0]
    dock.find(TargetsView, "targets_table").request(action)
    dock.until(lambda: dock.rows[0].key[0] != pid and dock.state() is TargetState.COMPLETE)
    dock.until(lambda: [engine.run.pid == pid for engine in engines()] == [action is Action.CHECK])
    assert len(dock.rows) == 1 and dock.rows[0].watched is (action is Action.START)
    assert "process" not in dock.says()
    dock.find(TargetsView, "targets_table").request(Action.REMOVE)
    dock.until(lambda: not engines() and not dock.rows)


@pytest.mark.either_binding
def test_a_target_that_is_removed_is_not_watched_on(dock: Dock, sides: tuple[Path, Path]) -> None:
    _finished(dock, sides)
    dock.find(TargetsView, "targets_table").request(Action.REMOVE)
    assert dock.rows == ()
    dock.until(lambda: not engines())
    dock.qtbot.wait(300)
    assert dock.rows == ()


def test_a_source_that_is_only_watched_does_not_keep_napari_from_closing(
    own_dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _finished(own_dock, sides)
    monkeypatch.setattr(own_dock.widget._close_prompt, "_ask", lambda words: pytest.fail(f"it asks: {words}"))
    monkeypatch.setattr(close_prompt, "_chosen_from_menu", lambda: True)
    own_dock.viewer.window._qt_window.close()
    own_dock.viewer.close()
    assert "will continue" not in capsys.readouterr().out
    (engine,) = engines()
    assert engine.snapshot().targets[0].watching


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
@pytest.mark.parametrize("when", ["being started", "busy"])
def test_stop_copying_and_close_leaves_no_copy_running(
    own_dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Also where its engine cannot take the order at once."""
    own_dock.widget.add_target(*sides)  # a source that does not come: it would wait for ever
    own_dock.widget.start()

    def stop(dialog: Any) -> None:
        (button,) = (one for one in dialog.buttons() if one.text().replace("&", "") == "Stop copying")
        own_dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    with contextlib.ExitStack() as stack:
        if when == "busy":
            own_dock.until(lambda: own_dock.at_work(own_dock.rows[0]))
            stack.enter_context(halted(own_dock.rows[0].key[0]))
            own_dock.qtbot.wait(500)  # it is being asked how far it is
        with dialog_answered(stop), monkeypatch.context() as menu:
            menu.setattr(close_prompt, "_chosen_from_menu", lambda: True)
            began = time.monotonic()
            own_dock.viewer.window._qt_window.close()
        own_dock.viewer.close()  # tidies up what napari, when it quits, does not need to
        assert time.monotonic() - began < 5, "one second, but the machine may be busy"

    def stopped() -> bool:
        return any(run.last and run.last.targets[0].state is TargetState.STOPPED for run in run_files())

    own_dock.until(stopped)


def test_a_user_who_quits_by_the_menu_is_asked_too(own_dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window's own "x" tells Qt that a user closes it; File > Exit looks like a script."""
    monkeypatch.setattr(own_dock.widget._close_prompt, "_running", lambda: 1)
    monkeypatch.setattr(get_settings().application, "confirm_close_window", False)
    asked: list[str] = []

    def cancel(dialog: Any) -> None:
        asked.append(dialog.text())
        dialog.reject()

    with dialog_answered(cancel):
        _close_app(own_dock.viewer.window)
    assert not own_dock.viewer.window._qt_window._quit_app, "it would quit when a window is closed later"
    assert "1 copy is running and will continue without napari" in asked[0]
    assert own_dock.frame.isVisible()


@pytest.mark.either_binding
def test_mnemonics_take_no_shortcut_from_napari(dock: Dock) -> None:
    """Qt does nothing at all where two things answer to the same keys."""
    texts = [one.text() for kind in (QPushButton, QLabel) for one in dock.widget.findChildren(kind)]
    ours = {QKeySequence.mnemonic(text).toString() for text in texts} - {""}
    assert len(ours) > 10
    names = {one.name for one in pkgutil.iter_modules(qactions.__path__)} - {"_debug"}  # a menu of napari's developers
    modules = [importlib.import_module(f"{qactions.__name__}.{name}") for name in names]
    actions = [one for module in modules for one in _actions(vars(module).values())]
    keys = [rule.primary for action in actions for rule in action.keybindings or () if rule.primary]
    theirs = {str(KeyBinding.from_int(one)) if isinstance(one, int) else str(one) for one in keys}
    theirs |= {f"Alt+{letter}" for letter in "FVLPWH"}  # its menus
    assert "Alt+S" in theirs, "this looks in the wrong place"
    assert not ours & theirs


def _actions(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from (one for one in value if isinstance(one, AppAction))


@pytest.mark.either_binding
def test_removed_layers_come_back_when_their_target_is_shown(dock: Dock, sides: tuple[Path, Path]) -> None:
    write("tensorstore", sides[0], frames=1)
    dock.widget.add_target(*sides)
    dock.widget.start()
    dock.widget.finish()
    dock.until(lambda: dock.state() is TargetState.COMPLETE and len(dock.viewer.layers) == 2)
    dock.viewer.layers.clear()
    table = dock.find(QListView, "targets_table")
    dock.qtbot.keyClick(table, Qt.Key.Key_Return)
    dock.until(lambda: len(dock.viewer.layers) == 2)


def test_a_folder_that_is_not_there_is_not_opened_in_silence(
    dock: Dock, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url.toLocalFile())
        return len(opened) == 1  # then there is no file manager any more

    monkeypatch.setattr("softcopy_napari.plugin.dock.target_orders.QDesktopServices", SimpleNamespace(openUrl=open_url))
    source, destination = sides
    source.mkdir()
    dock.widget.add_target(source, destination)
    table = dock.find(TargetsView, "targets_table")
    table.request(Action.OPEN_DESTINATION)
    dock.until(lambda: f"{destination} does not exist yet" in dock.says())
    assert not opened
    table.request(Action.OPEN_SOURCE)
    dock.until(lambda: opened)
    assert not dock.says()
    table.request(Action.OPEN_SOURCE)
    dock.until(lambda: "no file manager" in dock.says())


@pytest.mark.either_binding
def test_where_a_loaded_target_went_is_proposed_for_the_next(dock: Dock, tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text("targets:\n  - {source: monday.zarr, destination: nas/monday.zarr}\n")
    dock.widget.load_targets(file)
    dock.widget.start()
    dock.until(lambda: dock.at_work(dock.rows[0]))
    dock.press("new_copy_button")
    dock.type("source_edit", tmp_path / "tuesday.zarr")
    assert dock.find(QLineEdit, "destination_edit").text() == str(tmp_path / "nas" / "tuesday.zarr")
    dock.widget.stop()
    dock.until(lambda: dock.state() is TargetState.STOPPED)


@pytest.mark.either_binding
def test_targets_are_saved_and_loaded_again(dock: Dock, tmp_path: Path) -> None:
    for name in ("a", "b"):
        dock.widget.add_target(tmp_path / f"{name}.zarr", tmp_path / "copies" / f"{name}.zarr")
    file = tmp_path / "saved.yaml"
    dock.widget._panel.save_requested.emit(str(file))
    dock.until(file.exists)
    targets = load_targets(file, Settings())
    assert [target.source for target in targets] == [tmp_path / "a.zarr", tmp_path / "b.zarr"]


@pytest.mark.either_binding
def test_preferences_are_those_of_the_next_copy(dock: Dock, tmp_path: Path) -> None:
    dock.widget._preferences = Preferences(nprocs=2, settle=7.0)
    dock.widget.add_target(tmp_path / "a.zarr", tmp_path / "copy.zarr")
    (target,) = dock.widget._target_list.targets(dock.widget._target_list.keys(), dock.widget._preferences.settings)
    assert (target.nprocs, target.settle) == (2, 7.0)


@pytest.mark.either_binding
@pytest.mark.parametrize(("rate", "shown", "asked"), [(10.0, 0.1, 0.1), (0.2, 5.0, 1.0)])
def test_the_refresh_rate_is_that_of_the_overlay_and_a_dead_engine_is_missed_all_the_same(
    dock: Dock, monkeypatch: pytest.MonkeyPatch, rate: float, shown: float, asked: float
) -> None:
    monkeypatch.setattr(preferences, "preferences", lambda: Preferences(refresh_rate=rate))
    dock.widget._apply_preferences()
    assert (dock.widget._layers.interval, dock.widget._monitor.interval) == (shown, asked)


@pytest.mark.either_binding
def test_the_preferred_image_is_shown_at_once_unless_the_user_has_chosen_another(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser = dock.find(QComboBox, "image_chooser")
    shown: list[str] = []
    monkeypatch.setattr(dock.widget._coverage, "show_image", shown.append)

    def prefer(image: str) -> None:
        monkeypatch.setattr(preferences, "preferences", lambda: Preferences(image=image))
        dock.widget._apply_preferences()

    prefer("source")
    assert (chooser.currentData(), shown) == ("source", ["source"])
    chooser.setCurrentIndex(chooser.findData("none"))
    prefer("destination")
    assert (chooser.currentData(), shown) == ("none", ["source"])
