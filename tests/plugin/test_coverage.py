"""What the coverage part of the panel is told: which array comes first, wells, and counts along an axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from softcopy_napari.engine.messages import ArraySnapshot
from softcopy_napari.engine.statefolder import ledger_folder
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.plugin.coverage import coverage_along, first_array, wells


def array(path: str, absent: int, copied: int, verified: int = 0) -> ArraySnapshot:
    counts = (absent, 0, 0, 0, copied, verified, 0)
    n = sum(counts)
    return ArraySnapshot(path=path, shape=(n,), chunk_shape=(1,), grid=(n,), dtype="uint16", ledger="", counts=counts)


def test_the_first_array_is_the_first_level_of_the_first_field_by_number() -> None:
    assert first_array(["2", "10", "0", "1"]) == "0"
    assert first_array(["labels/cells/0", "0", "1"]) == "0"
    assert first_array(["B/10/0/0", "B/9/1/0", "B/9/0/1", "B/9/0/0"]) == "B/9/0/0"
    assert first_array([]) == ""
    assert first_array([""]) == ""


def test_wells_sum_up_their_fields_and_levels() -> None:
    arrays = [array("A/1/0/0", 2, 2), array("A/1/0/1", 0, 1), array("A/1/1/0", 3, 0, 1), array("B/12/0/0", 4, 0)]
    assert wells(arrays) == {"A/1": (4, 9), "B/12": (0, 4)}
    assert wells([array("plates/first.zarr/A/1/0/0", 1, 1)]) == {"plates/first.zarr/A/1": (1, 2)}


def test_arrays_of_no_plate_have_no_wells() -> None:
    assert (
        wells([array("", 1, 1), array("0", 1, 1), array("labels/cells/0", 1, 1), array("images/day1/a/0", 1, 1)]) == {}
    )


def test_counts_along_an_axis() -> None:
    states = np.zeros((3, 2, 2), np.uint8)
    states[0] = ChunkState.COPIED
    states[1] = [[ChunkState.VERIFIED, ChunkState.PENDING], [ChunkState.WRITING, ChunkState.ABSENT]]
    ledger = ledger_folder() / "1" / "1.npy"
    ledger.parent.mkdir(parents=True)
    np.save(ledger, states)
    found = coverage_along(str(ledger), 0)
    assert found is not None
    copied, pending, missing = found
    assert copied.tolist() == [4, 1, 0]
    assert pending.tolist() == [0, 2, 0]
    assert missing.tolist() == [0, 1, 4]
    assert coverage_along(str(ledger), 3) is None


def test_a_ledger_that_has_gone_has_no_counts(tmp_path: Path) -> None:
    assert coverage_along(str(tmp_path / "none.npy"), 0) is None
