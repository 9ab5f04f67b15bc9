"""The content of the dock. It knows neither engine nor viewer: signals report what the user does, setters show."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QMessageBox, QScrollArea, QVBoxLayout, QWidget

from softcopy_napari.engine.protocol.messages import Changes
from softcopy_napari.engine.targets.user_paths import spell_path
from softcopy_napari.widgets.banner import Banner, Message
from softcopy_napari.widgets.buttons import MenuButton, button
from softcopy_napari.widgets.card import Arrival
from softcopy_napari.widgets.card_steadiness import SteadyCards
from softcopy_napari.widgets.details import Details
from softcopy_napari.widgets.empty_state import EmptyState
from softcopy_napari.widgets.focus_ring import FocusRing
from softcopy_napari.widgets.history_view import HistorySection
from softcopy_napari.widgets.log_view import LogSection
from softcopy_napari.widgets.new_copy import NewCopy, Preview, destination_in
from softcopy_napari.widgets.pace_bar import can_be_paced
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.path_field import dropped_paths, is_targets_file
from softcopy_napari.widgets.section import Section
from softcopy_napari.widgets.summary_label import SummaryLabel
from softcopy_napari.widgets.target_row import Action, Key, Row, allowed_actions
from softcopy_napari.widgets.targets_model import TargetsModel
from softcopy_napari.widgets.targets_view import TargetsView

_FILTER = "Targets (*.yaml *.yml)"
_MARGIN = 6
_PROBLEM = "problem"
"""Topic of the message about what the user did last."""


class Panel(QWidget):
    """What a new copy needs, a card for each target, the details of the selected one, the log, and messages."""

    start_requested = Signal(str, str)
    """Source and destination of a new copy."""
    add_requested = Signal(str, str)
    """The same, to be listed and not started."""
    check_requested = Signal(str, str, bool)
    """Source and destination to compare without copying, and whether to read files of which only the times differ."""
    preview_requested = Signal(str, str)
    """Source and destination, to be answered by `show_preview`."""
    load_requested = Signal(str)
    save_requested = Signal(str)
    """Path of a targets file."""
    sample_requested = Signal()
    """A simulated acquisition is wanted."""
    notifications_requested = Signal()
    """The settings of notifications are wanted."""
    action_requested = Signal(object, object)
    """An `Action`, and a list of the `Key`s of the selected targets that allow it."""
    pace_requested = Signal(object, object)
    """A list of the `Key`s of the selected targets that are being copied, and the `Changes` wanted of them."""
    selection_changed = Signal(object)
    """The `Key` of the target that is looked at (the first selected one), or None."""
    sections_changed = Signal(str)
    """Names of the sections that are open, separated by blanks."""

    def __init__(self, parent: QWidget | None = None, cards: SteadyCards | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._current: Key | None = None
        self._folder = ""
        """The folder in which dialogs for targets files begin; empty for their default."""
        self._model = TargetsModel(self, cards)
        self._new = NewCopy()
        self._summary = SummaryLabel()
        self._list = TargetsView(self._model)
        self._empty = EmptyState()
        self._details, self._log = Details(), LogSection()
        self.history = HistorySection()
        """The copies that have ended."""
        self.coverage = self._details.coverage
        """The coverage of the current target."""
        self.banner = Banner()
        """Messages that stay until they are dismissed."""
        self._new_button = button("+ &New copy", "new_copy_button", "Copy an acquisition")
        self._open_button = button("Op&en list\u2026", "load_targets_button", "Add the targets of a targets file")
        self._menu = MenuButton("panel_menu", "More")
        self._save = self._menu.add("Save list\u2026", "save_targets")
        self._clear = self._menu.add("Remove all that have ended", "remove_ended")
        self._notifications = self._menu.add("Notifications\u2026", "notifications")
        self._sample = self._menu.add("Try a simulated acquisition", "simulate")
        self._content = QWidget()
        self._lay_out()
        self._connect()
        self._ring = FocusRing(self)
        self._new.hide()
        self._show_parts()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self._new_button)
        top.addWidget(self._open_button)
        top.addStretch(1)
        top.addWidget(self._menu)
        below = QVBoxLayout(self._content)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(6)
        below.addWidget(self._details)
        below.addWidget(self.history)
        below.addWidget(self._log)
        below.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._content)
        column = QVBoxLayout(self)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(6)
        column.addLayout(top)
        for part in (self._new, self._empty, self._summary, self._list):
            column.addWidget(part)
        column.addWidget(self._scroll, 1)
        column.addWidget(self.banner)

    def _connect(self) -> None:
        new = self._new
        new.start_requested.connect(self.start_requested)
        new.add_requested.connect(self.add_requested)
        new.check_requested.connect(self._check)
        self.history.again_requested.connect(self._copy_again)
        new.preview_requested.connect(self.preview_requested)
        new.closed.connect(self.close_new_copy)
        self._new_button.clicked.connect(self.open_new_copy)
        self._empty.copy_requested.connect(self.open_new_copy)
        for asked in (self._empty.sample_requested, self._sample.triggered):
            asked.connect(lambda *_: self.sample_requested.emit())
        self._notifications.triggered.connect(lambda *_: self.notifications_requested.emit())
        self._open_button.clicked.connect(self._load)
        self._save.triggered.connect(self._choose_and_save)
        self._clear.triggered.connect(self._remove_ended)
        self._list.selection_changed.connect(self._on_selection)
        self._list.width_changed.connect(self._show_details)
        self._list.requested.connect(self._on_action)
        self._model.cards_changed.connect(self._show_details)
        self._details.action_clicked.connect(self._list.request)
        self._details.pace_changed.connect(self._on_pace)
        for section in self._sections:
            section.toggled.connect(lambda _: self.sections_changed.emit(self.open_sections))

    # A new copy.

    def open_new_copy(self) -> None:
        """Show the fields for a new copy, and put the keyboard there."""
        self._new.show()
        self._show_parts()
        self._new.source.edit.setFocus()

    def _copy_again(self, source: str, destination: str) -> None:
        self.set_paths(spell_path(source), spell_path(destination))

    def close_new_copy(self) -> None:
        """Hide the fields for a new copy, and empty them."""
        self._new.set_paths("", "")
        self._new.hide()
        self._show_parts()

    def set_paths(self, source: str, destination: str) -> None:
        """Show the fields for a new copy with these paths."""
        self._new.set_paths(source, destination)
        self._new.show()
        self._show_parts()

    @property
    def any_files(self) -> bool:
        """Whether the new copy is one of a folder of any files."""
        return self._new.any_files

    def show_preview(self, source: str, destination: str, preview: Preview) -> None:
        """Show what a copy would do."""
        self._new.show_preview(source, destination, preview)

    def set_problem(self, where: str, words: str) -> None:
        """Show what is wrong.

        Parameters
        ----------
        where : {"source", "destination", "new", ""}
            Below which field of a new copy, or below all of them; "" is for everything else, in the banner.
        words : str
            Empty: nothing is wrong. Words also go away when what they are about changes.
        """
        if where:
            self._new.set_problem("" if where == "new" else where, words)
        elif words:
            self.banner.add(Message(Tone.NEEDS_USER, words, _PROBLEM))
        else:
            self.banner.withdraw(_PROBLEM)

    def set_recent(
        self, sources: Sequence[str], destinations: Sequence[str], targets_files: Sequence[str] = ()
    ) -> None:
        """Offer these paths, newest first; targets files are looked for where the last one was."""
        self._new.source.recent = list(sources)
        self._new.destination.recent = list(destinations)
        self._folder = os.path.dirname(targets_files[0]) if targets_files else ""

    # The targets.

    @property
    def rows(self) -> tuple[Row, ...]:
        """All targets, in order."""
        return self._model.rows

    @property
    def current(self) -> Key | None:
        """The key of the target whose details are shown: the first selected one."""
        return self._current

    def selected_keys(self) -> list[Key]:
        """The selected targets, from top to bottom."""
        return self._list.selected_keys()

    def select(self, keys: Collection[Key]) -> None:
        """Select these targets."""
        self._list.select(keys)

    def set_rows(self, rows: Sequence[Row], arrivals: Mapping[Key, Arrival] | None = None) -> None:
        """Show these targets, and how far they are where that is known.

        Targets that have just been added get selected, as their user is going to look at them. There is always one
        selected after one was, so that the keyboard has a place to go on from.
        """
        before, chosen = {row.key for row in self.rows}, self.selected_keys()
        blocked = self._list.blockSignals(True)
        self._model.update(rows, arrivals)
        if added := [row.key for row in self.rows if row.key not in before and row.snapshot is None]:
            self._list.select(added)
        elif rows and not self.selected_keys() and (chosen or not before):
            self._list.select_current()
        self._list.blockSignals(blocked)
        self._show_parts()
        self._on_selection()

    def _show_parts(self) -> None:
        """Show what there is, and the two ways to begin while there is nothing."""
        there = bool(self.rows)
        self._empty.setVisible(not there and not self._new.isVisibleTo(self))
        self._new_button.setEnabled(not self._new.isVisibleTo(self))
        for part in (self._summary, self._list):
            part.setVisible(there)
        self._share_height()
        self._save.setEnabled(there)
        self._clear.setEnabled(there)

    def _share_height(self) -> None:
        """Give cards a part of the height, and less of it while a new copy is filled in."""
        self._list.set_room(self.height() * (1 if self._new.isVisibleTo(self) else 2) // 5)

    def _on_selection(self) -> None:
        self._show_details()
        rows = self._list.selected_rows()
        current = rows[0].key if rows else None
        if current != self._current:
            self._current = current
            self.selection_changed.emit(current)

    def _show_details(self) -> None:
        rows = self._list.selected_rows()
        card = self._model.card(rows[0].key) if rows else None
        self._details.show_targets(rows, card, with_figures=self._list.compact)
        self._summary.show_counts(self._model.summary())

    def _on_action(self, action: Action, keys: list[Key]) -> None:
        self.set_problem("", "")
        if action in (Action.CHECK, Action.COMPARE):
            for row in filter(None, map(self._model.find, keys)):
                paths = spell_path(row.source), spell_path(row.destination)
                self.check_requested.emit(*paths, action is Action.COMPARE)
        else:
            self.action_requested.emit(action, keys)

    def _on_pace(self, changes: Changes) -> None:
        self.pace_requested.emit([row.key for row in self._list.selected_rows() if can_be_paced(row)], changes)

    def _check(self, source: str, destination: str) -> None:
        self.set_problem("", "")
        self.check_requested.emit(source, destination, False)

    def _remove_ended(self) -> None:
        ended = [row.key for row in self.rows if row.snapshot is not None and Action.REMOVE in allowed_actions([row])]
        if ended:
            self.action_requested.emit(Action.REMOVE, ended)

    # Lists of targets.

    def _load(self) -> None:
        self.set_problem("", "")
        path, _ = QFileDialog.getOpenFileName(self, "Open list of targets", self._folder, _FILTER)
        if path:
            self.load_requested.emit(os.path.normpath(path))

    def _choose_and_save(self) -> None:
        self.set_problem("", "")
        dialog = QFileDialog(self, "Save list of targets", os.path.join(self._folder, "targets.yaml"), _FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")  # the dialog asks before it replaces a file, and must know its whole name
        if dialog.exec():
            self.save_requested.emit(os.path.normpath(dialog.selectedFiles()[0]))
        dialog.deleteLater()

    # Sections, messages and questions.

    @property
    def _sections(self) -> tuple[Section, ...]:
        return (*self._details.sections, self.history, self._log)

    @property
    def open_sections(self) -> str:
        """Names of the sections that are open, separated by blanks."""
        return " ".join(section.name for section in self._sections if section.is_open)

    @open_sections.setter
    def open_sections(self, names: str) -> None:
        for section in self._sections:
            section.set_open(section.name in names.split())

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
        """Load a targets file; of folders, the first is the source, and the next is the one in which it is to lie."""
        paths = dropped_paths(event.mimeData())
        if not paths:  # the program that it came from has gone meanwhile
            return
        event.acceptProposedAction()
        if is_targets_file(paths[0]):
            self.set_problem("", "")
            self.load_requested.emit(paths[0])
            return
        self.open_new_copy()
        if len(paths) == 2:
            self._new.set_paths(paths[0], destination_in(paths[1], paths[0]))
        else:
            field = self._new.destination if self._new.source.path else self._new.source
            field.take_dropped(paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_height()

    def sizeHint(self) -> QSize:
        return QSize(340, 640)

    def minimumSizeHint(self) -> QSize:
        parts = [self._content.minimumSizeHint().width() + self._scroll.verticalScrollBar().sizeHint().width()]
        parts += [self._new.minimumSizeHint().width()] if self._new.isVisibleTo(self) else []
        margins = self.contentsMargins()
        return QSize(max(parts) + 2 * _MARGIN + margins.left() + margins.right(), 160)
