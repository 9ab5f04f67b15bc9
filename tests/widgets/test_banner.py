"""Messages stay until they are dismissed, what needs its user first."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from softcopy_napari.widgets.banner import Banner, Message
from softcopy_napari.widgets.palette import Tone
from tests.widgets.support import child

DONE = Message(Tone.DONE, "Done 15:46: cam1.zarr, 960 files at /nas/cam1.zarr", "ending /nas/cam1.zarr")
FAILED = Message(Tone.NEEDS_USER, "Failed: plate.zarr. 4 files could not be copied", "ending /nas/plate.zarr")


@pytest.fixture
def banner(qtbot: QtBot) -> Banner:
    made = Banner()
    qtbot.addWidget(made)
    made.resize(270, 100)
    return made


def press(banner: Banner, qtbot: QtBot, name: str) -> None:
    qtbot.mouseClick(child(banner, QPushButton, name), Qt.MouseButton.LeftButton)


def text(banner: Banner) -> str:
    return child(banner, QLabel, "banner_text").accessibleName()


def test_there_is_nothing_to_see_while_nothing_has_happened(banner: Banner) -> None:
    assert not banner.isVisibleTo(banner.parentWidget()) and banner.messages == ()


def test_messages_stay_until_each_is_dismissed(banner: Banner, qtbot: QtBot) -> None:
    banner.add(DONE)
    banner.add(FAILED)
    assert text(banner) == FAILED.text
    assert child(banner, QLabel, "banner_more").text() == "1 more"
    with qtbot.waitSignal(banner.dismissed) as said:
        press(banner, qtbot, "banner_dismiss")
    assert said.args == [FAILED.topic]
    assert text(banner) == DONE.text and child(banner, QLabel, "banner_more").text() == ""
    press(banner, qtbot, "banner_dismiss")
    assert banner.messages == () and banner.isHidden()


def test_a_failure_is_not_hidden_by_what_is_done_after_it(banner: Banner) -> None:
    banner.add(FAILED)
    banner.add(DONE)
    assert text(banner) == FAILED.text and banner.messages == (FAILED, DONE)


def test_all_can_be_dismissed_at_once(banner: Banner, qtbot: QtBot) -> None:
    banner.add(DONE)
    assert child(banner, QPushButton, "banner_dismiss_all").isHidden()
    banner.add(FAILED)
    press(banner, qtbot, "banner_dismiss_all")
    assert banner.messages == ()


def test_news_of_the_same_copy_take_the_place_of_older_ones(banner: Banner) -> None:
    banner.add(FAILED)
    banner.add(DONE)
    again = Message(Tone.DONE, "Done 15:59: plate.zarr", FAILED.topic)
    banner.add(again)
    assert banner.messages == (again, DONE)


def test_what_no_longer_holds_is_withdrawn(banner: Banner) -> None:
    banner.add(DONE)
    banner.add(FAILED)
    banner.withdraw(FAILED.topic)
    assert banner.messages == (DONE,)


def test_a_path_in_a_message_wraps(banner: Banner) -> None:
    banner.add(Message(Tone.NEEDS_USER, "Failed: " + "/data/a_long-name" * 20))
    assert banner.minimumSizeHint().width() <= 270
