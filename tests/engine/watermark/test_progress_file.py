"""A progress file takes nobody's place, survives a kill, and is found again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.own_files import OWN_FILES
from softcopy_napari.engine.watermark.progress_file import (
    DestinationAway,
    ProgressFile,
    find_progress_file,
    possible_progress_files,
)
from softcopy_napari.engine.watermark.progress_lines import Claim, encode_claim, encode_line

MARKER = ".softcopy-1-here.tmp"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return prepare(tmp_path / "copy.zarr")


def prepare(destination: Path) -> Path:
    destination.mkdir()
    (destination / MARKER).touch()
    return destination


def file_for(destination: Path, permissions: str = "source") -> ProgressFile:
    return ProgressFile(destination.with_name("source"), destination, MARKER, permissions)


def first_line(destination: Path, run: str = "1") -> bytes:
    return encode_line("begin", run=run, destination=str(destination))


CLAIM = encode_claim("array", "0", Claim("t", 3, 0, 9))


def found(destination: Path) -> Path:
    path = find_progress_file(destination)
    assert path is not None
    return path


def test_lines_are_added_beside_the_destination(destination: Path) -> None:
    file, line = file_for(destination), first_line(destination)
    file.begin(line, anew=False)
    file.add(CLAIM, durable=False)
    file.add(CLAIM, durable=True)
    assert found(destination).name == "copy.zarr.progress.jsonl"
    assert found(destination).read_bytes() == line + CLAIM + CLAIM


def test_the_next_engine_goes_on_behind_the_last_whole_line(destination: Path) -> None:
    file_for(destination).begin(first_line(destination), anew=False)
    before = found(destination).read_bytes() + CLAIM
    found(destination).write_bytes(before + CLAIM[:-5])
    state = file_for(destination).begin(first_line(destination, "2"), anew=False)
    assert state.claimed == {"0": [(0, 3)]}
    assert found(destination).read_bytes().startswith(before + b'{"softcopy_progress": 1, ')


@pytest.mark.parametrize("left", [b"", b'{"softco', b'{"softcopy_progress": 1, "event": "be'])
def test_an_engine_that_was_killed_with_its_first_line_leaves_nothing(destination: Path, left: bytes) -> None:
    path = destination.with_name("copy.zarr.progress.jsonl")
    path.write_bytes(left)
    file_for(destination).begin(first_line(destination), anew=False)
    assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().startswith(b'{"softcopy_progress": 1')


@pytest.mark.parametrize("content", [b"my notes", b'{"event": "mine"}\n', b"\n"])
def test_somebodys_own_file_of_that_name_stays(destination: Path, content: bytes) -> None:
    theirs = destination.with_name("copy.zarr.progress.jsonl")
    theirs.write_bytes(content)
    for anew in (False, True):
        file_for(destination).begin(first_line(destination), anew)
        assert theirs.read_bytes() == content
        assert found(destination).name == "copy.zarr.softcopy.progress.jsonl"


def test_where_both_names_are_taken_it_lies_in_the_destination_among_what_is_no_data(destination: Path) -> None:
    for path in possible_progress_files(destination)[:-1]:
        path.mkdir()
    file_for(destination).begin(first_line(destination), anew=False)
    assert found(destination) == destination / "softcopy.progress.jsonl"
    assert found(destination).name in OWN_FILES


def test_where_the_source_has_such_a_file_too_there_is_none(destination: Path) -> None:
    source = destination.with_name("source")
    source.mkdir()
    (source / "softcopy.progress.jsonl").touch()
    for path in possible_progress_files(destination)[:-1]:
        path.mkdir()
    with pytest.raises(FileExistsError):
        file_for(destination).begin(first_line(destination), anew=False)


def test_the_file_of_another_destination_is_somebody_elses(tmp_path: Path) -> None:
    one, other = prepare(tmp_path / "a"), prepare(tmp_path / "a.softcopy")
    one.with_name("a.progress.jsonl").write_text("mine")
    for destination in (one, other):
        file_for(destination).begin(first_line(destination), anew=False)
    assert found(one).name == "a.softcopy.progress.jsonl"
    assert found(other).name == "a.softcopy.softcopy.progress.jsonl"


def test_the_file_of_an_engine_on_another_system_is_found(destination: Path) -> None:
    """The microscope's computer runs Windows, and the cluster Linux."""
    beside, within = destination.with_name("copy.zarr.progress.jsonl"), destination / "softcopy.progress.jsonl"
    beside.write_bytes(encode_line("begin", run="1", destination="Z:\\lab\\copy.zarr"))
    assert find_progress_file(destination) == beside
    beside.write_bytes(encode_line("begin", run="1", destination="Z:\\lab\\another.zarr"))
    within.write_bytes(encode_line("begin", run="1", destination="Z:\\"))
    assert find_progress_file(destination) == within


@pytest.mark.parametrize("length", [200, 240, 255])
@pytest.mark.parametrize("letter", ["a", "µ"])
def test_a_long_name_is_shortened_and_found_again(tmp_path: Path, length: int, letter: str) -> None:
    destination = prepare(tmp_path / (letter * (length // len(letter.encode()))))
    file_for(destination).begin(first_line(destination), anew=False)
    assert found(destination).parent == tmp_path
    other = prepare(destination.with_name(destination.name[:-1] + "b"))
    assert find_progress_file(other) is None


def test_of_another_dataset_nothing_is_left(destination: Path) -> None:
    file_for(destination).begin(first_line(destination), anew=False)
    with found(destination).open("ab") as file:
        file.write(CLAIM)
    assert file_for(destination).begin(first_line(destination), anew=True).claimed == {}
    assert CLAIM not in found(destination).read_bytes()


def test_without_the_destinations_mark_nothing_is_written(destination: Path) -> None:
    """An unmounted disk leaves an empty folder in its place."""
    (destination / MARKER).unlink()
    with pytest.raises(DestinationAway):
        file_for(destination).begin(first_line(destination), anew=False)
    assert find_progress_file(destination) is None


def test_a_file_that_somebody_changes_is_written_to_no_more(destination: Path) -> None:
    file = file_for(destination)
    file.begin(first_line(destination), anew=False)
    path = found(destination)
    path.write_bytes(path.read_bytes() + b"mine\n")
    with pytest.raises(OSError, match="somebody has changed it"):
        file.add(CLAIM, durable=False)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.add(CLAIM, durable=False)
    assert not path.exists()


def test_lines_are_there_as_a_whole_or_not_at_all(destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_for(destination)
    file.begin(first_line(destination), anew=False)
    before = found(destination).read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:9]))  # the disk is full
    with pytest.raises(OSError, match="No space"):
        file.add(CLAIM, durable=False)
    monkeypatch.undo()
    assert found(destination).read_bytes() == before
    file.add(CLAIM, durable=False)
    assert found(destination).read_bytes() == before + CLAIM


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_it_has_the_permissions_that_copies_have(destination: Path) -> None:
    file_for(destination, "0664").begin(first_line(destination), anew=False)
    assert found(destination).stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_where_permissions_are_kept_it_tells_nobody_who_could_not_read_the_source(destination: Path) -> None:
    source = destination.with_name("source")
    source.mkdir(mode=0o700)
    file_for(destination, "keep").begin(first_line(destination), anew=False)
    assert found(destination).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_of_that_name_is_not_followed(destination: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    destination.with_name("copy.zarr.progress.jsonl").symlink_to(tmp_path / "theirs")
    file_for(destination).begin(first_line(destination), anew=False)
    assert (tmp_path / "theirs").read_bytes() == b""
    assert found(destination).name == "copy.zarr.softcopy.progress.jsonl"
