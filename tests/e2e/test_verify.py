"""`softcopy verify` as its user runs it: on a cluster with the receipt, and where both sides are at hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.command import softcopy
from tests.support.writers import write


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """A source and its complete copy."""
    source, destination = tmp_path / "source.zarr", tmp_path / "copy.zarr"
    write("tensorstore", source, frames=6, planes=4)
    (source / "notes ü.txt").write_text("text")
    if os.name == "posix":
        (source / "link").symlink_to("notes ü.txt")
    done = softcopy("--settle", "0", source, destination, timeout=60)
    assert done.returncode == 0, done.stdout
    return source, destination


def chunk(folder: Path, number: int) -> Path:
    return sorted(path for path in (folder / "c").rglob("*") if path.is_file())[number]


def flip(file: Path) -> None:
    found = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_a_good_copy_is_called_good_with_its_receipt_and_with_its_source(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    for folders in ((destination,), (source, destination)):
        done = softcopy("verify", *folders)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "everything is as it should be" in done.stdout


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


def test_a_sample_is_called_a_sample(sides: tuple[Path, Path]) -> None:
    _, destination = sides
    first, again, other = (
        softcopy("verify", destination, "--sample", "50%", *more) for more in ((), (), ("--seed", "7"))
    )
    assert first.returncode == 0
    assert "the others were not" in first.stdout and "everything is" not in first.stdout
    counted = [re.search(r"^([\d,]+) of", one.stdout, re.MULTILINE)[1] for one in (first, again)]  # type: ignore[index]
    assert counted[0] == counted[1] and 0 < int(counted[0]) < 26
    assert "seed 7" in other.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sample", "lots"], "--sample must be a percentage"),
        (["--sample", "0%"], "--sample must be a percentage"),
        (["--part", "4/3"], "--part must be"),
        (["--nprocs", "0"], "--nprocs must be"),
        (["a", "b"], "3 paths were given"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = softcopy("verify", tmp_path, *options)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


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
    done = softcopy("--settle", "0", "--verify", "checksum", source, destination, timeout=60)
    assert done.returncode == 0, done.stdout
    assert '"verified": "checksum"' in (tmp_path / "copy.zarr.receipt.json").read_text()
