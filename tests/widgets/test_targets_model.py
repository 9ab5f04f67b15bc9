"""The list's model keeps a target's place whatever becomes of it, and tells views of differences only."""

from __future__ import annotations

import random

from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets import card_steadiness
from softcopy_napari.widgets.card import Arrival, make_card
from softcopy_napari.widgets.targets_model import CARD_ROLE, NAME_ROLE, ROW_ROLE, TargetsModel
from tests.widgets.support import keys, make_row

HALF = (40, 0, 10, 0, 30, 20, 0)


def test_an_item_says_all_of_its_card_and_has_the_paths_in_its_tooltip() -> None:
    model = TargetsModel()
    model.update([make_row("a.zarr", TargetState.COPYING, counts=HALF)])
    index = model.index(0, 0)
    assert index.data() == index.data(Qt.ItemDataRole.AccessibleTextRole) == "a.zarr: Copying. 50 of 100 chunks"
    assert index.data(NAME_ROLE) == "a.zarr"
    assert index.data(Qt.ItemDataRole.ToolTipRole).startswith("/data/a.zarr\n\u2192 /copy/a.zarr")
    assert index.data(CARD_ROLE) == make_card(model.rows[0])
    assert model.index(1, 0).data() is None


def test_a_tooltip_is_no_html() -> None:
    model = TargetsModel()
    model.update([make_row("<img src=http://a>")])
    assert "&lt;img" in model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_how_far_a_target_is_stays_known_until_something_newer_is() -> None:
    model = TargetsModel()
    row = make_row("a", TargetState.COPYING, counts=HALF)
    model.update([row], {row.key: Arrival("t 86 of 600")})
    model.update([row])
    assert model.cards[0].facts == "t 86 of 600"
    model.update([row], {row.key: Arrival("t 87 of 600")})
    assert model.card(row.key) == make_card(row, Arrival("t 87 of 600"))
    assert model.card((1, "nobody")) is None


def test_the_view_hears_of_what_has_changed_and_of_nothing_else() -> None:
    model = TargetsModel()
    model.update([make_row("a", TargetState.COPYING, counts=HALF), make_row("b")])
    heard: list[int] = []
    model.dataChanged.connect(lambda one, two, *_: heard.append(one.row()))
    model.update([make_row("a", TargetState.COPYING, counts=HALF), make_row("b")])
    assert heard == []
    model.update([make_row("a", TargetState.COPYING, counts=HALF, bytes_per_second=9e6), make_row("b")])
    assert heard == [0]


def test_a_state_that_was_held_back_is_shown_when_it_has_lasted_though_nothing_more_is_told(
    qtbot: QtBot, monkeypatch
) -> None:
    monkeypatch.setattr(card_steadiness, "HOLD", 0.2)
    model = TargetsModel()
    model.update([make_row("a", TargetState.CAUGHT_UP)])
    model.update([make_row("a", TargetState.COPYING)])
    assert model.cards[0].headline == "Live, up to date"
    with qtbot.waitSignal(model.dataChanged):
        pass
    assert model.cards[0].headline == "Copying"


def test_a_target_keeps_its_place_when_it_is_started() -> None:
    model = TargetsModel()
    model.update([make_row("a"), make_row("b")])
    gone: list[int] = []
    model.rowsRemoved.connect(lambda _parent, first, _last: gone.append(first))
    model.rowsInserted.connect(lambda _parent, first, _last: gone.append(first))
    model.update([make_row("a"), make_row("b", TargetState.COPYING)])
    assert gone == []
    assert keys(model.rows) == [(0, "a"), (4711, "b")]
    assert model.find((4711, "b")).running
    assert model.find((0, "b")) is None


def test_what_follows_the_cards_hears_of_all_that_have_changed_at_once() -> None:
    model, told = TargetsModel(), []
    model.cards_changed.connect(lambda: told.append([card.headline for card in model.cards]))
    model.update([make_row(name) for name in "abc"])
    assert told == [], "they are new"
    changed = [make_row(name, problem="x") for name in "ab"]
    for _ in range(2):
        model.update([*changed, make_row("c")])
        assert told == [["Cannot start", "Cannot start", "Not started"]]


def test_a_summary_counts_what_needs_its_user() -> None:
    model = TargetsModel()
    assert model.summary() == ""
    rows = [
        make_row("a", TargetState.COPYING),
        make_row("b", TargetState.CAUGHT_UP),
        make_row("c", TargetState.COMPLETE),
    ]
    model.update([*rows, make_row("d", TargetState.FAILED)])
    assert model.summary() == "2 copying \u00b7 1 done \u00b7 1 needs you"
    model.update(
        [
            make_row("d", TargetState.FAILED),
            make_row("e", problem="x"),
            make_row("f"),
            make_row("g", TargetState.PAUSED),
        ]
    )
    assert model.summary() == "2 need you \u00b7 1 paused \u00b7 1 not started"


def test_it_keeps_what_qt_asks_of_models(qtmodeltester: ModelTester) -> None:
    model, rng = TargetsModel(), random.Random(1)
    qtmodeltester.check(model)
    states = [None, *TargetState]
    for _ in range(200):
        names = rng.sample("abcdefgh", rng.randrange(9))
        wanted = [make_row(name, rng.choice(states), pid=rng.choice((1, 2))) for name in names]
        model.update(wanted)
        assert list(model.rows) == wanted
        assert [model.data(model.index(at, 0), ROW_ROLE) for at in range(len(wanted))] == wanted
        assert [card.name for card in model.cards] == names
    qtmodeltester.check(model)


def test_one_key_is_one_row() -> None:
    model = TargetsModel()
    model.update([make_row("a"), make_row("a", problem="again")])
    assert [row.problem for row in model.rows] == ["again"]
