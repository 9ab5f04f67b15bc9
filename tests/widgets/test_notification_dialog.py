"""The dialog for notifications shows what is set, gives back what the user sets, and names mistakes in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDialogButtonBox, QDoubleSpinBox, QLabel, QPlainTextEdit, QPushButton

from softcopy_napari.engine.targets.notify import EVENTS, Notify, read_notify
from softcopy_napari.widgets.notification_dialog import NotificationDialog
from tests.widgets.support import child

URLS = ["ntfy://ntfy.sh/scope3", "env:LAB_MAIL"]


@pytest.fixture
def show(qtbot: QtBot) -> Callable[..., NotificationDialog]:
    def show(said: Notify, problem: str = "") -> NotificationDialog:
        dialog = NotificationDialog(said, problem)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitExposed(dialog)
        return dialog

    return show


def press(dialog: NotificationDialog, qtbot: QtBot, button: QDialogButtonBox.StandardButton) -> None:
    qtbot.mouseClick(dialog.findChild(QDialogButtonBox).button(button), Qt.MouseButton.LeftButton)


def problem(dialog: NotificationDialog) -> str:
    return child(dialog, QLabel, "notification_problem").accessibleName()


def test_what_is_set_is_shown_and_saved_as_the_user_changes_it(
    show: Callable[..., NotificationDialog], qtbot: QtBot
) -> None:
    dialog = show(read_notify({"urls": URLS, "events": ["done", "quiet"], "paused_minutes": 3}))
    assert child(dialog, QPlainTextEdit, "notification_urls").toPlainText().splitlines() == URLS
    assert child(dialog, QDoubleSpinBox, "quiet_minutes_box").value() == 60.0
    child(dialog, QCheckBox, "notify_done").setChecked(False)
    child(dialog, QCheckBox, "notify_died").setChecked(True)
    child(dialog, QDoubleSpinBox, "quiet_minutes_box").setValue(7.5)
    with qtbot.waitSignal(dialog.save_requested) as asked:
        press(dialog, qtbot, QDialogButtonBox.StandardButton.Save)
    rules = {"urls": URLS, "events": ["quiet", "died"], "paused_minutes": 3, "quiet_minutes": 7.5}
    assert asked.args == [read_notify(rules)]


def test_all_events_are_wanted_unless_something_else_was_said(
    show: Callable[..., NotificationDialog], qtbot: QtBot
) -> None:
    dialog = show(Notify())
    boxes = [box for box in dialog.findChildren(QCheckBox) if box.objectName().startswith("notify_")]
    assert len(boxes) == len(EVENTS) and all(box.isChecked() for box in boxes)


def test_a_mistake_is_named_and_nothing_is_saved(show: Callable[..., NotificationDialog], qtbot: QtBot) -> None:
    dialog = show(Notify())
    edit = child(dialog, QPlainTextEdit, "notification_urls")
    edit.setPlainText("ntfy.sh/topic")
    with qtbot.assertNotEmitted(dialog.save_requested):
        press(dialog, qtbot, QDialogButtonBox.StandardButton.Save)
    assert "write it as in ntfy://ntfy.sh/TOPIC" in problem(dialog)
    qtbot.keyClicks(edit, "x")
    assert problem(dialog) == ""


def test_a_test_needs_a_url_and_says_what_became_of_it(show: Callable[..., NotificationDialog], qtbot: QtBot) -> None:
    dialog = show(Notify(), "a notification to ntfy://... could not be sent at 15:46: no answer within 30 s")
    assert "could not be sent" in problem(dialog)
    test = child(dialog, QPushButton, "test_notifications_button")
    with qtbot.assertNotEmitted(dialog.test_requested):
        qtbot.mouseClick(test, Qt.MouseButton.LeftButton)
    assert problem(dialog) == "write a URL first"
    child(dialog, QPlainTextEdit, "notification_urls").setPlainText("\n".join(URLS))
    with qtbot.waitSignal(dialog.test_requested) as asked:
        qtbot.mouseClick(test, Qt.MouseButton.LeftButton)
    assert asked.args[0].plain()["urls"] == URLS and not test.isEnabled()
    dialog.show_result("ntfy://...: no answer within 30 s", good=False)
    assert test.isEnabled() and problem(dialog) == "ntfy://...: no answer within 30 s"
    dialog.show_result("Sent. Check that it arrived", good=True)
    assert problem(dialog) == ""
    assert child(dialog, QLabel, "notification_result").accessibleName() == "Sent. Check that it arrived"
