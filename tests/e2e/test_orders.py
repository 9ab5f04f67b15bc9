"""`softcopy finish`, `pause`, `resume` and `stop` on real copies, and sources that are watched on after "complete"."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from softcopy_napari import cli
from softcopy_napari.engine.client import EngineHandle, engines, start
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from tests.engine.support import make_array, replace
from tests.support.command import Softcopy, until
from tests.support.trees import assert_same

WATCHING = re.compile(r"Complete \d\d:\d\d, watching on")


def run(*arguments: str | Path) -> tuple[int, str]:
    """The command in this process: its exit code, and all that it says."""
    done = CliRunner().invoke(cli.softcopy, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def targets() -> dict[str, TargetSnapshot]:
    """What engines tell of targets, by the names of their destinations."""
    found: list[EngineHandle] = engines()
    try:
        return {Path(target.destination).name: target for one in found for target in one.snapshot().targets}
    finally:
        for engine in found:
            engine.close()


def state_of(name: str) -> TargetState | None:
    target = targets().get(name)
    return target.state if target is not None else None


def growing(folder: Path, chunks: int = 4) -> Path:
    """An acquisition that is not over: half of its chunk files are there."""
    array = make_array(folder, (2 * chunks,), chunks=False)
    for number in range(chunks):
        replace(array / str(number), b"chunk %d" % number)
    return array


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Softcopy]:
    """One engine with two copies that wait for the rest."""
    for name in ("a", "b"):
        growing(tmp_path / f"{name}.zarr")
    lines = "".join(f"  - {{source: {name}.zarr, destination: copies/{name}}}\n" for name in ("a", "b"))
    (tmp_path / "targets.yaml").write_text(f"targets:\n{lines}")
    with Softcopy("--nprocs", "1", tmp_path / "targets.yaml") as command:
        until(lambda: [one.chunk_files_copied for one in targets().values() if one.can_finish] == [4, 4])
        yield command


def test_the_acquisition_that_is_named_is_finished_and_no_other(two: Softcopy, tmp_path: Path) -> None:
    code, said = run("finish")
    assert code == 2
    assert said.splitlines()[0] == "softcopy: 2 copies are running: give a destination or a process, or --all"
    assert f"softcopy:   {tmp_path / 'copies' / 'b'} (process {two.process.pid})" in said.splitlines()
    destination = tmp_path / "copies" / "b"
    assert run("finish", destination) == (0, f"Finishing {destination}: 4 chunks never written\n")
    until(lambda: state_of("b") is TargetState.COMPLETE)
    assert state_of("a") is TargetState.CAUGHT_UP, "its acquisition goes on"
    assert_same(tmp_path / "b.zarr", destination)
    replace(tmp_path / "a.zarr" / "4", b"one more")
    until(lambda: (tmp_path / "copies" / "a" / "4").exists())
    assert run("finish")[0] == 0, "only one is left"
    assert two.wait() == 0, two.output
    assert_same(tmp_path / "a.zarr", tmp_path / "copies" / "a")


def test_by_its_destination_one_target_is_stopped_and_by_its_process_all(two: Softcopy, tmp_path: Path) -> None:
    destination = tmp_path / "copies" / "a"
    code, said = run("stop", destination)
    assert (code, said) == (0, f"Stopping {destination} (process {two.process.pid}). Run it again to continue.\n")
    until(lambda: state_of("a") is TargetState.STOPPED)
    assert state_of("b") is TargetState.CAUGHT_UP
    assert run("stop", destination)[0] == 2, "it is stopped already"
    assert run("stop", str(two.process.pid))[0] == 0
    assert two.wait() == 1, two.output


def test_a_destination_is_known_however_it_is_spelled(
    two: Softcopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "copies")
    monkeypatch.chdir(tmp_path / "copies")
    monkeypatch.setenv("HOME", str(tmp_path))
    slash, quoted, link = f"{tmp_path}/copies/a/", f'"{tmp_path}/copies/a"', f"{tmp_path}/link/a"
    for name in ("a", slash, quoted, link, "~/copies/a", "../copies/a"):
        for order, state in (("pause", TargetState.PAUSED), ("resume", TargetState.CAUGHT_UP)):
            code, said = run(order, name)
            assert code == 0, (name, said)
            until(lambda state=state: state_of("a") is state)  # type: ignore[misc]
            assert state_of("b") is TargetState.CAUGHT_UP


def test_paused_copies_copy_nothing_until_they_are_resumed(two: Softcopy, tmp_path: Path) -> None:
    assert run("pause", "--all")[0] == 0
    until(lambda: [state_of(name) for name in ("a", "b")] == [TargetState.PAUSED] * 2)
    replace(tmp_path / "a.zarr" / "4", b"one more")
    until(lambda: targets()["a"].files_left == 1)
    assert not (tmp_path / "copies" / "a" / "4").exists()
    code, said = run("resume", tmp_path / "copies" / "a", tmp_path / "copies" / "b")
    assert (code, len(said.splitlines())) == (0, 2)
    until(lambda: (tmp_path / "copies" / "a" / "4").exists())
    assert run("stop", "--all")[0] == 0
    assert two.wait() == 1


def test_what_cannot_be_ordered_is_one_clear_line(two: Softcopy, tmp_path: Path) -> None:
    for arguments, words in (
        (("finish", tmp_path / "copies"), f"no running copy is called {tmp_path / 'copies'}: see softcopy status"),
        (("pause", "s3://bucket/a.zarr"), "no running copy is called s3://bucket/a.zarr: see softcopy status"),
        (("pause", "smb://server/a.zarr"), "looks like a network share"),
        (("stop", "--all", "1"), "give processes and destinations, or --all, not both"),
    ):
        code, said = run(*arguments)
        assert code == 2 and words in said and len(said.splitlines()) == 1, said


# -- watching on -------------------------------------------------------------------------------------------


def finished(folder: Path) -> Path:
    """An acquisition that was over an hour ago."""
    return make_array(folder, (4, 2))


def test_a_command_that_lingers_says_so_copies_what_comes_and_ends_well_with_ctrl_c(tmp_path: Path) -> None:
    source, destination = finished(tmp_path / "source.zarr"), tmp_path / "copy"
    with Softcopy("--nprocs", "1", "--linger", "1000", source, destination) as copy:
        until(lambda: "copy" in targets() and targets()["copy"].watching)
        assert WATCHING.search(run("status")[1])
        replace(source / "0.0", b"written after all")
        until(lambda: (destination / "0.0").read_bytes() == b"written after all")
        until(lambda: state_of("copy") is TargetState.CAUGHT_UP)
        assert run("finish")[0] == 0
        until(lambda: targets()["copy"].watching)
        assert copy.interrupt() < 5
    assert copy.process.returncode == 0, copy.output
    assert_same(source, destination)


def test_a_command_that_has_lingered_ends_with_exit_code_0(tmp_path: Path) -> None:
    source = finished(tmp_path / "source.zarr")
    with Softcopy("--nprocs", "1", "--linger", "2", source, tmp_path / "copy") as copy:
        assert copy.wait() == 0, copy.output
    assert WATCHING.search(copy.output)


def test_the_time_that_a_copy_took_ends_when_it_is_complete(tmp_path: Path) -> None:
    copy = start(finished(tmp_path / "source.zarr"), tmp_path / "copy", nprocs=1)
    try:
        done = copy.wait(30)
        assert done.state is TargetState.COMPLETE and done.watching
        time.sleep(2.5)  # longer than an engine at rest takes to tell something new
        assert copy.snapshot().elapsed == done.elapsed
    finally:
        copy.stop()
        copy.engine.close()


def test_an_engine_of_python_watches_on_until_it_is_stopped(tmp_path: Path) -> None:
    source = finished(tmp_path / "source.zarr")
    copy = start(source, tmp_path / "copy", nprocs=1)
    try:
        assert copy.wait(30).watching, "wait returns as soon as it is complete"
        code, said = run("pause", tmp_path / "copy")
        assert code == 2 and "is complete: there is nothing to pause" in said
        assert "no copy is running" in run("finish")[1], "without a name only copies under way are meant"
        assert run("stop") == (0, f"{tmp_path / 'copy'} is complete. Its source is no longer watched\n")
        until(lambda: not engines())
        assert copy.snapshot().state is TargetState.COMPLETE
    finally:
        copy.stop()
        copy.engine.close()


def test_what_is_written_just_before_finish_is_copied_although_it_was_complete_before(tmp_path: Path) -> None:
    """The engine may not have heard of it yet: an answer from before would be a false one."""
    source = finished(tmp_path / "source.zarr")
    copy = start(source, tmp_path / "copy", nprocs=1)
    try:
        before = copy.wait(30)
        for number in range(3):
            replace(source / f"{number}.1", os.urandom(1000))
            done = copy.finish(30)
            assert done.state is TargetState.COMPLETE and done.completed > before.completed
            assert (tmp_path / "copy" / f"{number}.1").read_bytes() == (source / f"{number}.1").read_bytes()
            before = done
    finally:
        copy.stop()
        copy.engine.close()
    assert_same(source, tmp_path / "copy")


def test_linger_0_ends_the_engine_with_the_copy(tmp_path: Path) -> None:
    copy = start(finished(tmp_path / "source.zarr"), tmp_path / "copy", nprocs=1, linger=0)
    assert copy.wait(30).state is TargetState.COMPLETE
    until(lambda: not engines())
    copy.engine.close()
