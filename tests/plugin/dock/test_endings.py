"""Endings are told once: they stay in the panel, and those that come together make one short notification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock import endings as module
from softcopy_napari.plugin.dock.endings import Endings, batch_text, ending_message
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.dock.event_log import EventLog
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.palette import Tone


def ended(name: str, state: TargetState = TargetState.COMPLETE, *, alive: bool = True, **fields: Any) -> SeenTarget:
    paths = {"source": f"/data/{name}", "destination": f"/nas/{name}"}
    return SeenTarget(7, TargetSnapshot(id="1", state=state, **paths, **fields), alive)


class Shown:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.toasts: list[tuple[Level, str]] = []


@pytest.fixture
def shown(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Endings, Shown]]:
    monkeypatch.setattr(module, "_TOGETHER", 50)
    seen = Shown()
    endings = Endings(seen.messages.append, lambda level, text: seen.toasts.append((level, text)))
    yield endings, seen
    endings.close()


def test_a_batch_makes_one_notification_and_a_message_each(shown: tuple[Endings, Shown], qtbot: Any) -> None:
    endings, seen = shown
    endings.add([ended("a.zarr"), ended("b.zarr")])
    endings.add([ended("c.zarr", TargetState.FAILED)])
    assert [message.tone for message in seen.messages] == [Tone.DONE, Tone.DONE, Tone.NEEDS_USER]
    qtbot.waitUntil(lambda: bool(seen.toasts))
    qtbot.wait(150)
    assert seen.toasts == [(Level.ERROR, "Softcopy: 2 done, 1 needs you")]


def test_what_its_user_has_stopped_is_no_news(shown: tuple[Endings, Shown], qtbot: Any) -> None:
    endings, seen = shown
    endings.add([ended("a.zarr", TargetState.STOPPED)])
    qtbot.wait(150)
    assert seen.messages == seen.toasts == []


def test_a_crash_is_news(shown: tuple[Endings, Shown], qtbot: Any) -> None:
    endings, seen = shown
    endings.add([ended("a.zarr", TargetState.COPYING, alive=False)])
    assert seen.messages[0].text == "Crashed: a.zarr. Press Resume; nothing is lost"
    qtbot.waitUntil(lambda: seen.toasts == [(Level.ERROR, "a.zarr: needs you")])


def test_what_the_system_ended_is_news(shown: tuple[Endings, Shown], qtbot: Any) -> None:
    endings, seen = shown
    endings.add([ended("a.zarr", TargetState.STOPPED, why=make_reason(ReasonCode.ENDED_BY_SYSTEM))])
    assert seen.messages[0].text.startswith("Interrupted: a.zarr. The system ended it")
    qtbot.waitUntil(lambda: seen.toasts == [(Level.ERROR, "a.zarr: needs you")])


def test_a_source_that_was_not_freed_needs_its_user(shown: tuple[Endings, Shown], qtbot: Any) -> None:
    endings, seen = shown
    why = make_reason(ReasonCode.SOURCE_NOT_FREED, why=quote_text("somebody writes there"))
    (notice,) = (one for one in EventLog().new_lines([ended("a.zarr", notes=(why,))]) if one.level is Level.WARNING)
    assert notice.ended is None, "it had ended before anybody looked: the history tells"
    log = EventLog()
    log.new_lines([ended("a.zarr", watching=True)])
    (line, *_) = log.new_lines([ended("a.zarr", notes=(why,))])
    assert line.ended is not None
    endings.add([line.ended])
    assert seen.messages[0].text == "Done: a.zarr. The source was not freed: somebody writes there"
    assert seen.messages[0].tone is Tone.NEEDS_USER
    qtbot.waitUntil(lambda: seen.toasts == [(Level.ERROR, "a.zarr: needs you")])


def test_messages_say_what_how_much_and_where() -> None:
    counts = (0, 0, 0, 0, 950, 0, 0)
    done = ending_message(ended("a.zarr", counts=counts, other_files=10, completed=1.7e9))
    assert done.text.startswith("Done ") and done.text.endswith(": a.zarr, 960 files at /nas/a.zarr")
    failed = ending_message(ended("a.zarr", TargetState.FAILED, why=quote_text("the disk broke")))
    assert failed.text == "Failed: a.zarr. The disk broke"
    assert failed.topic == done.topic, "news of a copy take the place of older ones"


@pytest.mark.parametrize("name", ["a.zarr", "a_very_long_name_of_an_acquisition_2026-11-30_embryo_17.zarr"])
def test_a_notification_is_short_enough_not_to_be_cut_off(name: str) -> None:
    assert len(batch_text([ended(name)])) <= 60
    assert batch_text([ended(name)] * 99).startswith("Softcopy: 99 done")
