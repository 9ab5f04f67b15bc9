"""A claim ahead of the ledger has somebody compute on data that are not there, or not as they will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watermark.array_watermark import ArrayWatermark, Counted
from softcopy_napari.engine.watermark.axis_rows import AxisRows
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

ABSENT, WRITING, PENDING, COPYING, COPIED, VERIFIED, FAILED = ChunkState
ARRIVED = (COPIED, VERIFIED)
USUAL, COMPLETE = Counted(), Counted(complete=True)


def layout(shape: tuple[int, ...], chunks: tuple[int, ...], edges: Any = None) -> ArrayLayout:
    return ArrayLayout("0", 2, shape, chunks, None, "<u2", "v2", ".", None, edge_lengths=edges)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


class Followed:
    """An array whose watermark is asked as a job asks it: what is to be taken back first, then what is complete."""

    def __init__(self, folder: Path, made: ArrayLayout, claimed: list[tuple[int, int]] | None = None) -> None:
        self.ledger = Ledger(folder / "1.npy", made.grid)
        self.watermark = ArrayWatermark("0", made, self.ledger, claimed or [])
        self.rows = AxisRows(made)
        self.now = 0.0

    def set(self, *cells: int, state: ChunkState) -> None:
        self.ledger.set_many(np.array(cells, np.int64), state)

    def copied(self, counted: Counted = USUAL) -> int:
        claim = self.watermark.make_claim(counted, readable=True)
        self.watermark.note_claim(claim)
        return claim.copied

    def taken_back(self) -> list[tuple[int, int]]:
        self.now += 10.0
        return self.watermark.retract(self.now)


# -- rows and indices ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), max_size=4), st.booleans())
def test_rows_hold_the_indices_that_they_hold(runs: list[tuple[int, int]], cut: bool) -> None:
    lengths = [length for length, count in runs for _ in range(count)]
    size = max(0, sum(lengths) - (cut and len(lengths) > 0 and lengths[-1] > 1))
    rows = AxisRows(layout((size, 3), (5, 3), (tuple(runs), ((3, 1),))))
    starts = [0, *np.minimum(np.cumsum(lengths), size).tolist()]
    assert (rows.count, rows.length) == (len(lengths), size)
    assert rows.indices_of(np.arange(len(starts))).tolist() == starts
    for index in range(size + 2):
        assert rows.rows_before(index) == sum(start <= index for start in starts[1:])
    for first in range(size):
        for last in range(first + 1, size + 1):
            held = [row for row in range(len(lengths)) if starts[row] < last and starts[row + 1] > first]
            assert list(range(rows.count))[rows.rows_around(first, last)] == held


# -- what is claimed -----------------------------------------------------------------------------------------


def test_a_time_point_counts_when_all_its_chunk_files_and_those_before_are_there(folder: Path) -> None:
    array = Followed(folder, layout((3, 2, 4, 4), (1, 1, 4, 4)))
    assert array.copied() == 0
    array.set(0, 2, 3, 5, state=COPIED)
    assert array.copied() == 0
    array.set(1, state=VERIFIED)
    assert array.copied() == 2
    array.set(4, state=COPIED)
    assert array.copied() == 3
    assert array.watermark.last_claim is not None and array.watermark.last_claim.verified == 0
    array.set(0, 2, 3, 4, 5, state=VERIFIED)
    array.copied()
    assert array.watermark.last_claim.verified == 3


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((4, 6, 4, 4), (1, 3, 4, 4)), ((8, 2, 4, 4), (2, 1, 4, 4)), ((4, 1, 9, 4, 4), (1, 1, 9, 4, 4))],
    ids=["planes", "time points", "a stack"],
)
def test_where_a_chunk_file_takes_several_writes_the_next_time_point_must_have_begun(
    folder: Path, shape: tuple[int, ...], chunks: tuple[int, ...]
) -> None:
    array = Followed(folder, layout(shape, chunks))
    row = array.ledger.row
    array.set(*range(2 * row), state=COPIED)
    assert array.copied() == chunks[0]
    array.set(2 * row, state=WRITING)
    assert array.copied() == 2 * chunks[0]
    array.set(*range(2 * row, 4 * row), state=COPIED)
    assert array.copied() == 3 * chunks[0], "the last one counts when nothing more comes"
    assert array.copied(COMPLETE) == shape[0]


def test_in_a_complete_copy_what_never_came_counts_and_what_failed_does_not(folder: Path) -> None:
    array = Followed(folder, layout((4, 4), (1, 4)))
    array.set(0, 3, state=VERIFIED)
    assert array.copied() == 1
    assert array.copied(COMPLETE) == 4
    assert array.watermark.last_claim is not None and array.watermark.last_claim.verified == 4
    array.set(2, state=FAILED)
    assert array.taken_back() == [(2, 3)]
    assert array.copied(COMPLETE) == 2


def test_an_array_without_axes_and_one_without_chunk_files_have_claims_too(folder: Path) -> None:
    scalar = Followed(folder / "scalar", layout((), ()))
    assert scalar.copied() == 0
    scalar.set(0, state=COPIED)
    assert scalar.copied() == 1
    for shape in ((0, 4), (3, 0)):
        empty = Followed(folder / str(shape), layout(shape, (1, 4)))
        assert empty.copied() == 0
        assert empty.copied(COMPLETE) == shape[0]


def test_without_its_metadata_at_the_destination_no_more_is_claimed(folder: Path) -> None:
    array = Followed(folder, layout((3, 4), (1, 4)))
    array.set(0, state=COPIED)
    array.copied()
    array.set(1, state=COPIED)
    assert array.watermark.make_claim(USUAL, readable=False).copied == 1
    assert array.watermark.may_have_changed, "it is asked again"
    assert array.copied() == 2


# -- what is taken back --------------------------------------------------------------------------------------


def test_what_changes_is_taken_back_and_named_once(folder: Path) -> None:
    array = Followed(folder, layout((5, 2, 4, 4), (1, 1, 4, 4)))
    array.set(*range(10), state=COPIED)
    assert array.copied() == 5
    array.set(5, state=PENDING)
    assert array.taken_back() == [(2, 3)]
    assert array.copied() == 2
    array.set(5, state=COPYING)
    assert array.taken_back() == []
    array.set(5, state=COPIED)
    assert array.taken_back() == []


def test_a_writer_that_goes_over_its_data_again_is_followed_row_by_row(folder: Path) -> None:
    """Some write zeros first: then they claim everything, and take it back for good when the data come."""
    array = Followed(folder, layout((4, 2, 4, 4), (1, 1, 4, 4)))
    array.set(*range(8), state=COPIED)
    assert array.copied() == 4
    claims = []
    for cell in range(8):
        array.set(cell, state=PENDING)
        array.taken_back()
        array.set(cell, state=COPIED)
        claims.append(array.copied())
    assert claims == [0, 0, 1, 1, 2, 2, 3, 3]
    assert array.copied(COMPLETE) == 4


def test_quick_rewrites_are_taken_back_together(folder: Path) -> None:
    array = Followed(folder, layout((100, 4), (1, 4)))
    array.set(*range(100), state=COPIED)
    array.copied()
    array.set(10, state=PENDING)
    assert array.watermark.retract(20.0) == [(10, 11)]
    array.set(11, state=PENDING)
    assert array.watermark.retract(20.1) == [(11, 100)]
    array.set(12, state=PENDING)
    assert array.watermark.retract(20.2) == []


def test_a_line_names_a_bounded_number_of_ranges(folder: Path) -> None:
    array = Followed(folder, layout((1000, 4), (1, 4)))
    array.set(*range(1000), state=COPIED)
    array.copied()
    array.set(*range(0, 1000, 2), state=PENDING)
    found = array.taken_back()
    assert len(found) == 100 and found[0] == (0, 1) and found[-1] == (198, 999)


def test_in_doubt_only_what_was_read_back_counts(folder: Path) -> None:
    array = Followed(folder, layout((3, 4), (1, 4)))
    array.set(0, 1, 2, state=COPIED)
    assert array.copied() == 3
    array.set(0, state=VERIFIED)
    array.watermark.start_over()
    assert array.copied(Counted(in_doubt=True)) == 1


def test_what_an_earlier_engine_told_and_is_copied_anew_is_named(folder: Path) -> None:
    array = Followed(folder, layout((6, 4), (2, 4)), claimed=[(0, 5)])
    array.set(0, state=COPIED)
    array.set(1, state=PENDING)
    assert array.taken_back() == [(2, 4)]
    array.set(2, state=FAILED)
    assert array.taken_back() == [(4, 6)]


def test_what_was_on_its_way_already_when_an_array_is_followed_is_named_too(folder: Path) -> None:
    made = layout((4, 4), (1, 4))
    ledger = Ledger(folder / "1.npy", made.grid)
    ledger.set(1, COPYING)
    ledger.set(3, PENDING)
    assert ArrayWatermark("0", made, ledger, [(0, 3)]).retract(0.0) == [(1, 2)]


def test_an_array_that_grows_keeps_what_was_said(folder: Path) -> None:
    small, large = layout((2, 2, 4, 4), (1, 1, 4, 4)), layout((3, 2, 4, 4), (1, 1, 4, 4))
    array = Followed(folder, small)
    array.set(*range(4), state=COPIED)
    assert array.copied() == 2
    ledger = Ledger(folder / "2.npy", large.grid)
    ledger.copy_states(array.ledger)
    grown = ArrayWatermark("0", large, ledger, array.watermark.claimed_ranges(), array.watermark)
    assert grown.retract(0.0) == []
    claim = grown.make_claim(USUAL, readable=True)
    assert (claim.copied, claim.of) == (2, 3)


# -- whatever happens ----------------------------------------------------------------------------------------

shapes = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 4))
steps = st.lists(
    st.tuples(st.sets(st.integers(0, 20), min_size=1, max_size=4), st.sampled_from(ChunkState), st.integers(0, 2)),
    max_size=30,
)


@given(shapes, steps, st.booleans())
def test_no_claim_is_ahead_of_the_ledger_and_no_change_goes_unnamed(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    changes: list[tuple[set[int], ChunkState, int]],
    in_doubt: bool,
) -> None:
    length, chunk, columns = shape
    made = layout((length, columns, 4, 4), (chunk, 1, 4, 4))
    array = Followed(tmp_path_factory.getbasetemp() / "any", made)
    counted = Counted(in_doubt=in_doubt)
    accepted = (VERIFIED,) if in_doubt else ARRIVED
    grid = array.ledger.flat.reshape(made.grid[:2])
    starts = array.rows.indices_of(np.arange(made.grid[0] + 1)).tolist()
    claimed: set[int] = set()
    """Indices that a reader believes in."""
    unnamed: set[int] = set()
    """Indices that were claimed, whose files are not as they were, and of which that was not said yet."""

    def claim() -> int:
        copied = array.copied(counted)
        claimed.update(range(copied))
        assert not unnamed & set(range(copied)), "it changed, and is claimed again without a word"
        for row in range(made.grid[0]):
            if starts[row] < copied:
                assert np.isin(grid[row], accepted).all()
        return copied

    for cells, state, then in changes:
        inside = sorted(cell for cell in cells if cell < len(array.ledger.flat))
        for cell in inside:
            row = cell // columns
            if state not in (*ARRIVED, COPYING):
                unnamed |= claimed & set(range(starts[row], starts[row + 1]))
            if state is not COPYING or array.ledger.get(cell) == PENDING:  # nothing else is handed out
                array.ledger.set(cell, state)
        if then:
            array.now += 0.7
            if found := array.watermark.retract(array.now):
                for first, last in found:
                    unnamed -= set(range(first, last))
                    claimed -= set(range(first, last))
                claim()
            assert not unnamed
        if then == 2:
            claim()
    array.ledger.set_many(np.arange(len(array.ledger.flat)), VERIFIED)
    for first, last in array.taken_back():
        unnamed -= set(range(first, last))
    assert array.copied(Counted(in_doubt, complete=True)) == length
