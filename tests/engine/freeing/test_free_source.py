"""A source is freed only where every byte of it is at the destination, and nobody needs it any more."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.freeing import free_source, source_scan
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.fs import moving
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.freed_record import FreedRecord, find_freed, list_freed, read_record
from softcopy_napari.engine.receipt.receipt import Paths
from softcopy_napari.engine.receipt.receipt_files import possible_receipt_files
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from tests.engine.freeing.lab import NAMES, FreeLab
from tests.engine.support import OLD, write

posix_only = pytest.mark.skipif(os.name != "posix", reason="links, locks of files, permissions")


def refused(lab: FreeLab, code: ReasonCode, **options: Any) -> FreeRefused:
    """Fail unless a source is not freed for this reason."""
    with pytest.raises(FreeRefused) as caught:
        lab.free(**options)
    assert caught.value.reason.code == code, str(caught.value)
    assert not lab.lost()
    return caught.value


# -- what it does --------------------------------------------------------------------------------------------


def test_all_files_of_the_receipt_move_to_the_grace_folder_and_the_copy_is_left_alone(free_lab: FreeLab) -> None:
    before = time.time()
    done = free_lab.free(keep_days=3)
    assert (done.files, done.moved, done.grace) == (len(NAMES), len(NAMES), free_lab.grace)
    assert free_lab.here == {} and free_lab.source.is_dir()
    assert free_lab.kept == free_lab.there == free_lab.contents
    record = find_freed(free_lab.source)
    assert record is not None and before <= record.ended <= time.time()
    assert record.until == pytest.approx(record.ended + 3 * 86400) and not record.expired
    assert [grace for grace, _ in list_freed()] == [free_lab.grace]
    readme = (free_lab.grace / "README.txt").read_text()
    for said in (free_lab.source, free_lab.destination, f"softcopy free --undo {free_lab.source}"):
        assert str(said) in readme


def test_a_plan_changes_nothing_and_tells_what_would_be_moved(free_lab: FreeLab) -> None:
    plan = free_lab.job().plan()
    assert (plan.files, plan.bytes) == (len(NAMES), sum(map(len, free_lab.contents.values())))
    assert free_lab.untouched() and list_freed() == []


def test_times_and_permissions_of_files_stay_as_they_were(free_lab: FreeLab) -> None:
    file = free_lab.source / "image/c/0/0"
    file.chmod(0o640)
    free_lab.free()
    moved = (free_lab.grace / "files/image/c/0/0").stat()
    assert (moved.st_mtime, moved.st_mode & 0o777) == (OLD, 0o640 if os.name == "posix" else moved.st_mode & 0o777)


def test_metadata_go_first_so_that_a_half_freed_dataset_does_not_read_as_empty(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    move = free_source.GraceFolder.move_in
    monkeypatch.setattr(
        free_source.GraceFolder, "move_in", lambda self, path, source: (moved.append(path), move(self, path, source))
    )
    free_lab.free()
    assert moved[:2] == ["image/zarr.json", "zarr.json"] and sorted(moved) == sorted(NAMES)


@posix_only
def test_links_and_what_a_system_made_stay(free_lab: FreeLab) -> None:
    elsewhere = write(free_lab.source.parent / "elsewhere" / "0", b"somebody else's", old=True)
    os.symlink(elsewhere.parent, free_lab.source / "out")
    os.symlink("notes.txt", free_lab.source / "in")
    free_lab.copy()
    write(free_lab.source / "@eaDir" / "x", b"of the server", old=True)
    done = free_lab.free()
    assert done.left.total == 3
    assert sorted(os.listdir(free_lab.source)) == ["@eaDir", "image", "in", "out"]
    assert elsewhere.read_bytes() == b"somebody else's"


@posix_only
def test_a_folder_that_a_link_has_replaced_is_not_entered(free_lab: FreeLab) -> None:
    """Or files outside of the source would be moved away."""
    outside = free_lab.source.parent / "outside"
    (free_lab.source / "image").rename(outside)
    os.symlink(outside, free_lab.source / "image")
    free_lab.free()
    assert sorted(path.name for path in outside.rglob("*") if path.is_file()) == ["0", "0", "1", "zarr.json"]
    assert set(free_lab.kept) == {"zarr.json", "notes.txt"}


@posix_only
def test_names_that_are_hard_links_of_each_other_are_freed_like_others(free_lab: FreeLab) -> None:
    for name in ("image/c/1/1", "again.txt"):
        (free_lab.source / name).hardlink_to(free_lab.source / "image/c/0/0")
    free_lab.copy()
    free_lab.free(keep_days=0)
    assert free_lab.kept == free_lab.contents
    assert free_lab.expire().files == len(NAMES) + 2
    assert free_lab.there == free_lab.contents


def test_odd_names_are_freed_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    names = ["zarr.json", "é ü.txt", " lead", "-rf"]
    if os.name == "posix":
        names += ["new\nline", "back\\slash", os.fsdecode(b"raw-\xff")]
    lab = FreeLab(tmp_path / os.fsdecode(b"r\xfcn") if os.name == "posix" else tmp_path, tuple(names))
    lab.free()
    assert lab.kept == lab.contents and lab.here == {}
    assert lab.undo().files == len(names)
    assert lab.untouched()


def test_what_was_interrupted_goes_on(free_lab: FreeLab) -> None:
    free_lab.free_half()
    assert {**free_lab.here, **free_lab.kept} == free_lab.contents and not free_lab.here.keys() & free_lab.kept.keys()
    record = find_freed(free_lab.source)
    assert record is not None and not record.ended and not record.expired
    done = free_lab.free()
    assert done.moved == len(NAMES) and free_lab.kept == free_lab.contents
    assert free_lab.free().files == 0  # and again, with nothing left


# -- what must not be freed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("how", ["flipped", "truncated", "missing", "a folder"])
def test_nothing_is_freed_where_any_copy_is_not_what_the_receipt_says(free_lab: FreeLab, path: str, how: str) -> None:
    content = free_lab.contents[path]
    match how:
        case "flipped":
            free_lab.spoil(path, bytes([content[0] ^ 1]) + content[1:])
        case "truncated":
            free_lab.spoil(path, content[:-1])
        case _:
            (free_lab.destination / path).unlink()
    if how == "a folder":
        (free_lab.destination / path).mkdir()
    refused(free_lab, ReasonCode.FREE_COPY_DIFFERS)
    assert free_lab.untouched()


@pytest.mark.parametrize("path", ["image/c/0/1", "zarr.json"])
def test_a_copy_that_goes_bad_after_it_was_read_back_keeps_its_source(free_lab: FreeLab, path: str) -> None:
    def spoil(what: ReasonCode, files: int, total: int) -> bool:
        if what is ReasonCode.FREEING_SOURCE and not files:
            free_lab.spoil(path, b"x" * len(free_lab.contents[path]))
        return True

    refused(free_lab, ReasonCode.FREE_COPY_DIFFERS, progress=spoil)
    assert free_lab.here[path] == free_lab.contents[path]


def test_a_source_that_is_not_what_the_receipt_says_is_kept_though_size_and_time_agree(free_lab: FreeLab) -> None:
    content = b"y" * len(free_lab.contents["image/c/1/0"])
    write(free_lab.source / "image/c/1/0", content, old=True)
    refused(free_lab, ReasonCode.FREE_CHANGED)
    assert free_lab.here["image/c/1/0"] == content


@pytest.mark.parametrize("name", ["image/c/1/1", "more.txt", "labels/zarr.json"])
def test_a_file_that_the_receipt_lacks_keeps_everything(free_lab: FreeLab, name: str) -> None:
    write(free_lab.source / name, b"new", old=True)
    refused(free_lab, ReasonCode.FREE_NOT_IN_RECEIPT)
    assert name in free_lab.here and not free_lab.kept


@pytest.mark.parametrize("name", ["image/c/1/1.__lock", "image/c/x.tmp", ".softcopy-1-0.tmp"])
def test_a_lock_or_temporary_of_a_writer_keeps_everything(free_lab: FreeLab, name: str) -> None:
    write(free_lab.source / name, b"", old=True)
    refused(free_lab, ReasonCode.FREE_LOCKED)
    assert not free_lab.kept


def test_what_was_changed_a_moment_ago_keeps_everything_though_its_times_are_old(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that sets times back is noticed by when the system saw the change."""
    monkeypatch.setattr(source_scan, "QUIET", 60.0)
    assert "60 s" in str(refused(free_lab, ReasonCode.FREE_TOO_RECENT))
    assert free_lab.untouched()


