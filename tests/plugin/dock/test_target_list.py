"""The dock's list has one row for each source and destination, whoever copies it and however often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import Changes, Findings, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Settings, Target, settings_of
from softcopy_napari.plugin.dock.engine_contact import Seen
from softcopy_napari.plugin.dock.target_list import TargetList


def target(name: str = "a", nprocs: int = 4) -> Target:
    root = Path.cwd().anchor
    return Target(source=Path(root, "data", name), destination=Path(root, "nas", name), nprocs=nprocs)


def seen(
    name: str = "a", pid: int = 7, state: TargetState = TargetState.COPYING, *, alive: bool = True, **fields: Any
) -> Seen:
    paths = target(name)
    snapshot = TargetSnapshot(
        id="1", source=str(paths.source), destination=str(paths.destination), state=state, **fields
    )
    return Seen(pid, snapshot, alive)


@pytest.fixture
def book() -> TargetList:
    return TargetList()


def test_an_added_target_waits_to_be_started(book: TargetList) -> None:
    key = book.add(target())
    (row,) = book.rows()
    assert (row.key, row.snapshot, row.starting) == (key, None, False)
    assert book.not_started() == book.startable(book.keys()) == [key]
    assert book.running() == []


def test_adding_a_target_again_changes_its_settings_and_nothing_else(book: TargetList) -> None:
    key = book.add(target())
    assert book.add(target(nprocs=2)) == key
    assert [one.nprocs for one in book.targets([key], Settings())] == [2]


def test_a_target_that_is_being_started_cannot_be_started_twice(book: TargetList) -> None:
    key = book.add(target())
    book.starting([key], True)
    assert book.rows()[0].starting
    assert book.startable([key]) == book.not_started() == []
    book.starting([key], False)
    assert book.startable([key]) == [key]


def test_a_started_target_keeps_its_row(book: TargetList) -> None:
    book.add(target("a"))
    book.add(target("b"))
    book.starting(book.keys(), True)
    book.take([seen("b")])
    assert [row.source for row in book.rows()] == [str(target("a").source), str(target("b").source)]
    assert [row.starting for row in book.rows()] == [True, False]
    assert book.running() == [(7, "1")]


def settings_of_next_start(book: TargetList) -> Settings:
    (one,) = book.targets(book.keys(), Settings(nprocs=3))
    return settings_of(one)


def test_copies_that_others_started_keep_their_settings_when_they_are_started_again(book: TargetList) -> None:
    rare = {"sleep_time": 0.5, "verify": "checksum", "finish_idle": 60.0, "pace": "full", "max_rate": "20 MB/s"}
    theirs = Settings.model_validate({"nprocs": 1, **rare})
    found = seen(settings=theirs)
    told = TargetSnapshot.model_validate_json(found.target.model_dump_json())
    book.take([Seen(found.pid, told, True)])
    assert settings_of_next_start(book) == theirs
    book.take([seen(settings=theirs, state=TargetState.STOPPED, alive=False)])
    assert settings_of_next_start(book) == theirs
    assert book.targets(book.keys(), Settings())[0].source == target().source


def test_copies_of_an_engine_that_tells_no_settings_get_the_given_ones(book: TargetList) -> None:
    book.take([seen(state=TargetState.STOPPED, alive=False)])
    assert settings_of_next_start(book) == Settings(nprocs=3)


def test_settings_that_are_changed_elsewhere_hold_for_the_next_start(book: TargetList) -> None:
    book.add(target(nprocs=2))
    book.take([seen(settings=Settings(nprocs=2))])
    book.take([seen(settings=Settings(nprocs=2, sleep_time=1.0))])
    assert settings_of_next_start(book) == Settings(nprocs=2, sleep_time=1.0)


def test_settings_that_were_listed_are_not_replaced_by_those_of_an_older_copy_or_of_a_check(book: TargetList) -> None:
    book.add(target(nprocs=2))
    stopped = seen(settings=Settings(nprocs=1), state=TargetState.STOPPED, alive=False)
    for one in (stopped, stopped, seen(pid=8, settings=Settings(), findings=Findings())):
        book.take([one])
        assert settings_of_next_start(book) == Settings(nprocs=2)
    book.take([stopped])
    book.add(target(nprocs=5))
    book.take([stopped])
    assert settings_of_next_start(book) == Settings(nprocs=5)


def test_of_several_engines_on_one_pair_the_running_one_is_shown_or_else_the_last(book: TargetList) -> None:
    old, now = seen(pid=1, state=TargetState.STOPPED, alive=False), seen(pid=2)
    for order in ([old, now], [now, old]):
        book.take(order)
        assert [row.key for row in book.rows()] == [now.key]
    last = seen(pid=3, state=TargetState.COMPLETE, alive=False)
    book.take([old, last])
    assert [row.key for row in book.rows()] == [last.key]


def test_a_target_of_an_engine_that_died_says_so_and_can_be_started_again(book: TargetList) -> None:
    book.take([seen(alive=False)])
    assert book.rows()[0].lost
    assert book.startable(book.keys()) == [(7, "1")]
    assert book.running() == []
    book.starting(book.keys(), True)
    book.take([seen(alive=False)])
    assert book.rows()[0].starting, "what is still told of the dead engine does not end the start"
    book.take([seen(alive=False), seen(pid=8)])
    assert not book.rows()[0].starting and not book.rows()[0].lost


def test_a_running_target_cannot_be_struck_and_an_ended_one_is_named_to_be_forgotten(book: TargetList) -> None:
    book.add(target("new"))
    book.take([seen("a", pid=1), seen("b", pid=2, state=TargetState.COMPLETE, alive=False)])
    assert book.remove(book.keys()) == [(2, "1")]
    assert [row.key for row in book.rows()] == [(1, "1")]


def test_what_the_supervisor_has_forgotten_leaves_the_list_unless_it_was_added_here(book: TargetList) -> None:
    book.add(target("mine"))
    book.take([seen("mine", pid=1), seen("theirs", pid=2)])
    book.take([])
    assert [row.source for row in book.rows()] == [str(target("mine").source)]
    assert book.not_started() == [book.keys()[0]]


def test_a_pace_that_was_changed_holds_for_the_next_start(book: TargetList) -> None:
    key = book.add(target(nprocs=2))
    book.change([key], Changes.model_validate({"max_rate": "20 MB/s", "pace": "full"}))
    (changed,) = book.targets([key], Settings())
    assert (str(changed.max_rate), changed.pace, changed.sleep_time, changed.nprocs) == ("20 MB/s", "full", 0.0, 2)
    book.change([(1, "nobody knows that one")], Changes(pace="auto"))


def test_a_target_that_is_watched_on_is_no_copy_under_way_and_can_be_started_or_removed(book: TargetList) -> None:
    book.take([seen("a", state=TargetState.COMPLETE, watching=True), seen("b", pid=8)])
    watched, running = book.keys()
    assert book.under_way() == 1 and book.running() == [running]
    assert book.watched(book.keys()) == book.startable(book.keys()) == [watched]
    assert book.remove([watched]) == [watched], "its engine's word of it is not wanted any more"


def test_a_check_of_what_is_watched_on_is_shown_and_removing_it_ends_the_watch(book: TargetList) -> None:
    watched = seen("a", pid=7, state=TargetState.COMPLETE, watching=True)
    checked = seen("a", pid=9, state=TargetState.INCOMPLETE, alive=False, findings=Findings())
    book.take([watched, checked])
    (row,) = book.rows()
    assert (row.key, row.state) == ((9, "1"), TargetState.INCOMPLETE)
    assert book.watched(book.keys()) == [(7, "1")]
    book.take([seen("a", pid=7), checked])
    assert book.rows()[0].key == (7, "1"), "the source has changed, and is copied on"
    book.take([watched, checked])
    assert sorted(book.remove(book.keys())) == [(7, "1"), (9, "1")]


def test_a_new_copy_takes_the_row_of_one_that_was_watched_on(book: TargetList) -> None:
    watched = seen("a", pid=7, state=TargetState.COMPLETE, watching=True)
    book.take([watched])
    book.starting(book.keys(), True)
    book.take([watched])
    assert book.rows()[0].starting, "the engine that watches on does not count"
    book.take([watched, seen("a", pid=9)])
    (row,) = book.rows()
    assert (row.key, row.starting, row.state) == ((9, "1"), False, TargetState.COPYING)
    book.take([seen("a", pid=7, state=TargetState.COMPLETE, alive=False), seen("a", pid=9)])
    assert book.rows()[0].key == (9, "1") and book.watched(book.keys()) == []
