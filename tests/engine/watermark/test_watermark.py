"""The progress file of a real copy never says more than is true, and takes back before anything changes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.state_folder.destination_lock import ReverifyReason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.watermark import watermark
from softcopy_napari.engine.watermark.progress_file import ProgressFile
from softcopy_napari.engine.watermark.progress_lines import ProgressState
from softcopy_napari.engine.watermark.progress_reader import Goal, GoalError, ProgressReader, WaitResult
from tests.engine.jobs import Jobs
from tests.engine.support import make_old, replace, until, write, zarray


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "_INTERVAL", 0.05)
    monkeypatch.setattr(watermark, "_RETRY", 0.1)


def make(folder: Path, times: int, columns: int = 2, written: int = 0, content: bytes = b"first") -> Path:
    """An array (t, x), a plane a chunk file, of which some time points are there, from long ago."""
    write(folder / ".zarray", zarray((times, columns), chunk=1))
    for time in range(written):
        write_time(folder, time, columns, content)
    if written:
        make_old(folder)
    return folder


def write_time(folder: Path, time: int, columns: int = 2, content: bytes = b"first") -> None:
    for column in range(columns):
        replace(folder / f"{time}.{column}", content)


def state(jobs: Jobs) -> ProgressState:
    return ProgressReader(jobs.destination).read()


def lines(jobs: Jobs) -> list[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError):  # another one takes its place
        return [json.loads(line) for line in path(jobs).read_bytes().split(b"\n")[:-1]]
    return []


def path(jobs: Jobs) -> Path:
    return jobs.destination.with_name("destination.progress.jsonl")


def copied(jobs: Jobs, array: str = "") -> int:
    known = state(jobs).arrays
    return known[array].copied if array in known else -1


def says(jobs: Jobs, number: int, array: str = "") -> bool:
    return bool(until(lambda: copied(jobs, array) == number))


class Held:
    """Holds back a method of the progress file until it is let go, as a disk does that hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, which: Callable[..., bool]) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()
        real = getattr(ProgressFile, method)

        def held(file: ProgressFile, *args: Any, **more: Any) -> object:
            if which(*args, **more):
                self.reached.set()
                assert self.let_go.wait(20.0)
            return real(file, *args, **more)

        monkeypatch.setattr(ProgressFile, method, held)


def test_each_time_point_is_claimed_when_it_has_come(jobs: Jobs) -> None:
    make(jobs.source, 3)
    jobs.start()
    assert says(jobs, 0)
    for time in range(3):
        write_time(jobs.source, time)
        assert says(jobs, time + 1)
        assert until(lambda: jobs.now.watermark is not None and jobs.now.watermark.copied == time + 1)  # noqa: B023
    assert lines(jobs)[0]["source"] == str(jobs.source)
    assert not state(jobs).is_over
    jobs.stop()
    assert jobs.now.watermark is not None and jobs.now.watermark.copied == 3, "what is claimed stays true"


def test_what_is_rewritten_is_taken_back_before_the_destination_changes(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "add", lambda lines, durable: b"changed" in lines)
    make(jobs.source, 4, written=3)
    jobs.start()
    assert says(jobs, 3)
    replace(jobs.source / "1.0", b"second")
    assert held.reached.wait(30.0)
    write_time(jobs.source, 3)
    assert not until(lambda: (jobs.destination / "1.0").read_bytes() != b"first", 0.5), "nobody was told so far"
    assert not (jobs.destination / "3.0").exists()
    held.let_go.set()
    assert until(lambda: (jobs.destination / "1.0").read_bytes() == b"second")
    assert [line["changed"] for line in lines(jobs) if "changed" in line] == [[[1, 2]]]
    jobs.job.order("finish")  # type: ignore[union-attr]
    assert jobs.ends().state is TargetState.COMPLETE
    assert copied(jobs) == 4