@posix_only
def test_a_file_that_any_process_has_open_for_writing_keeps_it_and_the_rest(free_lab: FreeLab) -> None:
    file = free_lab.source / "image/c/0/0"
    with open(file, "r+b") as held:
        fd = os.open(file, os.O_RDONLY)
        seen = moving.is_open_for_writing(fd)
        os.close(fd)
        if not seen:
            pytest.skip("this file system has no leases")
        refused(free_lab, ReasonCode.FREE_OPEN)
        assert not held.closed
    assert "image/c/0/0" in free_lab.here
    with open(file, "rb"):  # somebody reads it: that does no harm
        free_lab.free()


@posix_only
def test_asking_who_writes_leaves_no_lease_and_no_signal_behind(free_lab: FreeLab) -> None:
    fcntl = pytest.importorskip("fcntl")
    if not hasattr(fcntl, "F_GETLEASE"):
        pytest.skip("only Linux has leases")
    fd = os.open(free_lab.source / "zarr.json", os.O_RDONLY)
    try:
        assert not moving.is_open_for_writing(fd)
        assert fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_UNLCK
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"failures": ("image/c/0/0 failed",)}, ReasonCode.FREE_DOUBTS),
        ({"open_files": Paths.of(["image/c/0/0"])}, ReasonCode.FREE_DOUBTS),
        ({"kept_files": ("zarr.json",)}, ReasonCode.FREE_DOUBTS),
        ({"damaged_files": Paths.of(["image/c/0/0 ends early"])}, ReasonCode.FREE_NOTES),
        ({"missing_images": Paths.of(["B/2/0"])}, ReasonCode.FREE_NOTES),
        ({"notes": ("a copy process died",)}, ReasonCode.FREE_NOTES),
    ],
)
def test_doubts_in_the_receipt_keep_everything(free_lab: FreeLab, facts: dict[str, Any], code: ReasonCode) -> None:
    free_lab.sign(**facts)
    refused(free_lab, code)
    assert free_lab.untouched()
    if code is ReasonCode.FREE_NOTES:
        assert free_lab.free(accept_notes=True).files == len(NAMES)
    else:
        refused(free_lab, code, accept_notes=True)


