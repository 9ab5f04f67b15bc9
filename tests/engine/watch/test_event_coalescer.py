"""When the events of a source gather, by a clock of the test's own."""

from __future__ import annotations

from softcopy_napari.engine.watch.event_coalescer import PAUSE, EventCoalescer


def heard(coalescer: EventCoalescer, rate: int, start: float, seconds: float) -> list[tuple[bool, float | None]]:
    """Let events come one by one; returns for each whether it was read closely, and what was left."""
    told = []
    for number in range(round(rate * seconds)):
        now = start + number / rate
        coalescer.count_events(1, now)
        told.append((coalescer.closely, coalescer.seconds_left(now)))
    return told


def test_a_source_that_is_not_busy_is_acted_upon_at_once() -> None:
    assert set(heard(EventCoalescer(), rate=100, start=1000.0, seconds=3.0)) == {(True, None)}


def test_a_busy_source_is_read_together_most_of_the_time_and_closely_now_and_then() -> None:
    coalescer = EventCoalescer()
    heard(coalescer, rate=1500, start=1000.0, seconds=1.0)
    told = heard(coalescer, rate=1500, start=1001.0, seconds=10.0)
    closely = sum(is_closely for is_closely, _ in told) / len(told)
    assert 0.05 < closely < 0.2
    assert all(left is None for is_closely, left in told if not is_closely)


def test_what_is_read_closely_is_acted_upon_together_as_well() -> None:
    coalescer = EventCoalescer()
    heard(coalescer, rate=1500, start=1000.0, seconds=1.0)
    lefts = [left for is_closely, left in heard(coalescer, rate=1500, start=1001.0, seconds=1.0) if is_closely]
    acted = sum(left is None for left in lefts)
    assert 0 < acted <= len(lefts) / 1500 / PAUSE + 1
    assert all(0 < left < PAUSE + 1e-6 for left in lefts if left is not None)


def test_the_first_event_after_a_silence_does_not_wait() -> None:
    coalescer = EventCoalescer()
    heard(coalescer, rate=1500, start=1000.0, seconds=1.0)
    assert heard(coalescer, rate=1, start=1005.0, seconds=1.0) == [(True, None)]
