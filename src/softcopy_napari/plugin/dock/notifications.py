"""Notifications in the corner of napari's window, and those of the system."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QSystemTrayIcon

from softcopy_napari.widgets.log_view import Level

_ON_DESKTOP = 15_000
"""Milliseconds for which the icon of a notification stays in the system's tray."""
_SHOW = {Level.INFO: show_info, Level.WARNING: show_warning, Level.ERROR: show_error}


def show(level: Level, text: str) -> None:
    """Show a notification; for the main thread."""
    _SHOW[level](text)
    for toast in _shown_notifications():
        # napari (seen in 0.9.2) does not set the timer of a notification that appears while another program's window is
        # active: once the user turns to napari it fires without a pause, on a whole core, until it is closed.
        if not toast.timer.isSingleShot():
            toast.timer.setSingleShot(True)
            toast.timer.setInterval(toast.DISMISS_AFTER)
            toast.timer.timeout.connect(toast.close_with_fade)


def show_on_desktop(text: str) -> bool:
    """Have the system show a notification, unless a window of this program is active; return whether it does."""
    application = QApplication.instance()
    if not isinstance(application, QApplication) or application.activeWindow() is not None:
        return False
    if not (QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()):
        return False
    icon = QSystemTrayIcon(application.windowIcon(), application)
    icon.show()
    icon.showMessage("Softcopy", text)
    QTimer.singleShot(_ON_DESKTOP, icon.deleteLater)  # an icon of its own is only there for its message
    return True


def _shown_notifications() -> list[Any]:
    """Return the notifications on the screen; none in a napari that keeps them elsewhere."""
    try:
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        return list(NapariQtNotification._instances)
    except (ImportError, AttributeError):
        return []
