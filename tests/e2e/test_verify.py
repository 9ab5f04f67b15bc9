"""`softcopy verify` as its user runs it: on a cluster with the receipt, and where both sides are at hand."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.engine.support import make_old
from tests.support.command import Softcopy, softcopy, until
from tests.support.trees import chunk, flip
from tests.support.writers import write


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, its complete copy, and the receipt."""
    folder = tmp_path_factory.mktemp("copied")
    source, destination = folder / "source.zarr", folder / "copy.zarr"
    write("tensorstore", source, frames=6, planes=4)
    (source / "notes ü.txt").write_text("text")
    if os.name == "posix":
        (source / "link").symlink_to("notes ü.txt")
    make_old(source)  # so that nobody waits until it has been quiet
    done = softcopy("--nprocs", "1", "--settle", "0", source, destination)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def sides(copied: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A source and its complete copy, with the receipt beside it."""
    shutil.copytree(copied, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "source.zarr", tmp_path / "copy.zarr"


def test_a_good_copy_is_called_good_with_its_receipt_and_with_its_source(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    for folders in ((destination,), (source, destination)):
        done = softcopy("verify", *folders)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "OK: all " in done.stdout


def test_everything_that_is_wrong_is_found(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    flip(chunk(destination, 0))
    missing, short = chunk(destination, 1), chunk(destination, 2)
    missing.unlink()
    size = short.stat().st_size
    os.truncate(short, size - 3)
    (destination / "extra.txt").write_text("nobody knows me")
    with_receipt = softcopy("verify", destination)
    assert with_receipt.returncode == 1
    for words in ("missing: 1 file", "changed: 2 files", "extra: 1 file", "extra.txt (not in the receipt)"):
        assert words in with_receipt.stdout, with_receipt.stdout
    with_source = softcopy("verify", source, destination)
    assert with_source.returncode == 1
    for words in ("missing: 1 file", "changed: 1 file", "truncated: 1 file", f"({size - 3:,} of {size:,} bytes)"):
        assert words in with_source.stdout, with_source.stdout
    assert "extra.txt (not at the source)" in with_source.stdout


def test_parts_together_are_everything_each_file_once(sides: tuple[Path, Path]) -> None:
    _, destination = sides
    flip(chunk(destination, 5))
    done = [softcopy("verify", destination, "--part", f"{part}/3") for part in (1, 2, 3)]
    assert sorted(one.returncode for one in done) == [0, 0, 1]
    looked_at = [re.search(r"^([\d,]+) of ([\d,]+) files were compared", one.stdout, re.MULTILINE) for one in done]
    assert sum(int(found[1]) for found in looked_at if found) == int(looked_at[0][2])  # type: ignore[index]


def test_a_sample_is_called_a_sample_and_can_be_drawn_again(sides: tuple[Path, Path]) -> None:
    _, destination = sides
    first = softcopy("verify", destination, "--sample", "50%")
    assert first.returncode == 0, first.stdout
    assert "the others were not" in first.stdout and "everything is" not in first.stdout
    seed = re.search(r"--seed (\d+)", first.stdout)
    assert seed
    again = softcopy("verify", destination, "--sample", "50%", "--seed", seed[1])
    compared = [re.search(r"^([\d,]+) of 26 files were compared", one.stdout, re.MULTILINE) for one in (first, again)]
    assert compared[0] and compared[1] and compared[0][1] == compared[1][1]
    others = [softcopy("verify", destination, "--sample", "50%") for _ in range(2)]
    assert any(f"--seed {seed[1]} " not in other.stdout for other in others)  # or a part would never be looked at


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sample", "lots"], "--sample must be a percentage"),
        (["--sample", "0%"], "--sample must be a percentage"),
        (["--part", "4/3"], "--part must be"),
        (["--nprocs", "0"], "--nprocs must be"),
        (["--seed", "-1"], "--seed must be"),
        (["a", "b"], "3 paths were given"),
        (["."], "are the same folder"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = softcopy("verify", tmp_path, *options, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_twenty_of_many_are_shown_and_all_with_verbose(tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "copy"
    for number in range(25):
        (source / "c" / str(number)).mkdir(parents=True)
        (source / "c" / str(number) / "0").write_text("x")
    destination.mkdir()
    done = softcopy("verify", source, destination)
    assert done.returncode == 1 and "missing: 25 files" in done.stdout and "and 5 more" in done.stdout
    assert done.stdout.count("\n  c/") == 20
    done = softcopy("verify", source, destination, "--verbose")
    assert done.stdout.count("missing: c/") == 25 and "missing: 25 files" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_it_ends_it_at_once_in_the_middle_of_a_file(tmp_path: Path, sign: signal.Signals) -> None:
    source, destination = tmp_path / "source", tmp_path / "copy"
    for folder in (source, destination):
        folder.mkdir()
        with open(folder / "shard", "wb") as file:
            file.truncate(1 << 40)  # a hole: takes minutes to read, much longer than is waited here, and no room
    with Softcopy("verify", source, destination) as command:
        process = psutil.Process(command.process.pid)
        until(lambda: any(file.path.endswith("shard") for file in process.open_files()))
        command.process.send_signal(sign)
        assert command.wait() == 130
    assert "Interrupted after 0 files" in command.output and "Traceback" not in command.output


def test_a_missing_folder_and_a_missing_receipt_say_what_to_do(tmp_path: Path) -> None:
    done = softcopy("verify", tmp_path / "nothing")
    assert done.returncode == 2 and "is not a folder" in done.stderr
    (tmp_path / "data").mkdir()
    done = softcopy("verify", tmp_path / "data")
    assert done.returncode == 2 and "softcopy verify SOURCE DESTINATION" in done.stderr


def test_a_damaged_receipt_is_named_with_its_line(sides: tuple[Path, Path]) -> None:
    _, destination = sides
    sums = destination.parent / "copy.zarr.xxh128"
    lines = sums.read_text().splitlines()
    sums.write_text("\n".join([*lines[:3], "garbage", *lines[4:]]))
    done = softcopy("verify", destination)
    assert done.returncode == 2 and f"{sums}, line 4" in done.stderr and "Traceback" not in done.stderr


def test_verify_checksum_says_verified_and_the_receipt_says_so(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "copy.zarr"
    write("tensorstore", source, frames=3, planes=2)
    make_old(source)
    done = softcopy("--nprocs", "1", "--settle", "0", "--verify", "checksum", source, destination)
    assert done.returncode == 0, done.stdout
    assert '"verified": "checksum"' in (tmp_path / "copy.zarr.receipt.json").read_text()


def test_what_people_and_file_servers_put_beside_the_data_is_named_and_no_fault(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    for path in ("labels/cells/zarr.json", "labels/cells/c/0/0", "@eaDir/zarr.json@SynoEAStream", "c/0/.DS_Store"):
        (destination / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(destination / "zarr.json", destination / "labels" / "cells" / "zarr.json")
    for path in ("labels/cells/c/0/0", "@eaDir/zarr.json@SynoEAStream", "c/0/.DS_Store", "notes.txt"):
        (destination / path).write_text("x")
    for folders in ((destination,), (source, destination)):
        done = softcopy("verify", *folders)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "extra: 5 files" in done.stdout and "labels/cells/c/0/0" in done.stdout
    last = chunk(source, -1).relative_to(source)
    chunk(source, -1).unlink()
    done = softcopy("verify", source, destination)
    assert done.returncode == 1 and f"{last.as_posix()} (not at the source)" in done.stdout


def test_a_chunk_file_that_is_not_in_the_receipt_is_a_fault_for_readers_see_it(sides: tuple[Path, Path]) -> None:
    _, destination = sides
    sums = destination.parent / "copy.zarr.xxh128"
    facts = destination.parent / "copy.zarr.receipt.json"
    lines = sums.read_text().splitlines(keepends=True)
    (unlisted,) = [line for line in lines if "/c/3/2/0/0" in line]
    sums.write_text("".join(line for line in lines if line is not unlisted))
    facts.unlink()
    done = softcopy("verify", destination)
    assert done.returncode == 1 and "c/3/2/0/0 (not in the receipt)" in done.stdout
