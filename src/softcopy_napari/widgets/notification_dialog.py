"""The dialog for notifications: where they go, of what, and a button that tries it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from softcopy_napari.engine.targets.notify import DEFAULTS, EVENTS, Notify, NotifyEvent, read_notify
from softcopy_napari.widgets.buttons import button
from softcopy_napari.widgets.labels import show_words, wrapping_label
from softcopy_napari.widgets.path_field import Problem

_LINES = 4
_MOST_MINUTES = 10_000.0
_NAMES = {
    NotifyEvent.DONE: ("&Done", "A copy is complete"),
    NotifyEvent.FAILED: ("&Failed", "A copy has ended without being complete"),
    NotifyEvent.PAUSED: ("&Held up", "The destination is full or away, the source is gone, a disk hangs"),
    NotifyEvent.NO_SPACE: ("Not &enough space", "A disk will be full before the acquisition is over"),
    NotifyEvent.QUIET: ("Nothing ne&w", "Nothing comes from the microscope"),
    NotifyEvent.DIED: ("&Interrupted", "The process that copies has gone"),
    NotifyEvent.NOT_FREED: ("Not &freed", "A source was not freed although its settings say so"),
}
_HINT = (
    "One URL a line, as Apprise has them, or env:NAME for a variable that holds one. "
    "These count for all your copies on this computer, unless a targets file says otherwise."
)


class NotificationDialog(QDialog):
    """Shows and changes where notifications go; saving and sending is for whoever opens it.

    Parameters
    ----------
    said : Notify
        What is set now.
    problem : str
        Why the last notification could not be sent, or the settings not be read; empty where all is well.
    """

    test_requested = Signal(object)
    """The `Notify` whose URLs are to be tried, to be answered by `show_result`."""
    save_requested = Signal(object)
    """The `Notify` to be saved, to be answered by `accept` or `show_problem`."""

    def __init__(self, said: Notify, problem: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Notifications")
        self.setObjectName("notification_dialog")
        whole = said.over(DEFAULTS)
        self._urls = QPlainTextEdit("\n".join(url.get_secret_value() for url in whole.urls or ()))
        self._events = {event: QCheckBox(_NAMES[event][0]) for event in EVENTS}
        self._paused, self._quiet = QDoubleSpinBox(), QDoubleSpinBox()
        self._problem = Problem("notification_problem")
        self._result = wrapping_label("notification_result")
        self._test = button("&Test", "test_notifications_button", "Send a notification to each URL now")
        self._set_up(whole)
        self._lay_out()
        self._problem.words = problem

    def _set_up(self, whole: Notify) -> None:
        self._urls.setPlaceholderText("ntfy://ntfy.sh/our-topic\nmailtos://user:password@mail.example?to=…")
        self._urls.setTabChangesFocus(True)
        self._urls.setFixedHeight((_LINES + 1) * self.fontMetrics().lineSpacing())
        self._urls.setStyleSheet("QPlainTextEdit { border: 1px solid gray; }")  # napari draws it without an edge
        self._urls.textChanged.connect(lambda: self._say(""))
        for event, box in self._events.items():
            name, tip = _NAMES[event]
            box.setObjectName(f"notify_{event}")
            box.setChecked(event in (whole.events or ()))
            box.setToolTip(tip)
            box.setAccessibleName(name.replace("&", ""))
            box.setAccessibleDescription(tip)
        for spin, minutes, name, words in (
            (self._paused, whole.paused_minutes, "paused_minutes_box", "Minutes for which a copy is held up"),
            (self._quiet, whole.quiet_minutes, "quiet_minutes_box", "Minutes without anything new"),
        ):
            spin.setObjectName(name)
            spin.setAccessibleName(words)
            spin.setToolTip(words)
            spin.setRange(0.0, _MOST_MINUTES)
            spin.setDecimals(1)
            spin.setSuffix(" min")
            spin.setValue(minutes or 0.0)
        self._urls.setObjectName("notification_urls")
        self._urls.setAccessibleName("URLs")
        self._urls.setAccessibleDescription(_HINT)

    def _lay_out(self) -> None:
        hint = wrapping_label("notification_hint")
        show_words(hint, _HINT)
        events = QVBoxLayout()
        events.setSpacing(2)
        for box in self._events.values():
            events.addWidget(box)
        form = QFormLayout()
        form.addRow("&URLs", self._urls)
        form.addRow("Tell when", events)
        form.addRow("Held up for", self._paused)
        form.addRow("Nothing new for", self._quiet)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        buttons.addButton(self._test, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        self._test.clicked.connect(self._try)
        column = QVBoxLayout(self)
        column.addWidget(hint)
        column.addLayout(form)
        column.addWidget(self._problem)
        column.addWidget(self._result)
        column.addWidget(buttons)
        self._result.hide()
        self.resize(420, self.sizeHint().height())

    def show_result(self, words: str, good: bool) -> None:
        """Show what became of the test."""
        self._test.setEnabled(True)
        self._say(words, good)

    def show_problem(self, words: str) -> None:
        """Show why the settings cannot be used or saved."""
        self._say(words, good=False)

    def _say(self, words: str, good: bool = True) -> None:
        self._problem.words = "" if good else words
        show_words(self._result, words if good else "")

    def _try(self) -> None:
        said = self._read()
        if said is None:
            return
        if not said.urls:
            self.show_problem("write a URL first")
            return
        self._test.setEnabled(False)
        self._say("Sending\u2026")
        self.test_requested.emit(said)

    def _save(self) -> None:
        if (said := self._read()) is not None:
            self.save_requested.emit(said)

    def _read(self) -> Notify | None:
        """Return what is set; None where it cannot be used, which is then said."""
        try:
            return read_notify(
                {
                    "urls": [line.strip() for line in self._urls.toPlainText().splitlines() if line.strip()],
                    "events": [str(event) for event, box in self._events.items() if box.isChecked()],
                    "paused_minutes": self._paused.value(),
                    "quiet_minutes": self._quiet.value(),
                }
            )
        except ValueError as error:
            self.show_problem(str(error))
            return None
