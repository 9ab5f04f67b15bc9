"""What a copy's end is made of: names that systems use, folders of chunk files, words for what is on one side only."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.destination.final_verdict import FinalFindings, judge_findings
from softcopy_napari.engine.formatting import count_names
from softcopy_napari.engine.fs.relative_paths import nearest_folder
from softcopy_napari.engine.fs.system_names import lies_in_system_folder, system_name
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import flat_indices_below
from tests.engine.support import make_layout


@pytest.mark.parametrize(
    ("name", "found"),
    [("@eaDir/", "@eaDir/"), ("Thumbs.db", "Thumbs.db"), ("._zarr.json", "._*"), (".nfs00000000001", ".nfs*")],
)
def test_what_a_system_makes_is_known_by_its_name_in_any_case(name: str, found: str) -> None:
    assert system_name(name) == found and system_name(name.swapcase())
    assert lies_in_system_folder(f"c/0/{name}") and lies_in_system_folder(f"{name.rstrip('/')}/deep/in/it")


@pytest.mark.parametrize(
    "name", ["0", "c", "zarr.json", ".zarray", ".zattrs", "labels/", "trash", "snapshot", "recycle"]
)
def test_data_and_what_people_make_is_not_taken_for_a_systems(name: str) -> None:
    assert system_name(name) == "" and not lies_in_system_folder(f"a/{name}")


@pytest.mark.parametrize(
    ("folder", "cells"),
    [("0", range(12)), ("1", range(12, 24)), ("1/2", range(20, 24)), ("2", range(0)), ("labels", range(0))],
)
def test_a_folder_tells_which_chunk_files_lie_in_it(folder: str, cells: range) -> None:
    assert flat_indices_below(make_layout((2, 3, 4), separator="/"), folder) == cells


def test_the_nearest_folder_is_the_deepest_one_that_is_known() -> None:
    known = {"", "a", "a/b"}
    assert [nearest_folder(path, known) for path in ("a/b/c", "a/x", "x/y", "a/b")] == ["a/b", "a", "", "a/b"]
    assert nearest_folder("x", {"a"}) is None


def test_what_was_lost_or_left_the_source_or_is_in_the_way_of_its_arrays_is_a_failure() -> None:
    harmless = FinalFindings(
        others=["labels/"],
        system=["@eaDir/"],
        renamed={"a/": "b"},
        unlisted=["lost+found"],
        missing_nodes=count_names(["A/1"]),
    )
    verdict = judge_findings(harmless)
    assert verdict.failure is None and len(verdict.notes) == 5
    lost = judge_findings(FinalFindings(lost=count_names(map(str, range(7)))))
    assert "7 chunks lost: gone from the source before being copied (0, 1, 2, 3, 4 and 2 more)" in describe(
        lost.failure
    )
    strange = judge_findings(FinalFindings(foreign=count_names(["3/0"])))
    assert "no known copy brought them: 3/0" in describe(strange.failure) and strange.kept == 1
    orphaned = judge_findings(FinalFindings(orphaned=count_names(["c/0"])))
    assert (
        describe(orphaned.failure).startswith("1 file here is not in the source any more (c/0)") and orphaned.kept == 1
    )
    assert not any(
        "delete" in words for words in map(describe, (lost.failure, orphaned.failure, strange.failure, *verdict.notes))
    )
