"""How copies ended while napari was closed is told when it is opened: failures until somebody dismisses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.state_folder.history import HistoryWriter, endings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.past_endings import PastEndings
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.banner import Banner
from softcopy_napari.widgets.history_view import HistorySection
from softcopy_napari.widgets.palette import Tone

pytestmark = pytest.mark.either_binding


def _note(name: str, state: TargetState, **more: Any) -> None:
    target = TargetSnapshot(
        id="1", source=f"/data/{name}.zarr", destination=f"/nas/{name}.zarr", state=state, completed=1.0, **more
    )
    HistoryWriter(False).note(target)


@pytest.fixture
def opened(qtbot: Any) -> Iterator[Callable[[], tuple[Banner, HistorySection]]]:
    """Opens a dock's banner and history, as often as is wanted."""
    parts: list[Any] = []

    def open_again() -> tuple[Banner, HistorySection]:
        banner, history, queue = Banner(), HistorySection(), MainThreadQueue()
        for widget in (banner, history):
            qtbot.addWidget(widget)
        past = PastEndings(banner, history, queue)
        parts.extend((past, queue))
        qtbot.waitUntil(lambda: len(history.copies) == len(endings()), timeout=20_000)
        return banner, history

    yield open_again
    for part in parts:
        part.close()


Opened = Callable[[], tuple[Banner, HistorySection]]


def test_failures_of_the_night_are_shown_until_they_are_dismissed_and_stay_in_the_history(
    qtbot: Any, opened: Opened
) -> None:
    for name, state in (("a", TargetState.FAILED), ("b", TargetState.COMPLETE), ("c", TargetState.INCOMPLETE)):
        _note(name, state)
    for left in (2, 1, 0):
        banner, history = opened()
        assert len(banner.messages) == left and len(history.copies) == 3
        assert all(message.text.startswith(("Failed", "Differs")) for message in banner.messages)
        if left:
            banner.dismiss()
            wanted = left - 1
            qtbot.waitUntil(lambda n=wanted: sum(one.needs_attention for one in endings()) == n, timeout=20_000)


def test_the_history_tells_how_each_ended_and_where_it_went(opened: Opened) -> None:
    _note("a", TargetState.COMPLETE, counts=(0, 0, 0, 0, 960, 0, 0))
    _note("b", TargetState.STOPPED)
    _note("c", TargetState.FAILED, why=quote_text("4 files could not be copied"))
    _, history = opened()
    found = {one.destination: one for one in history.copies}
    done, stopped, failed = (found[f"/nas/{name}.zarr"] for name in "abc")
    assert done.headline.startswith("Done ") and done.headline.endswith(": a.zarr, 960 files")
    assert stopped.tone is Tone.PAUSED and stopped.headline.endswith(": b.zarr")
    assert failed.tone is Tone.NEEDS_USER and failed.reason == "4 files could not be copied"


def test_what_is_forgotten_leaves_the_history_and_the_disk(qtbot: Any, opened: Opened) -> None:
    _note("a", TargetState.COMPLETE)
    _note("b", TargetState.COMPLETE)
    _, history = opened()
    gone = [one for one in history.copies if one.destination == "/nas/a.zarr"]
    history.forget_requested.emit(gone)
    qtbot.waitUntil(lambda: [one.destination for one in history.copies] == ["/nas/b.zarr"], timeout=20_000)
    assert [one.destination for one in endings()] == ["/nas/b.zarr"]


def test_what_ends_meanwhile_is_there_when_the_history_is_opened(qtbot: Any, opened: Opened) -> None:
    _, history = opened()
    _note("a", TargetState.COMPLETE)
    history.set_open(True)
    qtbot.waitUntil(lambda: len(history.copies) == 1, timeout=20_000)
