"""`softcopy check` against real datasets: it tells what is not at the destination, and changes nothing anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softcopy_napari
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import make_old
from tests.support.command import Softcopy, softcopy, until
from tests.support.writers import write

Sides = tuple[Path, Path]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return tmp_path / "source.zarr", tmp_path / "copy.zarr"


@pytest.fixture(scope="module")
def written_and_copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sides]:
    """Writes a dataset and copies it, once for all tests that want that one."""
    made: dict[str, Sides] = {}

    def make(kind: str, **options: Any) -> Sides:
        name = f"{kind} {options}"
        if name not in made:
            folder = tmp_path_factory.mktemp("written and copied")
            made[name] = folder / "source.zarr", folder / "copy.zarr"
            write(kind, made[name][0], **options)
            make_old(made[name][0])  # so that nobody waits until it has been quiet
            done = softcopy("--nprocs", "1", "--finish-idle", "0", *made[name])
            assert done.returncode == 0, done.stdout + done.stderr
        return made[name]

    return make


@pytest.fixture
def copied(sides: Sides, written_and_copied: Callable[..., Sides]) -> Callable[..., None]:
    """Make a dataset and a copy of it, with the times that they got."""

    def make(kind: str = "tensorstore", **options: Any) -> None:
        for made, side in zip(written_and_copied(kind, **{"frames": 3, **options}), sides, strict=True):
            shutil.copytree(made, side, symlinks=True)

    return make


def listing(*roots: Path) -> dict[str, tuple[int, ...]]:
    """Everything below some folders, the folders included, as nothing that changes it could leave it."""
    paths = [path for root in roots if root.exists() for path in (root, *root.rglob("*"))]
    infos = ((path, path.lstat()) for path in paths)
    return {
        str(path): (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns) for path, info in infos
    }


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def check(sides: Sides, *options: str) -> tuple[int, str]:
    """Check, and see to it that nothing was changed; returns the exit code and the last summary."""
    before = listing(*sides)
    done = softcopy("check", "--nprocs", "1", *options, *sides)
    assert listing(*sides) == before
    assert done.stderr == ""
    return done.returncode, done.stdout.rpartition("\n\n")[2]


def chunk(side: Path, *cell: int) -> Path:
    return side.joinpath("c", *map(str, cell))


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "zarr 3": ("tensorstore", {}),
    "zarr 3, dots": ("tensorstore", {"separator": "."}),
    "shards": ("tensorstore", {"shards": True}),
    "zarr 2, slashes": ("tensorstore", {"driver": "zarr"}),
    "zarr 2, dots": ("tensorstore", {"driver": "zarr", "separator": "."}),
    "a group by zarr-python": ("zarr_python", {"format": 2}),
    "acquire-zarr": ("acquire", {}),
    "a scalar": ("scalar", {}),
    "a plate": ("plate", {}),
}


def test_all_is_there_after_a_copy_and_nothing_before_it(sides: Sides) -> None:
    """Of datasets of all kinds, side by side."""
    for name, (kind, options) in KINDS.items():
        sides[0].mkdir(exist_ok=True)
        write(kind, sides[0] / name, **{"frames": 3, **options})
    make_old(sides[0])
    assert softcopy("--nprocs", "1", "--finish-idle", "0", *sides).returncode == 0
    code, summary = check(sides)
    assert code == 0
    assert "files of the source are at the destination, equal in size and time" in summary
    assert "missing" not in summary and "different" not in summary and "including rewrites" not in summary
    shutil.rmtree(sides[1])
    code, summary = check(sides)
    assert code == 1
    assert "Incomplete: nothing of the source is at the destination" in summary
    assert not sides[1].exists()
    chunk_files, others = found(sides)
    assert f"  missing: {chunk_files} chunk" in summary
    assert f", {others} other file" in summary


def found(sides: Sides) -> tuple[int, int]:
    """How many chunk files and other files the source has."""
    files = [path.name for path in sides[0].rglob("*") if path.is_file()]
    others = sum(name in ("zarr.json", ".zarray", ".zgroup", ".zattrs", "acquire.json") for name in files)
    return len(files) - others, others


def test_missing_and_different_chunk_files_are_counted_and_named(sides: Sides, copied: Callable[..., None]) -> None:
    copied(frames=4, planes=4)
    shutil.rmtree(chunk(sides[1], 2))  # 4 of them
    chunk(sides[1], 0, 1, 0, 0).unlink()
    longer, newer = chunk(sides[1], 1, 0, 0, 0), chunk(sides[1], 1, 1, 0, 0)
    longer.write_bytes(longer.read_bytes() + b"x")
    os.utime(longer, ns=(0, chunk(sides[0], 1, 0, 0, 0).stat().st_mtime_ns))
    os.utime(newer, ns=(0, newer.stat().st_mtime_ns + 1000))
    chunk(sides[0], 3, 3, 0, 0).unlink()  # as if it was never written
    chunk(sides[1], 3, 3, 0, 0).unlink()
    code, summary = check(sides)
    assert code == 1
    assert (
        "Incomplete: missing at the destination: 5 chunks; different there: 1 chunk; only the times differ: 1 chunk"
        in summary
    )
    assert "8 of 16 chunks are at the destination, and 1 other file" in summary
    assert "1 chunk not at the source so far" in summary
    lines = summary.splitlines()
    at = lines.index("  missing: 5 chunks, 0 other files")
    assert lines[at + 1 : at + 6] == [f"    c/{cell}/0/0" for cell in ("0/1", "2/0", "2/1", "2/2", "2/3")]
    assert lines[at + 6 : at + 9] == ["  different: 2 chunks, 0 other files", "    c/1/0/0/0", "    c/1/1/0/0"]
    assert lines[at + 9 :] == ["  of these, 1 file only by time. Equal? softcopy check --content"]


def test_a_copy_without_its_times_differs_in_them_and_by_content_is_equal(
    sides: Sides, copied: Callable[..., None]
) -> None:
    copied(frames=2, planes=2)
    for path in sides[1].rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    code, summary = check(sides)
    assert code == 1 and "Incomplete: only the times differ: 4 chunks and 1 other file" in summary
    assert "different there" not in summary
    before = listing(*sides)
    code, summary = check(sides, "--content")
    assert code == 0 and "equal in size and content" in summary
    wrong = chunk(sides[1], 1, 1, 0, 0)
    wrong.write_bytes(bytes(wrong.stat().st_size))
    code, summary = check(sides, "--content")
    assert code == 1 and "Incomplete: different there: 1 chunk" in summary and "    c/1/1/0/0" in summary
    assert softcopy_napari.check(*sides, by_content=True).findings.chunk_files_times == 0
    assert listing(sides[0]) == {path: info for path, info in before.items() if path.startswith(str(sides[0]))}


def test_only_the_first_of_many_missing_files_are_named(sides: Sides, copied: Callable[..., None]) -> None:
    copied(frames=4, planes=4)
    shutil.rmtree(sides[1] / "c")
    code, summary = check(sides)
    assert code == 1
    assert "    c/0/0/0/0\n" in summary and "    c/1/0/0/0\n" in summary
    assert "    c/1/1/0/0\n" not in summary and summary.endswith("    and 11 more\n")


def test_other_files_are_compared_too(sides: Sides, copied: Callable[..., None]) -> None:
    copied()
    for side in sides:
        (side / "empty").mkdir()
        for name in ("notes.txt", "stage.csv"):
            os.utime(write_text(side / name, name), ns=(0, 10**18))
    assert check(sides)[0] == 0
    (sides[1] / "notes.txt").write_text("other notes")
    (sides[1] / "stage.csv").unlink()
    (sides[1] / "empty").rmdir()
    code, summary = check(sides)
    assert code == 1
    assert "Incomplete: missing at the destination: 2 other files; different there: 1 other file" in summary
    assert "    empty\n    stage.csv\n" in summary and "    notes.txt\n" in summary


def test_metadata_of_another_dataset_are_a_difference(sides: Sides, copied: Callable[..., None]) -> None:
    copied(frames=3)
    shutil.rmtree(sides[0])
    write("tensorstore", sides[0], frames=5, planes=1)
    code, summary = check(sides)
    assert code == 1
    assert "different there:" in summary and "    zarr.json" in summary


def test_an_extra_chunk_file_is_an_error_but_an_extra_note_is_not(sides: Sides, copied: Callable[..., None]) -> None:
    copied(frames=3)
    (sides[1] / "my notes.txt").write_text("a good one")
    code, summary = check(sides)
    assert code == 0
    assert "  only at the destination: 1 file or folder\n    my notes.txt\n" in summary
    shutil.rmtree(chunk(sides[0], 2))  # the source was thinned out
    chunk(sides[0], 1, 1, 0, 0).unlink()
    code, summary = check(sides)
    assert code == 1
    assert "Incomplete: only at the destination: 2 files and folders" in summary
    assert "    c/1/1/0/0\n    c/2/\n    my notes.txt\n" in summary


def test_left_over_temporaries_stay_and_do_not_count(sides: Sides, copied: Callable[..., None]) -> None:
    copied()
    left = [sides[1] / ".softcopy-0a1b2c3d-1.tmp", chunk(sides[1], 1, 1, 0) / ".softcopy-0a1b2c3d-2.tmp"]
    for path in left:
        path.write_bytes(b"half a chunk")
    code, summary = check(sides)
    assert code == 0 and "only at the destination" not in summary
    assert all(path.exists() for path in left)


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_destination_that_may_only_be_read_can_be_checked(sides: Sides, copied: Callable[..., None]) -> None:
    copied("plate")
    folders = [sides[1], *(path for path in sides[1].rglob("*") if path.is_dir())]
    files = [path for path in sides[1].rglob("*") if path.is_file()]
    try:
        for path in files:
            path.chmod(0o444)
        for path in folders:
            path.chmod(0o555)
        assert check(sides)[0] == 0
    finally:
        for path in folders:
            path.chmod(0o755)


def test_times_that_were_set_to_whole_seconds_are_not_taken_for_a_coarse_disk(
    sides: Sides, copied: Callable[..., None]
) -> None:
    copied()
    for root in sides:
        for path in (*root.rglob("*"), root):
            os.utime(path, (1_600_000_000, 1_600_000_000))
    assert check(sides)[0] == 0
    os.utime(chunk(sides[0], 0, 0, 0, 0), (1_600_000_001, 1_600_000_001))
    code, summary = check(sides)
    assert code == 1 and "    c/0/0/0/0" in summary


def test_arrays_without_any_chunk_file_are_equal_when_their_metadata_are(
    sides: Sides, copied: Callable[..., None]
) -> None:
    copied(frames=2, planes=2)
    for side in sides:
        shutil.rmtree(side / "c")
    code, summary = check(sides)
    assert code == 0
    assert "0 of 4 chunks are at the destination, and 1 other file" in summary
    assert "4 chunks not at the source so far" in summary


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda source, _: None, "does not exist"),
        (
            lambda source, _: source.mkdir(),
            "is not a zarr dataset: no zarr.json, .zarray or .zgroup in it. "
            "To copy a folder of any files, use --kind folder (kind: folder)",
        ),
        (lambda source, _: source.touch(), "is a file, not a folder: give the folder that it lies in"),
        (lambda source, there: (write("scalar", source), there.touch()), "is a file, not a folder"),
    ],
)
def test_what_cannot_be_checked_is_one_line_and_exit_code_2(
    make: Callable[[Path, Path], object], words: str, sides: Sides
) -> None:
    make(*sides)
    before = listing(*sides)
    done = softcopy("check", *sides)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("softcopy: ") and done.stderr.endswith(f"{words}\n") and done.stderr.count("\n") == 1
    assert listing(*sides) == before


@pytest.mark.parametrize(
    "arguments", [["check"], ["check", "a"], ["check", "--nprocs", "0", "a", "b"], ["check", "a", "a"]]
)
def test_wrong_usage_of_check_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    done = softcopy(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr and "Traceback" not in done.stderr


def test_a_destination_that_is_being_filled_is_not_checked(sides: Sides) -> None:
    write("tensorstore", sides[0], frames=2)
    with Softcopy("--nprocs", "1", "--settle", "1000", *sides) as copy:
        until(lambda: chunk(sides[1], 1, 3, 0, 0).exists())
        done = softcopy("check", *sides)
        assert done.returncode == 2
        assert f"another copy (process {copy.process.pid}) is writing to" in done.stderr
        copy.interrupt()


# -- as the plugin and acquisition software use it ---------------------------------------------------------


def test_the_call_from_python_and_the_ledger(sides: Sides, copied: Callable[..., None]) -> None:
    copied(frames=2, planes=3)
    chunk(sides[1], 1, 0, 0, 0).unlink()
    chunk(sides[0], 0, 2, 0, 0).unlink()
    chunk(sides[1], 0, 2, 0, 0).unlink()
    before = listing(*sides)
    result: TargetSnapshot = softcopy_napari.check(*sides)
    assert listing(*sides) == before
    assert result.state is TargetState.INCOMPLETE and result.state.ended
    assert result.findings is not None
    assert result.findings.missing_paths == ("c/1/0/0/0",)
    assert (result.files_copied, result.failed_files, result.kept) == (0, 0, 0)
    (array,) = result.arrays
    states = np.load(array.ledger, mmap_mode="r")  # the engine has ended, its ledger can still be drawn
    expected = np.full((2, 3), ChunkState.COPIED)
    expected[1, 0], expected[0, 2] = ChunkState.PENDING, ChunkState.ABSENT
    assert np.array_equal(states[:, :, 0, 0], expected)


def test_a_check_from_python_that_cannot_be_done_says_why(sides: Sides) -> None:
    with pytest.raises(TargetsError, match="does not exist"):
        softcopy_napari.check(*sides)
    with pytest.raises(TargetsError, match="nprocs"):
        softcopy_napari.check(*sides, nprocs=0)
