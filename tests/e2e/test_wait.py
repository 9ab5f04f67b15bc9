"""Another program works on each time point as it arrives: a writer, a copy and a reader, each a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softcopy_napari
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.states import TargetState
from tests.engine.support import make_array, until, write
from tests.support.command import COMMAND, Softcopy, environment, softcopy
from tests.support.writers import Writer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "source.zarr", tmp_path / "destination.zarr"


def waiting(destination: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "wait", str(destination), *options], stderr=subprocess.PIPE, text=True, env=environment()
    )


def test_each_time_point_can_be_read_when_it_is_said_to_be_there(sides: tuple[Path, Path]) -> None:
    import tensorstore as ts

    source, destination = sides
    frames = 2
    with Softcopy("--nprocs", "2", "--verify", "checksum", source, destination) as copy:
        reader = waiting(destination, "--until", "end", "--verified", "--timeout", "60")
        with Writer("tensorstore", source, frames=frames, planes=2, delay=0.1, grow=True, complete=True):
            for time in range(frames):
                done = softcopy("wait", destination, "--until", str(time), "--verified", "--timeout", "60")
                assert done.returncode == 0, done.stderr
                spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(destination)}}
                read = ts.open(spec).result()[time].read().result()
                assert read.any(axis=(1, 2)).all(), "no plane is empty"
                assert np.array_equal(
                    read, ts.open({**spec, "kvstore": f"file://{source}/"}).result()[time].read().result()
                )
        assert copy.wait() == 0, copy.output
        assert reader.wait(60) == 0
        reader.communicate()
    assert softcopy("wait", destination, "--until", str(frames)).returncode == 1


def test_who_waits_learns_that_the_copy_was_stopped_and_when_the_time_is_over(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    make_array(source, (3, 2), chunks=False)
    done = softcopy("wait", destination, "--until", "t=1", "--timeout", "0.2")
    assert done.returncode == 3 and "t=1 did not reach" in done.stderr
    with Softcopy("--nprocs", "1", source, destination) as copy:
        progress = destination.with_name(destination.name + ".progress.jsonl")
        until(progress.exists)
        reader = waiting(destination, "--until", "t=1")
        until(lambda: '"of": 6' in progress.read_text())
        copy.interrupt()
        _, said = reader.communicate(timeout=30)
    assert reader.returncode == 1 and "has ended without t=1" in said


def test_a_program_waits_for_its_copy(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    make_array(source, (2, 2), chunks=False)
    copy = softcopy_napari.start(source, destination, nprocs=1)
    try:
        assert not copy.wait_for(1, timeout=0.1)
        for number in ("0.0", "0.1", "1.0"):
            write(source / number, b"x" * 9)
        assert copy.wait_for(1, timeout=20.0), "a chunk file holds two time points, and the next has begun"
        with pytest.raises(TargetsError, match="one index"):
            copy.wait_for(t=1, z=1)
        assert copy.finish(30.0).state is TargetState.COMPLETE
        assert copy.wait_for(3, array="") and not copy.wait_for(4)
    finally:
        copy.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--until", "tomorrow"], "like t=120"), (["--until", "t=1", "--array", "0", "--well", "A/1"], "not both")],
)
def test_what_is_asked_for_wrongly_is_said(tmp_path: Path, options: list[str], said: str) -> None:
    done = softcopy("wait", tmp_path / "a.zarr", *options)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_copy_with_its_progress_file_in_it_is_what_it_should_be(sides: tuple[Path, Path]) -> None:
    """Where nothing can lie beside the destination; neither the receipt nor comparisons count it."""
    source, destination = sides
    make_array(source, (2, 2))
    for name in (".progress.jsonl", ".softcopy.progress.jsonl"):
        write(destination.with_name(destination.name + name), b"mine")
    done = softcopy("--nprocs", "1", "--settle", "0", source, destination)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete" in (destination / "softcopy.progress.jsonl").read_text()
    for command in (["verify", destination], ["verify", source, destination], ["check", source, destination]):
        done = softcopy(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "softcopy.progress" not in done.stdout
    done = softcopy("--nprocs", "1", "--settle", "0", source, destination)
    assert done.returncode == 0, done.stdout + done.stderr


# -- the documentation's examples ----------------------------------------------------------------------------


def example(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", (DOCS / "progress.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    from softcopy_napari.engine.watermark.progress_lines import Claim, encode_claim, encode_line

    begin = {"run": "1", "source": "/a", "destination": "/nas/a.zarr", "verify": "size", "anew": False}
    return [
        encode_line("begin", **begin),
        encode_claim("array", "0", Claim("t", 9, 0, 600)),
        encode_line("begin", **begin),
        encode_line("promised", missing=2),
        encode_line("untracked", path="odd"),
        encode_claim("array", "0", Claim("t", 121, 118, 600)),
        encode_claim("array", "0", Claim("t", 50, 50, 600), [(50, 51)]),
        encode_claim("array", "1", Claim("", 3, 0, 600)),
        encode_claim("well", "A/1", Claim("t", 1, 0, 1)),
        encode_line("complete", verified=False),
        encode_line("resumed"),
        encode_line("end", state="stopped", reason="stopped"),
    ]


def test_all_lines_are_as_the_schema_says(lines: list[bytes]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((DOCS / "progress.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for line in lines:
        validator.validate(json.loads(line))
    for wrong in ({"event": "progress"}, {"event": "of a later version"}, {**json.loads(lines[1]), "copied": "9"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(wrong)


def test_the_example_in_python_reads_them(lines: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "a.progress.jsonl", b"".join(lines) + b'{"event": "pro')
    names: dict[str, Any] = {}
    exec(example("python"), names)
    assert names["copied"](str(path)) == 50
    assert names["copied"](str(path), "1") == 3


def test_the_example_for_a_shell_reads_them(lines: list[bytes], tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("tac and sed of GNU")
    write(tmp_path / "embryo.zarr.progress.jsonl", b"".join(lines))
    shell = example("sh").replace("jq .copied", "python3 -c 'import json; print(json.loads(input())[\"copied\"])'")
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "50\n"
