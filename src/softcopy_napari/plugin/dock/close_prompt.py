"""Tells the user who closes napari that copies continue, and lets him stop them instead."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from softcopy_napari.plugin.dock import notifications
from softcopy_napari.widgets.log_view import Level

_MENUS = "napari._qt._qapp_model."
"""Where napari has the actions of its menus. In a napari that has them elsewhere, copies continue unasked."""


class ClosePrompt(QObject):
    """An event filter on the window that a widget is docked in, which asks when it is closed.

    Parameters
    ----------
    widget : QWidget
        The docked widget; its window is the one that it has when it is shown.
    running : callable
        Returns how many copies are under way.
    stop : callable
        Stops all copies.
    """

    def __init__(self, widget: QWidget, running: Callable[[], int], stop: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._running = running
        self._stop = stop
        self._window: weakref.ref[QWidget] | None = None
        """A weak reference: a closed window must not live on with its viewer because a widget is still referenced."""
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None:
            return False
        if watched is self._widget:
            if event.type() == QEvent.Type.Show:
                self._filter_window(self._widget.window())
        elif event.type() == QEvent.Type.Close and watched is self._filtered_window():
            running = self._running()
            if running and not self._may_close(running, by_user=event.spontaneous() or _chosen_from_menu()):
                event.ignore()
                # Otherwise napari (seen in 0.9.2) quits when any window is closed later. mypy knows no such attribute.
                setattr(watched, "_quit_app", False)  # noqa: B010
                return True
        return False

    def _filter_window(self, window: QWidget) -> None:
        before = self._filtered_window()
        if window is not before and isinstance(window, QMainWindow):
            if before is not None:
                before.removeEventFilter(self)
            self._window = weakref.ref(window)
            window.installEventFilter(self)

    def _filtered_window(self) -> QWidget | None:
        return self._window() if self._window is not None else None

    def _may_close(self, running: int, by_user: bool) -> bool:
        words = f"{copies_continue(running)} without napari."
        if not by_user:  # a script has closed it: there may be nobody to answer
            words += " To see more: softcopy status"
            notifications.show(Level.INFO, words)
            if sys.stdout is not None:  # napari's own messages go with its window
                print(words)
            return True
        return self._ask(words)

    def _ask(self, words: str) -> bool:
        box = QMessageBox(QMessageBox.Icon.Information, "Softcopy", words, parent=self._filtered_window())
        keep = box.addButton("Keep copying", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop copying", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(keep)
        box.exec()
        box.deleteLater()  # otherwise its parent keeps it
        if box.clickedButton() is stop:
            self._stop()
        return box.clickedButton() in (keep, stop)


def copies_continue(running: int) -> str:
    """Say that copies go on after the dock or napari has closed."""
    return "1 copy is running and will continue" if running == 1 else f"{running} copies are running and will continue"


def _chosen_from_menu() -> bool:
    """Whether napari's own menu, or its shortcut, is closing the window: to Qt that looks like a script."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_MENUS):
            return True
        frame = frame.f_back
    return False
