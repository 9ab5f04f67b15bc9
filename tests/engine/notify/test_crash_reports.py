"""Crashes are told to where each copy says, and are left to others by whoever has nowhere to tell them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from softcopy_napari.engine.notify import crash_reports
from softcopy_napari.engine.notify.crash_reports import report_crashes
from softcopy_napari.engine.notify.message_text import NotificationText
from softcopy_napari.engine.notify.preferences_file import write_preferences
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.history import Ending
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import Notify
from softcopy_napari.engine.targets.target import Settings

Sent = list[tuple[list[str], str]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Where notifications went, and their titles."""
    found: Sent = []

    def note(urls: Sequence[SecretStr], text: NotificationText) -> None:
        found.append(([url.get_secret_value() for url in urls], text.title.partition(" (")[0]))

    monkeypatch.setattr(crash_reports, "send_and_leave", note)
    return found


def ending(name: str, state: TargetState = TargetState.COPYING, notify: object = None, check: bool = False) -> Ending:
    settings = Settings(notify=notify)
    target = TargetSnapshot(id="1", source=f"/data/{name}", destination=f"/nas/{name}", state=state, settings=settings)
    return Ending(at=1.0, pid=4711, process_started=1.0, check=check, target=target)


def test_copies_that_died_together_are_one_message_for_each_place(sent: Sent) -> None:
    write_preferences(Notify(urls=(SecretStr("ntfy://lab"),)))
    both = [ending("a.zarr"), ending("b.zarr"), ending("c.zarr", notify="env:MAIL"), ending("d.zarr", notify="off")]
    assert report_crashes(both) == both[:3]
    assert sent == [(["ntfy://lab"], "2 interrupted"), (["env:MAIL"], "Interrupted: c.zarr")]
    assert report_crashes(both) == [] and len(sent) == 2


def test_whoever_has_nowhere_to_tell_it_leaves_it_to_somebody_who_has(sent: Sent) -> None:
    crash = ending("a.zarr", notify={"events": ["died"]})
    assert report_crashes([crash]) == [] and sent == []
    assert report_crashes([crash], Notify(urls=(SecretStr("ntfy://watchdog"),))) == [crash]
    assert sent == [(["ntfy://watchdog"], "Interrupted: a.zarr")]


def test_what_ended_in_good_order_and_what_nobody_wants_to_hear_is_not_told(sent: Sent) -> None:
    quiet = {"urls": "ntfy://lab", "events": ["done"]}
    found = [
        ending("a.zarr", TargetState.COMPLETE, "env:LAB"),
        ending("b.zarr", TargetState.FAILED, "env:LAB"),
        ending("c.zarr", notify="env:LAB", check=True),
        ending("d.zarr", notify=quiet),
    ]
    assert report_crashes(found) == [] and sent == []
