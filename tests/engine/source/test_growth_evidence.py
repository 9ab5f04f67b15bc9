"""What speaks against the end of an acquisition, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from softcopy_napari.engine.inventory import rewrites
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.finish_rules import Against
from softcopy_napari.engine.source.growth_evidence import GrowthEvidence
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from tests.engine.support import make_layout

SECOND = 1_000_000_000
THEN = 1_700_000_000 * SECOND


class Known:
    """What is known of a source, as a target's job would have it."""

    def __init__(self, folder: Path) -> None:
        self.inventory = Inventory(folder)
        self.children: dict[str, tuple[str, ...]] = {}
        self.evidence = GrowthEvidence(self.inventory, self.children)

    def find(self, *layouts: ArrayLayout) -> None:
        for layout in layouts:
            known = self.inventory.arrays.get(layout.path)
            before = None if known is None else known.layout
            self.inventory.register_array(layout)
            self.evidence.note_layout(before, layout)

    def copied(self, path: str) -> None:
        self.inventory.set_state(path, ChunkState.COPIED)

    @property
    def against(self) -> list[tuple[Against, str]]:
        return [(kind, path) for kind, path in self.evidence.objections]


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    known = Known(tmp_path)
    yield known
    known.inventory.digests.close()


def test_nothing_speaks_against_an_array_that_was_made_in_full(known: Known) -> None:
    known.find(make_layout((4, 2)))
    known.evidence.note_part(
        FolderDiff("", metadata_modified=THEN, oldest_chunk=THEN + 1, newest_chunk=THEN + 60 * SECOND)
    )
    known.evidence.note_walked()
    assert known.against == []


@pytest.mark.parametrize(
    ("grids", "against"),
    [
        ({"": (1, 5)}, [(Against.ONE_ALONG_SLOWEST, "")]),
        ({"": (0, 5)}, [(Against.EMPTY_ARRAY, "")]),
        ({"": ()}, []),
        ({"0": (10, 4, 4), "1": (1, 2, 2)}, []),  # the coarser level of an image that has several planes
        ({"0": (1, 4, 4), "1": (1, 2, 2)}, [(Against.ONE_ALONG_SLOWEST, "0")]),
        ({"a/0": (2, 2), "b/0": (1, 2)}, [(Against.ONE_ALONG_SLOWEST, "b/0")]),
        ({"image": (4, 2), "x": (1,), "time": (1,)}, []),  # coordinates
    ],
)
def test_shapes_that_do_not_tell_whether_an_array_is_full(
    known: Known, grids: dict[str, tuple[int, ...]], against: list[tuple[Against, str]]
) -> None:
    known.find(*(make_layout(grid, path) for path, grid in grids.items()))
    known.children[""] = tuple(grids) if "" not in grids else ()
    assert known.against == against


@pytest.mark.parametrize(
    ("children", "arrays", "against"),
    [
        ({}, [""], None),
        ({"": ("0", "1")}, ["0", "1"], None),
        ({"": ()}, ["0"], Against.UNLISTED),
        ({"": (), "a": ("a/0",)}, ["a/0"], Against.UNLISTED),
        ({"": ("A/1",), "A": (), "A/1": ("A/1/0",), "A/1/0": ("A/1/0/0",)}, ["A/1/0/0"], Against.ONE_WELL),
        ({"": ("A/1", "A/2"), "A/1": ("A/1/0",), "A/1/0": ("A/1/0/0",)}, ["A/1/0/0"], None),
        ({"OME": ("0",), "": (), "0": ("0/0",)}, ["0/0"], Against.UNLISTED),
    ],
)
def test_an_image_that_nothing_lists_or_in_the_only_well_may_be_followed_by_others(
    known: Known, children: dict[str, tuple[str, ...]], arrays: list[str], against: Against | None
) -> None:
    known.children.update(children)
    known.find(*(make_layout((2, 2), path) for path in arrays))
    assert known.against == ([] if against is None else [(against, arrays[0])])


def test_an_array_that_grows_or_comes_after_data_speaks_for_the_rest_of_the_run(known: Known) -> None:
    known.find(make_layout((2, 2), "0"))
    known.children[""] = ("0", "1")
    known.evidence.note_walked()
    known.find(make_layout((2, 2), "1"))
    assert known.against == [], "it was made before anything was written"
    known.copied("0/0.0")
    known.find(make_layout((3, 2), "0"))
    known.children[""] = ("0", "1", "2")
    known.find(make_layout((2, 2), "2"))
    assert known.against == [(Against.GREW, "0"), (Against.CAME_LATER, "2")]


