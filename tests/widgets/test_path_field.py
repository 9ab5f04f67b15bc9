"""A folder can be named by typing, pasting, browsing, dropping, and from the recent ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QDialog, QFileDialog, QLabel, QLineEdit, QMenu, QPushButton, QToolButton

from softcopy_napari.engine.targets.user_paths import unwrap_path
from softcopy_napari.widgets.path_field import MAX_RECENT, PathField
from tests.widgets.support import child, choose_in, dialog_answered, drop


@pytest.fixture
def field(qtbot: QtBot) -> PathField:
    made = PathField("Sou&rce", "source_edit", "A folder")
    qtbot.addWidget(made)
    made.resize(270, 80)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("  /data/a.zarr \n", "/data/a.zarr"),
        ('"/data/with blank/a.zarr"', "/data/with blank/a.zarr"),
        ("'C:\\data\\a.zarr'", "C:\\data\\a.zarr"),
        (QUrl.fromLocalFile(os.path.abspath("/data/ü b.zarr")).toString(), os.path.abspath("/data/ü b.zarr")),
        ("a'b", "a'b"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_what_is_pasted_around_a_path_is_not_part_of_it(text: str, path: str) -> None:
    assert unwrap_path(text) == path


def test_typing_is_followed_and_enter_submits(field: PathField, qtbot: QtBot) -> None:
    edit = child(field, QLineEdit, "source_edit")
    seen: list[str] = []
    field.path_changed.connect(seen.append)
    qtbot.keyClicks(edit, "/a")
    assert seen == ["/", "/a"]
    with qtbot.waitSignal(field.submitted):
        qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert field.path == "/a"


def test_a_pasted_path_loses_its_quotes(field: PathField, qtbot: QtBot) -> None:
    QGuiApplication.clipboard().setText('"/data/a b.zarr"')
    field.edit.paste()
    assert field.path == "/data/a b.zarr"


def test_a_browsed_folder_is_taken(field: PathField, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "recent").mkdir()
    (tmp_path / "a.zarr").mkdir()
    began: list[Path] = []

    def choose(dialog: QDialog) -> None:
        assert isinstance(dialog, QFileDialog)
        began.append(Path(dialog.directory().absolutePath()))
        choose_in(dialog, tmp_path / "a.zarr")

    field.recent = [str(tmp_path / "recent" / "b.zarr")]
    browse = child(field, QPushButton, "source_edit_browse")
    for _ in range(2):
        with dialog_answered(choose):
            qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
        assert field.path == str(tmp_path / "a.zarr")
    assert began[0] == tmp_path / "recent", "the next dataset is likely to lie where the last one does"
    assert began[1] in (tmp_path, tmp_path / "a.zarr")


def test_a_browser_that_is_closed_changes_nothing(field: PathField, qtbot: QtBot, tmp_path: Path) -> None:
    field.path = str(tmp_path)
    with dialog_answered(QDialog.reject):
        qtbot.mouseClick(child(field, QPushButton, "source_edit_browse"), Qt.MouseButton.LeftButton)
    assert field.path == str(tmp_path)


@pytest.mark.parametrize("onto_text", [True, False], ids=["text", "around"])
def test_a_dropped_folder_replaces_what_was_typed(field: PathField, tmp_path: Path, onto_text: bool) -> None:
    field.path = "/something/else"
    assert drop(field.edit if onto_text else field, [tmp_path])
    assert field.path == str(tmp_path)
    assert not field.problem


def test_of_several_dropped_folders_it_is_said_that_one_is_taken(field: PathField, tmp_path: Path) -> None:
    drop(field.edit, [tmp_path / "a", tmp_path / "b"])
    assert field.path == str(tmp_path / "a")
    assert "2 paths" in field.problem


def test_of_several_pasted_folders_it_is_said_that_one_is_taken(field: PathField, tmp_path: Path) -> None:
    folders = [tmp_path / "with blank", tmp_path / "b"]
    QGuiApplication.clipboard().setText("\r\n".join(QUrl.fromLocalFile(str(one)).toString() for one in folders))
    field.edit.paste()
    assert field.path == field.edit.text() == str(folders[0])
    assert "2 paths" in field.problem


@pytest.mark.parametrize("name", ["targets.yaml", "TARGETS.YML"])
def test_a_dropped_targets_file_is_left_to_the_panel(field: PathField, tmp_path: Path, name: str) -> None:
    assert not drop(field.edit, [tmp_path / name])
    assert field.path == ""


def test_a_link_that_is_no_file_is_not_taken(field: PathField, monkeypatch) -> None:
    monkeypatch.setattr("tests.widgets.support.QUrl.fromLocalFile", lambda _: QUrl("https://example.org/a.zarr"))
    assert not drop(field.edit, ["a"])


def test_recent_folders_are_offered_newest_first(field: PathField, qtbot: QtBot) -> None:
    button, menu = child(field, QToolButton, "source_edit_recent"), field.findChild(QMenu)
    assert not button.isEnabled()
    field.recent = [f"/data/{number}" for number in range(MAX_RECENT)]
    field.remember("/data/R&D")
    assert field.recent == ["/data/R&D", *(f"/data/{number}" for number in range(MAX_RECENT - 1))]
    field.remember("/data/1")
    assert field.recent[:2] == ["/data/1", "/data/R&D"]
    assert len(field.recent) == MAX_RECENT
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(menu.isVisible)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert field.path == "/data/R&D", "an ampersand is no mnemonic"
    menu.close()


def test_a_problem_is_shown_in_words_until_the_path_changes(field: PathField, qtbot: QtBot) -> None:
    label = child(field, QLabel, "source_edit_problem")
    assert not label.isVisible()
    low = field.sizeHint().height()
    field.problem = "the source is a file: /data/microscope/2025-03-01_embryo/notes.txt; choose its folder"
    assert label.isVisible()
    assert label.text().startswith("The source is a file")
    assert label.accessibleName() == field.edit.accessibleDescription() == field.problem
    assert field.sizeHint().height() > low
    qtbot.keyClicks(field.edit, "x")
    assert not label.isVisible()
    assert field.problem == field.edit.accessibleDescription() == ""


def test_an_address_is_told_from_a_folder_while_it_is_typed(field: PathField, qtbot: QtBot) -> None:
    label = child(field, QLabel, "source_edit_problem")
    qtbot.keyClicks(field.edit, "s3://bucket/a.zarr")
    assert label.isVisible()
    assert label.text().startswith("Looks like an S3 bucket")
    field.path = "/data/a.zarr"
    assert not label.isVisible()
    QGuiApplication.clipboard().setText("\u201csmb://nas/a.zarr\u201d")
    field.edit.selectAll()
    field.edit.paste()
    assert field.problem.startswith("looks like a network share")


def test_a_long_path_in_a_problem_wraps_in_a_narrow_field(field: PathField, qtbot: QtBot) -> None:
    width = field.minimumSizeHint().width()
    field.problem = "/data/" + "a_long-name/" * 20
    assert field.minimumSizeHint().width() == width
    label = child(field, QLabel, "source_edit_problem")
    assert label.heightForWidth(200) > 3 * label.fontMetrics().height()


def test_it_works_by_keyboard_and_screen_reader(field: PathField, qtbot: QtBot) -> None:
    assert field.edit.accessibleName() == "Source"
    assert [label.buddy() for label in field.findChildren(QLabel) if label.buddy()] == [field.edit]
    field.recent = ["/data"]
    field.edit.setFocus()
    order = []
    for _ in range(3):
        order.append(field.focusWidget().objectName())
        qtbot.keyClick(field.focusWidget(), Qt.Key.Key_Tab)
    assert order == ["source_edit", "source_edit_browse", "source_edit_recent"]
    assert all(field.findChild(kind).accessibleName() for kind in (QPushButton, QToolButton))


def test_a_field_for_destinations_takes_addresses_of_object_stores(qtbot: QtBot) -> None:
    field = PathField("Destination", "destination_edit", takes_stores=True)
    qtbot.addWidget(field)
    field.path = "s3://bucket/a.zarr"
    assert field.problem == "" and field.path == "s3://bucket/a.zarr"
    field.path = "s3://bucket"
    assert "whole bucket" in field.problem
    field.path = "s3://key:hush@bucket/a.zarr"
    assert "credentials in its address" in field.problem and "hush" not in field.problem
    field.path = "nas:/lab/a.zarr"
    assert "another computer" in field.problem