def test_an_engine_that_starts_takes_back_everything_first_and_says_what_has_changed_meanwhile(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(jobs.source, 4, written=3)
    jobs.start()
    assert says(jobs, 3)
    jobs.stop()
    assert state(jobs).ended is not None
    replace(jobs.source / "2.1", b"second")
    make_old(jobs.source)
    os.utime(jobs.source / "2.1", (1_700_000_000, 1_700_000_000))
    with path(jobs).open("ab") as file:
        file.write(b'{"event": "progr')  # it was killed
    held = Held(monkeypatch, "begin", lambda line, anew: True)
    jobs.start()
    assert held.reached.wait(30.0)
    assert not until(lambda: (jobs.destination / "2.1").read_bytes() != b"first", 0.5)
    held.let_go.set()
    assert until(lambda: (jobs.destination / "2.1").read_bytes() == b"second")
    said = lines(jobs)
    begun = max(number for number, line in enumerate(said) if line["event"] == "begin")
    assert not said[begun]["anew"]
    assert until(lambda: [line["changed"] for line in lines(jobs)[begun:] if "changed" in line] == [[[2, 3]]])
    jobs.job.order("finish")  # type: ignore[union-attr]
    assert jobs.ends().state is TargetState.COMPLETE
    assert state(jobs).arrays[""].copied == 4, "what never came is empty"


def test_without_the_metadata_a_reader_would_not_see_what_is_claimed(jobs: Jobs) -> None:
    write(jobs.destination / ".zarray" / "in the way", b"")
    make(jobs.source, 3, written=2)
    jobs.start()
    assert until(lambda: (jobs.destination / "1.1").exists() and jobs.now.failed_files == 1)
    assert says(jobs, 0)
    shutil.rmtree(jobs.destination / ".zarray")
    assert says(jobs, 2)


def test_an_array_that_grows_is_claimed_as_far_as_the_destinations_metadata_go(jobs: Jobs) -> None:
    make(jobs.source, 2, written=1)
    jobs.start()
    assert says(jobs, 1)
    write_time(jobs.source, 1)
    assert says(jobs, 2)
    replace(jobs.source / ".zarray", zarray((3, 2), chunk=1))
    write_time(jobs.source, 2)
    assert says(jobs, 3)
    assert json.loads((jobs.destination / ".zarray").read_bytes())["shape"] == [3, 2]
    assert not [line for line in lines(jobs) if "changed" in line]
    replace(jobs.source / ".zarray", zarray((3, 3), chunk=1))
    assert says(jobs, 0)
    assert lines(jobs)[-1]["changed"] == [[0, 3]], "each time point has one more chunk file now"


def test_what_may_not_be_there_is_taken_back_until_it_was_read_back(jobs: Jobs) -> None:
    make(jobs.source, 3, written=2)
    job = jobs.start()
    assert says(jobs, 2)
    job._inbox.put(lambda: job._reverify(ReverifyReason.TAKEN_AWAY))
    assert until(lambda: {"copied": 0, "verified": 0}.items() <= lines(jobs)[-1].items())
    assert until(lambda: state(jobs).arrays[""].verified == 2)
    assert copied(jobs) == 2


def test_a_complete_copy_says_so_and_takes_it_back_when_its_source_changes(jobs: Jobs) -> None:
    make(jobs.source, 3, written=2)
    job = jobs.start(verify="checksum", linger=600.0)
    job.order("finish")
    assert until(lambda: jobs.now.watching)
    assert until(lambda: state(jobs).complete is not None)
    assert state(jobs).complete["verified"] is True  # type: ignore[index]
    assert state(jobs).arrays[""][1:] == (3, 3, 3)
    write_time(jobs.source, 1, content=b"second")
    assert until(lambda: (jobs.destination / "1.1").read_bytes() == b"second")
    events = [(line["event"], line.get("copied")) for line in lines(jobs)]
    assert events.index(("resumed", None)) > events.index(("complete", None))
    assert says(jobs, 1), "its writer may be at work on the second still"
    write_time(jobs.source, 2)
    assert says(jobs, 2)


def test_a_copy_that_is_stopped_says_so(jobs: Jobs) -> None:
    make(jobs.source, 3, written=2)
    jobs.start()
    assert says(jobs, 2)
    jobs.stop()
    ended = state(jobs).ended
    assert ended is not None and ended["state"] == "stopped" and ended["reason"]
    assert copied(jobs) == 2, "what is there stays there"


def test_of_another_dataset_that_replaces_one_nothing_is_believed(jobs: Jobs) -> None:
    make(jobs.source, 3, written=3)
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    shutil.rmtree(jobs.source)
    make(jobs.source, 2, columns=3, written=1, content=b"another")
    jobs.start(overwrite=True)
    assert until(lambda: lines(jobs) and lines(jobs)[0]["anew"])
    assert says(jobs, 1)
    assert "changed" not in path(jobs).read_text()


def test_wells_are_claimed_when_all_their_arrays_are_there(jobs: Jobs) -> None:
    plate = {"plate": {"wells": [{"path": "A/1"}, {"path": "A/2"}]}}
    levels = {"axes": [{"name": "t"}, {"name": "x"}], "datasets": [{"path": "0"}, {"path": "1"}]}
    for group, attributes in (("", plate), ("A/1", {"well": {"images": [{"path": "0"}]}})):
        write(jobs.source / group / ".zgroup", b'{"zarr_format": 2}')
        write(jobs.source / group / ".zattrs", json.dumps(attributes).encode())
    write(jobs.source / "A/1/0/.zgroup", b'{"zarr_format": 2}')
    write(jobs.source / "A/1/0/.zattrs", json.dumps({"multiscales": [levels]}).encode())
    make(jobs.source / "A/1/0/0", 2, written=2)
    make_old(jobs.source)
    jobs.start()
    assert says(jobs, 2, "A/1/0/0")
    assert state(jobs).arrays["A/1/0/0"].axis == "t"
    assert until(lambda: "A/1" in state(jobs).wells)
    assert state(jobs).wells["A/1"].copied == 0, "its second level has not come"
    assert until(lambda: state(jobs).missing == 2)
    make(jobs.source / "A/1/0/1", 2)
    write_time(jobs.source / "A/1/0/1", 0)
    assert until(lambda: state(jobs).wells["A/1"].copied == 1)
    write_time(jobs.source / "A/1/0/1", 1)
    assert until(lambda: state(jobs).wells["A/1"].copied == 2)
    assert until(lambda: state(jobs).missing == 1)
    assert state(jobs).wells["A/1"].axis == "t"
    # As front ends show it:
    assert until(lambda: (mark := jobs.now.watermark) is not None and (mark.wells, mark.of_wells) == (1, 2))
    mark = jobs.now.watermark
    assert mark is not None
    assert {one.path: one.copied for one in mark.arrays} == {"A/1/0/0": 2, "A/1/0/1": 2}


def test_claims_go_along_the_first_axis_also_where_another_one_is_time(jobs: Jobs) -> None:
    levels = {"axes": [{"name": "c"}, {"name": "t"}], "datasets": [{"path": "0"}]}
    write(jobs.source / ".zgroup", b'{"zarr_format": 2}')
    write(jobs.source / ".zattrs", json.dumps({"multiscales": [levels]}).encode())
    make(jobs.source / "0", 2, columns=3, written=1)
    make_old(jobs.source)
    jobs.start()
    assert says(jobs, 1, "0") and until(lambda: state(jobs).arrays["0"].axis == "c")
    assert until(lambda: jobs.now.watermark is not None and "channel 0 complete" in jobs.now.watermark.words)
    with pytest.raises(GoalError, match="no array has t as its slowest axis, but c"):
        Goal.parse("t=0").check(state(jobs))
    assert Goal.parse("c=0").check(state(jobs)) is WaitResult.REACHED


def test_what_cannot_be_followed_is_said(jobs: Jobs) -> None:
    make(jobs.source, 2, written=1)
    odd = {"zarr_format": 3, "node_type": "array", "shape": [1], "chunk_grid": {"name": "of a later day"}}
    write(jobs.source / "odd" / "zarr.json", json.dumps(odd).encode())
    make_old(jobs.source)
    jobs.start()
    assert until(lambda: state(jobs).untracked == {"odd"})


def test_where_no_file_is_wanted_there_is_none(jobs: Jobs) -> None:
    make(jobs.source, 2, written=2)
    jobs.start(settle=0.0, progress_file=False)
    assert jobs.ends().state is TargetState.COMPLETE
    assert not path(jobs).exists()


def test_a_file_that_cannot_be_written_is_said_and_stops_no_copy(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    make(jobs.source, 3, written=2)
    with monkeypatch.context() as patch:
        patch.setattr(ProgressFile, "_add", full)
        jobs.start()
        assert jobs.equal()
        assert until(lambda: any("progress file" in notice and "No space" in notice for notice in jobs.now.notices))
        assert not path(jobs).exists() or not path(jobs).read_bytes()
    assert says(jobs, 2), "it is tried again"


def test_a_file_that_somebody_deletes_is_begun_anew(jobs: Jobs) -> None:
    make(jobs.source, 4, written=2)
    jobs.start()
    assert says(jobs, 2)
    path(jobs).unlink()
    write_time(jobs.source, 2)
    assert says(jobs, 3)


def test_a_dataset_that_is_made_anew_during_the_copy_has_claims_of_its_own(jobs: Jobs) -> None:
    make(jobs.source, 3, written=2)
    jobs.start(linger=600.0)
    assert says(jobs, 2)
    shutil.rmtree(jobs.source)
    make(jobs.source, 3, columns=1)
    replace(jobs.source / "0.0", b"another")
    assert says(jobs, 1)
    assert lines(jobs)[0]["anew"] is True
