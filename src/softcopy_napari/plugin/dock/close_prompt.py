"""Says, when napari is being closed, that copies go on; a user who closes the window may stop them instead."""

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
"""Where napari has what its menus do. With a napari that has it elsewhere, copies go on without a question."""


class ClosePrompt(QObject):
    """Watches the window that a widget is docked in.

    Parameters
    ----------
    widget : QWidget
        Its window is watched, whichever that is when the widget is shown.
    running : callable
        How many copies are under way.
    stop : callable
        Stops them.
    """

    def __init__(self, widget: QWidget, running: Callable[[], int], stop: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._running = running
        self._stop = stop
        self._window: weakref.ref[QWidget] | None = None
        """Weak: a window that was closed must not live on with its viewer because a widget is still held somewhere."""
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None:
            return False
        if watched is self._widget:
            if event.type() == QEvent.Type.Show:
                self._watch(self._widget.window())
        elif event.type() == QEvent.Type.Close and watched is self._watched():
            running = self._running()
            if running and not self._may_close(running, by_user=event.spontaneous() or _chosen_from_menu()):
                event.ignore()
                # Else napari (seen in 0.9.2) quits when any window is closed later. No name of Qt's: mypy knows none.
                setattr(watched, "_quit_app", False)  # noqa: B010
                return True
        return False

    def _watch(self, window: QWidget) -> None:
        before = self._watched()
        if window is not before and isinstance(window, QMainWindow):
            if before is not None:
                before.removeEventFilter(self)
            self._window = weakref.ref(window)
            window.installEventFilter(self)

    def _watched(self) -> QWidget | None:
        return self._window() if self._window is not None else None

    def _may_close(self, running: int, by_user: bool) -> bool:
        copies = "A copy goes on" if running == 1 else f"{running} copies go on"
        words = f"{copies} without napari. Plugins > Softcopy shows it again, and so does `softcopy status`."
        if not by_user:  # a script has closed it: nobody may be there to answer
            notifications.show(Level.INFO, words)
            if sys.stdout is not None:  # napari's own messages end with its window
                print(words)
            return True
        return self._ask(words)

    def _ask(self, words: str) -> bool:
        box = QMessageBox(QMessageBox.Icon.Information, "Softcopy", words, parent=self._watched())
        close = box.addButton("Close napari", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop copying and close", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(close)
        box.exec()
        box.deleteLater()  # else its parent keeps it
        if box.clickedButton() is stop:
            self._stop()
        return box.clickedButton() in (close, stop)


def _chosen_from_menu() -> bool:
    """Whether napari's own menu, or its shortcut, is closing the window: Qt does not tell that from a script."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_MENUS):
            return True
        frame = frame.f_back
    return False
