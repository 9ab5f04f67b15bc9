"""Targets are added, loaded and saved from one form, which says in place what is missing or wrong."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLabel, QPushButton

from softcopy_napari.widgets.target_form import TargetForm
from tests.widgets.support import child, choose_in, dialog_answered


@pytest.fixture
def form(qtbot: QtBot) -> TargetForm:
    made = TargetForm()
    qtbot.addWidget(made)
    made.resize(270, 200)
    made.show()
    qtbot.waitExposed(made)
    return made


def press(form: TargetForm, qtbot: QtBot, name: str) -> None:
    qtbot.mouseClick(child(form, QPushButton, name), Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("by", ["enter in source", "enter in destination", "button"])
def test_two_paths_make_a_target(form: TargetForm, qtbot: QtBot, by: str) -> None:
    qtbot.keyClicks(form.source.edit, " /data/a.zarr ")
    qtbot.keyClicks(form.destination.edit, "'/copy/a.zarr'")
    with qtbot.waitSignal(form.add_requested) as asked:
        if by == "button":
            press(form, qtbot, "add_target_button")
        else:
            field = form.source if by == "enter in source" else form.destination
            qtbot.keyClick(field.edit, Qt.Key.Key_Return)
    assert asked.args == ["/data/a.zarr", "/copy/a.zarr"]


@pytest.mark.parametrize("missing", ["source", "destination"])
def test_a_missing_path_is_asked_for_in_place(form: TargetForm, qtbot: QtBot, missing: str) -> None:
    form.set_paths("" if missing == "source" else "/a", "" if missing == "destination" else "/b")
    field, other = (form.source, form.destination) if missing == "source" else (form.destination, form.source)
    with qtbot.assertNotEmitted(form.add_requested):
        press(form, qtbot, "add_target_button")
    words = {"source": "Choose the acquisition folder.", "destination": "Choose where the copy goes."}
    assert field.problem == words[missing]
    assert other.problem == ""
    assert form.focusWidget() is field.edit
    qtbot.keyClicks(field.edit, "/c")
    assert field.problem == ""


def test_what_is_wrong_stands_where_it_is_wrong(form: TargetForm, qtbot: QtBot) -> None:
    form.set_problem("source", "no such folder")
    form.set_problem("", "line 4 of targets.yaml is no target")
    label = child(form, QLabel, "form_problem")
    assert form.source.problem == "no such folder"
    assert label.text() == "Line 4 of targets.yaml is no target"
    qtbot.keyClicks(form.destination.edit, "/c")
    assert not label.isVisible()
    assert form.source.problem == "no such folder", "that has not changed"


def test_a_destination_is_proposed_beside_the_last_one(form: TargetForm, qtbot: QtBot) -> None:
    nas = os.path.join(os.sep, "nas", "me")
    form.destination.recent = [os.path.join(nas, "monday.zarr")]
    qtbot.keyClicks(form.source.edit, os.path.join(os.sep, "data", "tuesday.zarr") + os.sep)
    assert form.destination.path == os.path.join(nas, "tuesday.zarr")
    form.source.path = ""
    assert form.destination.path == "", "it was only proposed"
    form.destination.path = "/mine"
    form.source.path = "/data/wednesday.zarr"
    assert form.destination.path == "/mine", "what its user wrote stays"


@pytest.mark.parametrize(
    ("last", "source", "proposed"),
    [
        ("/nas/2024/a.zarr", "/data/b.zarr", "/nas/2024/b.zarr"),
        ("/data/a-copy.zarr", "/data/b.zarr", "/data/b-copy.zarr"),
        ("/nas/a.zarr", "/data/..", ""),
        ("/", "/data/b.zarr", ""),
    ],
)
def test_what_is_proposed_is_never_the_source_itself(form: TargetForm, last: str, source: str, proposed: str) -> None:
    form.destination.recent = [last]
    form.source.path = source
    assert PurePath(form.destination.path) == PurePath(proposed)


def test_nothing_is_proposed_without_a_last_one(form: TargetForm, qtbot: QtBot) -> None:
    qtbot.keyClicks(form.source.edit, "/data/tuesday.zarr")
    assert form.destination.path == ""


def test_after_a_target_was_added_the_next_one_is_proposed_anew(form: TargetForm) -> None:
    form.destination.recent = ["/nas/a.zarr"]
    form.source.path = "/data/b.zarr"
    form.set_paths("", "")
    form.source.path = "/data/c.zarr"
    assert form.destination.path == os.path.join(os.path.dirname("/nas/a.zarr"), "c.zarr")


def test_a_targets_file_is_loaded(form: TargetForm, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text("targets: []")
    form.set_problem("", "an old problem")
    with qtbot.waitSignal(form.load_requested) as asked, dialog_answered(lambda dialog: choose_in(dialog, file)):
        press(form, qtbot, "load_targets_button")
    assert asked.args == [str(file)]
    assert child(form, QLabel, "form_problem").isHidden()
    with qtbot.assertNotEmitted(form.load_requested), dialog_answered(QDialog.reject):
        press(form, qtbot, "load_targets_button")


def test_a_targets_file_is_saved_with_its_ending(form: TargetForm, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "today"
    with qtbot.waitSignal(form.save_requested) as asked, dialog_answered(lambda dialog: choose_in(dialog, file)):
        press(form, qtbot, "save_targets_button")
    assert asked.args == [str(tmp_path / "today.yaml")]
    with qtbot.assertNotEmitted(form.save_requested), dialog_answered(QDialog.reject):
        press(form, qtbot, "save_targets_button")
