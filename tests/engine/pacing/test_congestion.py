"""How copying gives way: on made-up disks and writers, and on traces recorded from real ones. Samples, no clock."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.pacing.congestion import CongestionController, RateLimit, Sample

MB = 1e6
TRACES = Path(__file__).parent / "traces"


class World:
    """A disk, a writer on it, and a copy that goes as fast as it may and can.

    Parameters
    ----------
    hold : callable
        How long the writer holds a lock, in s, for the bytes a second that are copied; None where it takes none.
    busy : callable
        How busy the disk is (0 to 1), likewise.
    latency : callable
        Seconds a write takes, likewise; None where nothing is written to the disk itself.
    """

    def __init__(
        self,
        hold: Callable[[float], float] | None = None,
        busy: Callable[[float], float] | None = None,
        latency: Callable[[float], float] | None = None,
        able: float = 400 * MB,
        backlog: float = 100.0,
    ) -> None:
        self.controller = CongestionController()
        self.hold, self.busy, self.latency = hold, busy, latency
        self.able, self.backlog = able, backlog
        self.live = True
        self.full_in: float | None = None
        self.now = 1000.0
        self.rate = 0.0
        self.limit = RateLimit()
        self._chance = random.Random(7)

    def step(self) -> RateLimit:
        """A second goes by."""
        self.now += 1.0
        self.rate = min(self.able, self.limit.rate)
        noise = self._chance.uniform(0.9, 1.1)
        self.limit = self.controller.decide(
            Sample(
                now=self.now,
                live=self.live,
                rate=self.rate,
                backlog=self.backlog,
                holds=[self.hold(self.rate) * self._chance.uniform(0.8, 1.2) for _ in range(10)] if self.hold else (),
                busy=min(1.0, self.busy(self.rate)) if self.busy else None,
                latency=self.latency(self.rate) * noise if self.latency else None,
                full_in=self.full_in,
            )
        )
        return self.limit

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
    """Waits that grow when more than so much is copied a second."""
    return lambda copied: alone * (1 + 4 * max(0.0, copied / rate - 1) + (1 if copied > rate else 0))


# -- where nobody suffers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(hold=lambda rate: 0.004),
        World(hold=lambda rate: 0.004, busy=lambda rate: rate / (400 * MB)),
        World(busy=lambda rate: 0.5),
        World(hold=lambda rate: 0.0),  # quicker than can be told
        World(busy=lambda rate: 1.0 if rate > MB else 0.02),  # an NVMe disk: always busy, never at its end
        World(busy=lambda rate: 1.0 if rate > MB else 0.3, latency=lambda rate: 0.0002 if rate > MB else 0.00005),
    ],
    ids=["nothing known", "steady locks", "busy disk, steady locks", "half busy", "no time", "NVMe", "NVMe, latency"],
)
def test_what_harms_nobody_costs_no_throughput(world: World) -> None:
    assert mean(world.run(600)) > 0.98 * world.able


def test_without_an_acquisition_it_never_waits() -> None:
    world = World(hold=suffers_above(1 * MB), busy=lambda rate: 1.0, latency=suffers_above(1 * MB))
    world.live = False
    assert world.run(100)[1:] == [world.able] * 99
    assert world.limit == RateLimit()


def test_a_live_copy_that_keeps_up_does_not_stand_still_while_all_is_well() -> None:
    world = World(hold=lambda rate: 0.01, able=100 * MB, backlog=0.2)
    assert min(world.run(600)[1:]) == world.able


# -- where the writer suffers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world",
    [
        World(hold=suffers_above(150 * MB)),
        World(hold=suffers_above(150 * MB), busy=lambda rate: rate / (300 * MB)),
        World(busy=lambda rate: 0.6 + rate / (200 * MB), latency=suffers_above(150 * MB)),
        World(busy=lambda rate: 0.55 + rate / (300 * MB)),  # nothing but how busy the disk is
    ],
    ids=["locks", "locks, busy disk", "latency", "busy"],
)
def test_it_gives_way_to_a_writer_that_suffers(world: World) -> None:
    world.run(30)
    before = world.run(10)
    assert mean(before) < 0.75 * world.able
    rates = world.run(1200)
    assert sum(rate > 150 * MB for rate in rates) < 0.15 * len(rates), "the writer suffers too much of the time"
    assert mean(rates) > 40 * MB, "it gives way more than it has to"


def test_it_is_down_within_seconds_and_comes_back_slowly() -> None:
    world = World(hold=lambda rate: 0.01)
    world.run(200)
    assert world.limit.rate == math.inf
    world.hold = suffers_above(50 * MB)
    rates = world.run(20)
    assert min(rates[5:]) < 50 * MB
    low = min(rates)
    world.hold = lambda rate: 0.01
    rates = world.run(400)
    doubled = next(second for second, rate in enumerate(rates) if rate > 2 * low)
    assert 5 < doubled < 120
    assert world.limit == RateLimit(), "in the end it is as fast as it was"


def test_the_reason_is_said_in_words() -> None:
    world = World(hold=suffers_above(50 * MB))
    reasons = {world.step().reason for _ in range(120)}
    assert "stands still for some seconds, to see how the acquisition does without copying" in reasons
    assert any(
        reason.startswith("gives way to the acquisition: its writer holds its locks ")
        and reason.endswith(" times as long as without copying")
        for reason in reasons
    )
    assert "comes back slowly after it gave way to the acquisition" in reasons


def test_it_never_starves() -> None:
    world = World(hold=lambda rate: 1.0 if rate > 2 * MB else 0.001)
    rates = world.run(3600)
    assert min(world.run(60)) >= 1.0
    assert mean(rates) > 0.5 * MB


def test_what_a_busy_disk_does_without_copying_is_no_reason_to_give_way() -> None:
    world = World(hold=lambda rate: 0.2, busy=lambda rate: 1.0, latency=lambda rate: 0.1)
    assert mean(world.run(600)) > 0.95 * world.able


def test_what_was_learned_while_others_used_the_disk_is_learned_anew() -> None:
    world = World(hold=lambda rate: 0.2)  # somebody else's copy, just while it stands still
    while world.limit.rate > 1:
        world.step()
    world.run(4)
    assert world.limit == RateLimit()
    world.hold = lambda rate: 0.08 if rate > 50 * MB else 0.02
    world.run(300)
    assert mean(world.run(60)) < 0.5 * world.able


def test_a_short_burst_of_a_busy_disk_changes_nothing() -> None:
    world = World(busy=lambda rate: 0.5)
    world.run(50)
    world.busy = lambda rate: 1.0
    world.run(2)
    world.busy = lambda rate: 0.5
    assert min(world.run(50)) == world.able


def test_a_writer_that_holds_one_lock_and_gets_nowhere_is_noticed() -> None:
    world = World(hold=lambda rate: 0.01)
    world.run(100)
    held = iter(range(1, 100))
    for _ in range(6):
        world.now += 1.0
        world.limit = world.controller.decide(Sample(world.now, True, world.able, 100.0, [next(held)] * 4))
    assert world.limit.rate < world.able


def test_the_end_of_the_acquisition_ends_it() -> None:
    world = World(hold=suffers_above(20 * MB))
    world.run(100)
    assert world.limit.rate < world.able
    world.live = False
    assert world.step() == RateLimit()


# -- before the source's disk is full ----------------------------------------------------------------------


def test_the_fuller_the_disk_the_less_it_gives_way() -> None:
    world = World(hold=lambda rate: 0.01 if rate < 5 * MB else 1.0)
    world.run(300)
    means = []
    for full_in in (7200.0, 2400.0, 1200.0, 300.0):
        world.full_in = full_in
        means.append(mean(world.run(300)))
    assert means == sorted(means)
    assert means[0] < 0.1 * world.able
    assert means[-1] > 0.95 * world.able
    world.full_in = 1800.0
    reasons = {world.step().reason for _ in range(60)}
    assert "gives way less: the source's disk is full in 30 min" in reasons


# -- whatever happens --------------------------------------------------------------------------------------

SAMPLES = st.lists(
    st.builds(
        Sample,
        now=st.just(0.0),
        live=st.booleans() | st.just(True),
        rate=st.floats(0, 1e10),
        backlog=st.floats(0, 1e6),
        holds=st.lists(st.floats(0, 100), max_size=20),
        busy=st.none() | st.floats(0, 1),
        latency=st.none() | st.floats(0, 10),
        full_in=st.none() | st.floats(0, 1e5),
    ),
    max_size=80,
)


@given(SAMPLES, st.floats(0.1, 30))
def test_whatever_is_seen_it_copies_something_and_says_why_not_more(samples: list[Sample], pause: float) -> None:
    controller, now, still = CongestionController(), 1e5, 0.0
    for sample in samples:
        now += pause
        limit = controller.decide(Sample(now, *(getattr(sample, name) for name in Sample.__slots__[1:])))
        assert bool(limit.reason) == (limit.rate < math.inf)
        still = still + pause if limit.rate < MB else 0.0
        assert still <= 3.0 + 2 * pause, "it stands still for moments only"
        assert sample.live or limit.rate == math.inf


# -- recorded ----------------------------------------------------------------------------------------------
#
# What an engine saw of tensorstore writers (zarr 2, 15 to 50 chunk files of 0.1 to 1 MB a second) while it copied
# them and some old data: in memory, on a disk, and on a disk that other programs used heavily. "suffers" is what the
# writer measured: its writes took more than twice, and 5 ms, longer than before copying. In the last of them that
# was so a third of the time, at 15 ms instead of 7: less than the controller minds.


def samples_of(trace: Path) -> Iterator[Sample]:
    for line in trace.read_text(encoding="utf-8").splitlines():
        yield Sample(**json.loads(line)["sample"])


@pytest.mark.parametrize("name", ["tmpfs", "disk", "shared"])
def test_a_recorded_acquisition_that_waits_for_some_ms_more_at_most_is_copied_at_full_speed(name: str) -> None:
    controller = CongestionController()
    limits = [controller.decide(sample) for sample in samples_of(TRACES / f"{name}.jsonl")]
    assert len(limits) > 20
    limited = {limit.reason for limit in limits if limit.rate < math.inf}
    assert limited <= {"stands still for some seconds, to see how the acquisition does without copying"}
    assert sum(limit.rate < math.inf for limit in limits) <= 4, "more than one such look"


@pytest.mark.parametrize("name", ["tmpfs", "disk", "shared"])
def test_a_recorded_acquisition_is_given_way_to_when_its_writer_waits_for_five_times_as_long(name: str) -> None:
    controller, found = CongestionController(), list(samples_of(TRACES / f"{name}.jsonl"))
    half = len(found) // 2
    for sample in found[:half]:  # with some seconds without copying, to compare with
        controller.decide(replace(sample, rate=0.0))
    limits = [
        controller.decide(replace(sample, rate=1e8, holds=[5 * hold + 0.02 for hold in sample.holds]))
        for sample in found[half:]
    ]
    assert min(limit.rate for limit in limits) < 1e8
    assert any("holds its locks" in limit.reason for limit in limits)
