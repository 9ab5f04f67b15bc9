"""`softcopy set` on a real copy: its pace changes at once, and what cannot be set is one clear line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from softcopy_napari import cli
from softcopy_napari.engine.client import EngineHandle, engines, start
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import PaceSnapshot, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import make_array, write
from tests.support.command import Softcopy, softcopy, until
from tests.support.trees import assert_same


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A finished acquisition that takes for ever at a kilobyte a second."""
    array = make_array(tmp_path / "source.zarr", (2, 2))
    write(array / "large", os.urandom(20_000_000), old=True)
    return array


@pytest.fixture
def slow(source: Path, tmp_path: Path) -> Iterator[Softcopy]:
    options = ("--max-rate", "1 kB/s", "--settle", "0")
    with Softcopy(*options, source, tmp_path / "copy.zarr") as command:
        until(lambda: paces() and paces()[0].limit == 1000)
        yield command


def run(*arguments: str | Path) -> tuple[int, str]:
    """The command in this process: its exit code, and all that it says."""
    done = CliRunner().invoke(cli.softcopy, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def targets() -> list[TargetSnapshot]:
    found: list[EngineHandle] = engines()
    try:
        return [target for engine in found for target in engine.snapshot().targets]
    finally:
        for engine in found:
            engine.close()


def paces() -> list[PaceSnapshot]:
    return [target.pace for target in targets()]


def test_a_copy_that_was_slow_is_set_to_be_fast(slow: Softcopy, source: Path, tmp_path: Path) -> None:
    copy = f"{tmp_path / 'copy.zarr'} (process {slow.process.pid})"
    assert "at most 1.0 kB/s: speed limit as set" in run("status")[1]
    assert run("set", "--sleep-time", "0.001", "--pace", "full") == (
        0,
        f"{copy}: sleep_time 0.001, pace full\n",
    )
    until(lambda: paces()[0].mode == "full")
    assert (paces()[0].sleep_time, paces()[0].limit) == (0.001, 1000)
    done = softcopy("set", tmp_path / "copy.zarr", "--max-rate", "full")
    assert (done.returncode, done.stdout) == (0, f"{copy}: max_rate full\n")
    assert slow.wait() == 0
    assert_same(source, tmp_path / "copy.zarr")


def test_of_several_targets_the_one_with_that_destination_is_set(source: Path, tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text(
        "targets:\n"
        "  - {source: source.zarr, destination: a.zarr, max_rate: 1 kB/s}\n"
        "  - {source: source.zarr, destination: b.zarr, max_rate: 2 kB/s}\n"
    )
    with Softcopy(tmp_path / "targets.yaml"):
        until(lambda: [pace.limit for pace in paces()] == [1000, 2000])
        assert run("set", tmp_path / "b.zarr", "--max-rate", "3 kB/s")[0] == 0
        until(lambda: [pace.limit for pace in paces()] == [1000, 3000])
        (engine,) = engines()
        assert run("set", str(engine.run.pid), "--max-rate", "4 kB/s")[0] == 0
        until(lambda: [pace.limit for pace in paces()] == [4000, 4000])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to change: --max-rate, --sleep-time or --pace"),
        (("--max-rate", "20 MB"), 'not the text "20 MB"; did you mean "20 MB/s"?'),
        (("--sleep-time", "-1"), "--sleep-time must be a number of seconds, 0 or more, not -1.0"),
        (("--pace", "full"), "no copy is running"),
        (("/nowhere", "--pace", "full"), "no running copy is called /nowhere: see softcopy status"),
    ],
)
def test_what_cannot_be_set_is_one_clear_line(arguments: tuple[str, ...], words: str) -> None:
    code, said = run("set", *arguments)
    assert code == 2
    assert said.startswith("softcopy: ") and said.endswith(words + "\n")
    assert len(said.splitlines()) == 1


def test_a_wrong_rate_is_found_before_anything_is_touched(source: Path, tmp_path: Path) -> None:
    code, said = run("--max-rate", "fast", source, tmp_path / "copy.zarr")
    assert code == 2
    assert said.startswith("softcopy: --max-rate must be a rate such as 200 MB/s")
    assert not (tmp_path / "copy.zarr").exists()


def test_python_starts_and_sets_a_pace(source: Path, tmp_path: Path) -> None:
    copy = start(source, tmp_path / "copy.zarr", max_rate={"00:00-24:00": "1 kB/s"}, pace="full", settle=0.0)
    try:
        until(lambda: copy.snapshot().pace.limit == 1000)
        with pytest.raises(TargetsError, match="did you mean"):
            copy.set(max_rate="20 MB")
        copy.set(max_rate="full")
        done = copy.wait(60)
        assert done.state is TargetState.COMPLETE
        assert done.settings == Settings(pace="full", settle=0.0), "front ends go on with these"
    finally:
        copy.stop()
        copy.engine.close()
    assert_same(source, tmp_path / "copy.zarr")
