"""What is drawn again and again must leave the machine to the copy, and the main thread to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin import SoftcopyWidget
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget, numbers_rest, picture_rest
from tests.plugin.dock.test_target_list import seen

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


@pytest.mark.parametrize("rest", [picture_rest, numbers_rest])
def test_what_is_cheap_is_drawn_at_once_and_what_is_dear_still_comes(rest: Any) -> None:
    assert rest(0.0005) < 0.05
    assert 0.01 < rest(0.04) <= 0.8
    assert rest(100.0) <= 5.0


def test_numbers_take_a_few_percent_of_a_core_at_most() -> None:
    assert all(cost / (cost + numbers_rest(cost)) < 0.05 for cost in (0.001, 0.01, 0.025))


def test_numbers_wait_where_drawing_them_is_dear_and_states_do_not(
    viewer: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedrawBudget, "due", lambda _: False)
    monkeypatch.setattr(RedrawBudget, "left", property(lambda _: 0.2))
    widget = SoftcopyWidget(viewer)
    frame = viewer.window.add_dock_widget(widget, name="Softcopy")
    rows = widget._panel
    try:
        for files in (1, 2, 3):
            widget._on_update([seen(files_copied=files)])
            assert rows.rows[0].snapshot.files_copied == 1, "a new row is shown at once, its numbers are not"
        qtbot.waitUntil(lambda: rows.rows[0].snapshot.files_copied == 3)
        widget._on_update([seen(files_copied=4, state=TargetState.PAUSED)])
        assert rows.rows[0].state is TargetState.PAUSED and rows.rows[0].snapshot.files_copied == 4
    finally:
        viewer.window.remove_dock_widget(frame)
