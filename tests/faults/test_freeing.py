"""Freeing a source is the one thing that takes data away: at every step it may be killed, and disks may fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.engine.freeing.refusal import FreeRefused
from tests.engine.freeing.lab import FreeLab
from tests.engine.support import until
from tests.support.faultfs import FaultFs, why_not
from tests.support.free_process import KILLED, FreeProcess

may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())
may_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is killed in children of a process")
SMALL = ("zarr.json", "c/0/0", "c/1")
EVERY = 11
"""Of the steps, which one is tried by a short run."""


@pytest.fixture
def process() -> Iterator[FreeProcess]:
    with FreeProcess() as process:
        yield process


def kill_at_steps(process: FreeProcess, folder: Path, do: str, every: int, first: int) -> int:
    """Kill one of the three at steps until it is not killed any more; returns how often it was."""
    for killed, step in enumerate(range(first, 1000, every)):
        lab = FreeLab(folder / str(step), SMALL)
        args = lab.source, lab.destination
        if do != "free":
            assert process.run("free", *args, keep_days=0) == 0
        end = process.run(do, *args, kill=step, **({"keep_days": 0} if do == "free" else {}))
        assert lab.lost() == []
        assert lab.there == lab.contents
        if do != "expire":
            moved = lab.kept
            assert {**lab.here, **moved} == lab.contents and not lab.here.keys() & moved.keys()
        if end != KILLED:
            assert end == 0
            return killed
        if killed % 2 == 0 or do == "expire":
            again = process.run(do, *args, **({"keep_days": 0} if do == "free" else {}))
            assert again == 0 or do == "undo"  # which is refused where all had been given back already
            match do:
                case "free":
                    assert (lab.here, lab.kept) == ({}, lab.contents)
                    assert process.run("expire", *args) == 0
                    assert (lab.here, lab.kept, lab.there) == ({}, {}, lab.contents)
                case "undo":
                    assert lab.untouched()
                case _:
                    assert (lab.here, lab.kept, lab.there) == ({}, {}, lab.contents)
        else:  # what has begun can be taken back
            process.run("undo", *args)  # refused where nothing had been moved
            assert lab.here == lab.contents and not lab.kept
            if do == "free":
                assert process.run("free", *args) == 0
    raise AssertionError("it never came to its end")


@may_fork
@pytest.mark.parametrize("do", ["free", "undo", "expire"])
def test_killed_at_some_steps_it_loses_nothing_and_goes_on(process: FreeProcess, tmp_path: Path, do: str) -> None:
    assert kill_at_steps(process, tmp_path, do, EVERY, 3) >= 2


@may_fork
@pytest.mark.soak
@pytest.mark.parametrize("do", ["free", "undo", "expire"])
def test_killed_at_every_step_it_loses_nothing_and_goes_on(process: FreeProcess, tmp_path: Path, do: str) -> None:
    assert kill_at_steps(process, tmp_path, do, 1, 1) >= 15


# -- disks that fail -----------------------------------------------------------------------------------------


class FaultyLab(FreeLab):
    """A lab whose source or destination lies on a file system that fails."""

    def __init__(self, folder: Path, side: str) -> None:
        self.faults = FaultFs(folder / "below", folder / "shown")
        self.faults.__enter__()
        try:
            (folder / "lab").mkdir()
            for name in ("scope", "nas"):
                (folder / "below" / name).mkdir(parents=True)
            place = "scope" if side == "source" else "nas"
            os.symlink(folder / "shown" / place, folder / "lab" / place)
            super().__init__(folder / "lab", SMALL)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.faults.end()


@pytest.fixture(params=["source", "destination"])
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[FaultyLab]:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    lab = FaultyLab(tmp_path, request.param)
    yield lab
    lab.close()


at_source = pytest.mark.parametrize("faulty", ["source"], indirect=True)
at_destination = pytest.mark.parametrize("faulty", ["destination"], indirect=True)


def is_whole(lab: FreeLab) -> None:
    """Fail unless nothing is lost, and everything is well once the disk is."""
    assert lab.lost() == [] and {**lab.here, **lab.kept} == lab.contents


@may_fuse
@at_source
@pytest.mark.parametrize(
    ("op", "path", "error"),
    [
        ("rename", "*c/0/0", errno.EIO),
        ("rename", "*c/0/0", errno.EXDEV),
        ("rename", "*freed.json", errno.ENOSPC),
        ("write", "*journal.jsonl", errno.ENOSPC),
        ("fsync", "*journal.jsonl", errno.EIO),
        ("mkdir", "*.freed", errno.EROFS),
        ("mkdir", "*files/c", errno.ENOSPC),
        ("read", "*c/1", errno.EIO),
        ("listing", "*s.zarr/c", errno.EIO),
    ],
)
def test_a_failing_disk_of_the_source_stops_it_in_words_and_it_goes_on_afterwards(
    faulty: FaultyLab, op: str, path: str, error: int
) -> None:
    rule = faulty.faults.fail(op, path, error)
    with pytest.raises(FreeRefused) as caught:
        faulty.free()
    assert until(lambda: rule.met), "the step did not come"
    assert os.strerror(error) in str(caught.value)
    faulty.faults.lift_all()
    is_whole(faulty)
    assert faulty.free().moved == len(SMALL)
    is_whole(faulty)


@may_fuse
@at_destination
@pytest.mark.parametrize(("op", "error"), [("fsync", errno.EIO), ("read", errno.EIO), ("open", errno.EACCES)])
def test_a_failing_disk_of_the_copy_keeps_the_source(faulty: FaultyLab, op: str, error: int) -> None:
    rule = faulty.faults.fail(op, "*c/0/0", error)
    with pytest.raises(FreeRefused):
        faulty.free()
    assert until(lambda: rule.met)
    faulty.faults.lift_all()
    assert faulty.here["c/0/0"] == faulty.contents["c/0/0"]
    is_whole(faulty)
    assert faulty.free(keep_days=0).moved == len(SMALL)
    faulty.faults.fail(op, "*c/0/0", error)
    with pytest.raises(FreeRefused):
        faulty.expire()
    faulty.faults.lift_all()
    assert faulty.kept["c/0/0"] == faulty.contents["c/0/0"]


@may_fuse
@at_destination
@pytest.mark.parametrize("later", [0, 1])
def test_a_bit_that_reads_back_wrong_keeps_the_source_also_where_it_was_right_before(
    faulty: FaultyLab, later: int
) -> None:
    rule = faulty.faults.flip("*c/0/0", skip=later)
    with pytest.raises(FreeRefused, match="c/0/0"):
        faulty.free()
    assert until(lambda: rule.met)
    faulty.faults.lift_all()
    assert faulty.here["c/0/0"] == faulty.contents["c/0/0"]
    is_whole(faulty)


@may_fuse
@at_destination
def test_a_copy_that_goes_away_meanwhile_keeps_the_rest(faulty: FaultyLab) -> None:
    below = faulty.faults.folder / "nas"
    faulty.faults.call("read", "*zarr.json", lambda path: (below / "d.zarr").rename(below / "away"), skip=1)
    with pytest.raises(FreeRefused):
        faulty.free()
    (below / "away").rename(below / "d.zarr")
    is_whole(faulty)
    assert faulty.free().moved == len(SMALL)