def test_without_its_receipt_or_with_a_changed_or_foreign_one_nothing_is_freed(free_lab: FreeLab) -> None:
    sums, facts = possible_receipt_files(free_lab.destination)[0]
    good = sums.read_bytes(), facts.read_bytes()
    sums.write_bytes(good[0].replace(b"image/c/0/0", b"image/c/0/9"))
    refused(free_lab, ReasonCode.FREE_WITHOUT_RECEIPT)
    sums.write_bytes(good[0])
    facts.unlink()
    refused(free_lab, ReasonCode.FREE_WITHOUT_RECEIPT)
    sums.unlink()
    refused(free_lab, ReasonCode.FREE_WITHOUT_RECEIPT)
    free_lab.sign(source="/somewhere/else", source_folder=(1, 2))
    refused(free_lab, ReasonCode.FREE_OTHER_SOURCE)
    assert free_lab.untouched()


@posix_only
def test_a_copy_that_is_a_hard_link_of_its_source_is_no_copy(free_lab: FreeLab) -> None:
    copy = free_lab.destination / "image/c/0/1"
    copy.unlink()
    copy.hardlink_to(free_lab.source / "image/c/0/1")
    refused(free_lab, ReasonCode.FREE_SAME_FILE)
    assert "image/c/0/1" in free_lab.here


@posix_only
def test_a_destination_that_leads_to_the_source_is_no_copy(free_lab: FreeLab) -> None:
    alias = free_lab.destination.with_name("alias")
    alias.symlink_to(free_lab.source)
    free_lab.destination = alias
    free_lab.sign()
    refused(free_lab, ReasonCode.TEXT)
    free_lab.destination = free_lab.source / "image"
    refused(free_lab, ReasonCode.TEXT)


def test_a_destination_in_the_grace_folder_is_no_copy(free_lab: FreeLab) -> None:
    free_lab.destination = free_lab.grace / "d.zarr"
    free_lab.copy()
    refused(free_lab, ReasonCode.FREE_SAME_FOLDER)


