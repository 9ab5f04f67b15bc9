"""The panel for a new copy: source, destination, what would happen, and Start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from softcopy_napari.engine.targets.store_url import StoreUrl, destination_of, is_store_url
from softcopy_napari.widgets.buttons import MenuButton, button
from softcopy_napari.widgets.labels import show_words, wrapping_label
from softcopy_napari.widgets.path_field import PathField, Problem

_PAUSE_IN_TYPING = 300
"""Milliseconds without a key after which paths are looked at."""
_SLOW = 2_000
"""Milliseconds after which it is said that a disk does not answer."""
_LINES = 3
"""Lines that the preview has room for, whatever it says."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen if a copy were started now."""

    source_problem: str = ""
    """Why the source cannot be copied, in words; empty where it can."""
    destination_problem: str = ""
    """Why nothing can be copied to the destination, in words."""
    lines: tuple[str, ...] = ()
    """What would happen, line by line."""
    suggestion: str = ""
    """A better destination; empty where there is none."""
    any_files: bool = False
    """Whether the source may be meant as a folder of any files: it has files, and no zarr metadata."""

    @property
    def possible(self) -> bool:
        """Whether the copy can be started."""
        return not (self.source_problem or self.destination_problem)


def propose_destination(source: str, last: str) -> str:
    """Propose a destination beside the last one, under the source's name; empty where there is none to propose."""
    name = PurePath(source).name
    if not name or name == "..":
        return ""
    if isinstance(store := destination_of(last), StoreUrl):
        return str(store.with_name(name))
    try:
        proposed = PurePath(last).with_name(name)
        if proposed == PurePath(source):  # the last copy lies beside its source
            proposed = proposed.with_name(f"{proposed.stem}-copy{proposed.suffix}")
    except ValueError:  # a last destination without a name, such as /
        return ""
    return str(proposed)


def destination_in(folder: str, source: str) -> str:
    """Return where a source goes if its user points at a folder: into it, under its own name.

    A folder that is named like a dataset, or like the source, is meant itself.
    """
    name, chosen = PurePath(source).name, PurePath(folder)
    if not name or name == ".." or chosen.name == name or chosen.suffix.lower() == ".zarr":
        return folder
    return str(chosen / name)


def _last_names(path: str) -> str:
    """Shorten a path to its folder's name and its own."""
    parts = PurePath(path).parts
    return path if len(parts) <= 3 else f"\u2026{os.sep}{PurePath(*parts[-2:])}"


