"""The preferences file is its user's alone, and a mistake in it is told without what it holds."""

from __future__ import annotations

import os
import stat

import pytest

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.preferences_file import preferences_path, read_preferences, write_preferences
from softcopy_napari.engine.targets.notify import Notify, read_notify


def write(text: str) -> None:
    path = preferences_path()
    assert path is not None
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_what_is_written_is_read_back_and_nobody_else_can_read_it() -> None:
    assert read_preferences() is None
    said = read_notify({"urls": ["ntfy://ntfy.sh/a", "env:B"], "events": ["done"], "paused_minutes": 5})
    assert said is not None
    path = write_preferences(said)
    assert read_preferences() == said
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# nothing yet", None),
        ("env:LAB", read_notify("env:LAB")),
        ("[env:LAB, env:MAIL]", read_notify(["env:LAB", "env:MAIL"])),
        ("off", Notify(urls=())),
    ],
)
def test_it_can_be_written_by_hand(text: str, expected: Notify | None) -> None:
    write(text)
    assert read_preferences() == expected


@pytest.mark.parametrize("text", ["hunter2", "urls: hunter2", "events: [hunter2]", "hunter2: {a: b}", "urls: [a://b"])
def test_a_mistake_names_the_file_and_no_password(text: str) -> None:
    write(text)
    with pytest.raises(TargetsError) as caught:
        read_preferences()
    assert str(preferences_path()) in str(caught.value) and "hunter2" not in str(caught.value)
