"""Notifications in the corner of napari's window."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning

from softcopy_napari.widgets.log_view import Level

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


def _shown_notifications() -> list[Any]:
    """Return the notifications on the screen; none in a napari that keeps them elsewhere."""
    try:
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        return list(NapariQtNotification._instances)
    except (ImportError, AttributeError):
        return []
