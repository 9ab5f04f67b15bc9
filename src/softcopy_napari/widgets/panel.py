"""The content of the dock. It knows neither engine nor viewer: signals report what the user does, setters show."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import QFrame, QMessageBox, QScrollArea, QVBoxLayout, QWidget

from softcopy_napari.engine.protocol.messages import Changes
from softcopy_napari.engine.targets.user_paths import spell_path
from softcopy_napari.widgets.actions_bar import ActionsBar
from softcopy_napari.widgets.coverage_view import CoverageView
from softcopy_napari.widgets.focus_ring import FocusRing
from softcopy_napari.widgets.labels import show_words, wrapping_label
from softcopy_napari.widgets.log_view import LogSection
from softcopy_napari.widgets.pace_bar import PaceBar, can_be_paced
from softcopy_napari.widgets.path_field import dropped_paths, is_targets_file
from softcopy_napari.widgets.target_form import TargetForm
from softcopy_napari.widgets.targets_model import Key, Row, TargetsModel, details
from softcopy_napari.widgets.targets_table import Action, TargetsTable, allowed_actions

FIRST_STEPS = (
    "No targets yet. Choose the acquisition folder and where the copy goes, and press Add target; or drop a "
    "targets.yaml here. Then press Start."
)


class Panel(QWidget):
    """The form, the table of targets and its buttons, the coverage of the selected target, and the log."""

    add_requested = Signal(str, str)
    """Source and destination."""
    check_requested = Signal(str, str)
    """Source and destination to compare without copying."""
    load_requested = Signal(str)
    save_requested = Signal(str)
    """Path of a targets file."""
    action_requested = Signal(object, object)
    """An `Action`, and a list of the `Key`s of the selected targets that allow it."""
    pace_requested = Signal(object, object)
    """A list of the `Key`s of the selected targets that are being copied, and the `Changes` wanted of them."""
    selection_changed = Signal(object)
    """The `Key` of the target that is looked at (the first selected one), or None."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._current: Key | None = None
        self._described: Key | None = None
        self._model = TargetsModel(self)
        self._form, self._table = TargetForm(), TargetsTable(self._model)
        self._table.placeholder = FIRST_STEPS
        self._details = wrapping_label("target_details")
        self._details.hide()
        self._actions, self._pace = ActionsBar(), PaceBar()
        self.coverage = CoverageView()
        """The coverage of the current target."""
        self._log = LogSection()
        self._content = QWidget()
        self._lay_out()
        self._connect()
        self._ring = FocusRing(self._content)
        self.coverage.hide()
        self._form.save_button.setEnabled(False)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self._content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addWidget(self._form)
        column.addWidget(self._table)
        column.addWidget(self._details)
        column.addWidget(self._actions)
        column.addWidget(self._pace)
        column.addWidget(self.coverage)
        column.addWidget(self._log)
        column.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._scroll)

    def _connect(self) -> None:
        self._form.add_requested.connect(self.add_requested)
        self._form.load_requested.connect(self.load_requested)
        self._form.save_requested.connect(self.save_requested)
        self._form.check_clicked.connect(self._check)
        self._table.selection_changed.connect(self._on_selection)
        self._table.requested.connect(self._on_action)
        self._actions.clicked.connect(self._table.request)
        self._pace.changed.connect(self._on_pace)

    # The form.

    def set_paths(self, source: str, destination: str) -> None:
        """Fill in, or empty, the form."""
        self._form.set_paths(source, destination)

    def set_problem(self, where: str, words: str) -> None:
        """Show in place what is wrong.

        Parameters
        ----------
        where : {"source", "destination", ""}
            Below which field; "" is for everything else, below the form's buttons.
        words : str
            Empty: nothing is wrong. Words also go away when what they are about changes.
        """
        self._form.set_problem(where, words)
        if words:
            self._scroll.ensureWidgetVisible(self._form)

    @property
    def recent_sources(self) -> list[str]:
        """Sources used before, newest first."""
        return self._form.source.recent

    @property
    def recent_destinations(self) -> list[str]:
        """Destinations used before, newest first; the last one gives the folder of the next that is proposed."""
        return self._form.destination.recent

    def set_recent(
        self, sources: Sequence[str], destinations: Sequence[str], targets_files: Sequence[str] = ()
    ) -> None:
        """Offer these paths, newest first; targets files are looked for where the last one was."""
        self._form.source.recent = list(sources)
        self._form.destination.recent = list(destinations)
        self._form.folder = os.path.dirname(targets_files[0]) if targets_files else ""

    def remember(self, source: str, destination: str) -> None:
        """Put two paths first among the recent ones."""
        self._form.source.remember(source)
        self._form.destination.remember(destination)

    # The targets.

    @property
    def rows(self) -> tuple[Row, ...]:
        """All targets, in order."""
        return self._model.rows

    @property
    def current(self) -> Key | None:
        """The key of the target whose coverage is shown: the first selected one."""
        return self._current

    def selected_keys(self) -> list[Key]:
        """The selected targets, from top to bottom."""
        return self._table.selected_keys()

    def select(self, keys: Collection[Key]) -> None:
        """Select these targets."""
        self._table.select(keys)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these targets.

        Targets that have just been added get selected, as their user is going to start them. There is always one
        selected after one was, so that the keyboard has a place to go on from.
        """
        before, chosen = {row.key for row in self.rows}, self.selected_keys()
        blocked = self._table.blockSignals(True)
        self._model.update(rows)
        if added := [row.key for row in self.rows if row.key not in before and row.snapshot is None]:
            self._table.select(added)
        elif rows and not self.selected_keys() and (chosen or not before):
            self._table.select_current()
        self._table.blockSignals(blocked)
        self._form.save_button.setEnabled(bool(rows))
        self._on_selection()

    def _on_selection(self) -> None:
        rows = self._table.selected_rows()
        self._actions.set_rows(rows)
        self._pace.set_rows(rows)
        self._describe(rows[0] if rows else None)
        current = rows[0].key if rows else None
        if current != self._current:
            self._current = current
            self.selection_changed.emit(current)

    def _describe(self, row: Row | None) -> None:
        """Show a target's details; while it runs they only grow, so that nothing below moves under the mouse.

        A live copy alternates between catching up and copying, whose texts differ in length.
        """
        grows = row is not None and row.running and row.key == self._described
        self._described = row.key if row is not None else None
        show_words(self._details, details(row) if row is not None else "")
        least = max(self._details.minimumHeight(), self._details.height()) if grows else 0
        self._details.setMinimumHeight(least)

    def _on_action(self, action: Action, keys: list[Key]) -> None:
        self.set_problem("", "")
        if action is Action.CHECK:
            for key in keys:
                if row := self._model.find(key):
                    self.check_requested.emit(spell_path(row.source), spell_path(row.destination))
        else:
            self.action_requested.emit(action, keys)

    def _on_pace(self, changes: Changes) -> None:
        self.pace_requested.emit([row.key for row in self._table.selected_rows() if can_be_paced(row)], changes)

    def _check(self) -> None:
        self.set_problem("", "")
        selected = self._table.selected_rows()
        if self._form.source.path or not selected:
            if paths := self._form.typed():
                self.check_requested.emit(*paths)
        elif Action.CHECK in allowed_actions(selected):
            self._table.request(Action.CHECK)
        else:
            self.set_problem("", f"{selected[0].name} is being copied; the legend shows what has arrived.")

    # Messages and questions.

    def log(self, level: int, text: str) -> None:
        """Add a line to the log; levels are numbers of `logging`'s."""
        self._log.append(level, text)

    def ask(self, title: str, text: str, yes: str, no: str = "Cancel") -> bool:
        """Ask before doing what the user may not want; the answer that changes nothing is the default.

        Parameters
        ----------
        title, text : str
            Title and text of the question.
        yes, no : str
            Texts of the buttons.
        """
        box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        agree = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        refuse = box.addButton(no, QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(refuse)
        box.setEscapeButton(refuse)
        box.exec()
        agreed = bool(box.clickedButton() == agree)
        box.deleteLater()
        return agreed

    # Overrides of Qt's methods.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Load a targets file; of folders, the first is the source and the next the destination, at once or not."""
        paths = dropped_paths(event.mimeData())
        event.acceptProposedAction()
        if is_targets_file(paths[0]):
            self.set_problem("", "")
            self.load_requested.emit(paths[0])
        elif len(paths) == 2:
            self._form.set_paths(*paths)
        else:
            field = self._form.destination if self._form.source.path else self._form.source
            field.enter_paths(paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._details.setMinimumHeight(0)  # lines may be longer now

    def sizeHint(self) -> QSize:
        return QSize(320, 640)

    def minimumSizeHint(self) -> QSize:
        least = self._content.minimumSizeHint().width()
        return QSize(least + self._scroll.verticalScrollBar().sizeHint().width(), 160)
