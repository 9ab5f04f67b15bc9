"""The dock's list has one row for each source and destination, whoever copies it and however often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import Changes, Findings, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Settings, Target, settings_of
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.dock.target_list import TargetList


def target(name: str = "a", nprocs: int = 4) -> Target:
    root = Path.cwd().anchor
    return Target(source=Path(root, "data", name), destination=Path(root, "nas", name), nprocs=nprocs)


def seen(
    name: str = "a", pid: int = 7, state: TargetState = TargetState.COPYING, *, alive: bool = True, **fields: Any
) -> SeenTarget:
    paths = target(name)
    snapshot = TargetSnapshot(
        id="1", source=str(paths.source), destination=str(paths.destination), state=state, **fields
    )
    return SeenTarget(pid, snapshot, alive)


@pytest.fixture
def target_list() -> TargetList:
    return TargetList()


def test_an_added_target_waits_to_be_started(target_list: TargetList) -> None:
    key = target_list.add(target())
    (row,) = target_list.rows()
    assert (row.key, row.snapshot, row.starting) == (key, None, False)
    assert target_list.not_started() == target_list.startable(target_list.keys()) == [key]
    assert target_list.running() == []


def test_adding_a_target_again_changes_its_settings_and_nothing_else(target_list: TargetList) -> None:
    key = target_list.add(target())
    assert target_list.add(target(nprocs=2)) == key
    assert [one.nprocs for one in target_list.targets([key], Settings())] == [2]


def test_a_target_that_is_being_started_cannot_be_started_twice(target_list: TargetList) -> None:
    key = target_list.add(target())
    target_list.set_starting([key], True)
    assert target_list.rows()[0].starting
    assert target_list.startable([key]) == target_list.not_started() == []
    target_list.set_starting([key], False)
    assert target_list.startable([key]) == [key]


def test_a_started_target_keeps_its_row(target_list: TargetList) -> None:
    target_list.add(target("a"))
    target_list.add(target("b"))
    target_list.set_starting(target_list.keys(), True)
    target_list.update([seen("b")])
    assert [row.source for row in target_list.rows()] == [str(target("a").source), str(target("b").source)]
    assert [row.starting for row in target_list.rows()] == [True, False]
    assert target_list.running() == [(7, "1")]


def settings_of_next_start(target_list: TargetList) -> Settings:
    (one,) = target_list.targets(target_list.keys(), Settings(nprocs=3))
    return settings_of(one)


def test_copies_that_others_started_keep_their_settings_when_they_are_started_again(target_list: TargetList) -> None:
    rare = {"sleep_time": 0.5, "verify": "checksum", "finish_idle": 60.0, "pace": "full", "max_rate": "20 MB/s"}
    theirs = Settings.model_validate({"nprocs": 1, **rare})
    found = seen(settings=theirs)
    told = TargetSnapshot.model_validate_json(found.target.model_dump_json())
    target_list.update([SeenTarget(found.pid, told, True)])
    assert settings_of_next_start(target_list) == theirs
    target_list.update([seen(settings=theirs, state=TargetState.STOPPED, alive=False)])
    assert settings_of_next_start(target_list) == theirs
    assert target_list.targets(target_list.keys(), Settings())[0].source == target().source


def test_copies_of_an_engine_that_tells_no_settings_get_the_given_ones(target_list: TargetList) -> None:
    target_list.update([seen(state=TargetState.STOPPED, alive=False)])
    assert settings_of_next_start(target_list) == Settings(nprocs=3)


def test_settings_that_are_changed_elsewhere_hold_for_the_next_start(target_list: TargetList) -> None:
    target_list.add(target(nprocs=2))
    target_list.update([seen(settings=Settings(nprocs=2))])
    target_list.update([seen(settings=Settings(nprocs=2, sleep_time=1.0))])
    assert settings_of_next_start(target_list) == Settings(nprocs=2, sleep_time=1.0)


def test_settings_that_were_listed_are_not_replaced_by_those_of_an_older_copy_or_of_a_check(
    target_list: TargetList,
) -> None:
    target_list.add(target(nprocs=2))
    stopped = seen(settings=Settings(nprocs=1), state=TargetState.STOPPED, alive=False)
    for one in (stopped, stopped, seen(pid=8, settings=Settings(), findings=Findings())):
        target_list.update([one])
        assert settings_of_next_start(target_list) == Settings(nprocs=2)
    target_list.update([stopped])
    target_list.add(target(nprocs=5))
    target_list.update([stopped])
    assert settings_of_next_start(target_list) == Settings(nprocs=5)


def test_of_several_engines_on_one_pair_the_running_one_is_shown_or_else_the_last(target_list: TargetList) -> None:
    old, now = seen(pid=1, state=TargetState.STOPPED, alive=False), seen(pid=2)
    for order in ([old, now], [now, old]):
        target_list.update(order)
        assert [row.key for row in target_list.rows()] == [now.key]
    last = seen(pid=3, state=TargetState.COMPLETE, alive=False)
    target_list.update([old, last])
    assert [row.key for row in target_list.rows()] == [last.key]


def test_a_target_of_an_engine_that_died_says_so_and_can_be_started_again(target_list: TargetList) -> None:
    target_list.update([seen(alive=False)])
    assert target_list.rows()[0].lost
    assert target_list.startable(target_list.keys()) == [(7, "1")]
    assert target_list.running() == []
    target_list.set_starting(target_list.keys(), True)
    target_list.update([seen(alive=False)])
    assert target_list.rows()[0].starting, "what is still told of the dead engine does not end the start"
    target_list.update([seen(alive=False), seen(pid=8)])
    assert not target_list.rows()[0].starting and not target_list.rows()[0].lost


def test_a_running_target_cannot_be_struck_and_an_ended_one_is_named_to_be_forgotten(target_list: TargetList) -> None:
    target_list.add(target("new"))
    target_list.update([seen("a", pid=1), seen("b", pid=2, state=TargetState.COMPLETE, alive=False)])
    assert target_list.remove(target_list.keys()) == [(2, "1")]
    assert [row.key for row in target_list.rows()] == [(1, "1")]


def test_what_the_monitor_has_forgotten_leaves_the_list_unless_it_was_added_here(target_list: TargetList) -> None:
    target_list.add(target("mine"))
    target_list.update([seen("mine", pid=1), seen("theirs", pid=2)])
    target_list.update([])
    assert [row.source for row in target_list.rows()] == [str(target("mine").source)]
    assert target_list.not_started() == [target_list.keys()[0]]


def test_a_pace_that_was_changed_holds_for_the_next_start(target_list: TargetList) -> None:
    key = target_list.add(target(nprocs=2))
    target_list.change_settings([key], Changes.model_validate({"max_rate": "20 MB/s", "pace": "full"}))
    (changed,) = target_list.targets([key], Settings())
    assert (str(changed.max_rate), changed.pace, changed.sleep_time, changed.nprocs) == ("20 MB/s", "full", 0.0, 2)
    target_list.change_settings([(1, "nobody knows that one")], Changes(pace="auto"))


def test_a_target_that_is_watched_on_is_no_copy_under_way_and_can_be_started_or_removed(
    target_list: TargetList,
) -> None:
    for name in "ab":
        target_list.add(target(name))
    target_list.update([seen("a", state=TargetState.COMPLETE, watching=True), seen("b", pid=8)])
    watched, running = target_list.keys()
    assert target_list.count_under_way() == 1 and target_list.running() == [running]
    assert target_list.watched(target_list.keys()) == target_list.startable(target_list.keys()) == [watched]
    assert target_list.remove([watched]) == [watched], "its engine's word of it is not wanted any more"


def test_a_check_of_what_is_watched_on_is_shown_and_removing_it_ends_the_watch(target_list: TargetList) -> None:
    watched = seen("a", pid=7, state=TargetState.COMPLETE, watching=True)
    checked = seen("a", pid=9, state=TargetState.INCOMPLETE, alive=False, findings=Findings())
    target_list.update([watched, checked])
    (row,) = target_list.rows()
    assert (row.key, row.state) == ((9, "1"), TargetState.INCOMPLETE)
    assert target_list.watched(target_list.keys()) == [(7, "1")]
    target_list.update([seen("a", pid=7), checked])
    assert target_list.rows()[0].key == (7, "1"), "the source has changed, and is copied on"
    target_list.update([watched, checked])
    assert sorted(target_list.remove(target_list.keys())) == [(7, "1"), (9, "1")]


def test_a_new_copy_takes_the_row_of_one_that_was_watched_on(target_list: TargetList) -> None:
    watched = seen("a", pid=7, state=TargetState.COMPLETE, watching=True)
    target_list.update([watched])
    target_list.set_starting(target_list.keys(), True)
    target_list.update([watched])
    assert target_list.rows()[0].starting, "the engine that watches on does not count"
    target_list.update([watched, seen("a", pid=9)])
    (row,) = target_list.rows()
    assert (row.key, row.starting, row.state) == ((9, "1"), False, TargetState.COPYING)
    target_list.update([seen("a", pid=7, state=TargetState.COMPLETE, alive=False), seen("a", pid=9)])
    assert target_list.rows()[0].key == (9, "1") and target_list.watched(target_list.keys()) == []


def test_a_removed_row_does_not_come_back_with_an_older_state(target_list: TargetList) -> None:
    first = seen("a", pid=1, state=TargetState.FAILED, alive=False, started=10.0)
    second = seen("a", pid=2, state=TargetState.COMPLETE, alive=False, started=20.0)
    target_list.update([first, second])
    assert target_list.rows()[0].state is TargetState.COMPLETE
    assert sorted(target_list.remove(target_list.keys())) == [first.key, second.key], "both are to be forgotten"
    target_list.update([])
    assert target_list.rows() == []


def test_the_latest_result_wins_however_it_is_reported(target_list: TargetList) -> None:
    older = seen("a", pid=9, state=TargetState.FAILED, alive=False, started=10.0)
    newer = seen("a", pid=2, state=TargetState.COMPLETE, alive=False, started=20.0)
    for order in ([older, newer], [newer, older]):
        target_list.update(order)
        assert [row.state for row in target_list.rows()] == [TargetState.COMPLETE]


def test_of_two_sources_copied_to_one_destination_the_latest_counts(target_list: TargetList) -> None:
    older = seen("a", pid=1, state=TargetState.COMPLETE, alive=False, started=10.0)
    other = older.target.model_copy(update={"source": str(target("b").source), "started": 20.0})
    target_list.update([older, SeenTarget(2, other, False)])
    assert [row.source for row in target_list.rows()] == [str(target("b").source)]
    assert sorted(target_list.remove(target_list.keys())) == [(1, "1"), (2, "1")]


def test_what_was_added_or_started_here_is_this_windows(target_list: TargetList) -> None:
    mine = target_list.add(target("mine"))
    target_list.update([seen("theirs", pid=1), seen("found", pid=2, state=TargetState.STOPPED)])
    assert target_list.own() == [mine]
    target_list.set_starting([(2, "1")], True)
    assert target_list.own() == [mine, (2, "1")]
    assert target_list.count_under_way() == 1, "the copy of another window is none of its business"


def test_a_target_that_could_not_be_started_says_why_until_it_is_started_again(target_list: TargetList) -> None:
    key = target_list.add(target("a"))
    target_list.set_starting([key], True)
    target_list.set_starting([key], False)
    target_list.set_problem(key, "is a file")
    assert target_list.rows()[0].problem == "is a file" and target_list.startable([key]) == [key]
    target_list.set_starting([key], True)
    assert target_list.rows()[0].problem == ""
    target_list.update([seen("a")])
    target_list.set_problem((7, "1"), "another copy is writing here")
    assert target_list.rows()[0].problem == "", "it runs"


def test_targets_that_an_engine_has_begun_to_work_on_are_told_once(target_list: TargetList) -> None:
    target_list.add(target("a"))
    target_list.set_starting(target_list.keys(), True)
    (begun,) = target_list.update([seen("a")])
    assert (begun.source, begun.destination) == (target("a").source, target("a").destination)
    assert target_list.update([seen("a")]) == []
