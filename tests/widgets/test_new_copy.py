"""A new copy is filled in, looked at before it starts, and says in place what is missing or wrong."""

from __future__ import annotations

import os
from pathlib import PurePath

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QCheckBox, QCompleter, QLabel, QPushButton

from softcopy_napari.widgets.new_copy import NewCopy, Preview, destination_in
from tests.widgets.support import child, drop


@pytest.fixture
def form(qtbot: QtBot) -> NewCopy:
    made = NewCopy()
    qtbot.addWidget(made)
    made.resize(270, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def press(form: NewCopy, qtbot: QtBot, name: str) -> None:
    qtbot.mouseClick(child(form, QPushButton, name), Qt.MouseButton.LeftButton)


def shown(form: NewCopy) -> str:
    return child(form, QLabel, "copy_preview").accessibleName()


def test_two_paths_and_one_button_start_a_copy(form: NewCopy, qtbot: QtBot) -> None:
    qtbot.keyClicks(form.source.edit, " /data/a.zarr ")
    qtbot.keyClicks(form.destination.edit, "'/copy/a.zarr'")
    with qtbot.waitSignal(form.start_requested) as asked:
        press(form, qtbot, "start_copy_button")
    assert asked.args == ["/data/a.zarr", "/copy/a.zarr"]


@pytest.mark.parametrize(("name", "signal"), [("add_target", "add_requested"), ("check_coverage", "check_requested")])
def test_rare_wishes_are_in_the_menu(form: NewCopy, qtbot: QtBot, name: str, signal: str) -> None:
    form.set_paths("/data/a.zarr", "/copy/a.zarr")
    with qtbot.waitSignal(getattr(form, signal)) as asked:
        child(form, QAction, name).trigger()
    assert asked.args == ["/data/a.zarr", "/copy/a.zarr"]


@pytest.mark.parametrize("missing", ["source", "destination"])
def test_a_missing_path_is_asked_for_in_place(form: NewCopy, qtbot: QtBot, missing: str) -> None:
    form.set_paths("" if missing == "source" else "/a", "" if missing == "destination" else "/b")
    field, other = (form.source, form.destination) if missing == "source" else (form.destination, form.source)
    with qtbot.assertNotEmitted(form.start_requested):
        press(form, qtbot, "start_copy_button")
    words = {"source": "Choose the acquisition folder.", "destination": "Choose where the copy goes."}
    assert field.problem == words[missing]
    assert other.problem == ""
    assert form.focusWidget() is field.edit
    qtbot.keyClicks(field.edit, "/c")
    assert field.problem == ""


def test_enter_never_starts_a_copy_whose_destination_was_not_looked_at(form: NewCopy, qtbot: QtBot) -> None:
    form.destination.recent = ["/nas/monday.zarr"]
    started: list[object] = []
    form.start_requested.connect(lambda *paths: started.append(paths))
    qtbot.keyClicks(form.source.edit, "/data/tuesday.zarr")
    qtbot.keyClick(form.source.edit, Qt.Key.Key_Return)
    assert form.focusWidget() is form.destination.edit and started == []
    with qtbot.waitSignal(form.preview_requested) as asked:
        qtbot.keyClick(form.destination.edit, Qt.Key.Key_Return)
    assert started == []
    form.show_preview(*asked.args, Preview(lines=("Will create it",)))
    qtbot.keyClick(form.destination.edit, Qt.Key.Key_Return)
    assert started == [tuple(asked.args)]


def test_what_would_happen_is_shown_a_moment_after_typing_and_keeps_its_room(form: NewCopy, qtbot: QtBot) -> None:
    label = child(form, QLabel, "copy_preview")
    height = label.height()
    form.source.path = "/data/a.zarr"
    with qtbot.waitSignal(form.preview_requested) as asked:
        qtbot.keyClicks(form.destination.edit, "/nas/a.zarr")
    assert asked.args == ["/data/a.zarr", "/nas/a.zarr"]
    form.show_preview("/data/a.zarr", "/nas/a", Preview(lines=("An older one",)))
    assert "older" not in shown(form)
    form.show_preview(
        "/data/a.zarr", "/nas/a.zarr", Preview(lines=("Source: array", "Will create /nas/a.zarr. 71 GB free"))
    )
    assert shown(form) == "Source: array\nWill create /nas/a.zarr. 71 GB free"
    assert label.height() == height > 0
    form.source.path = ""
    assert label.isVisible() and label.height() == height


def test_a_disk_that_does_not_answer_is_named(form: NewCopy, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    form._waiting.setInterval(50)
    with qtbot.waitSignal(form.preview_requested):
        form.set_paths("/data/a.zarr", "/nas/a.zarr")
    qtbot.waitUntil(lambda: "No answer yet from the disk of /nas/a.zarr" in shown(form))
    form.show_preview("/data/a.zarr", "/nas/a.zarr", Preview(lines=("Will create it",)))
    qtbot.wait(100)
    assert shown(form) == "Will create it"


def test_what_cannot_be_copied_cannot_be_started_until_the_path_changes(form: NewCopy, qtbot: QtBot) -> None:
    form.set_paths("/data/a.zarr", "/nas/a.zarr")
    form.show_preview("/data/a.zarr", "/nas/a.zarr", Preview(source_problem="source /data/a.zarr is a file"))
    start = child(form, QPushButton, "start_copy_button")
    assert form.source.problem == "source /data/a.zarr is a file" and not start.isEnabled()
    qtbot.keyClicks(form.source.edit, "x")
    assert form.source.problem == "" and start.isEnabled()


def test_the_parent_of_other_datasets_is_refused_and_a_better_place_is_one_click_away(
    form: NewCopy, qtbot: QtBot
) -> None:
    form.set_paths("/data/cam1.zarr", "/nas")
    words = "holds 2 other datasets (a.zarr, b.zarr)"
    form.show_preview("/data/cam1.zarr", "/nas", Preview(destination_problem=words, suggestion="/nas/cam1.zarr"))
    assert form.destination.problem == words
    assert not child(form, QPushButton, "start_copy_button").isEnabled()
    press(form, qtbot, "use_suggestion_button")
    assert form.destination.path == "/nas/cam1.zarr"
    assert form.destination.problem == "" and not child(form, QPushButton, "use_suggestion_button").isVisible()


@pytest.mark.parametrize(
    ("folder", "source", "where"),
    [
        ("/nas", "/data/cam1.zarr", "/nas/cam1.zarr"),
        ("/nas/2026", "/data/cam1.ome.zarr", "/nas/2026/cam1.ome.zarr"),
        ("/nas/cam1.zarr", "/data/cam1.zarr", "/nas/cam1.zarr"),
        ("/nas/other.zarr", "/data/cam1.zarr", "/nas/other.zarr"),
        ("/nas/run7", "/data/run7", "/nas/run7"),
        ("/nas", "/", "/nas"),
    ],
)
def test_a_folder_that_is_pointed_at_is_the_one_to_lie_in_unless_it_is_named_like_a_dataset(
    folder: str, source: str, where: str
) -> None:
    assert PurePath(destination_in(folder, source)) == PurePath(where)


def test_a_dataset_dropped_on_a_folder_goes_into_it(form: NewCopy, tmp_path: PurePath) -> None:
    assert drop(form.source, [tmp_path / "cam1.zarr"])
    assert form.source.path == str(tmp_path / "cam1.zarr"), "that is the dataset itself"
    assert drop(form.destination, [tmp_path / "nas"])
    assert form.destination.path == str(tmp_path / "nas" / "cam1.zarr")


def test_a_path_that_is_typed_is_taken_as_it_is(form: NewCopy, qtbot: QtBot) -> None:
    form.source.path = "/data/cam1.zarr"
    qtbot.keyClicks(form.destination.edit, "/nas")
    assert form.destination.path == "/nas"


def test_no_list_pops_up_that_would_take_the_next_click(form: NewCopy) -> None:
    form.source.recent = ["/data/a.zarr", "/data/b.zarr"]
    assert form.source.edit.completer() is None and form.findChildren(QCompleter) == []


def test_what_is_wrong_stands_where_it_is_wrong(form: NewCopy, qtbot: QtBot) -> None:
    form.set_problem("source", "no such folder")
    form.set_problem("", "another target copies there")
    label = child(form, QLabel, "form_problem")
    assert form.source.problem == "no such folder"
    assert label.text() == "Another target copies there"
    qtbot.keyClicks(form.destination.edit, "/c")
    assert not label.isVisible()
    assert form.source.problem == "no such folder", "that has not changed"


def test_a_destination_is_proposed_beside_the_last_one(form: NewCopy, qtbot: QtBot) -> None:
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
def test_what_is_proposed_is_never_the_source_itself(form: NewCopy, last: str, source: str, proposed: str) -> None:
    form.destination.recent = [last]
    form.source.path = source
    assert PurePath(form.destination.path) == PurePath(proposed)


def test_nothing_is_proposed_without_a_last_one(form: NewCopy, qtbot: QtBot) -> None:
    qtbot.keyClicks(form.source.edit, "/data/tuesday.zarr")
    assert form.destination.path == ""


def test_after_a_copy_was_started_the_next_one_is_proposed_anew(form: NewCopy) -> None:
    form.destination.recent = ["/nas/a.zarr"]
    form.source.path = "/data/b.zarr"
    form.set_paths("", "")
    form.source.path = "/data/c.zarr"
    assert form.destination.path == os.path.join(os.path.dirname("/nas/a.zarr"), "c.zarr")


def test_escape_closes_it(form: NewCopy, qtbot: QtBot) -> None:
    with qtbot.waitSignal(form.closed):
        qtbot.keyClick(form, Qt.Key.Key_Escape)
    with qtbot.waitSignal(form.closed):
        press(form, qtbot, "cancel_copy_button")


def test_a_folder_without_zarr_metadata_is_offered_as_one_of_any_files(form: NewCopy, qtbot: QtBot) -> None:
    form.set_paths("/data/run7", "/copy/run7")
    box = child(form, QCheckBox, "any_files_box")
    assert not box.isVisible() and not form.any_files
    form.show_preview("/data/run7", "/copy/run7", Preview(any_files=True))
    assert box.isVisible() and not box.isChecked(), "zarr metadata may still come"
    with qtbot.waitSignal(form.preview_requested) as asked:
        box.click()
    assert asked.args == ["/data/run7", "/copy/run7"] and form.any_files
    form.show_preview("/data/run7", "/copy/run7", Preview(any_files=True))
    assert form.any_files
    form.source.path = "/data/embryo.zarr"
    assert not box.isVisible() and not form.any_files, "that was said of the other source"
