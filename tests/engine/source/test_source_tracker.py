"""What is known of a source when a comparison and events tell of the same file, in any order."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.source import source_tracker
from softcopy_napari.engine.source.finish_rules import finished_because
from softcopy_napari.engine.source.source_facts import gather_facts
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.watch.watcher import NoWatcher
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.folder_batch import COMPARED, FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.numbered_folders import ALL_BELOW
from tests.engine.support import OLD, make_layout, write, zarray


@pytest.mark.parametrize("path", ["0", "notes"])
def test_a_comparison_does_not_call_copied_what_was_deleted_while_it_was_under_way(path: str, tmp_path: Path) -> None:
    """The worker has seen it on both sides; then its writer deleted it, and so did another worker."""
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    inventory.register_array(make_layout((2,)))
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    tracker.start_pass(full=True, now=0.0)
    assert walks.take_folders(1) == [("", ALL_BELOW)]
    walks.touch("", path)
    inventory.writers.note_gone(path, lock_held=True)
    batch = inventory.queue.take_batch(5)
    assert batch is not None and batch.paths == [path]
    inventory.writers.note_released(path)
    inventory.note_results(batch, [ChunkState.ABSENT])
    tracker.apply_folder_diff(FolderDiff("", same=[path, "1"], last=True, final=True), 0.0, finishing=False)
    assert inventory.state(path) is ChunkState.ABSENT
    assert inventory.state("1") is ChunkState.COPIED
    inventory.digests.close()


def test_a_chunk_that_its_writer_may_have_deleted_before_its_folder_was_watched_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be missed as one that left before it was copied: nobody has heard of its lock."""
    monkeypatch.setattr(NoWatcher, "watch", lambda *_: True)
    monkeypatch.setattr(source_tracker, "make_watcher", lambda *_: NoWatcher(lambda: None))
    inventory, walks = Inventory(tmp_path / "ledgers"), WalkPlanner()
    inventory.register_array(make_layout((2, 2, 2), separator="/"))
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    tracker.begin(lambda: None, now=0.0)
    walks.request("0", for_pass=True)
    walks.take_folders(1)
    write(tmp_path / "s.zarr" / "0" / "0" / "0", b"a chunk", old=True)
    (tmp_path / "s.zarr" / "0" / "1").mkdir()
    os.utime(tmp_path / "s.zarr" / "0" / "0", (OLD, OLD))
    data = [(OLD * 10**9, 0, 2), (OLD * 10**9, 1, 0), (OLD * 10**9, 1, 0)]
    times = b"".join(struct.pack("qiiii", time, COMPARED, files, folders, 0) for time, files, folders in data)
    tracker.apply_folder_batch(
        FolderBatch("", b"0\0000/0\0000/1\0", times, b"0/0/0\0000/1/0\0", bytes([1, 1])), 0.0, finishing=False
    )
    assert inventory.state("0/0/0") is ChunkState.PENDING
    assert inventory.state("0/1/0") is ChunkState.ABSENT
    asked = [folder for _ in range(3) for folder, _ in walks.take_folders(1)]
    assert "0/1" in asked and "0/0" not in asked
    inventory.digests.close()


@pytest.mark.parametrize(
    ("looks", "named"),
    [([2], 1), ([1, 1], 1), ([1, 0, 1], 2)],
    ids=["in the same walk", "in the next", "changed again after that"],
)
def test_a_newer_copy_is_named_once_also_where_a_worker_had_seen_it_before_it_was_replaced(
    tmp_path: Path, looks: list[int], named: int
) -> None:
    said: list[Reason] = []
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    inventory.register_array(make_layout((2,)))
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, said.append)
    for found in looks:
        tracker.start_pass(full=True, now=0.0)
        walks.take_folders(1)
        for _ in range(found):
            part = FolderDiff("", different=["0", "notes"], newer=["0", "notes"])
            tracker.apply_folder_diff(part, 0.0, finishing=False)
            while (batch := inventory.queue.take_batch(5)) is not None:
                inventory.note_results(batch, ChunkState.COPIED)
        tracker.apply_folder_diff(FolderDiff("", last=True), 0.0, finishing=False)
        tracker.note_walk_end(0.0)
    words = "2 files newer at the destination than at the source, replaced: notes, 0"
    assert [describe(one) for one in said] == [words] * named
    inventory.digests.close()


def test_metadata_that_were_read_before_they_were_written_anew_do_not_count(tmp_path: Path) -> None:
    """The comparison has read them, then the array grew, that was read, and now the comparison answers."""
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    tracker.start_pass(full=True, now=0.0)
    assert walks.take_folders(1) == [("", ALL_BELOW)]
    tracker.apply_metadata("", {".zarray": zarray((3, 3))})
    walks.touch("", ".zarray")
    tracker.apply_folder_diff(FolderDiff("", metadata={".zarray": zarray((2, 2))}, last=True), 0.0, finishing=False)
    assert inventory.arrays[""].layout.grid == (3, 3)
    assert tracker.busy and tracker.metadata.pop_stale_folders() == {""}, "which of both was the newer is not known"
    inventory.digests.close()


