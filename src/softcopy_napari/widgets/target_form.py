"""What to copy where: the form in which a target is added, checked, loaded or saved."""

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
    """A button with a mnemonic in its text."""
    made = QPushButton(text)
    made.setObjectName(object_name)
    made.setToolTip(tip)
    made.setAccessibleName(text.replace("&", ""))
    made.setAccessibleDescription(tip)
    return made


def flow(widgets: Sequence[QWidget]) -> QFlowLayout:
    """A layout that goes on in another line where there is no room."""
    layout = QFlowLayout()
    layout.setHorizontalSpacing(4)
    layout.setVerticalSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def propose_destination(source: str, last: str) -> str:
    """Where a source might go: beside the last copy, under its own name; empty where that cannot be said."""
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
    """Two path fields, and what can be done with them."""

    add_requested = Signal(str, str)
    """Source and destination, both of them there."""
    check_clicked = Signal()
    load_requested = Signal(str)
    """A targets file to read."""
    save_requested = Signal(str)
    """A targets file to write; its user has agreed to replace it if it is there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = PathField("Sou&rce", "source_edit", "The folder that the microscope writes")
        self.destination = PathField("&Destination", "destination_edit", "The folder for the copy")
        self.save_button = button("Sav&e\u2026", "save_targets_button", "Save all targets as a targets file")
        self._problem = Problem("form_problem")
        self._proposed = ""
        self.folder = ""
        """Where to look for targets files, and to save them; empty: wherever the dialog begins."""
        add = button("&Add target", "add_target_button", "Add the source and destination to the list")
        check = button(
            "Chec&k coverage",
            "check_coverage_button",
            "Compare a source with its destination, without copying: those above, or those of the selected target",
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
        """Source and destination; None where one is missing, which is then explained in place."""
        for field, words in (
            (self.source, "Choose the folder that the microscope writes, or is going to write."),
            (self.destination, "Choose the folder that the copy is to go to."),
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
