"""As long as freed files are in the grace folder, they can be had back, and replace nothing."""

from __future__ import annotations

import os
import shutil

import pytest

from softcopy_napari.engine.freeing import undo
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.receipt.freed_record import list_freed
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from tests.engine.freeing.lab import NAMES, FreeLab
from tests.engine.support import OLD, write


def test_everything_is_where_it_was_and_nothing_is_left_beside_it(free_lab: FreeLab) -> None:
    identity = free_lab.source.stat().st_ino
    free_lab.free()
    assert free_lab.undo().files == len(NAMES)
    assert free_lab.untouched() and list_freed() == []
    assert (free_lab.source / "image/c/0/0").stat().st_mtime == OLD
    assert free_lab.source.stat().st_ino == identity
    assert free_lab.free().files == len(NAMES)  # and it can be freed once more


def test_a_source_that_is_half_freed_is_whole_again(free_lab: FreeLab) -> None:
    free_lab.free_half()
    assert 0 < free_lab.undo().files < len(NAMES)
    assert free_lab.untouched()


def test_metadata_come_back_last(free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    free_lab.free()
    moved: list[str] = []
    move = undo.GraceFolder.move_back
    monkeypatch.setattr(
        undo.GraceFolder, "move_back", lambda self, path, source: (moved.append(path), move(self, path, source))
    )
    free_lab.undo()
    assert sorted(moved[-2:]) == ["image/zarr.json", "zarr.json"]


def test_what_somebody_has_put_there_meanwhile_is_not_replaced(free_lab: FreeLab) -> None:
    free_lab.free()
    write(free_lab.source / "zarr.json", b"a new one")
    shutil.rmtree(free_lab.source / "image" / "c" / "0")
    write(free_lab.source / "image" / "c" / "0", b"a file where a folder was")
    done = free_lab.undo()
    assert (done.files, done.taken.total) == (len(NAMES) - 3, 3)
    assert free_lab.here["zarr.json"] == b"a new one"
    assert set(free_lab.kept) == {"zarr.json", "image/c/0/0", "image/c/0/1"}
    assert not free_lab.lost()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_in_the_place_of_a_folder_is_not_followed_nor_replaced(free_lab: FreeLab) -> None:
    free_lab.free()
    outside = free_lab.source.parent / "outside"
    shutil.rmtree(free_lab.source / "image")
    outside.mkdir()
    os.symlink(outside, free_lab.source / "image")
    assert free_lab.undo().taken.total == 4
    assert os.listdir(outside) == [] and (free_lab.source / "image").is_symlink()


def test_a_source_whose_folder_was_deleted_is_made_anew(free_lab: FreeLab) -> None:
    free_lab.free()
    shutil.rmtree(free_lab.source)
    free_lab.undo()
    assert free_lab.untouched()


def test_what_was_never_freed_cannot_be_had_back(free_lab: FreeLab) -> None:
    with pytest.raises(FreeRefused, match="has not been freed"):
        free_lab.undo()


def test_what_has_been_deleted_is_not_promised_back(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    free_lab.expire()
    done = free_lab.undo()
    assert done.files == 0 and done.record.deleted
    assert free_lab.there == free_lab.contents


def test_a_destination_that_is_filled_by_now_keeps_nobody_from_having_files_back(free_lab: FreeLab) -> None:
    free_lab.free()
    lock = DestinationLock(free_lab.destination)
    try:
        assert free_lab.undo().files == len(NAMES)
    finally:
        lock.release()
