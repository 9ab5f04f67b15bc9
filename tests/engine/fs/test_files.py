"""Times of files: until when a later change may leave the same time."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.fs.file_times import TICK, remaining_tick

NOW = 1_700_000_000_123_456_789
MS = 10**6
S = 10**9


@pytest.mark.parametrize(
    ("age", "unit", "left"),
    [
        (0, 1, TICK),
        (TICK // 2, 1, TICK - TICK // 2),
        (TICK, 1, 0),
        (10 * S, 1, 0),
        (0, 2 * S, 2 * S),  # the destination keeps times by 2 s only (FAT)
        (1 * S, 2 * S, 1 * S),
        (2 * S, 2 * S, 0),
        (-1 * MS, 1, TICK + 1 * MS),  # the clocks differ a little
        (-10 * S, 1, 0),  # far in the future: by another clock
        (-10 * S, 2 * S, 0),
    ],
)
def test_a_file_waits_until_a_change_would_show(age: int, unit: int, left: int) -> None:
    assert remaining_tick(NOW - age, NOW, unit) == left


@pytest.mark.parametrize(
    ("modified", "unit"),
    [(1_700_000_000 * S, 2 * S), (1_700_000_001 * S, 2 * S), (1_700_000_000 * S + 70 * MS, 10 * MS)],
    ids=["FAT", "ext3, HFS+", "exFAT"],
)
def test_a_coarse_time_at_the_source_tells_that_its_clock_is_coarse(modified: int, unit: int) -> None:
    assert remaining_tick(modified, modified + 3 * MS, 1) == max(unit, TICK) - 3 * MS