class NewCopy(QFrame):
    """Fields for source and destination, a live preview, and a button that starts the copy."""

    start_requested = Signal(str, str)
    """Source and destination, neither of them empty."""
    add_requested = Signal(str, str)
    """The same, to be listed and not started."""
    check_requested = Signal(str, str)
    """The same, to be compared without copying."""
    preview_requested = Signal(str, str)
    """The same, to be answered by `show_preview`."""
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("new_copy")
        self.source = PathField("Sou&rce", "source_edit", "Acquisition folder")
        self.destination = PathField(
            "&Destination", "destination_edit", "Folder, or s3://bucket/name", takes_stores=True
        )
        self._problem = Problem("form_problem")
        self._suggest = button("", "use_suggestion_button", "Take this destination instead")
        self._suggest.hide()
        self._any_files = QCheckBox("Not zarr: copy it as a &folder of any files")
        self._any_files.setObjectName("any_files_box")
        self._any_files.setToolTip("OME-TIFF, NDTiff or any other files, while they are written")
        self._any_files.hide()
        self._preview = wrapping_label("copy_preview")
        self._preview.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing())
        self._start = button("St&art", "start_copy_button", "Start copying what is there, and what is still to come")
        self._cancel = button("Cancel", "cancel_copy_button", "Close without copying")
        self._more = MenuButton("new_copy_menu", "More")
        self._proposed = ""
        self._suggestion = ""
        self._previewed: tuple[str, str] | None = None
        """The paths whose preview is shown."""
        self._typing, self._waiting = QTimer(self), QTimer(self)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for one in (self._start, self._cancel):
            buttons.addWidget(one)
        buttons.addStretch(1)
        buttons.addWidget(self._more)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        column.addWidget(self.source)
        column.addWidget(self.destination)
        column.addWidget(self._suggest)
        column.addWidget(self._any_files)
        column.addWidget(self._preview)
        column.addWidget(self._problem)
        column.addLayout(buttons)

    def _connect(self) -> None:
        for timer, delay, act in (
            (self._typing, _PAUSE_IN_TYPING, self._check_paths),
            (self._waiting, _SLOW, self._say_slow),
        ):
            timer.setSingleShot(True)
            timer.setInterval(delay)
            timer.timeout.connect(act)
        self.source.path_changed.connect(self._on_source)
        self.destination.path_changed.connect(self._on_change)
        self.source.submitted.connect(self._on_source_entered)
        self.destination.submitted.connect(self._on_destination_entered)
        self.destination.picked.connect(self._on_folder_picked)
        self._start.clicked.connect(lambda: self._ask(self.start_requested))
        self._cancel.clicked.connect(self.closed)
        self._suggest.clicked.connect(self._take_suggestion)
        self._any_files.toggled.connect(lambda _: self._check_paths())
        self._more.add("List without starting", "add_target").triggered.connect(lambda: self._ask(self.add_requested))
        check = self._more.add("Check coverage, copy nothing", "check_coverage")
        check.triggered.connect(lambda: self._ask(self.check_requested))

    @property
    def any_files(self) -> bool:
        """Whether the source is to be copied as a folder of any files."""
        return self._any_files.isChecked()

    # -- what is shown ---------------------------------------------------------------------------------------

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

    def show_preview(self, source: str, destination: str, preview: Preview) -> None:
        """Show what would happen; one of paths that are no longer there is left aside."""
        if (source, destination) != (self.source.path, self.destination.path):
            return
        self._waiting.stop()
        self._previewed = source, destination
        if preview.source_problem or not self.source.problem:
            self.source.problem = preview.source_problem
        if preview.destination_problem or not self.destination.problem:
            self.destination.problem = preview.destination_problem
        self._suggestion = preview.suggestion
        if preview.suggestion:
            self._suggest.setText(f"Use {_last_names(preview.suggestion)}".replace("&", "&&"))
            self._suggest.setToolTip(preview.suggestion)
            self._suggest.setAccessibleName(f"Use {preview.suggestion}")
        self._suggest.setVisible(bool(preview.suggestion))
        self._any_files.setVisible(preview.any_files)
        self._say("\n".join(preview.lines))
        self._start.setEnabled(preview.possible)

    def _say(self, words: str) -> None:
        show_words(self._preview, words or " ")  # it keeps its room

    def _say_slow(self) -> None:
        what = "" if is_store_url(self.destination.path) else "the disk of "
        self._say(f"No answer yet from {what}{self.destination.path}")

    # -- what the user does ----------------------------------------------------------------------------------

    def _on_source(self, source: str) -> None:
        self._any_files.blockSignals(True)
        self._any_files.setChecked(False)  # that was said of another source
        self._any_files.blockSignals(False)
        self._any_files.hide()
        if self.destination.path == self._proposed and self.destination.recent:
            self._proposed = propose_destination(source, self.destination.recent[0])
            self.destination.path = self._proposed
        self._on_change()

    def _on_change(self) -> None:
        self._problem.words = ""
        self._suggest.hide()
        self._previewed = None
        self._start.setEnabled(True)
        if self.source.path and self.destination.path:
            self._typing.start()
        else:
            self._typing.stop()
            self._say("")

    def _check_paths(self) -> None:
        self._typing.stop()
        if self.source.path and self.destination.path:
            self._say("Looking\u2026")
            self._waiting.start()
            self.preview_requested.emit(self.source.path, self.destination.path)

    def _on_source_entered(self) -> None:
        """Go on to the destination: nothing is started whose destination was never looked at."""
        self.destination.edit.setFocus()
        self.destination.edit.selectAll()

    def _on_destination_entered(self) -> None:
        if self._previewed == (self.source.path, self.destination.path):
            self._start.click()
        elif self.typed():
            self._check_paths()

    def _on_folder_picked(self, folder: str) -> None:
        if self.source.path:
            self.destination.path = destination_in(folder, self.source.path)

    def _take_suggestion(self) -> None:
        self.destination.path = self._suggestion
        self.destination.edit.setFocus()

    def _ask(self, signal: object) -> None:
        self._problem.words = ""
        if paths := self.typed():
            signal.emit(*paths)  # type: ignore[attr-defined]

    # Overrides of Qt's methods.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
