"""The form in which targets are added, checked, loaded and saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget
from superqt.utils import QFlowLayout

from softcopy_napari.widgets.path_field import PathField, Problem

_FILTER = "Targets (*.yaml *.yml)"


def button(text: str, object_name: str, tip: str) -> QPushButton:
    """Make a button with a mnemonic in its text."""
    made = QPushButton(text)
    made.setObjectName(object_name)
    made.setToolTip(tip)
    made.setAccessibleName(text.replace("&", ""))
    made.setAccessibleDescription(tip)
    return made


def flow(widgets: Sequence[QWidget]) -> QFlowLayout:
    """Make a layout that wraps to another line where there is no room."""
    layout = QFlowLayout()
    layout.setHorizontalSpacing(4)
    layout.setVerticalSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def propose_destination(source: str, last: str) -> str:
    """Propose a destination beside the last one, under the source's name; empty where there is none to propose."""
    name = PurePath(source).name
    if not name or name == "..":
        return ""
    try:
        proposed = PurePath(last).with_name(name)
        if proposed == PurePath(source):  # the last copy lies beside its source
            proposed = proposed.with_name(f"{proposed.stem}-copy{proposed.suffix}")
    except ValueError:  # a last destination without a name, such as /
        return ""
    return str(proposed)


class TargetForm(QWidget):
    """Fields for source and destination, and the buttons that use them."""

    add_requested = Signal(str, str)
    """Source and destination, neither of them empty."""
    check_clicked = Signal()
    load_requested = Signal(str)
    """Path of a targets file to read."""
    save_requested = Signal(str)
    """Path of a targets file to write; the user has agreed to replace an existing one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = PathField("Sou&rce", "source_edit", "Acquisition folder")
        self.destination = PathField("&Destination", "destination_edit", "Where the copy goes")
        self.save_button = button("Sav&e\u2026", "save_targets_button", "Save all targets as a targets file")
        self._problem = Problem("form_problem")
        self._proposed = ""
        self.folder = ""
        """The folder in which dialogs for targets files begin; empty for their default."""
        add = button("&Add target", "add_target_button", "Add this source and destination to the list")
        check = button(
            "Chec&k coverage",
            "check_coverage_button",
            "Compare source and destination without copying: the folders above, or those of the selected target",
        )
        load = button("Load targets.ya&ml\u2026", "load_targets_button", "Add the targets of a targets file")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.source)
        column.addWidget(self.destination)
        column.addLayout(flow([add, check, load, self.save_button]))
        column.addWidget(self._problem)
        self.source.path_changed.connect(self._on_source)
        self.destination.path_changed.connect(self._on_destination)
        for asked in (self.source.submitted, self.destination.submitted, add.clicked):
            asked.connect(self._add)
        check.clicked.connect(self.check_clicked)
        load.clicked.connect(self._load)
        self.save_button.clicked.connect(self._save)

    def typed(self) -> tuple[str, str] | None:
        """Return source and destination; None where one is missing, with a message at its field."""
        for field, words in (
            (self.source, "Choose the acquisition folder."),
            (self.destination, "Choose where the copy goes."),
        ):
            if not field.path:
                field.problem = words
                field.edit.setFocus()
                return None
        return self.source.path, self.destination.path

    def set_paths(self, source: str, destination: str) -> None:
        """Fill in, or empty, both fields."""
        self.source.path = source
        self.destination.path = destination
        self._proposed = ""

    def set_problem(self, where: str, words: str) -> None:
        """Show what is wrong with the "source", the "destination", or something else ("")."""
        if where:
            field = self.source if where == "source" else self.destination
            field.problem = words
        else:
            self._problem.words = words

    def _on_source(self, source: str) -> None:
        self._problem.words = ""
        if self.destination.path == self._proposed and self.destination.recent:
            self._proposed = propose_destination(source, self.destination.recent[0])
            self.destination.path = self._proposed

    def _on_destination(self) -> None:
        self._problem.words = ""

    def _add(self) -> None:
        self._problem.words = ""
        if paths := self.typed():
            self.add_requested.emit(*paths)

    def _load(self) -> None:
        self._problem.words = ""
        path, _ = QFileDialog.getOpenFileName(self, "Load targets", self.folder, _FILTER)
        if path:
            self.load_requested.emit(os.path.normpath(path))

    def _save(self) -> None:
        self._problem.words = ""
        dialog = QFileDialog(self, "Save targets", os.path.join(self.folder, "targets.yaml"), _FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")  # the dialog asks before it replaces a file, and must know its whole name
        if dialog.exec():
            self.save_requested.emit(os.path.normpath(dialog.selectedFiles()[0]))
        dialog.deleteLater()
