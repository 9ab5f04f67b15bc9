"""The latest results survive their engines, and failures stay until somebody has seen them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from softcopy_napari import cli
from softcopy_napari.engine.client import check, launch, start
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder import history
from softcopy_napari.engine.state_folder.folder import state_folder
from softcopy_napari.engine.state_folder.history import HistoryWriter, dismiss, endings, forget
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import make_array, until


def _ended(number: int, state: TargetState = TargetState.COMPLETE, completed: float = 1.0) -> TargetSnapshot:
    return TargetSnapshot(
        id="1", source=f"/data/{number}", destination=f"/nas/{number}", state=state, completed=completed
    )


def _note(*targets: TargetSnapshot, check: bool = False) -> None:
    for target in targets:
        HistoryWriter(check).note(target)


def test_a_copy_that_nobody_watched_is_found_afterwards(tmp_path: Path) -> None:
    source = make_array(tmp_path / "a.zarr", (2, 2))
    copy = start(source, tmp_path / "copy.zarr", settle=0.2, linger=0)
    copy.wait(30)
    copy.stop()
    (found,) = endings()
    assert (found.source, found.destination) == (str(source), str(tmp_path / "copy.zarr"))
    assert found.target.state is TargetState.COMPLETE and not found.needs_attention and not found.crashed
    assert found.reason == copy.snapshot().reason and found.target.chunk_files_copied
    assert time.time() - 60 < found.at <= time.time()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_crash_is_found_as_one_and_the_next_run_takes_its_place(tmp_path: Path) -> None:
    target = make_target(tmp_path / "late.zarr", tmp_path / "copy.zarr", Settings())
    engine = launch([target])
    until(lambda: list((state_folder() / "history").glob("*.json")))
    assert endings() == []  # it is under way
    os.kill(engine.run.pid, signal.SIGKILL)
    until(endings)
    found = endings()
    assert found[0].crashed and found[0].needs_attention and found[0].state_text == "Copying crashed"
    again = start(tmp_path / "late.zarr", tmp_path / "copy.zarr")
    again.stop()
    (last,) = endings()
    assert last.target.state is TargetState.STOPPED and not last.needs_attention


def test_a_check_and_a_copy_of_one_destination_are_both_kept(tmp_path: Path) -> None:
    source = make_array(tmp_path / "a.zarr", (2, 2))
    start(source, tmp_path / "copy.zarr", settle=0.2, linger=0).wait(30)
    (tmp_path / "copy.zarr/.zarray").unlink()
    assert check(source, tmp_path / "copy.zarr").state is TargetState.INCOMPLETE
    checked, copied = endings()
    assert checked.check and checked.needs_attention and not copied.check


def test_softcopy_status_shows_it_and_dismisses_failures() -> None:
    _note(_ended(1, TargetState.FAILED, 0.5), _ended(2))
    runner = CliRunner()
    said = runner.invoke(cli.softcopy, ["status", "--dismiss"]).output
    assert "No copy is running." in said and said.index("/nas/1") < said.index("/nas/2")
    assert "1 failure shown until dismissed" in said
    said = runner.invoke(cli.softcopy, ["status"]).output
    assert said.index("/nas/2") < said.index("/nas/1") and "dismissed" not in said, "it is an old story now"


def test_softcopy_status_shows_the_last_ten_or_all() -> None:
    _note(*(_ended(number, completed=float(number + 1)) for number in range(12)))
    runner = CliRunner()
    said = runner.invoke(cli.softcopy, ["status"]).output
    assert "/nas/2\n" in said and "/nas/1\n" not in said and "and 2 more: softcopy status --all" in said
    said = runner.invoke(cli.softcopy, ["status", "--all"]).output
    assert all(f"/nas/{number}\n" in said for number in range(12)) and "more" not in said


def test_the_latest_result_of_a_destination_wins() -> None:
    _note(_ended(1, TargetState.FAILED, 0.0), _ended(1))
    assert [one.target.state for one in endings()] == [TargetState.COMPLETE]
    _note(_ended(2), _ended(2, TargetState.FAILED, 0.0))
    assert {one.destination: one.needs_attention for one in endings()} == {"/nas/1": False, "/nas/2": True}


def test_a_failure_stays_until_it_is_dismissed() -> None:
    _note(_ended(1, TargetState.FAILED, 0.0), _ended(2))
    failure = next(one for one in endings() if one.needs_attention)
    dismiss([failure])
    assert {one.destination: (one.failed, one.needs_attention) for one in endings()} == {
        "/nas/1": (True, False),
        "/nas/2": (False, False),
    }
    dismiss([failure])  # another window was faster
    _note(_ended(1, TargetState.FAILED, 0.0))
    assert any(one.needs_attention for one in endings()), "it has failed again"


def test_what_is_forgotten_is_gone_unless_it_has_changed() -> None:
    _note(_ended(1), _ended(2))
    seen = endings()
    _note(_ended(2, TargetState.FAILED, 0.0))
    forget(seen)
    assert [(one.destination, one.failed) for one in endings()] == [("/nas/2", True)]


def test_dismissing_what_was_seen_keeps_what_came_since() -> None:
    _note(_ended(1, TargetState.FAILED, 0.0))
    seen = endings()
    _note(_ended(1, TargetState.INCOMPLETE, 0.0))
    dismiss(seen)
    assert [one.target.state for one in endings()] == [TargetState.INCOMPLETE]


def test_a_hundred_are_kept_and_failures_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    _note(_ended(0, TargetState.FAILED, 0.0))
    _note(*(_ended(number, completed=float(number)) for number in range(1, 5)))
    assert [one.destination for one in endings()] == ["/nas/0", "/nas/4", "/nas/3"]


def test_only_beginnings_and_ends_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(history, "write_atomically", lambda path, *_, **__: written.append(path.name))
    writer = HistoryWriter(False)
    for state in (TargetState.WAITING, TargetState.COPYING, TargetState.CAUGHT_UP):
        writer.note(_ended(1, state, 0.0))
    assert len(written) == 1
    for _ in range(3):
        writer.note(_ended(1))
    assert len(written) == 2
    writer.note(_ended(1, TargetState.COPYING, 0.0))  # its source, which is watched on, has changed
    assert len(written) == 3


def test_what_others_leave_in_the_folder_is_passed_over() -> None:
    _note(_ended(1))
    (state_folder() / "history/strange.json").write_text("{}")
    (state_folder() / "history/folder.json").mkdir()
    assert [one.destination for one in endings()] == ["/nas/1"]
