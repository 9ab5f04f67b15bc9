"""What holds a copy worker back: measured in bytes against a clock of the test's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.worker.token_bucket import TokenBucket


class Bench:
    """A throttle with a clock that only its sleeps, and the test, move on."""

    def __init__(self, rate: float = math.inf, sleep_time: float = 0.0) -> None:
        self.now = 100.0
        self.longest = 0.0
        self.signs = 0
        self.stopped = False
        self.throttle = TokenBucket(rate, sleep_time, lambda: self.stopped, self.sign, lambda: self.now, self.sleep)
        self.throttle.begin_task()
        self.at: list[tuple[float, float, float]] = []
        """Changes of the pace: when, to which rate and sleep time."""

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.longest = max(self.longest, seconds)
        self.now += seconds
        while self.at and self.at[0][0] <= self.now:
            self.throttle.set_pace(*self.at.pop(0)[1:])

    def sign(self) -> None:
        self.signs += 1

    @property
    def elapsed(self) -> float:
        return self.now - 100.0


def test_without_a_limit_nothing_is_waited_for() -> None:
    bench = Bench()
    for _ in range(100):
        bench.throttle.pay_for_block(4 << 20)
    assert bench.throttle.is_limiting, "the file's bytes are to be forgotten at its end"
    assert not bench.throttle.pay_for_file(400 << 20)
    assert not bench.throttle.is_limiting
    assert (bench.elapsed, bench.signs) == (0.0, 0)


@pytest.mark.parametrize("size", [100, 16 << 10, 1 << 20, 64 << 20])
@pytest.mark.parametrize("rate", [1e5, 1e7, 1e9])
def test_files_of_any_size_take_the_time_that_the_rate_gives_them(size: int, rate: float) -> None:
    bench = Bench(rate)
    count = min(1000, max(1, int(10 * rate / size)))
    for _ in range(count):
        bench.throttle.pay_for_file(size)
    assert bench.elapsed == pytest.approx(count * size / rate, rel=0.01, abs=0.006)


def test_a_large_file_is_held_back_block_by_block() -> None:
    bench = Bench(1e6)
    for _ in range(5):
        bench.throttle.pay_for_block(4_000_000)
    bench.throttle.pay_for_file(21_000_000)
    assert bench.elapsed == pytest.approx(21.0, abs=0.006)
    assert bench.longest <= 0.1
    assert bench.signs > 100, "the engine would take it for hung"


def test_a_new_rate_is_heeded_amid_a_large_file() -> None:
    bench = Bench(1e3)  # this block would take more than an hour
    bench.at = [(110.0, 4e6, 0.0)]
    bench.throttle.pay_for_block(4_000_000)
    assert bench.elapsed == pytest.approx(11.0, abs=0.2)
    bench.at = [(112.0, math.inf, 0.0)]
    bench.throttle.pay_for_block(400_000_000)
    assert bench.elapsed == pytest.approx(12.0, abs=0.2)
    bench.throttle.set_pace(1e6, 0.0)
    bench.throttle.pay_for_file(405_000_000)
    assert bench.elapsed == pytest.approx(13.0, abs=0.2), "what was copied without a limit is not paid for later"


def test_to_stop_is_heeded_in_the_midst_of_a_wait() -> None:
    bench = Bench(1e3)
    bench.throttle._alive = lambda: setattr(bench, "stopped", bench.elapsed > 1.0)
    bench.throttle.pay_for_block(1 << 30)
    assert bench.elapsed < 1.3
    bench.throttle.pay_for_file(1 << 30)
    assert bench.elapsed < 1.3


def test_a_pause_after_each_file_can_be_changed_while_it_lasts() -> None:
    bench = Bench(sleep_time=3600.0)
    bench.at = [(102.0, math.inf, 0.5)]
    assert bench.throttle.pay_for_file(1000), "the rest of the task had better go back"
    assert bench.elapsed == pytest.approx(2.0, abs=0.2)
    bench.throttle.begin_task()
    assert not bench.throttle.pay_for_file(1000)
    assert bench.elapsed == pytest.approx(2.5, abs=0.2)


def test_a_task_that_is_held_back_for_long_is_given_back() -> None:
    bench = Bench(1e6)
    assert not bench.throttle.pay_for_file(500_000)
    assert bench.throttle.pay_for_file(700_000)
    bench.throttle.begin_task()
    assert not bench.throttle.is_overdue


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.floats(0.0, 0.5), st.sampled_from([1e5, 1e6, 3e7])),
        min_size=5,
        max_size=20,
    )
)
def test_never_is_more_copied_than_was_allowed(files: list[tuple[int, float, float]]) -> None:
    bench = Bench(1e6)
    allowed = copied = 0.0
    for size, work, rate in files:
        bench.throttle.set_pace(rate, 0.0)
        before = bench.now
        bench.now += work  # the copy itself
        bench.throttle.pay_for_file(size)
        allowed += (bench.now - before) * rate
        copied += size
        assert copied <= allowed + 3e7 * 0.05
