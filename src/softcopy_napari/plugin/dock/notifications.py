"""Messages in the corner of napari's window, as napari shows its own."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning

from softcopy_napari.widgets.log_view import Level

_SHOW = {Level.INFO: show_info, Level.WARNING: show_warning, Level.ERROR: show_error}


def show(level: Level, text: str) -> None:
    """Show a message; for the main thread."""
    _SHOW[level](text)
    for toast in _toasts():
        # napari (seen in 0.9.2) leaves the timer of one that comes up while another program's window is active as Qt
        # makes it: once the user has turned to napari it fires without a pause, on a whole core, until the message is
        # closed.
        if not toast.timer.isSingleShot():
            toast.timer.setSingleShot(True)
            toast.timer.setInterval(toast.DISMISS_AFTER)
            toast.timer.timeout.connect(toast.close_with_fade)


def _toasts() -> list[Any]:
    """Those that are shown; none in a napari that has them elsewhere."""
    try:
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        return list(NapariQtNotification._instances)
    except (ImportError, AttributeError):
        return []
