"""Opens the dialog for notifications, and reads, tries and saves what it shows; all of that in threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from qtpy.QtWidgets import QWidget

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.crash_reports import report_crashes
from softcopy_napari.engine.notify.failure_record import forget_problem, read_problem
from softcopy_napari.engine.notify.message_text import trial_text
from softcopy_napari.engine.notify.preferences_file import read_preferences, write_preferences
from softcopy_napari.engine.notify.sending import Sending
from softcopy_napari.engine.state_folder.history import endings
from softcopy_napari.engine.targets.notify import Notify
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.notification_dialog import NotificationDialog


class _Found(NamedTuple):
    said: Notify
    problem: str


class NotificationSettings:
    """The user's preferences for notifications.

    Parameters
    ----------
    parent : QWidget
        Over which the dialog opens.
    queue : MainThreadQueue
    log : callable
        Shows a warning.
    """

    def __init__(self, parent: QWidget, queue: MainThreadQueue, log: Callable[[str], object]) -> None:
        self._parent, self._queue = parent, queue
        self._dialog: NotificationDialog | None = None
        queue.fetch(_problem, lambda words: log(words) if words else None)
        self.say_crashes()

    def open(self) -> None:
        """Open the dialog, once the preferences are read."""
        if self._dialog is None:
            self._queue.fetch(_read, self._show)
        else:
            self._dialog.raise_()

    def say_crashes(self) -> None:
        """Have notifications sent of engines that have died, in a thread."""
        self._queue.fetch(_say_crashes, lambda _: None)

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self._dialog is not None:
            self._dialog.reject()

    def _show(self, found: _Found) -> None:
        if self._dialog is not None:
            return
        self._dialog = NotificationDialog(found.said, found.problem, self._parent)
        self._dialog.test_requested.connect(self._try)
        self._dialog.save_requested.connect(self._save)
        self._dialog.finished.connect(self._forget)
        self._dialog.open()

    def _forget(self) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None

    def _try(self, said: Notify) -> None:
        dialog = self._dialog

        def show(problem: str) -> None:
            if dialog is not None and dialog is self._dialog:
                dialog.show_result(problem or "Sent. Check that it arrived", not problem)

        self._queue.fetch(lambda: _try(said), show)

    def _save(self, said: Notify) -> None:
        def saved(problem: str) -> None:
            if self._dialog is not None:
                if problem:
                    self._dialog.show_problem(problem)
                else:
                    self._dialog.accept()

        self._queue.fetch(lambda: _save(said), saved)


def _read() -> _Found:
    try:
        return _Found(read_preferences() or Notify(), _problem())
    except TargetsError as error:
        return _Found(Notify(), str(error))


def _problem() -> str:
    """Return why the last notification could not be sent, in words; empty if it could."""
    return describe(read_problem())


def _try(said: Notify) -> str:
    """Send a notification to each URL; return what is wrong, in words."""
    try:
        refused = Sending(said.urls or (), trial_text()).wait()
    except OSError as error:
        return f"it could not be sent: {error.strerror}"
    if not refused:
        forget_problem()
    return "\n".join(f"{one.name}: {describe(one.problem)}" for one in refused)


def _save(said: Notify) -> str:
    """Save the preferences; return what is wrong, in words."""
    try:
        write_preferences(said)
    except OSError as error:
        return f"the settings cannot be saved: {error.strerror or error}"
    return ""


def _say_crashes() -> None:
    with contextlib.suppress(OSError):
        report_crashes(endings())
