"""Times that cannot tell two versions apart, and clocks that are wrong: an old content is never taken for up to date.

All changes are made below the file system that is watched: no event tells of them.
"""

from __future__ import annotations

import os
import time

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import until, write
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.faultfs import FaultFs, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SECOND = 1_000_000_000
FAT = 2 * SECOND
HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        pytest.param(1, 1, id="fine times"),
        pytest.param(10_000_000, 1, id="10 ms at the source"),
        pytest.param(SECOND, 1, id="1 s at the source", marks=pytest.mark.soak),
        pytest.param(FAT, 1, id="2 s at the source"),
        pytest.param(1, SECOND, id="1 s at the destination", marks=pytest.mark.soak),
        pytest.param(1, FAT, id="2 s at the destination"),
        pytest.param(FAT, FAT, id="2 s on both sides", marks=pytest.mark.soak),
    ],
)
def test_a_file_rewritten_in_the_tick_in_which_it_was_read(lab: Lab, source: int, destination: int) -> None:
    rewrite_all(lab, lab.faulty_source(source), lab.faulty_destination(destination), max(source, destination))


def rewrite_all(lab: Lab, source: FaultFs, destination: FaultFs, unit: int) -> None:
    """Rewrite each file in place, with the same size, as soon as it was read, and then see whether that is found."""
    make_chunks(lab.real_source, 8, more=1)
    lab.start()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 8, SOON), lab.words()

    def rewrite(path: str) -> None:
        file = source.folder / path
        with open(file, "r+b") as rewriting:
            rewriting.write(content(int(file.parent.name), 2, 5000))

    rules = [source.call("close", f"s.zarr/{number}/0", rewrite) for number in range(8)]
    if unit >= SECOND:  # so that there is time for both in one tick
        time.sleep((unit - time.time_ns() % unit) / SECOND)
    for number in range(8):
        write(lab.real_source / str(number) / "0", content(number, 1, 5000))
    lab.finish()
    assert all(rule.met for rule in rules)
    lab.assert_equal()


@pytest.mark.parametrize("unit", [SECOND, FAT])
def test_what_was_copied_to_coarse_times_is_up_to_date_afterwards(lab: Lab, unit: int) -> None:
    faults = lab.faulty_destination(unit)
    make_chunks(lab.source, 12)
    for number in range(12):  # odd seconds and even ones, with fractions
        ns = 1_700_000_000_123_456_789 + number * 500_000_000
        os.utime(lab.source / str(number) / "0", ns=(ns, ns))
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    again = faults.call("create", "*/0/*", lambda path: None, times=0)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE and end.files_copied == 0
    assert again.met == []


def test_times_that_could_not_be_tried_out_at_first_are_tried_again(lab: Lab) -> None:
    """A stick with FAT that fails at first: else nothing on it would ever be up to date."""
    faults = lab.faulty_destination(FAT)
    make_chunks(lab.source, 12)
    for number in range(12):
        ns = 1_700_000_001_123_456_789 + number * 500_000_000
        os.utime(lab.source / str(number) / "0", ns=(ns, ns))
    rule = faults.fail("create utimens", "*.tmp", times=3)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert rule.met
    assert end.state is TargetState.COMPLETE, lab.words()
    assert end.files_copied == 13
    lab.assert_equal()


@pytest.mark.parametrize("year", [1975, 1999, 2037, 2100])
def test_files_of_any_year_are_copied_once_and_again_when_they_change(lab: Lab, year: int) -> None:
    """The clock of the microscope was never set, or jumps."""
    ns = (year - 1970) * 365 * 24 * HOUR + 123_456_789
    make_chunks(lab.source, 6, more=1)
    for number in range(6):
        os.utime(lab.source / str(number) / "0", ns=(ns, ns))
    lab.start()
    assert until(lambda: lab.now.state is TargetState.CAUGHT_UP, SOON), lab.words()
    # A file that arrives while its folder is being compared may be copied once more: harmless, and rare.
    assert 7 <= lab.now.files_copied <= 8
    for number in range(3):
        file = lab.source / str(number) / "0"
        file.write_bytes(content(number, 1, 5000))
        os.utime(file, ns=(ns + 1, ns + 1))  # the clock jumped back in between
    assert until(lambda: lab.caught_up() and equal(lab), SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    assert lab.now.files_copied <= 8 + 6


def equal(lab: Lab) -> bool:
    return all(
        (lab.source / str(number) / "0").read_bytes() == (lab.destination / str(number) / "0").read_bytes()
        for number in range(6)
    )


def test_a_copy_whose_time_is_in_the_future_is_not_taken_for_newer(lab: Lab) -> None:
    """Size and time decide, not which is newer."""
    make_chunks(lab.source, 4)
    make_chunks(lab.destination, 4)
    later = time.time() + 10_000
    for number in range(3):
        write(lab.destination / str(number) / "0", content(number, 7, 5000))
        os.utime(lab.destination / str(number) / "0", (later, later))
    lab.start(settle=0.0, overwrite=True)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