def test_a_copy_that_moves_with_its_source_is_no_copy_and_the_source_has_its_file_back(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount in the destination may lead into the source, and tell other numbers for its files."""
    move = free_source.GraceFolder.move_in

    def move_both(self: Any, path: str, source: Any) -> None:
        move(self, path, source)
        (free_lab.destination / path).unlink()

    contents = dict(free_lab.contents)
    monkeypatch.setattr(free_source.GraceFolder, "move_in", move_both)
    refused(free_lab, ReasonCode.FREE_COPY_DIFFERS)
    assert free_lab.here == contents


def test_files_on_another_disk_are_not_copied_and_deleted(free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def move_file(old: str, *_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), old)

    monkeypatch.setattr("softcopy_napari.engine.fs.root_folder.move_file", move_file)
    assert os.strerror(errno.EXDEV) in str(refused(free_lab, ReasonCode.FREE_MOVE_FAILED))
    assert free_lab.here == free_lab.contents


def test_a_folder_of_its_name_that_is_no_grace_folder_is_left_alone(free_lab: FreeLab) -> None:
    write(free_lab.grace / "mine.txt", b"mine")
    refused(free_lab, ReasonCode.FREE_GRACE_TAKEN)
    assert (free_lab.grace / "mine.txt").read_bytes() == b"mine" and free_lab.here == free_lab.contents


@posix_only
def test_where_no_grace_folder_can_be_made_the_message_says_why(free_lab: FreeLab) -> None:
    if os.geteuid() == 0:
        free_lab.grace.write_bytes(b"a file")
    else:
        free_lab.source.parent.chmod(0o500)
    try:
        assert str(free_lab.grace) in str(refused(free_lab, ReasonCode.FREE_NO_GRACE_FOLDER))
    finally:
        free_lab.source.parent.chmod(0o700)


def test_while_an_engine_or_another_free_is_at_work_nothing_is_freed(free_lab: FreeLab) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from softcopy_napari.engine.state_folder.destination_lock import DestinationLock\n"
        "lock = DestinationLock(Path(sys.argv[1]), sys.argv[2]); print('ready', flush=True); sys.stdin.read()"
    )
    for doing, words in (("filled", "writing to"), ("freed", "softcopy free")):
        command = [sys.executable, "-c", code, str(free_lab.destination), doing]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "ready\n"
            assert words in str(refused(free_lab, ReasonCode.TEXT))
            assert other.stdin is not None
            other.stdin.close()
    assert free_lab.untouched()
    DestinationLock(free_lab.destination).release()
    assert free_lab.free().files == len(NAMES)


def test_with_its_copy_elsewhere_a_source_that_is_half_freed_is_not_freed_on(free_lab: FreeLab) -> None:
    free_lab.free_half()
    free_lab.destination = free_lab.destination.with_name("second.zarr")
    free_lab.copy()
    refused(free_lab, ReasonCode.FREE_OTHER_DESTINATION)


def test_names_that_the_destination_takes_for_one_keep_everything(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (free_lab.source / "NOTES.TXT").exists():
        write(free_lab.source / "NOTES.TXT", free_lab.contents["notes.txt"], old=True)
        free_lab.copy()
        assert free_lab.job().plan().files == len(NAMES) + 1
        stat = os.stat
        monkeypatch.setattr(
            os,
            "stat",
            lambda path, **more: stat(
                free_lab.destination / "notes.txt" if path == free_lab.destination / "NOTES.TXT" else path, **more
            ),
        )
        refused(free_lab, ReasonCode.FREE_NAMES_CLASH)


def test_a_new_dataset_in_the_place_of_a_freed_one_is_not_mixed_up_with_it(free_lab: FreeLab) -> None:
    free_lab.free()
    free_lab.source.rename(free_lab.source.with_name("away"))
    write(free_lab.source / "zarr.json", b"{}", old=True)
    assert find_freed(free_lab.source) is None or read_record(free_lab.grace) is None
    with pytest.raises(FreeRefused, match="Rename it"):
        free_lab.job().plan()
    with pytest.raises(FreeRefused, match="another folder lies at"):
        free_lab.undo()
    assert free_lab.kept == free_lab.contents


def test_a_record_is_read_back_as_it_was_written(free_lab: FreeLab) -> None:
    free_lab.free()
    record = read_record(free_lab.grace)
    assert isinstance(record, FreedRecord)
    assert (record.source, record.destination) == (str(free_lab.source), str(free_lab.destination))
    assert (record.files, record.bytes) == (len(NAMES), sum(map(len, free_lab.contents.values())))
    (free_lab.grace / "freed.json").write_text('{"software": "x"}')
    assert read_record(free_lab.grace) is None


def test_an_engine_that_watches_on_is_not_ended_for_nothing(free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock(destination: Path) -> None:
        raise AssertionError("the destination was locked, so the engine would have let go of it")

    monkeypatch.setattr(free_source, "lock_destination", lock)
    monkeypatch.setattr(source_scan, "QUIET", 60.0)
    refused(free_lab, ReasonCode.FREE_TOO_RECENT)
