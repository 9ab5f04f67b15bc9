"""What runs on a Dask worker, without one: what was not flushed is not copied, what has no process does nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from softcopy_napari import __version__
from softcopy_napari.engine.dask_workers import on_worker
from softcopy_napari.engine.dask_workers.on_worker import _add_flush
from softcopy_napari.engine.dask_workers.source_evidence import find_identity, gather_evidence
from softcopy_napari.engine.dask_workers.worker_messages import (
    ProcessAnswer,
    ProcessRequest,
    ProcessStarted,
    ProcessTask,
)
from softcopy_napari.engine.fs.hashing import NO_DIGEST
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.tasks import CopyDone, CopyTask, SetPace, Setup, Synced

C, S, F, V = CopyOutcome.COPIED, CopyOutcome.STOPPED, CopyOutcome.FAILED, CopyOutcome.VANISHED
TASK = CopyTask(1, ["a", "b", "c", "d"])


def done(*outcomes: CopyOutcome) -> CopyDone:
    digests = b"".join(bytes([65 + number]) * 16 for number in range(len(outcomes)))
    return CopyDone(bytes(outcomes), digests, 100, {}, 1.0, versions=digests)


def test_what_was_flushed_counts_as_copied() -> None:
    found = _add_flush(TASK, done(C, V, C, C), Synced(3, {}, 0.5), [0, 2, 3])
    assert found == done(C, V, C, C)._replace(seconds=1.5)


def test_what_could_not_be_flushed_is_copied_again() -> None:
    found = _add_flush(TASK, done(C, V, C, C), Synced(3, {"c": "Input/output error"}, 0.5), [0, 2, 3])
    assert list(found.outcomes) == [C, V, F, C]
    assert found.digests[32:48] == found.versions[32:48] == NO_DIGEST
    assert found.digests[:32] == done(C, V, C, C).digests[:32]
    assert "Input/output error" in describe(found.reasons[2])


def test_what_was_not_reached_waits_again() -> None:
    found = _add_flush(TASK, done(C, C, C, C), Synced(2, {}, 0.5), [0, 1, 2, 3])
    assert list(found.outcomes) == [C, C, S, S]


def test_a_task_that_runs_where_its_process_is_not_does_nothing(tmp_path: Path) -> None:
    """Dask runs a task again, when a worker is lost and another has come at the same address."""
    sent = ProcessTask("none", CopyTask(1, ["a"]), SetPace(1.0, 0.0), None)
    answer: ProcessAnswer = pickle.loads(on_worker.carry_out(pickle.dumps(sent)))
    assert answer.over is not None and not answer.over.at_fault and not answer.answers


def test_another_version_is_refused_in_words() -> None:
    request = ProcessRequest("other", Setup("/none", "/none", "0a1b2c3d", "", 0.0), "0.0.0")
    opened: ProcessStarted = pickle.loads(on_worker.start_process(pickle.dumps(request)))
    assert opened.problem is not None
    assert f"has softcopy {__version__}, and this computer 0.0.0" in describe(opened.problem)


def test_a_source_is_known_by_its_inode_on_any_machine(tmp_path: Path) -> None:
    source = tmp_path / "a.zarr"
    source.mkdir()
    found = source.stat()
    evidence = gather_evidence(str(source), (found.st_dev, found.st_ino))
    elsewhere = evidence._replace(identity=(found.st_dev + 7, found.st_ino))  # as another machine numbers it
    assert find_identity(str(source), elsewhere) == (found.st_dev, found.st_ino)
    source.rename(tmp_path / "b.zarr")
    assert find_identity(str(source), elsewhere) is None
    source.mkdir()
    assert find_identity(str(source), elsewhere) is None


@pytest.mark.parametrize(("kind", "known"), [("ext4", False), ("fuse.sshfs", True), ("cifs", True)])
def test_where_inodes_are_invented_the_metadata_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, known: bool
) -> None:
    """What a file system calls itself is told here; sshfs gives a folder another inode at every mount."""
    from softcopy_napari.engine.dask_workers import source_evidence
    from softcopy_napari.engine.fs.file_system_type import FileSystem

    monkeypatch.setattr(source_evidence, "identify_file_system", lambda _: FileSystem(kind))
    for name, content in (("here", b"{}"), ("there", b"{}"), ("other", b'{"a": 1}'), ("empty", b"")):
        (tmp_path / name).mkdir()
        if content:
            (tmp_path / name / "zarr.json").write_bytes(content)
    found = os.stat(tmp_path / "here")
    evidence = gather_evidence(str(tmp_path / "here"), (found.st_dev, found.st_ino))
    assert (find_identity(str(tmp_path / "there"), evidence) is not None) == known
    assert find_identity(str(tmp_path / "other"), evidence) is None
    assert find_identity(str(tmp_path / "empty"), evidence) is None
