"""Coverage keeps every chunk file when it is brought to the width and height of a plot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.widgets.coverage_bins import Coverage, stack_heights

POSITIONS = st.lists(st.tuples(*[st.integers(0, 10_000)] * 3), max_size=60)


@given(POSITIONS, st.integers(0, 80))
def test_every_chunk_file_is_in_one_bin(positions: list[tuple[int, int, int]], width: int) -> None:
    coverage = Coverage.of(*([list(one) for one in zip(*positions, strict=True)] or [[], [], []]))
    counts, edges = coverage.bins(width)
    assert counts.shape[1] == min(len(positions), width)
    assert list(edges) == sorted(set(edges)), "no bin is empty"
    if counts.shape[1]:
        assert (edges[0], edges[-1]) == (0, len(positions))
        assert (counts.sum(axis=1) == coverage.counts.sum(axis=1)).all()


@given(POSITIONS, st.integers(3, 200))
def test_one_missing_chunk_file_of_many_is_seen(positions: list[tuple[int, int, int]], height: int) -> None:
    counts = np.array(positions, np.int64).reshape(-1, 3).T
    heights = stack_heights(counts, height)
    assert ((heights > 0) == (counts > 0)).all()
    assert (heights.sum(axis=0) == np.where(counts.sum(axis=0) > 0, height, 0)).all()


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        Coverage.of([1], [1, 2], [1])
    with pytest.raises(ValueError, match="1-D"):
        Coverage.of([[1]], [[1]], [[1]])
