"""Wells lie where their names say, whatever a plate's writer calls them."""

from __future__ import annotations

import pytest

from softcopy_napari.widgets.plate_layout import lay_out


@pytest.mark.parametrize(
    ("paths", "rows", "columns", "places"),
    [
        (["A/1", "B/2"], "AB", "12", [(0, 0), (1, 1)]),
        (["B/03"], "AB", ("1", "2", "3"), [(1, 2)]),
        (["x.zarr/C/02", "x.zarr/A/1"], "ABC", "12", [(2, 1), (0, 0)]),
        (["A/0", "A/1"], "A", "01", [(0, 0), (0, 1)]),
        (["1/1", "2/1"], "12", "1", [(0, 0), (1, 0)]),
        (["row 10/1", "row 9/1"], ("row 9", "row 10"), "1", [(1, 0), (0, 0)]),
        (["A/left", "A/right"], "A", ("left", "right"), [(0, 0), (0, 1)]),
        (["ZZ/1"], ("ZZ",), "1", [(0, 0)]),
        (["A/1000"], "A", ("1000",), [(0, 0)]),
        (["well"], ("",), ("well",), [(0, 0)]),
    ],
)
def test_rows_and_columns(paths: list[str], rows: object, columns: object, places: list[tuple[int, int]]) -> None:
    layout = lay_out(dict.fromkeys(paths, (1, 2)))
    assert layout.rows == tuple(rows)
    assert layout.columns == tuple(columns)
    at = {well.path: place for place, well in layout.wells.items()}
    assert [at[path] for path in paths] == places


def test_a_plate_of_1536_wells_has_double_letters() -> None:
    layout = lay_out({"AF/48": (0, 1)})
    assert layout.rows[-3:] == ("AD", "AE", "AF")
    assert (len(layout.rows), len(layout.columns)) == (32, 48)


def test_wells_of_two_plates_do_not_hide_each_other() -> None:
    layout = lay_out({"one.zarr/A/1": (1, 1), "two.zarr/A/1": (0, 1)})
    assert sorted(well.path for well in layout) == ["one.zarr/A/1", "two.zarr/A/1"]


@pytest.mark.parametrize(
    ("copied", "total", "fraction", "complete"),
    [(0, 0, 0.0, False), (1, 4, 0.25, False), (4, 4, 1.0, True), (5, 4, 1.0, True)],
)
def test_a_well_is_complete_when_all_is_there(copied: int, total: int, fraction: float, complete: bool) -> None:
    (well,) = lay_out({"A/1": (copied, total)})
    assert (well.fraction, well.complete) == (fraction, complete)
