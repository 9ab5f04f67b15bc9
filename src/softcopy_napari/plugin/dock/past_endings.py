"""Shows how copies ended: all in the history, and in the banner those that failed while nobody looked.

The state folder keeps the latest result of each destination; it is read and changed in threads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import PurePath

from qtpy.QtCore import QTimer

from softcopy_napari.engine.formatting import clock_text, count_text
from softcopy_napari.engine.state_folder.history import Ending, dismiss, endings, forget
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.dock.endings import TOPIC
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.banner import Banner, Message
from softcopy_napari.widgets.history_view import HistorySection, PastCopy
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.wording import explain_state

_DELAY = 1_000
"""Milliseconds after an ending in which its engine has written the record of it."""


class PastEndings:
    """Fills the history, and when the dock opens a banner with the failures of before.

    Parameters
    ----------
    banner : Banner
    history : HistorySection
    queue : MainThreadQueue
    """

    def __init__(self, banner: Banner, history: HistorySection, queue: MainThreadQueue) -> None:
        self._banner, self._history, self._queue = banner, history, queue
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._read)
        banner.dismissed.connect(self._dismiss)
        history.toggled.connect(lambda is_open: self._read() if is_open else None)
        history.forget_requested.connect(self._forget)
        queue.fetch(_records, self._show_all)

    def read_soon(self) -> None:
        """Show in the history what has just ended."""
        self._timer.start()

    def close(self) -> None:
        """Read nothing more."""
        self._timer.stop()

    def _read(self) -> None:
        self._queue.fetch(_records, self._show)

    def _show_all(self, found: list[Ending]) -> None:
        self._show(found)
        for one in reversed([one for one in found if one.needs_attention]):
            self._banner.add(Message(Tone.NEEDS_USER, past_text(one), f"{TOPIC}{one.destination}"))

    def _show(self, found: list[Ending]) -> None:
        now = time.time()
        self._history.set_copies([past_copy(one, now) for one in found])

    def _dismiss(self, topic: str) -> None:
        if topic.startswith(TOPIC):
            destination = topic.removeprefix(TOPIC)
            self._queue.fetch(lambda: _dismiss(destination), lambda _: None)

    def _forget(self, gone: Sequence[PastCopy]) -> None:
        now = time.time()
        self._queue.fetch(
            lambda: forget(one for one in _records() if past_copy(one, now) in gone), lambda _: self._read()
        )


def past_text(one: Ending) -> str:
    """Return what the banner says of a failure of before."""
    if not one.failed and one.target.not_freed is not None:
        return f"Done {clock_text(one.at, time.time())}: {_name(one)}. {describe(one.target.not_freed)}"
    return f"{_state(one)} {clock_text(one.at, time.time())}: {_name(one)}. {_reason(one)}"


def past_copy(one: Ending, now: float) -> PastCopy:
    """Return what the history says of an ending.

    Parameters
    ----------
    one : Ending
    now : float
        Unix time.
    """
    tone, how, more = Tone.PAUSED, _state(one), ""
    if one.failed:
        tone = Tone.NEEDS_USER
    elif one.target.state is TargetState.COMPLETE:
        tone, how = Tone.DONE, "Equal" if one.check else "Done"
        files = count_text(one.target.chunk_files_copied + one.target.other_files, "file")
        freed = ", source not freed" if one.target.not_freed is not None else ""
        more = "" if one.check else f", {files}{freed}"
    # How it ended comes first: where there is little room, the middle of the line is cut out.
    headline = f"{how} {clock_text(one.at, now)}: {_name(one)}{more}"
    return PastCopy(one.source, one.destination, tone, headline, _reason(one))


def _state(one: Ending) -> str:
    """Return how it ended, as its card said it."""
    return "Differs" if one.target.state is TargetState.INCOMPLETE else one.state_text


def _name(one: Ending) -> str:
    return PurePath(one.source).name or one.source


def _reason(one: Ending) -> str:
    words = one.reason if one.crashed else explain_state(one.target)
    return f"{words[:1].upper()}{words[1:]}"


def _records() -> list[Ending]:
    try:
        return endings()
    except OSError:  # reported when a copy is started
        return []


def _dismiss(destination: str) -> None:
    dismiss(one for one in _records() if one.needs_attention and one.destination == destination)
