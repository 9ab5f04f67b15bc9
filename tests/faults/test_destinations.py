"""Destinations with habits of their own: they keep no times, show other sizes, take two names for one.

WebDAV, cloud drives and some FUSE file systems do. None is copied to for ever, and none is called complete wrongly.
"""

from __future__ import annotations

import os

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import until, write
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.faultfs import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

NO_TIMES = ["dropped", "refused", "set at rename", "flapping"]
NOTICE = "does not keep modification times; files are compared by size and the checksums noted when they arrived"


@pytest.mark.parametrize("times", NO_TIMES)
def test_each_file_is_copied_once_to_a_destination_that_keeps_no_times(lab: Lab, times: str) -> None:
    lab.faulty_destination(times=times)
    make_chunks(lab.source, 8)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, lab.words()
    assert end.files_copied == 9
    assert [notice for notice in end.notices if NOTICE in notice] == [f"{lab.destination} {NOTICE}"]
    lab.assert_equal()


@pytest.mark.parametrize("times", NO_TIMES)
def test_a_copy_that_is_given_again_copies_what_has_changed_and_no_more(lab: Lab, times: str) -> None:
    """Also what has kept its size, and what was written with an old time."""
    lab.faulty_destination(times=times)
    make_chunks(lab.source, 8)
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    changed = lab.source / "3" / "0"
    before = changed.stat()
    changed.write_bytes(content(3, 1, 5000))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns - 1_000_000_000))
    lab.start(settle=0.0)
    end = lab.ends(SOON)
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
    lab.start(settle=0.0, verify="checksum")
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, lab.words()
    assert flipped.met and end.counts[ChunkState.VERIFIED] == 6
    lab.assert_equal()


def test_a_destination_that_shows_other_sizes_is_given_up_with_a_reason(lab: Lab) -> None:
    lab.faulty_destination(padding=1)
    make_chunks(lab.source, 4)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED
    assert {failure.reason for failure in end.failures} == {
        "was copied to the destination 5 times, and has another size there every time"
    }
    assert end.files_copied <= 5 * 5


def test_files_that_vanish_from_the_destination_each_time_are_given_up_with_a_reason(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.source, 4)
    faults.call("rename", "d.zarr/2/0", lambda path: (faults.folder / path).unlink(), when="after", times=0)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED
    assert [(failure.path, failure.reason) for failure in end.failures] == [
        ("2/0", "was copied to the destination 5 times, and is not there every time")
    ]
