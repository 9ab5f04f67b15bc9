"""How far a copy is: along time where that is known, in wells for a plate, and without a total that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.dock.arrivals import Arrivals, axis_arrival, wells_arrival
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.card import Arrival
from tests.support.writers import write


@pytest.fixture
def series(tmp_path: Path, staged: Callable[..., Any]) -> Any:
    """An image of five time points, whose ledger the test writes."""
    write("tensorstore", tmp_path / "a.zarr", frames=5, planes=2)
    file = tmp_path / "a.zarr" / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "dimension_names": ["t", "z", "y", "x"]}))
    return staged(tmp_path / "a.zarr")


def test_the_newest_time_point_that_has_arrived_counts(series: Any) -> None:
    (array,) = series.snapshot.arrays
    assert axis_arrival(array, 0, "t", growing=False) == Arrival("t 0 of 5")
    series.cells()[2].flat[0] = ChunkState.COPIED
    assert axis_arrival(array, 0, "t", growing=False) == Arrival("t 3 of 5")
    series.cells()[4] = ChunkState.PENDING
    assert axis_arrival(array, 0, "t", growing=False) == Arrival("t 3 of 5"), "that has not arrived"
    series.cells()[4].flat[0] = ChunkState.VERIFIED
    assert axis_arrival(array, 0, "t", growing=False) == Arrival("t 5 of 5")


def test_of_what_grows_no_total_is_told(series: Any) -> None:
    (array,) = series.snapshot.arrays
    series.cells()[:1] = ChunkState.COPIED
    assert axis_arrival(array, 0, "t", growing=True) == Arrival("1 time point", open_ended=True)
    series.cells()[:] = ChunkState.COPIED
    assert axis_arrival(array, 0, "t", growing=True) == Arrival("5 time points", open_ended=True)


def test_a_ledger_that_has_gone_says_nothing(series: Any) -> None:
    (array,) = series.snapshot.arrays
    assert axis_arrival(array.model_copy(update={"ledger": "/none.npy"}), 0, "t", growing=False) is None
    assert axis_arrival(array, 9, "t", growing=False) is None


def test_wells_count_when_they_are_whole_and_those_to_come_are_part_of_the_total() -> None:
    plate = {"A/1": (4, 4), "A/2": (4, 4), "A/3": (1, 4)}
    assert wells_arrival(plate, 12, 11) == Arrival("2 of 12 wells", open_ended=True), "two of the 11 are of A/3"
    assert wells_arrival(plate, 0, 9) == Arrival("2 wells", open_ended=True)
    assert wells_arrival(plate, 3, 0) == Arrival("2 of 3 wells")
    assert wells_arrival(plate, 0, 0) == Arrival("2 of 3 wells")


def test_running_targets_are_followed_in_threads_and_others_left_alone(series: Any, qtbot: Any) -> None:
    queue, changes = MainThreadQueue(), []
    arrivals = Arrivals(queue, lambda: changes.append(dict(arrivals.known)))
    series.cells()[:2] = ChunkState.COPIED
    one = SeenTarget(7, series.snapshot, True)
    arrivals.update([one])
    qtbot.waitUntil(lambda: bool(changes))
    assert changes == [{one.key: Arrival("t 2 of 5")}]
    arrivals.update([one])
    assert not arrivals._reading, "nothing has changed since"
    queue.close()


def test_an_array_without_the_name_of_an_axis_is_counted_in_chunks(
    tmp_path: Path, staged: Callable[..., Any], qtbot: Any
) -> None:
    write("tensorstore", tmp_path / "b.zarr", frames=2)
    queue = MainThreadQueue()
    arrivals = Arrivals(queue, lambda: None)
    arrivals.update([SeenTarget(7, staged(tmp_path / "b.zarr").snapshot, True)])
    qtbot.waitUntil(lambda: not arrivals._reading)
    assert dict(arrivals.known) == {}
    queue.close()
