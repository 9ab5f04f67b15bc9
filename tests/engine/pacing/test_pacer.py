"""Pace on real processes: what a user sets holds at once, and is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.protocol.messages import Changes, Order
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, until, write

MB = 1_000_000


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.stop()


def changes(**wanted: Any) -> Changes:
    return Changes.model_validate(wanted)


def set_to(jobs: Jobs, **wanted: Any) -> None:
    assert jobs.job is not None
    assert jobs.job.change(changes(**wanted)) is None


def test_a_large_file_that_would_take_for_ever_arrives_once_the_rate_is_raised(jobs: Jobs) -> None:
    make_array(jobs.source, (2, 1))
    write(jobs.source / "large", bytes(30 * MB), old=True)
    jobs.start(max_rate="1 kB/s", settle=0.0)
    assert until(lambda: next(jobs.destination.glob(".softcopy-*-[0-9].tmp"), None)), "it is under way"
    assert jobs.now.pace.limit == 1000
    assert jobs.now.pace.reason == "speed limit as set"
    set_to(jobs, max_rate="full")
    assert jobs.ends().state is TargetState.COMPLETE
    assert (jobs.destination / "large").stat().st_size == 30 * MB


def test_what_is_held_back_can_be_stopped_and_leaves_no_half_file(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    write(jobs.source / "large", bytes(30 * MB), old=True)
    jobs.start(max_rate="1 kB/s")
    assert until(lambda: next(jobs.destination.glob(".softcopy-*-[0-9].tmp"), None))
    jobs.stop()
    assert not (jobs.destination / "large").exists()
    assert not list(jobs.destination.glob(".softcopy-*"))


def test_a_pause_after_each_file_can_be_taken_away_while_it_lasts(jobs: Jobs) -> None:
    make_array(jobs.source, (10, 10))
    jobs.start(sleep_time=600.0, settle=0.0)
    assert until(lambda: len(list(jobs.destination.glob("*"))) > 1)
    assert jobs.now.pace.sleep_time == 600.0
    set_to(jobs, sleep_time=0.0)
    assert jobs.ends().state is TargetState.COMPLETE


def test_what_is_set_is_told_and_the_rest_stays(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    jobs.start(max_rate={"00:00-24:00": "50 MB/s"})
    assert until(lambda: jobs.now.pace.limit == 50 * MB)
    set_to(jobs, pace="full")
    assert until(lambda: jobs.now.pace.mode == "full")
    assert str(jobs.now.pace.max_rate) == "00:00-24:00: 50 MB/s, else: full"
    set_to(jobs, max_rate="full", sleep_time=0.25)
    assert until(lambda: jobs.now.pace.limit is None)
    assert (jobs.now.pace.mode, jobs.now.pace.sleep_time, jobs.now.pace.reason) == ("full", 0.25, "")


def test_of_what_has_ended_or_is_only_compared_no_pace_can_be_set(jobs: Jobs) -> None:
    make_array(jobs.source, (1, 1))
    job = jobs.start(settle=0.0)
    jobs.ends()
    assert describe(job.change(changes(pace="full"))).endswith("is no longer copied: it has ended")
    target = job.target.model_copy(update={"check": True})
    engine = Engine([target])
    try:
        assert describe(engine.order(Order(do="set", changes=changes(pace="full")))).endswith("it has no speed to set")
    finally:
        engine.start()
        assert engine.wait(30.0)
        engine.close()
