"""Where notifications go: what users write, what counts of it, and that no password leaves by it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import EVENTS, Notify, notify_rules, read_notify, url_name
from softcopy_napari.engine.targets.target import (
    Settings,
    Target,
    settings_problem,
    targets_from_json,
    targets_to_json,
)

SECRET = "hunter2hunter2"
URL = f"mailto://mika:{SECRET}@lab.example?to=team@lab.example"


def urls(said: Notify | None) -> list[str] | None:
    return None if said is None or said.urls is None else [one.get_secret_value() for one in said.urls]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (URL, [URL]),
        (f"  {URL} ", [URL]),
        ("env:LAB_MAIL", ["env:LAB_MAIL"]),
        (["env:LAB_MAIL", "ntfy://ntfy.sh/scope3"], ["env:LAB_MAIL", "ntfy://ntfy.sh/scope3"]),
        ({"urls": URL}, [URL]),
        ({"urls": [URL], "events": ["done", "failed"]}, [URL]),
        ({"events": "done"}, None),
        ("off", []),
        (["off"], []),
        (False, []),
        ([], []),
        ({"urls": False}, []),
        (None, None),
    ],
)
def test_urls_can_be_written_in_every_way_that_is_plain(written: object, expected: list[str] | None) -> None:
    assert urls(Settings(notify=written).notify) == expected


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        f"env:{SECRET} {SECRET}",
        ["ntfy://ok", SECRET],
        {"url": URL},
        {SECRET: URL},
        {"urls": {"a": URL}},
        {"urls": [URL, 7]},
        {"events": [SECRET]},
        {"events": 3},
        {"paused_minutes": SECRET},
        {"paused_minutes": True},
        {"quiet_minutes": -1},
        {"quiet_minutes": 1e9},
        3.5,
        [URL] * 33,
        "ntfy://" + SECRET * 1000,
    ],
)
def test_a_mistake_is_told_without_what_was_written(written: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(notify=written)
    words = settings_problem(caught.value, "--")
    assert words.startswith("--notify ") and SECRET not in words and "\n" not in words


def test_what_is_said_nearer_counts_and_leaves_the_rest_to_others() -> None:
    of_target, of_file = read_notify("ntfy://target"), read_notify({"urls": URL, "events": ["failed"]})
    rules = notify_rules(of_target, of_file, read_notify({"paused_minutes": 2, "events": ["done"]}))
    assert [url.get_secret_value() for url in rules.urls] == ["ntfy://target"]
    assert (rules.events, rules.paused, rules.quiet) == ({"failed"}, 120.0, 3600.0)
    assert notify_rules(read_notify("off"), of_file).urls == ()
    assert notify_rules(None, None).events == set(EVENTS)


def test_a_snapshot_keeps_names_of_variables_and_no_password() -> None:
    settings = Settings(notify={"urls": [URL, "env:LAB_MAIL"], "events": ["done"]})
    sent = TargetSnapshot(
        id="1", source="/a", destination="/b", state=TargetState.COPYING, settings=settings
    ).model_dump_json()
    assert SECRET not in sent
    read = TargetSnapshot.model_validate_json(sent).settings
    assert read is not None and urls(read.notify) == ["env:LAB_MAIL"]
    only_secret = Settings(notify=URL).model_dump_json()
    assert urls(Settings.model_validate_json(only_secret).notify) is None


def test_no_password_shows_where_settings_are_printed_or_refused() -> None:
    target = Target(source="/a", destination="/b", notify=URL)
    assert SECRET not in f"{target} {target!r} {target.notify!r} {target.model_dump()}"
    data = targets_to_json([target]).replace(b'"nprocs": 4', b'"nprocs": 99')
    with pytest.raises(ValueError, match="nprocs") as caught:
        targets_from_json(data)
    assert SECRET not in str(caught.value)


def test_an_engine_gets_the_whole_url_over_its_own_pipe() -> None:
    target = Target(source="/a", destination="/b", notify=[URL, "env:LAB_MAIL"])
    (read,) = targets_from_json(targets_to_json([target]))
    assert read == target and urls(read.notify) == [URL, "env:LAB_MAIL"]


def test_a_url_is_called_by_its_kind() -> None:
    assert url_name(URL) == "mailto://..."
    assert url_name("env:LAB_MAIL") == "env:LAB_MAIL"
    assert Notify(urls=(SecretStr(URL),)).without_secrets() == Notify()
