"""Tells, when the dock opens, of copies that failed or crashed while nobody looked; dismissing one is remembered.

The state folder keeps the latest result of each destination; it is read and changed in threads.
"""

from __future__ import annotations

from pathlib import PurePath

from softcopy_napari.engine.formatting import clock_text
from softcopy_napari.engine.state_folder.history import Ending, dismiss, endings
from softcopy_napari.plugin.dock.endings import TOPIC
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.banner import Banner, Message
from softcopy_napari.widgets.palette import Tone


class PastEndings:
    """Fills a banner with the failures of before.

    Parameters
    ----------
    banner : Banner
    queue : MainThreadQueue
    """

    def __init__(self, banner: Banner, queue: MainThreadQueue) -> None:
        self._banner, self._queue = banner, queue
        banner.dismissed.connect(self._dismiss)
        queue.fetch(_failures, self._show)

    def _show(self, found: list[Ending]) -> None:
        for one in reversed(found):
            self._banner.add(Message(Tone.NEEDS_USER, past_text(one), f"{TOPIC}{one.destination}"))

    def _dismiss(self, topic: str) -> None:
        if topic.startswith(TOPIC):
            self._queue.fetch(lambda: _forget(topic.removeprefix(TOPIC)), lambda _: None)


def past_text(one: Ending) -> str:
    """Return what the panel says of a failure of before."""
    name = PurePath(one.source).name or one.source
    return f"{one.state_text} {clock_text(one.at, one.at)}: {name}. {one.reason[:1].upper()}{one.reason[1:]}"


def _failures() -> list[Ending]:
    try:
        return [one for one in endings() if one.needs_attention]
    except OSError:  # reported when a copy is started
        return []


def _forget(destination: str) -> None:
    dismiss(one for one in _failures() if one.destination == destination)
