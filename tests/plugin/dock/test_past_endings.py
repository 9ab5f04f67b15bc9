"""Copies that failed while napari was closed are told of when it is opened, until somebody dismisses them."""

from __future__ import annotations

from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.history import HistoryWriter, endings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.past_endings import PastEndings
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.banner import Banner

pytestmark = pytest.mark.either_binding


def test_failures_of_the_night_are_shown_until_they_are_dismissed(qtbot: Any) -> None:
    for name, state in (("a", TargetState.FAILED), ("b", TargetState.COMPLETE), ("c", TargetState.INCOMPLETE)):
        target = TargetSnapshot(id="1", source=f"/data/{name}.zarr", destination=f"/nas/{name}.zarr", state=state)
        HistoryWriter(False).note(target)
    for left in (2, 1, 0):
        banner, queue = Banner(), MainThreadQueue()
        qtbot.addWidget(banner)
        past = PastEndings(banner, queue)
        qtbot.waitUntil(lambda banner=banner, left=left: len(banner.messages) == left, timeout=20_000)
        assert all(message.text.startswith(("Failed", "Incomplete")) for message in banner.messages)
        if left:
            banner.dismiss()
            qtbot.waitUntil(lambda left=left: len(endings()) == left, timeout=20_000)
        queue.close()
        del past
    assert [one.destination for one in endings()] == ["/nas/b.zarr"]
