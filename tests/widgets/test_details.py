"""The details say in full what the card has no room for, in a place of fixed height."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.card import make_card
from softcopy_napari.widgets.details import Details
from softcopy_napari.widgets.target_row import Row
from tests.widgets.support import child, make_row


@pytest.fixture
def details(qtbot: QtBot) -> Details:
    made = Details()
    qtbot.addWidget(made)
    made.resize(270, 500)
    return made


def reason(details: Details) -> str:
    return child(details, QPlainTextEdit, "target_details").toPlainText()


def show(details: Details, *rows: Row, with_figures: bool = False) -> None:
    details.show_targets(rows, make_card(rows[0]) if rows else None, with_figures)


def test_the_reason_is_told_in_full(details: Details) -> None:
    words = "the disk is slow " * 20
    show(details, make_row("a", TargetState.COPYING, reason=words))
    assert reason(details) == "T" + words[1:]


def test_where_the_card_has_no_room_its_figures_are_told_too(details: Details) -> None:
    row = make_row("a", TargetState.COPYING, reason="slow disk", counts=(1, 0, 0, 0, 1, 0, 0))
    show(details, row, with_figures=True)
    assert reason(details) == "Copying. 1 of 2 chunks\nSlow disk"
    show(details, make_row("a"))
    assert reason(details) == "Not started"


def test_a_long_reason_moves_nothing(details: Details) -> None:
    details.show()
    heights = set()
    for words in ("short", "long " * 200):
        show(details, make_row("a", TargetState.CAUGHT_UP, reason=words))
        heights.add(child(details, QPlainTextEdit, "target_details").height())
        heights.add(details.sizeHint().height() * 1000)
    assert len(heights) == 2


def test_news_leave_the_reader_where_he_is(details: Details, qtbot: QtBot) -> None:
    details.show()
    qtbot.waitExposed(details)
    show(details, make_row("a", TargetState.COPYING, reason="some words " * 90))
    bar = child(details, QPlainTextEdit, "target_details").verticalScrollBar()
    bar.setValue(10)
    show(details, make_row("a", TargetState.COPYING, reason="some words " * 91))
    assert bar.value() == 10


def test_several_targets_are_named_by_the_first(details: Details) -> None:
    show(details, make_row("a", TargetState.COPYING), make_row("b"), make_row("c"))
    assert child(details, QWidget, "details_title").accessibleName() == "a and 2 more"


def test_without_a_target_there_are_none(details: Details) -> None:
    show(details, make_row("a"))
    assert not details.isHidden()
    show(details)
    assert details.isHidden()


def test_speed_is_offered_for_what_is_being_copied(details: Details) -> None:
    show(details, make_row("a", TargetState.COMPLETE))
    assert details.speed.isHidden()
    show(details, make_row("a", TargetState.COPYING))
    assert not details.speed.isHidden()


@pytest.mark.parametrize("told", [True, False])
def test_what_was_said_by_mistake_can_be_taken_back(details: Details, told: bool) -> None:
    show(details, make_row("a", TargetState.FINISHING if told else TargetState.CAUGHT_UP, told_to_finish=told))
    button = child(details, QPushButton, "finish_button")
    assert button.text().replace("&", "") == ("Acquisition goes on" if told else "Acquisition is over\u2026")
    assert button.isEnabled()


def test_five_lines_are_seen_whole_and_without_a_scroll_bar(details: Details, qtbot: QtBot) -> None:
    details.setStyleSheet("QPlainTextEdit { border: 1px solid; }")  # as napari's style sheets have it
    row = make_row("a", TargetState.COPYING)
    details.show_targets([row], replace(make_card(row), details="one\ntwo\nthree\nfour\nfive"))
    details.show()
    qtbot.waitExposed(details)
    text = child(details, QPlainTextEdit, "target_details")
    assert text.verticalScrollBar().maximum() == 0
    last = text.blockBoundingGeometry(text.document().lastBlock()).translated(text.contentOffset())
    assert last.bottom() <= text.viewport().height()
