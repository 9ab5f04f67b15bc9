"""Destinations with habits of their own: they keep no times, show other sizes, take two names for one.

WebDAV, cloud drives and some FUSE file systems do. None is copied to for ever, and none is called complete wrongly.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata

import pytest

from softcopy_napari.engine.job.check_job import CheckJob
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import until, write
from tests.faults.lab import SOON, Lab, content, copied, make_chunks
from tests.support.command import softcopy
from tests.support.faultfs import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

NO_TIMES = ["dropped", "refused", "set at rename", "flapping"]
NOTICE = "does not keep modification times. Files are compared by size and the checksums noted on arrival"


@pytest.mark.parametrize("times", NO_TIMES)
def test_each_file_is_copied_once_to_a_destination_that_keeps_no_times(lab: Lab, times: str) -> None:
    lab.faulty_destination(times=times)
    make_chunks(lab.source, 8)
    end = copied(lab)
    assert end.state is TargetState.COMPLETE, lab.words()
    assert end.files_copied == 9
    assert [notice for notice in end.notices if NOTICE in notice] == [f"{lab.destination} {NOTICE}"]
    lab.assert_equal()


@pytest.mark.parametrize("times", NO_TIMES)
def test_a_copy_that_is_given_again_copies_what_has_changed_and_no_more(lab: Lab, times: str) -> None:
    """Also what has kept its size, and what was written with an old time."""
    lab.faulty_destination(times=times)
    make_chunks(lab.source, 8)
    assert copied(lab).state is TargetState.COMPLETE
    changed = lab.source / "3" / "0"
    before = changed.stat()
    changed.write_bytes(content(3, 1, 5000))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns - 1_000_000_000))
    end = copied(lab)
    assert end.state is TargetState.COMPLETE, lab.words()
    assert end.files_copied == 1
    lab.assert_equal()


def test_what_is_rewritten_with_the_same_size_during_the_copy_arrives_where_no_times_are_kept(lab: Lab) -> None:
    """Nothing is heard of it: the walk finds another version at the source than was copied."""
    source = lab.faulty_source()
    lab.faulty_destination(times="dropped")
    make_chunks(lab.real_source, 6, more=1)
    lab.start()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 6, SOON), lab.words()
    write(source.folder / "s.zarr" / "2" / "0", content(2, 1, 5000))
    lab.finish()
    lab.assert_equal()
    assert lab.now.files_copied == 8


def test_contents_are_verified_where_no_times_are_kept(lab: Lab) -> None:
    faults = lab.faulty_destination(times="dropped")
    make_chunks(lab.source, 6)
    flipped = faults.flip("d.zarr/2/0", offset=100, times=1)
    end = copied(lab, verify="checksum")
    assert end.state is TargetState.COMPLETE, lab.words()
    assert flipped.met and end.counts[ChunkState.VERIFIED] == 6
    lab.assert_equal()


def test_a_check_compares_contents_where_no_times_are_kept(lab: Lab) -> None:
    lab.faulty_destination(times="dropped")
    make_chunks(lab.source, 5)
    assert copied(lab).state is TargetState.COMPLETE
    assert re.fullmatch(
        r"all \d+ files of the source are at the destination, equal in size and content", check(lab).reason
    )
    write(lab.real_destination / "3" / "0", content(3, 9, 5000))
    found = check(lab)
    assert found.state is TargetState.INCOMPLETE and found.findings is not None
    assert found.findings.different_paths == ("3/0",)


def check(lab: Lab) -> TargetSnapshot:
    """Compare both sides."""
    target = make_target(lab.source, lab.destination, Settings(nprocs=1)).model_copy(update={"check": True})
    job = CheckJob(
        TargetResources(target, DestinationLock(target.destination, "checked")), "1", ledger_folder() / "check"
    )
    job.start()
    assert job.ended.wait(SOON)
    return job.snapshot()


def test_a_destination_that_shows_other_sizes_is_given_up_with_a_reason(lab: Lab) -> None:
    lab.faulty_destination(padding=1)
    make_chunks(lab.source, 4)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert {failure.reason for failure in end.failures} == {
        "was copied to the destination 5 times, and has a wrong size there every time"
    }
    assert end.files_copied <= 5 * 5


def test_files_that_vanish_from_the_destination_each_time_are_given_up_with_a_reason(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 4)
    faults.call("rename", "d.zarr/2/0", lambda path: (faults.folder / path).unlink(), when="after", times=0)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert [(failure.path, failure.reason) for failure in end.failures] == [
        ("2/0", "was copied to the destination 5 times, and is not there every time")
    ]


# -- names -------------------------------------------------------------------------------------------------

ONE_NAME = "and {} are one name at the destination, so neither is copied; rename one at the source"


def test_files_whose_names_differ_in_case_only_are_both_named_where_case_does_not_count(lab: Lab) -> None:
    lab.faulty_destination(folds_case=True)
    make_chunks(lab.source, 4)
    write(lab.source / "notes" / "IMG", b"first", old=True)
    write(lab.source / "notes" / "img", b"other", old=True)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert {failure.path: failure.reason for failure in end.failures} == {
        "notes/IMG": ONE_NAME.format("img"),
        "notes/img": ONE_NAME.format("IMG"),
    }
    assert not (lab.real_destination / "notes").exists()
    assert len(list(lab.real_destination.rglob("*/0"))) == 4


def test_two_arrays_are_not_mixed_where_case_does_not_count(lab: Lab) -> None:
    lab.faulty_destination(folds_case=True)
    make_chunks(lab.source / "Camera", 3)
    make_chunks(lab.source / "camera", 3, size=6000)
    make_chunks(lab.source / "other", 3)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert sorted(failure.path for failure in end.failures) == ["Camera", "camera"]
    assert [path.name for path in lab.real_destination.iterdir()] == ["other"]


def test_a_name_that_comes_during_the_copy_and_clashes_is_found(lab: Lab) -> None:
    lab.faulty_destination(folds_case=True)
    make_chunks(lab.source, 3, more=1)
    write(lab.source / "notes" / "IMG", b"first", old=True)
    lab.start()
    assert lab.caught_up()
    write(lab.source / "notes" / "img", b"other")
    lab.finish(TargetState.FAILED)
    assert sorted(failure.path for failure in lab.now.failures) == ["notes/IMG", "notes/img"]


def test_a_clash_is_over_when_one_of_the_names_has_gone(lab: Lab) -> None:
    lab.faulty_destination(folds_case=True)
    make_chunks(lab.source, 3, more=1)
    for name in ("IMG", "img"):
        write(lab.source / name / "note", name.encode(), old=True)
    lab.start()
    assert until(lambda: lab.now.failed_files == 2, SOON), lab.words()
    (lab.source / "IMG").rename(lab.source / "picture")
    lab.finish()
    lab.assert_equal()


def test_the_same_names_are_no_clash_where_case_counts(lab: Lab) -> None:
    lab.faulty_destination()
    make_chunks(lab.source, 3)
    for name in ("IMG", "img", unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")):
        write(lab.source / name, name.encode(), old=True)
    assert copied(lab).state is TargetState.COMPLETE
    lab.assert_equal()


def test_accents_written_in_two_ways_clash_where_they_are_one_name(lab: Lab) -> None:
    lab.faulty_destination(nfd=True)
    make_chunks(lab.source, 3)
    names = [unicodedata.normalize(form, "Zellkörper") for form in ("NFC", "NFD")]
    for name in names:
        write(lab.source / name, name.encode(), old=True)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert sorted(failure.path for failure in end.failures) == sorted(names)


@pytest.mark.parametrize("inodes", [True, False], ids=["with inodes", "without inodes"])
def test_nothing_is_gone_from_the_source_where_names_are_spelled_in_another_way(lab: Lab, inodes: bool) -> None:
    lab.faulty_destination(nfd=True, inodes=inodes)
    name = unicodedata.normalize("NFC", "Größe é")
    make_chunks(lab.source / name / name, 3)
    write(lab.source / name / f"{name}.txt", b"x", old=True)
    for _ in range(2):
        end = copied(lab)
        assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
        assert end.notices == () and end.kept == 0
    assert end.files_copied == 0
    for folders in ([lab.destination], [lab.source, lab.destination]):
        done = softcopy("verify", *folders)
        assert done.returncode == 0, done.stdout
    write(lab.destination / name / "ä", b"x")
    done = softcopy("verify", lab.destination)
    assert done.stdout.count("not in the receipt") == 1


def test_a_name_that_the_destination_kept_in_another_case_is_not_gone_from_the_source(lab: Lab) -> None:
    """Somebody renamed the folder at the source since it was copied."""
    lab.faulty_destination(folds_case=True, inodes=False)
    make_chunks(lab.source / "Image", 3)
    assert copied(lab).state is TargetState.COMPLETE
    (lab.source / "Image").rename(lab.source / "image")
    end = copied(lab)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert end.files_copied == 0 and end.notices == ()


# -- large files -------------------------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_named_and_not_tried_for_ever(lab: Lab) -> None:
    """FAT takes 4 GB."""
    faults = lab.faulty_destination()
    make_chunks(lab.source, 4)
    rule = faults.fail("write", "*2/.softcopy*", error=errno.EFBIG)
    end = copied(lab)
    assert end.state is TargetState.FAILED
    assert [(failure.path, failure.reason) for failure in end.failures] == [
        ("2/0", "is too large for the destination's file system: 5.0 kB (FAT takes 4 GB at most)")
    ]
    assert len(rule.met) <= 4, "two tries, each by the library and then by the module that words the error"
    assert len(list(lab.real_destination.rglob("*/0"))) == 3


def test_a_file_with_holes_arrives_where_files_cannot_be_extended(lab: Lab) -> None:
    """Some FUSE file systems refuse to truncate."""
    faults = lab.faulty_destination()
    make_chunks(lab.source, 2)
    with open(lab.source / "sparse", "wb") as file:
        file.seek(5 << 20)
        file.write(b"the end")
        file.truncate(6 << 20)
    rule = faults.fail("truncate", "*", error=errno.EPERM)
    assert copied(lab).state is TargetState.COMPLETE, lab.words()
    assert rule.met
    lab.assert_equal()
