"""What can be done with targets is offered on their cards, at any width, by mouse and by keyboard alone."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QContextMenuEvent, QImage, QPalette
from qtpy.QtWidgets import QApplication, QMenu

from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.palette import Tone, tone_colour
from softcopy_napari.widgets.target_row import Action, Row
from softcopy_napari.widgets.targets_model import TargetsModel
from softcopy_napari.widgets.targets_view import TargetsView
from tests.widgets.support import keys, make_row

HALF = (40, 0, 10, 0, 30, 20, 0)


@pytest.fixture
def view(qtbot: QtBot) -> TargetsView:
    made = TargetsView(TargetsModel())
    made._targets.setParent(made)
    qtbot.addWidget(made)
    made.resize(400, 240)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(view: TargetsView, *rows: Row) -> None:
    view._targets.update(rows)
    view.select(keys(rows[:1]))
    QApplication.processEvents()


def asked(view: TargetsView) -> list[object]:
    seen: list[object] = []
    view.requested.connect(lambda action, which: seen.append((action, which)))
    return seen


def card_rect(view: TargetsView, row: int) -> QRect:
    return view.visualRect(view.model().index(row, 0))


def button_place(view: TargetsView, row: int, action: Action | None) -> QPoint:
    """Where a button of a card is, found as a user would: by moving over the card."""
    rect = card_rect(view, row)
    for y in range(rect.top(), rect.bottom(), 3):
        for x in range(rect.left(), rect.right(), 3):
            if view._button_at(QPoint(x, y)) == (row, action, True):
                return QPoint(x + 2, y + 2)
    raise AssertionError(f"card {row} has no button {action}")


def test_of_several_targets_those_are_meant_that_allow_it(view: TargetsView) -> None:
    rows = [make_row("a", TargetState.COPYING), make_row("b", TargetState.PAUSED), make_row("c")]
    show(view, *rows)
    view.selectAll()
    done = asked(view)
    for action in (Action.PAUSE, Action.RESUME, Action.START, Action.STOP, Action.REMOVE):
        view.request(action)
    assert done == [
        (Action.PAUSE, keys(rows[:1])),
        (Action.RESUME, keys(rows[1:2])),
        (Action.START, keys(rows[2:])),
        (Action.STOP, keys(rows[:2])),
        (Action.REMOVE, keys(rows[2:])),
    ]


def test_delete_removes_what_has_ended_and_nothing_that_runs(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.COMPLETE), make_row("b", TargetState.COPYING))
    done = asked(view)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    assert done == [(Action.REMOVE, [(4711, "a")])]


def test_space_pauses_and_resumes(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.COPYING))
    done = asked(view)
    qtbot.keyClick(view, Qt.Key.Key_Space)
    show(view, make_row("a", TargetState.PAUSED))
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert [action for action, _ in done] == [Action.PAUSE, Action.RESUME]
    assert view.selected_keys() == [(4711, "a")]


def test_enter_and_a_double_click_show_a_target(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.COPYING), make_row("b", TargetState.COPYING))
    done = asked(view)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    where = card_rect(view, 1).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert done == [(Action.SHOW, [(4711, "a")]), (Action.SHOW, [(4711, "b")])]


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        (make_row("b"), (Action.START,)),
        (make_row("b", TargetState.COPYING), (Action.PAUSE, Action.STOP)),
        (make_row("b", TargetState.PAUSED), (Action.RESUME, Action.STOP)),
        (make_row("b", TargetState.FAILED), (Action.START, Action.REMOVE)),
        (make_row("b", TargetState.COPYING, lost=True), (Action.RESUME, Action.REMOVE)),
        (
            make_row("b", TargetState.PAUSED, why=make_reason(ReasonCode.DESTINATION_FULL, destination="/copy")),
            (Action.OPEN_DESTINATION, Action.STOP),
        ),
    ],
)
def test_buttons_on_a_card_act_on_it_and_leave_the_selection_alone(
    view: TargetsView, qtbot: QtBot, row: Row, actions: tuple[Action, ...]
) -> None:
    show(view, make_row("a", TargetState.COPYING), row)
    done = asked(view)
    for action in actions:
        place = button_place(view, 1, action)
        qtbot.mouseMove(view.viewport(), place)
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert done == [(action, [row.key]) for action in actions]
    assert view.selected_keys() == [(4711, "a")]


def test_a_press_that_ends_elsewhere_does_nothing(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.COPYING))
    done = asked(view)
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=button_place(view, 0, Action.STOP))
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=button_place(view, 0, Action.PAUSE))
    assert done == []


def test_the_menu_button_selects_its_card_and_opens_its_menu(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.COPYING), make_row("b", TargetState.COMPLETE))
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=button_place(view, 1, None))
    assert view.selected_keys() == [(4711, "b")]
    (menu,) = view.findChildren(QMenu)
    qtbot.waitUntil(menu.isVisible)
    menu.close()
    qtbot.waitUntil(lambda: view.findChildren(QMenu) == [])


def test_to_stop_what_is_complete_is_called_stop_watching(view: TargetsView) -> None:
    watched, copying = make_row("a", TargetState.COMPLETE, watching=True), make_row("b", TargetState.COPYING)
    for rows, words in (([watched], "Stop watching"), ([copying], "Stop"), ([watched, copying], "Stop")):
        show(view, *rows)
        view.select(keys(rows))
        menu = view.context_menu()
        assert words in [entry.text() for entry in menu.actions()]
        menu.deleteLater()


def test_the_menu_offers_what_is_allowed(view: TargetsView, qtbot: QtBot) -> None:
    show(view, make_row("a", TargetState.PAUSED))
    menu = view.context_menu()
    offered = {entry.text() for entry in menu.actions() if entry.isEnabled() and entry.text()}
    look = {Action.SHOW, Action.OPEN_SOURCE, Action.OPEN_DESTINATION}
    assert offered == {*look, Action.RESUME, Action.FINISH, Action.STOP}
    with qtbot.waitSignal(view.requested) as said:
        next(entry for entry in menu.actions() if entry.text() == "Open destination folder").trigger()
    assert said.args == [Action.OPEN_DESTINATION, [(4711, "a")]]
    menu.deleteLater()


@pytest.mark.parametrize("reason", [QContextMenuEvent.Reason.Mouse, QContextMenuEvent.Reason.Keyboard])
def test_the_menu_opens_by_mouse_and_by_keyboard(
    view: TargetsView, qtbot: QtBot, reason: QContextMenuEvent.Reason
) -> None:
    place = view.viewport().mapToGlobal(QPoint(5, 5))

    def ask() -> None:
        QApplication.sendEvent(view.viewport(), QContextMenuEvent(reason, QPoint(5, 5), place))

    ask()
    assert view.findChildren(QMenu) == [], "nothing is selected"
    show(view, make_row("a"))
    ask()
    (menu,) = view.findChildren(QMenu)
    qtbot.waitUntil(menu.isVisible)
    card = view.viewport().mapToGlobal(view.visualRect(view.currentIndex()).bottomLeft())
    assert menu.pos() == (place if reason == QContextMenuEvent.Reason.Mouse else card)
    with qtbot.waitSignal(view.requested) as said:
        qtbot.keyClick(menu, Qt.Key.Key_Down)
        qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert said.args == [Action.START, [(0, "a")]]
    qtbot.waitUntil(lambda: view.findChildren(QMenu) == [])


def test_the_selection_survives_news(view: TargetsView) -> None:
    show(view, make_row("b"), make_row("a", TargetState.COPYING), make_row("c"))
    view.select([(4711, "a"), (0, "c")])
    assert view.selected_keys() == [(4711, "a"), (0, "c")]
    view._targets.update([make_row("a", TargetState.COMPLETE), make_row("b"), make_row("c", TargetState.COPYING)])
    assert view.selected_keys() == [(4711, "a"), (4711, "c")]
    view.select([(1, "nothing")])
    assert view.selected_keys() == [(4711, "a"), (4711, "c")]


@pytest.mark.parametrize("width", [180, 267, 268, 360, 480])
def test_all_cards_have_one_height_whatever_they_say(view: TargetsView, width: int) -> None:
    rows = [make_row(f"{state.name}_is_a_long_name_" * 3, state, reason="no space " * 20) for state in TargetState]
    show(view, *rows, make_row("b"), make_row("c", problem="is a file " * 20))
    view.resize(width, 240)
    QApplication.processEvents()
    heights = {card_rect(view, row).height() for row in range(len(rows) + 2)}
    line = view.fontMetrics().height()
    assert len(heights) == 1 and view.compact is (width < 268)
    assert heights.pop() < (2 * line if view.compact else 5 * line)
    assert card_rect(view, 0).width() == view.viewport().width(), "there is nothing to scroll to at the side"


def test_nothing_moves_while_a_live_copy_catches_up_again_and_again(view: TargetsView) -> None:
    def places(row: Row) -> object:
        show(view, row, make_row("b"))
        return view.sizeHint(), card_rect(view, 1), button_place(view, 0, Action.STOP)

    first = places(make_row("a", TargetState.COPYING, counts=HALF))
    assert places(make_row("a", TargetState.CAUGHT_UP, reason="chunks still to come " * 9)) == first
    assert places(make_row("a", TargetState.COPYING, failed_files=3, counts=HALF, bytes_per_second=1e9)) == first


def test_it_is_as_high_as_its_cards_within_the_room_there_is(view: TargetsView) -> None:
    show(view, make_row("0"))
    one = view.sizeHint().height()
    show(view, *(make_row(str(number)) for number in range(3)))
    three = view.sizeHint().height()
    show(view, *(make_row(str(number)) for number in range(60)))
    assert one < three <= view.sizeHint().height() <= 240
    view.set_room(500)
    assert 240 < view.sizeHint().height() <= 500


def picture(view: TargetsView, row: int) -> QImage:
    view.clearSelection()
    return view.viewport().grab(card_rect(view, row)).toImage()


def count(image: QImage, colour: QColor, area: QRect) -> int:
    """Pixels of about a colour."""
    found = 0
    for y in range(area.top(), area.bottom() + 1):
        for x in range(area.left(), area.right() + 1):
            there = image.pixelColor(x, y)
            pairs = zip(there.getRgb()[:3], colour.getRgb()[:3], strict=True)
            found += all(abs(one - other) < 24 for one, other in pairs)
    return found


def test_the_ring_is_closed_as_far_as_the_target_has_arrived(view: TargetsView) -> None:
    counts = [(3, 0, 0, 0, 1, 0, 0), (1, 0, 0, 0, 1, 0, 0), (1, 0, 0, 0, 3, 0, 0)]
    show(view, *(make_row(str(at), TargetState.COPYING, counts=one) for at, one in enumerate(counts)))
    blue = tone_colour(Tone.LIVE, dark=False)
    rings = [count(picture(view, at), blue, QRect(0, 0, 40, card_rect(view, at).height() - 6)) for at in range(3)]
    none = make_row("0", TargetState.COPYING, growing=True, counts=counts[0])
    show(view, none)
    rings.insert(0, count(picture(view, 0), blue, QRect(0, 0, 40, card_rect(view, 0).height() - 6)))
    assert rings == sorted(set(rings)), rings


def test_stripes_are_painted_only_where_the_total_is_unknown(view: TargetsView) -> None:
    show(
        view,
        make_row("a", TargetState.COPYING, counts=HALF, growing=True),
        make_row("b", TargetState.COPYING, counts=HALF),
    )
    blue = tone_colour(Tone.LIVE, dark=False)
    below = [count(picture(view, row), blue, QRect(60, card_rect(view, row).height() - 5, 300, 5)) for row in range(2)]
    assert below[0] > 100 and below[1] == 0


@pytest.mark.parametrize("dark", [True, False])
def test_colours_follow_the_theme(view: TargetsView, dark: bool) -> None:
    palette = QPalette(QColor("#262930" if dark else "#efebe9"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("white" if dark else "black"))
    view.setPalette(palette)
    show(view, make_row("a", TargetState.FAILED))
    red = tone_colour(Tone.NEEDS_USER, dark)
    assert count(picture(view, 0), red, QRect(0, 0, card_rect(view, 0).width(), 40)) > 20
