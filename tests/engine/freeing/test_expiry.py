"""Freed files are deleted when their time is over, and only where the copy holds every byte of them."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from softcopy_napari.engine.freeing import expiry
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.freed_record import find_freed, read_record, write_record
from softcopy_napari.engine.receipt.receipt_files import possible_receipt_files
from softcopy_napari.engine.verify.verify import Interrupted
from tests.engine.freeing.lab import NAMES, FreeLab
from tests.engine.support import write


def refused(lab: FreeLab, code: ReasonCode) -> FreeRefused:
    """Fail unless nothing is deleted for this reason."""
    with pytest.raises(FreeRefused) as caught:
        lab.expire()
    assert caught.value.reason.code == code, str(caught.value)
    assert not lab.lost()
    return caught.value


def test_expired_files_are_deleted_and_the_record_says_where_the_data_are(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    done = free_lab.expire()
    assert (done.files, done.bytes) == (len(NAMES), sum(map(len, free_lab.contents.values())))
    assert sorted(os.listdir(free_lab.grace)) == ["README.txt", "freed.json"]
    assert os.listdir(free_lab.source) == []  # its empty folders take room, too
    assert free_lab.there == free_lab.contents
    record = find_freed(free_lab.source)
    assert record is not None and record.deleted and not record.expired
    assert "have been deleted" in (free_lab.grace / "README.txt").read_text()
    assert free_lab.expire().files == 0


def test_what_is_kept_for_days_is_not_deleted_before(free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    free_lab.free(keep_days=2)
    refused(free_lab, ReasonCode.EXPIRY_TOO_EARLY)
    assert free_lab.kept == free_lab.contents
    later = time.time() + 2 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    assert free_lab.expire().files == len(NAMES)


def test_a_source_that_is_half_freed_never_expires(free_lab: FreeLab) -> None:
    free_lab.free_half(keep_days=0)
    refused(free_lab, ReasonCode.EXPIRY_UNFINISHED)


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("how", ["flipped", "truncated", "missing", "a link"])
def test_the_only_whole_copy_is_not_deleted(free_lab: FreeLab, path: str, how: str) -> None:
    if how == "a link" and os.name != "posix":
        pytest.skip("links")
    free_lab.free(keep_days=0)
    content = free_lab.contents[path]
    if how == "flipped":
        free_lab.spoil(path, content[:-1] + b"\0")
    elif how == "truncated":
        free_lab.spoil(path, content[1:])
    else:
        (free_lab.destination / path).unlink()
    if how == "a link":
        os.symlink(free_lab.grace / "files" / path, free_lab.destination / path)
    error = refused(free_lab, ReasonCode.EXPIRY_COPY_DIFFERS)
    assert path in str(error)
    assert free_lab.kept[path] == content
    if how != "flipped":  # that shows before anything is read
        assert free_lab.kept == free_lab.contents


def test_with_its_copy_or_receipt_gone_nothing_is_deleted(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    away = free_lab.destination.with_name("away")
    free_lab.destination.rename(away)
    refused(free_lab, ReasonCode.EXPIRY_COPY_DIFFERS)
    free_lab.destination.mkdir()  # the mount point of a disk that was taken out
    refused(free_lab, ReasonCode.EXPIRY_COPY_DIFFERS)
    free_lab.destination.rmdir()
    away.rename(free_lab.destination)
    for path in possible_receipt_files(free_lab.destination)[0]:
        path.unlink()
    refused(free_lab, ReasonCode.FREE_WITHOUT_RECEIPT)
    assert free_lab.kept == free_lab.contents


@pytest.mark.skipif(os.name != "posix", reason="hard links")
def test_a_copy_that_has_become_one_with_the_freed_file_is_no_copy(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    copy = free_lab.destination / "zarr.json"
    copy.unlink()
    copy.hardlink_to(free_lab.grace / "files" / "zarr.json")
    refused(free_lab, ReasonCode.EXPIRY_COPY_DIFFERS)
    assert free_lab.kept == free_lab.contents


def test_a_file_that_was_changed_or_put_into_the_grace_folder_is_kept(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    write(free_lab.grace / "files" / "image" / "mine", b"mine")
    error = refused(free_lab, ReasonCode.EXPIRY_COPY_DIFFERS)
    assert "image/mine" in str(error) and free_lab.kept["image/mine"] == b"mine"
    (free_lab.grace / "files" / "image" / "mine").unlink()
    kept = free_lab.grace / "files" / "image" / "zarr.json"
    before = kept.stat()
    kept.write_bytes(b"z" * before.st_size)
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(free_lab, ReasonCode.EXPIRY_UNKNOWN_FILE)
    assert free_lab.kept["image/zarr.json"] == b"z" * before.st_size


def test_without_a_line_in_the_journal_no_file_is_deleted(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    journal = free_lab.grace / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b"notes.txt" not in line) + b'{"move": "torn')
    refused(free_lab, ReasonCode.EXPIRY_UNKNOWN_FILE)
    assert set(free_lab.kept) == {"notes.txt"}


def test_a_file_that_was_recorded_twice_is_deleted_like_others(free_lab: FreeLab) -> None:
    """A run that was killed before it moved a file has recorded it already."""
    free_lab.free(keep_days=0)
    journal = free_lab.grace / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line * 2 for line in lines))
    assert free_lab.expire().files == len(NAMES)


def test_an_interrupted_deletion_goes_on(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    with pytest.raises(Interrupted):
        expiry.delete_expired(free_lab.grace, lambda files, total: files < 2)
    assert 0 < len(free_lab.kept) < len(NAMES)
    done = free_lab.undo()  # what is left can still be had back
    assert done.files == len(free_lab.here) and not free_lab.lost()


def test_a_freed_name_that_is_used_again_and_freed_again_is_deleted_by_its_new_content(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    free_lab.expire()
    write(free_lab.source / "zarr.json", b"a new dataset", old=True)
    write(free_lab.source / "c" / "0", b"with a chunk", old=True)
    free_lab.copy()
    assert free_lab.free(keep_days=0).files == 2
    record = read_record(free_lab.grace)
    assert record is not None and not record.deleted and record.files == 2
    assert free_lab.expire().files == 2
    assert free_lab.there == free_lab.contents


def test_folders_of_a_source_that_hold_anything_are_not_removed(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    write(free_lab.source / "image" / "later.txt", b"came later")
    free_lab.expire()
    assert free_lab.here == {"image/later.txt": b"came later"}
    shutil.rmtree(free_lab.source)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_in_the_place_of_the_freed_files_is_not_followed(free_lab: FreeLab) -> None:
    """Or another good copy could be deleted, by whoever can write beside the source."""
    free_lab.free(keep_days=0)
    second = free_lab.destination.with_name("second")
    shutil.copytree(free_lab.destination, second)
    (free_lab.grace / "files").rename(free_lab.grace / "away")
    os.symlink(second, free_lab.grace / "files")
    with pytest.raises(FreeRefused, match="cannot be used"):
        free_lab.expire()
    with pytest.raises(FreeRefused, match="cannot be used"):
        free_lab.undo()
    assert len(os.listdir(second)) == 3 and not free_lab.lost()


def test_empty_folders_are_removed_from_the_source_beside_it_only(free_lab: FreeLab) -> None:
    free_lab.free(keep_days=0)
    elsewhere = free_lab.source.parent / "elsewhere"
    (elsewhere / "empty").mkdir(parents=True)
    record = read_record(free_lab.grace)
    assert record is not None
    write_record(free_lab.grace, record.model_copy(update={"source": str(elsewhere), "source_folder": None}))
    assert free_lab.expire().files == len(NAMES)
    assert (elsewhere / "empty").is_dir()
