"""When a writer counts as at work: the same in Python and in C, and right for the writers there are."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine import native_library
from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.watch.burst_meter import BurstMeter

MS = 1_000_000
START = 1_000_000 * MS


class Writer:
    """A writer whose events are measured, in a time of its own."""

    def __init__(self) -> None:
        self.slot = ActivitySlot.private()
        self.meter = BurstMeter(self.slot)
        self.now = START

    def write(self, takes: float = 0.5, name: str = "a", writes: int = 1) -> None:
        """Write a file, which takes so many ms."""
        self.meter.begin(self.now)
        self.meter.created(name)
        self.meter.end()
        for _ in range(writes):
            self.now += round(takes * MS / writes)
            self.meter.begin(self.now)
            self.meter.written(name)
            self.meter.end()
        self.meter.begin(self.now)
        self.meter.closed(name)
        self.meter.end()

    def rest(self, ms: float) -> None:
        self.now += round(ms * MS)

    @property
    def busy_for(self) -> float:
        """For how many ms more it counts as at work, if nothing else happens."""
        return (self.slot.busy_until - self.now) / MS

    @property
    def firm_for(self) -> float:
        """For how many ms more nothing at all is done while it is at work."""
        return (self.slot._words[2] - self.now) / MS


@pytest.fixture
def writer() -> Writer:
    return Writer()


def test_a_file_that_is_open_keeps_its_writer_at_work_until_it_is_closed(writer: Writer) -> None:
    writer.meter.begin(writer.now)
    writer.meter.created("a.__lock")
    writer.meter.end()
    assert writer.busy_for > 100
    writer.rest(50)
    writer.meter.begin(writer.now)
    writer.meter.renamed("a.__lock", "a")
    writer.meter.end()
    assert writer.busy_for > 100
    writer.meter.begin(writer.now)
    writer.meter.closed("a")
    writer.meter.end()
    assert 0 < writer.busy_for < 20
    assert writer.meter.pop_hold_times() == [0.05]


def test_a_file_that_is_never_closed_holds_nobody_for_long(writer: Writer) -> None:
    writer.meter.begin(writer.now)
    writer.meter.created("stale.__lock")
    writer.meter.end()
    assert writer.busy_for <= 500
    writer.rest(2000)
    writer.write()
    assert writer.busy_for < 20, "it does not count again with what comes later"


def test_a_file_to_which_much_is_appended_counts_by_its_writes_only(writer: Writer) -> None:
    """acquire-zarr has its shards open for minutes."""
    writer.meter.begin(writer.now)
    writer.meter.created("shard")
    writer.meter.end()
    for _ in range(20):
        writer.rest(10)
        writer.meter.begin(writer.now)
        writer.meter.written("shard")
        writer.meter.end()
    assert writer.busy_for < 20
    writer.meter.closed("shard")
    assert writer.meter.pop_hold_times() == [], "for how long it was open says nothing of how long its writer waited"


def test_of_many_planes_a_second_the_short_pauses_are_used(writer: Writer) -> None:
    for _ in range(300):
        writer.write(0.5)
        writer.rest(4.5)
    writer.write(0.5)
    assert 0 < writer.busy_for <= 2.0


@pytest.mark.parametrize(("files", "computes", "pause"), [(1, 0, 240), (5, 6, 150), (40, 1.5, 100), (100, 6, 2000)])
def test_a_writer_of_bursts_is_left_alone_until_its_burst_is_over(
    writer: Writer, files: int, computes: float, pause: float
) -> None:
    for burst in range(30):
        for file in range(files):
            writer.write(3)
            writer.rest(computes)
            assert burst < 10 or file == files - 1 or writer.busy_for > 0, "it has learned that this is no pause"
        writer.rest(pause)
    writer.write(3)
    assert writer.busy_for <= 16, "and that a pause is one"


def test_a_burst_is_waited_out_as_long_as_bursts_take_and_a_writer_without_pauses_is_not(writer: Writer) -> None:
    for burst in range(20):
        for _ in range(100):
            writer.write(10, writes=2)
        assert burst < 2 or writer.firm_for > 0
        writer.rest(500)
    for _ in range(600):  # six seconds on end
        writer.write(10, writes=2)
    assert writer.busy_for > 0 > writer.firm_for
    writer.rest(500)
    writer.write(10)
    assert writer.firm_for < 200, "nor is the next one waited out for long"


# -- the same in C ------------------------------------------------------------------------------------------

needs_library = pytest.mark.skipif(
    sys.platform != "linux" or not os.path.exists(native_library.LIBRARY), reason="the library is not there"
)
CREATE, MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO, DELETE = 0x100, 0x2, 0x8, 0x40, 0x80, 0x200
OVERFLOW, ISDIR = 0x4000, 0x40000000
NAMES = st.sampled_from(["a", "b", "a.__lock", "c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from([CREATE, CREATE, MODIFY, CLOSE_WRITE, CLOSE_WRITE, DELETE, MOVED_TO, OVERFLOW, CREATE | ISDIR]),
        NAMES,
        NAMES,
        st.sampled_from([0, 0, 10_000, MS, 3 * MS, 7 * MS, 30 * MS, 300 * MS, 4000 * MS]),
    ),
    max_size=120,
)


def packed(mask: int, name: str, cookie: int = 0) -> bytes:
    padded = name.encode().ljust(16, b"\0")
    return struct.pack("iIII", 1, mask, cookie, len(padded)) + padded


@needs_library
@given(STEPS)
def test_python_and_c_agree_on_when_a_writer_is_at_work(steps: list[tuple[int, str, str, int]]) -> None:
    from softcopy_napari.engine.watch.source_events import _State

    measure = native_library.load_library().softcopy_measure_events
    measure.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64]
    python, slot = Writer(), ActivitySlot.private()
    state = _State(slot=slot.address)
    for cookie, (mask, name, other, pause) in enumerate(steps, start=1):
        python.now += pause
        data = packed(mask, name, cookie)
        meter = python.meter
        meter.begin(python.now)
        match mask:
            case 0x100:
                meter.created(name)
            case 0x2:
                meter.written(name)
            case 0x8:
                meter.closed(name)
            case 0x200:
                meter.removed(name)
            case 0x80:
                data = packed(MOVED_FROM, other, cookie) + data
                meter.renamed(other, name)
            case 0x4000:
                meter.forget()
        meter.end()
        buffer = ctypes.create_string_buffer(data, len(data))
        kept = measure(ctypes.byref(state), buffer, len(data), python.now)
        assert kept == (0 if mask == MODIFY else len(packed(mask, name)))
        assert (slot.busy_until, slot._words[2]) == (python.slot.busy_until, python.slot._words[2])
    held = [state.holds[number] / 1e9 for number in range(min(state.holds_ended, 256))]
    assert held == list(python.meter._holds)
