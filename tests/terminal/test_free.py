"""`softcopy free` says what it would do, asks before it does it, and tells what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from softcopy_napari import cli
from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.terminal import free as commands
from tests.engine.freeing.lab import NAMES, FreeLab
from tests.engine.support import write


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FreeLab:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    monkeypatch.setattr(commands, "lower_priority", lambda pid: None)
    return FreeLab(tmp_path)


def softcopy(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.softcopy, list(map(str, arguments)))


def test_a_dry_run_tells_everything_and_does_nothing(lab: FreeLab) -> None:
    done = softcopy("free", lab.source, lab.destination, "--dry-run", "--keep-days", "3")
    assert done.exit_code == 0
    for words in ("6 files", str(lab.destination), str(lab.grace), "kept for 3 days", "Nothing was moved", ".xxh128"):
        assert words in done.output
    assert lab.untouched()


def test_without_a_terminal_nothing_is_moved_or_deleted_unless_told_to(lab: FreeLab) -> None:
    done = softcopy("free", lab.source, lab.destination)
    assert done.exit_code == 2 and "add --yes to free it" in done.output
    assert lab.untouched()
    lab.free(keep_days=0)
    done = softcopy("free", "--expired")
    assert done.exit_code == 2 and "add --yes to delete them" in done.output
    assert lab.kept == lab.contents


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_it_asks(lab: FreeLab, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr(commands, "_can_ask", lambda: True)
    monkeypatch.setattr(commands.click, "confirm", lambda question: answer)
    done = softcopy("free", lab.source, lab.destination)
    assert done.exit_code == (0 if answer else 2)
    assert (lab.kept == lab.contents) if answer else ("Nothing was done" in done.output and lab.untouched())


def test_what_is_freed_is_listed_with_what_becomes_of_it(lab: FreeLab) -> None:
    assert "No source has been freed" in softcopy("free", "--list").output
    lab.free_half()
    assert "being freed since" in softcopy("free", "--list").output
    lab.free(keep_days=2)
    listed = softcopy("free", "--list").output
    assert "kept until" in listed and str(lab.source) in listed and str(lab.grace) in listed
    assert "Nothing has expired" in softcopy("free", "--expired", "--yes").output
    lab.undo()
    lab.free(keep_days=0)
    assert "expired" in softcopy("free", "--list", lab.source).output
    assert "Nothing was deleted" in softcopy("free", "--expired", "--dry-run").output
    assert "6 files deleted" in softcopy("free", "--expired", "--yes").output
    assert ", deleted " in softcopy("free", "--list").output
    again = softcopy("free", lab.source, lab.destination, "--yes")
    assert again.exit_code == 0 and "and no longer here" in again.output
    late = softcopy("free", "--undo", lab.source)
    assert late.exit_code == 1 and "Copy it back from there" in late.output


def test_a_bad_copy_is_named_and_the_other_expired_ones_are_deleted(lab: FreeLab, tmp_path: Path) -> None:
    other = FreeLab(tmp_path / "other")
    for one in (lab, other):
        one.free(keep_days=0)
    lab.spoil("notes.txt", b"")
    done = softcopy("free", "--expired", "--yes")
    assert done.exit_code == 1 and "notes.txt" in done.output and "is kept" in done.output
    assert lab.kept == lab.contents and other.kept == {}


def test_undo_tells_what_stays(lab: FreeLab) -> None:
    lab.free()
    write(lab.source / "zarr.json", b"new")
    done = softcopy("free", "--undo", lab.source)
    assert done.exit_code == 1
    assert f"{len(NAMES) - 1} files moved back" in done.output and "zarr.json is at the source again" in done.output


def test_a_freed_source_is_neither_copied_nor_checked_nor_compared_and_it_says_why(lab: FreeLab) -> None:
    lab.free()
    for command in ((), ("check",), ("verify",)):
        done = softcopy(*command, lab.source, lab.destination)
        assert done.exit_code == 2 and "was freed on" in done.output and "free --undo" in done.output
    assert lab.there == lab.contents
    lab.undo()
    lab.free_half()
    assert "is being freed" in softcopy(lab.source, lab.destination).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("free",), "0 paths were given: give a source and its destination"),
        (("free", "--undo"), "0 paths were given: give the source"),
        (("free", "--undo", "--list", "a"), "do not go together"),
        (("free", "a", "b", "--keep-days", "-1"), "--keep-days must be a number of days"),
        (("free", "a", "b", "--nprocs", "0"), "--nprocs must be a whole number"),
        (("free", "/no/such", "/no/where"), "is not a folder: check the path"),
        (("free", "--undo", "/no/such"), "has not been freed"),
        (("free", "s3://bucket/a", "b"), "looks like an S3 bucket"),
    ],
)
def test_wrong_usage_is_said_in_words(lab: FreeLab, arguments: tuple[str, ...], words: str) -> None:
    done = softcopy(*arguments)
    assert done.exit_code == 2 and words in done.output, done.output
