"""How much is copied: on made-up writers, and on traces recorded from real ones. Samples, no clock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.pacing.effort import Decision, EffortController, Sample
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, IN_PAUSES

MB = 1e6
TRACES = Path(__file__).parent / "traces"


class World:
    """A writer, and a copy beside it that does as much as it may and can.

    Parameters
    ----------
    hold : callable
        How long the writer has a file open, in s, for the bytes a second that are copied.
    comes : float
        Bytes a second that are to be copied.
    pauses : float
        Share of the time in which the writer pauses.
    """

    def __init__(
        self, hold: Callable[[float], float], comes: float = 1e12, pauses: float = 0.5, able: float = 400 * MB
    ) -> None:
        self.controller = EffortController()
        self.hold, self.comes, self.pauses, self.able = hold, comes, pauses, able
        self.live = True
        self.full_in: float | None = None
        self.now = 1000.0
        self.left = 0.0
        self.rate = 0.0
        self.decision = Decision()
        self._chance = random.Random(7)

    def step(self) -> Decision:
        """A second goes by."""
        self.now += 1.0
        effort = self.decision.effort
        may = self.able * (self.pauses * min(effort, 1.0) + (1 - self.pauses) * max(effort - 1, 0.0))
        self.rate = min(may, self.left + self.comes)
        self.left = self.left + self.comes - self.rate
        self.decision = self.controller.decide(
            Sample(
                now=self.now,
                live=self.live,
                rate=self.rate,
                backlog=self.left / max(self.rate, 1.0),
                holds=[self.hold(self.rate) * self._chance.uniform(0.8, 1.2) for _ in range(10)],
                full_in=self.full_in,
            )
        )
        return self.decision

    def run(self, seconds: int) -> list[float]:
        """The rates that were copied at, second by second."""
        rates = []
        for _ in range(seconds):
            self.step()
            rates.append(self.rate)
        return rates


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def suffers_above(rate: float, alone: float = 0.02) -> Callable[[float], float]:
    """Times that grow when more than so much is copied a second."""
    return lambda copied: alone * (1 + 4 * max(0.0, copied / rate - 1) + (1 if copied > rate else 0))


def steady(rate: float) -> float:
    return 0.01


# -- where nobody suffers ----------------------------------------------------------------------------------


def test_what_keeps_up_in_the_pauses_takes_nothing_else_and_never_stands_still() -> None:
    world = World(steady, comes=100 * MB)
    assert {world.step().effort for _ in range(600)} == {IN_PAUSES}
    assert describe(world.decision.reason) == "copying in the microscope's pauses: keeping up"


def test_where_the_pauses_do_not_suffice_it_takes_as_much_more_as_it_needs() -> None:
    world = World(steady, comes=100 * MB, pauses=0.1)
    efforts = [world.step().effort for _ in range(300)]
    assert max(efforts) < 1.7, "a quarter of the bursts would do"
    assert max(efforts[-100:]) < 1.4
    assert world.left < 5 * 100 * MB, "it has caught up"
    assert min(effort for effort in efforts if effort) == IN_PAUSES
    reasons = {describe(world.step().reason).partition(", and ")[0] for _ in range(100)}
    assert "copying in the microscope's pauses" in reasons


def test_what_harms_nobody_costs_no_throughput_where_there_is_much_to_do() -> None:
    assert mean(World(steady).run(600)[100:]) > 0.95 * 400 * MB


def test_without_an_acquisition_it_never_waits() -> None:
    world = World(suffers_above(1 * MB))
    world.live = False
    assert {world.step() for _ in range(100)} == {Decision()}


# -- where the writer suffers ------------------------------------------------------------------------------


@pytest.mark.parametrize("pauses", [0.1, 0.5, 0.9])
def test_it_gives_way_to_a_writer_that_suffers(pauses: float) -> None:
    world = World(suffers_above(150 * MB), pauses=pauses)
    world.run(60)
    rates = world.run(1200)
    assert sum(rate > 150 * MB for rate in rates) < 0.15 * len(rates), "the writer suffers too much of the time"
    assert mean(rates) > 30 * MB, "it gives way more than it has to"


def test_it_is_down_within_seconds_and_comes_back_slowly() -> None:
    world = World(steady)
    world.run(200)
    assert world.decision.effort == ALL_THE_TIME
    world.hold = suffers_above(50 * MB)
    rates = world.run(40)
    assert min(rates[5:]) < 50 * MB
    low = min(rates)
    world.hold = steady
    rates = world.run(600)
    doubled = next(second for second, rate in enumerate(rates) if rate > 2 * low)
    assert 4 < doubled < 120
    assert world.decision.effort == ALL_THE_TIME, "in the end it does as much as it did"


def test_the_reason_is_said_in_words() -> None:
    world = World(suffers_above(50 * MB))
    reasons = {describe(world.step().reason) for _ in range(120)}
    assert "pausing for a few seconds, to see how the acquisition does without copying" in reasons
    assert any(reason.startswith("yielding to the acquisition: its writer has files open ") for reason in reasons)
    assert "speeding up slowly after yielding to the acquisition" in reasons


def test_it_never_starves() -> None:
    world = World(lambda rate: 1.0 if rate > 2 * MB else 0.001)
    assert mean(world.run(3600)) > 0.5 * MB


def test_what_takes_long_without_copying_is_no_reason_to_give_way() -> None:
    assert mean(World(lambda rate: 0.2).run(600)[100:]) > 0.95 * 400 * MB


def test_what_was_learned_while_others_used_the_disk_is_learned_anew() -> None:
    world = World(lambda rate: 0.2)  # somebody else's copy, just while it stands still
    while world.decision.effort:
        world.step()
    world.run(4)
    assert world.decision.effort >= IN_PAUSES
    world.hold = lambda rate: 0.08 if rate > 50 * MB else 0.02
    world.run(300)
    assert mean(world.run(60)) < 0.5 * world.able


def test_a_writer_that_has_one_file_open_and_gets_nowhere_is_noticed() -> None:
    world = World(steady)
    world.run(100)
    before = world.decision.effort
    held = iter(range(1, 100))
    for _ in range(6):
        world.now += 1.0
        world.decision = world.controller.decide(Sample(world.now, True, world.able, 100.0, [next(held)] * 4))
    assert world.decision.effort < before


def test_the_end_of_the_acquisition_ends_it() -> None:
    world = World(suffers_above(20 * MB))
    world.run(100)
    assert world.decision.effort < IN_PAUSES
    world.live = False
    assert world.step() == Decision()


# -- before the source's disk is full ----------------------------------------------------------------------


def test_the_fuller_the_disk_the_less_it_gives_way() -> None:
    world = World(lambda rate: 0.01 if rate < 5 * MB else 1.0)
    world.run(300)
    means = []
    for full_in in (7200.0, 2400.0, 1200.0, 300.0):
        world.full_in = full_in
        means.append(mean(world.run(300)))
    assert means == sorted(means)
    assert means[0] < 0.1 * world.able
    assert means[-1] > 0.95 * world.able
    world.full_in = 1800.0
    reasons = {describe(world.step().reason) for _ in range(60)}
    assert "yielding less: the source's disk is full in 30 min" in reasons


# -- whatever happens --------------------------------------------------------------------------------------

SAMPLES = st.lists(
    st.builds(
        Sample,
        now=st.just(0.0),
        live=st.booleans() | st.just(True),
        rate=st.floats(0, 1e10),
        backlog=st.floats(0, 1e6),
        holds=st.lists(st.floats(0, 100), max_size=20),
        full_in=st.none() | st.floats(0, 1e5),
    ),
    max_size=80,
)


@given(SAMPLES, st.floats(0.1, 30))
def test_whatever_is_seen_it_copies_something_and_says_why(samples: list[Sample], pause: float) -> None:
    controller, now, still = EffortController(), 1e5, 0.0
    for sample in samples:
        now += pause
        decision = controller.decide(replace(sample, now=now))
        assert 0 <= decision.effort <= ALL_THE_TIME
        assert bool(describe(decision.reason)) == sample.live
        still = still + pause if not decision.effort else 0.0
        assert still <= 3.0 + 2 * pause, "it stands still for moments only"
        assert sample.live or decision.effort == IN_PAUSES


# -- recorded ----------------------------------------------------------------------------------------------
#
# What an engine saw of tensorstore writers (zarr 2, 15 to 50 chunk files of 0.1 to 1 MB a second) while it copied
# them and some old data: in memory, on a disk, and on a disk that other programs used heavily. "suffers" is what the
# writer measured: its writes took more than twice, and 5 ms, longer than before copying. In the last of them that
# was so a third of the time, at 15 ms instead of 7: less than the controller minds.


def samples_of(trace: Path) -> Iterator[Sample]:
    for line in trace.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)["sample"]
        yield Sample(**{name: sample[name] for name in Sample.__slots__})


@pytest.mark.parametrize("name", ["tmpfs", "disk", "shared"])
def test_a_recorded_acquisition_that_waits_for_some_ms_more_at_most_is_copied_in_all_its_pauses(name: str) -> None:
    controller = EffortController()
    efforts = [controller.decide(sample).effort for sample in samples_of(TRACES / f"{name}.jsonl")]
    assert len(efforts) > 20
    assert {effort for effort in efforts if effort < IN_PAUSES} <= {0.0}
    assert efforts.count(0.0) <= 4, "more than one look at how it does without copying"


@pytest.mark.parametrize("name", ["tmpfs", "disk", "shared"])
def test_a_recorded_acquisition_is_given_way_to_when_its_writer_waits_for_five_times_as_long(name: str) -> None:
    controller, found = EffortController(), list(samples_of(TRACES / f"{name}.jsonl"))
    half = len(found) // 2
    for sample in found[:half]:  # with some seconds without copying, to compare with
        controller.decide(replace(sample, rate=0.0))
    decisions = [
        controller.decide(replace(sample, rate=1e8, holds=[5 * hold + 0.02 for hold in sample.holds]))
        for sample in found[half:]
    ]
    assert min(decision.effort for decision in decisions) < IN_PAUSES
    assert any("has files open" in describe(decision.reason) for decision in decisions)