def test_metadata_are_read_by_one_worker_at_a_time(tmp_path: Path) -> None:
    """Else what was read first may come last."""
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    touched = FolderDiff("", metadata={".zarray": zarray((2,))})
    for _ in range(2):
        tracker.start_pass(full=True, now=0.0)
        walks.take_folders(1)
        walks.touch("", ".zarray")
        tracker.apply_folder_diff(touched, 0.0, finishing=False)
    assert tracker.metadata.pop_stale_folders() == {""}
    tracker.apply_folder_diff(touched, 0.0, finishing=False)
    assert tracker.metadata.pop_stale_folders() == set() and tracker.busy
    tracker.apply_metadata("", {".zarray": zarray((3,))})
    assert tracker.metadata.pop_stale_folders() == {""}
    tracker.apply_metadata("", {".zarray": zarray((4,))})
    assert inventory.arrays[""].layout.grid == (4,)
    inventory.digests.close()


def test_what_lies_in_an_array_whose_metadata_are_being_read_is_looked_at_afterwards(tmp_path: Path) -> None:
    """Until then it would be taken for files that are no chunks: a shard would be copied without its index."""
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    tracker.start_pass(full=True, now=0.0)
    walks.take_folders(1)
    walks.touch("", ".zarray")
    tracker.apply_folder_diff(
        FolderDiff("", folders=["0"], metadata={".zgroup": b"{"}, last=True), 0.0, finishing=False
    )
    assert tracker.metadata.pop_stale_folders() == {""}
    assert [folder for folder, _ in walks.take_folders(1)] == ["0"]
    found = FolderDiff("0", different=["0"], size=5, last=True)
    tracker.apply_folder_diff(found, 0.0, finishing=False)
    assert inventory.queue.take_batch(5) is None
    tracker.apply_metadata("", {".zarray": zarray((2, 1), "/")})
    assert "0" in [folder for folder, _ in walks.take_folders(1)]
    tracker.apply_folder_diff(FolderDiff("0", different=["0"], last=True), 0.0, finishing=False)
    assert inventory.state("0/0") is ChunkState.PENDING and inventory.is_chunk_file("0/0")
    inventory.digests.close()


@pytest.mark.parametrize("tells_closing", [False, True], ids=["nothing is watched", "some is watched, or a share"])
def test_where_not_all_can_be_watched_a_look_comes_every_few_seconds_however_long_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells_closing: bool
) -> None:
    watcher = NoWatcher(lambda: None)
    watcher.tells_closing = tells_closing
    monkeypatch.setattr(source_tracker, "make_watcher", lambda *_: watcher)
    inventory, walks = Inventory(tmp_path), WalkPlanner()
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, walks, lambda text: None)
    tracker.begin(lambda: None, now=0.0)
    for now in range(0, 100, 2):
        tracker.start_light_walk_if_due(now)
        assert [folder for folder, _ in walks.take_folders(1)] == [""], f"no look after {now} s"
        tracker.apply_folder_diff(FolderDiff("", last=True, final=True), now, finishing=False)
        tracker.note_walk_end(now)
    inventory.digests.close()


def test_an_array_that_cannot_be_followed_is_said_once_and_speaks_against_the_end_until_it_can(tmp_path: Path) -> None:
    said: list[Reason] = []
    inventory = Inventory(tmp_path)
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, WalkPlanner(), said.append)
    tracker.apply_metadata("full", {".zarray": zarray((1,))})
    inventory.set_state("full/0", ChunkState.COPIED)
    odd = zarray((2,)).replace(b'"chunks": [', b'"chunks": ["a", ')
    for _ in range(2):
        tracker.apply_metadata("odd", {".zarray": odd})
    words = {folder: describe(why) for folder, why in tracker.metadata.opaque.items()}
    assert words == {"odd": '.zarray has a chunks with "a" in it, which is not a length'}
    assert len(set(said)) == 1 and describe(said[0]).startswith("odd/.zarray has a chunks with")
    assert not finished_because(gather_facts(tracker, inventory, False, 1e9), settle=1, finish_idle=None)
    tracker.apply_metadata("odd", {".zarray": zarray((2,))})
    assert tracker.metadata.opaque == {} and set(inventory.arrays) == {"full", "odd"}
    inventory.digests.close()


def test_an_image_that_was_promised_and_cannot_be_followed_has_come(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, WalkPlanner(), lambda text: None)
    group = {".zgroup": b'{"zarr_format": 2}', ".zattrs": b'{"multiscales": [{"datasets": [{"path": "0"}]}]}'}
    tracker.apply_metadata("", group)
    assert gather_facts(tracker, inventory, False, 1e9).missing_nodes == 1
    tracker.apply_metadata("0", {".zarray": b'{"zarr_format": 2, "shape": null}'})
    assert gather_facts(tracker, inventory, False, 1e9).missing_nodes == 0
    inventory.digests.close()


def test_bytes_of_an_older_version_behind_metadata_are_said(tmp_path: Path) -> None:
    said: list[Reason] = []
    inventory = Inventory(tmp_path)
    tracker = SourceTracker(tmp_path / "s.zarr", inventory, WalkPlanner(), said.append)
    tracker.apply_metadata("img", {".zarray": zarray((2,)) + b'": 3}'})
    assert list(map(describe, said)) == [
        "metadata of img has bytes of an older version behind its end; they are copied, and not read"
    ]
    assert inventory.arrays["img"].layout.grid == (2,) and not tracker.metadata.unreadable()
    inventory.digests.close()
