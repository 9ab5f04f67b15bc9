"""Messages in napari's window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from softcopy_napari.plugin.dock import notifications
from softcopy_napari.widgets.log_view import Level

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_a_message_that_came_while_napari_was_in_the_background_goes_by_itself_and_costs_nothing(
    own_viewer: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user works with the microscope's program, then turns to napari, whose timer fired without a pause then."""
    monkeypatch.setattr(NapariQtNotification, "DISMISS_AFTER", 500)
    assert not own_viewer.window._qt_window.isActiveWindow()
    notifications.show(Level.INFO, "all of it has arrived")
    (toast,) = NapariQtNotification._instances
    assert toast.isVisible() and not toast.timer.isActive()
    qtbot.wait(3 * toast.FADE_IN_RATE)
    fired: list[None] = []
    toast.timer.timeout.connect(lambda: fired.append(None))
    QApplication.sendEvent(toast, QEvent(QEvent.Type.Leave))  # as when the mouse was over it; so does activation
    qtbot.waitUntil(lambda: NapariQtNotification._instances == [])
    assert len(fired) == 1


def test_without_a_tray_or_with_napari_in_front_the_desktop_is_left_alone(
    own_viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(notifications.QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: False))
    monkeypatch.setattr(notifications.QSystemTrayIcon, "showMessage", lambda _, __, text: shown.append(text))
    assert not notifications.show_on_desktop("cam1.zarr: done")
    monkeypatch.setattr(notifications.QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(notifications.QSystemTrayIcon, "supportsMessages", staticmethod(lambda: True))
    monkeypatch.setattr(QApplication, "activeWindow", staticmethod(lambda: own_viewer.window._qt_window))
    assert not notifications.show_on_desktop("cam1.zarr: done") and shown == []
