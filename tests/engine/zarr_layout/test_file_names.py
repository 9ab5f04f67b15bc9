"""A temporary that is copied litters the destination; a data file taken for one is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.fs.own_files import is_own_temporary
from softcopy_napari.engine.zarr_layout.file_names import TemporaryKind, classify_temporary
from tests.engine.support import make_layout

UUID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("0.0.__lock", "0.0"),
        (".zarray.__lock", ".zarray"),
        ("zarr.json.__lock", "zarr.json"),
        ("0_ac2c8228768eb53c.__lock", "0"),  # mode `none`, as traced
        (".zarray_28fb6ccab08a19e.__lock", ".zarray"),  # a number that needs only 15 digits
        ("0.1_0badcafe.__lock", "0.1"),
        ("t_0.__lock", "t_0"),  # too short for a random number: part of the name
        ("a_ac2c8228768eb53c_ac2c8228768eb53c.__lock", "a_ac2c8228768eb53c"),
    ],
)
def test_a_lock_of_tensorstore_names_the_file_about_to_be_replaced(name: str, becomes: str) -> None:
    assert classify_temporary(name) == (TemporaryKind.LOCK, becomes)


@pytest.mark.parametrize(
    "name",
    [f"0.1.{UUID}.partial", f"zarr.{UUID}.partial", f"0.{UUID}.partial", "zarr.json.x8f_2.tmp", "a.tmp"],
)
def test_unfinished_files_of_other_writers_are_not_copied(name: str) -> None:
    assert classify_temporary(name) == (TemporaryKind.SCRATCH, "")


@pytest.mark.parametrize(
    "name",
    [
        "notes.partial",  # its user's own word
        f"0.1.{UUID.upper()}.partial",
        f"{UUID}.partial",
        f"0.1.{UUID}.partial.txt",
        "x.__lock.txt",
        "__lock",
        "a.tmp.csv",
        "tmp",
        ".softcopy.yaml",
        "line\nbreak",
        "\udcff",
        "0_ac2c8228768eb53c",
    ],
)
def test_files_that_only_look_like_temporaries_are_copied(name: str) -> None:
    assert classify_temporary(name) is None


@given(st.lists(st.integers(0, 10**6), max_size=4), st.sampled_from("./"))
def test_no_chunk_file_is_taken_for_a_temporary(index: list[int], separator: str) -> None:
    layout = make_layout(tuple(i + 1 for i in index), separator=separator)
    if layout.n_chunk_files:
        name = layout.key(layout.n_chunk_files - 1).rpartition("/")[2]
        assert classify_temporary(name) is None
        assert not is_own_temporary(name)
        assert classify_temporary(f"{name}.__lock") == (TemporaryKind.LOCK, name)


def test_our_own_temporaries_are_known_again_after_a_crash() -> None:
    assert is_own_temporary(".softcopy-1a2b3c4d-7.tmp")
    assert not is_own_temporary("softcopy-1a2b3c4d-7.tmp")
    assert not is_own_temporary(".softcopy-notes.txt")