@pytest.mark.parametrize(("after", "speaks"), [(-60, False), (0, False), (1, False), (3, True)])
def test_times_tell_of_arrays_that_were_made_or_resized_after_data_before_the_copy_began(
    known: Known, after: int, speaks: bool
) -> None:
    known.find(make_layout((2, 2)))
    known.evidence.note_part(FolderDiff("", metadata_modified=THEN + after * SECOND))
    known.evidence.note_part(FolderDiff("c", oldest_chunk=THEN, newest_chunk=THEN + 90 * SECOND))
    known.evidence.note_walked()
    assert (known.against == [(Against.CAME_LATER, "")]) is speaks


@pytest.mark.parametrize(
    ("marked", "newest", "answer"),
    [
        (0, 5, (False, False)),  # heard of, and its time is not known yet
        (10, 5, (True, False)),
        (10, 11, (True, False)),  # clocks tick slowly
        (10, 15, (False, True)),
    ],
)
def test_a_marker_counts_while_no_data_are_newer(
    known: Known, marked: int, newest: int, answer: tuple[bool, bool]
) -> None:
    known.inventory.set_state("complete", ChunkState.COPIED)
    known.evidence.note_part(
        FolderDiff("", marker_modified=THEN + marked * SECOND if marked else 0, newest_chunk=THEN + newest * SECOND)
    )
    assert known.evidence.marker() == answer


@pytest.mark.parametrize(("made", "answer"), [(5, (True, False)), (15, (False, True))])
def test_a_marker_of_the_acquisition_before_does_not_end_one_that_has_no_data_yet(
    known: Known, made: int, answer: tuple[bool, bool]
) -> None:
    known.inventory.set_state("complete", ChunkState.COPIED)
    known.evidence.note_part(FolderDiff("", marker_modified=THEN + 10 * SECOND, metadata_modified=THEN + made * SECOND))
    assert known.evidence.marker() == answer


def test_markers_in_the_folders_of_all_arrays_count_together(known: Known) -> None:
    known.find(make_layout((2,), "a"), make_layout((2,), "b"))
    known.inventory.set_state("a/complete", ChunkState.COPIED)
    known.evidence.note_part(FolderDiff("a", marker_modified=THEN))
    assert known.evidence.marker() == (False, False)
    known.inventory.set_state("b/complete", ChunkState.COPIED)
    known.evidence.note_part(FolderDiff("b", marker_modified=THEN - 10 * SECOND, newest_chunk=THEN - 5 * SECOND))
    assert known.evidence.marker() == (False, True), "the older of both is stale"


@pytest.mark.parametrize("stands", [True, False])
def test_a_chunk_that_is_written_again_with_other_content_speaks_against_the_end(
    known: Known, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    """Unless that is within moments: writers fill chunks by several writes."""
    monkeypatch.setattr(rewrites, "_STANDS", -1.0 if stands else 60.0)
    known.find(make_layout((2, 2)))
    inventory = known.inventory
    for digest, rewritten in ((b"1" * 16, None), (b"1" * 16, None), (b"2" * 16, "0.1")):
        inventory.writers.note_settled("0.1")
        batch = inventory.queue.take_batch(5)
        assert batch is not None
        inventory.note_digests(batch, digest)
        inventory.note_results(batch, ChunkState.COPIED)
        assert inventory.rewrites.first == (rewritten if stands else None)
    assert known.against == ([(Against.REWRITTEN, "0.1")] if stands else [])


def test_a_chunk_file_outside_of_the_grid_speaks_until_the_grid_reaches_it(known: Known) -> None:
    layout = make_layout((2, 2))
    known.find(layout)
    known.inventory.set_state("2.0", ChunkState.PENDING)
    assert known.against == [(Against.OUTSIDE, "2.0")]
    known.find(replace(layout, shape=make_layout((3, 2)).shape))
    assert known.inventory.plain_files.outside == ""


@pytest.mark.parametrize(("same", "speaks"), [(8, True), (4, True), (3, False)])
def test_chunk_files_that_hold_the_same_bytes_are_taken_for_placeholders(known: Known, same: int, speaks: bool) -> None:
    known.find(make_layout((4, 2)))
    inventory = known.inventory
    for cell in range(8):
        inventory.writers.note_settled(f"{cell // 2}.{cell % 2}")
    batch = inventory.queue.take_batch(8)
    assert batch is not None
    digests = [b"0" * 16 if number < same else b"%016d" % (number + 1) for number in range(8)]
    inventory.note_digests(batch, b"".join(digests))
    inventory.note_results(batch, ChunkState.COPIED)
    assert (known.against == [(Against.PLACEHOLDERS, "")]) is speaks
