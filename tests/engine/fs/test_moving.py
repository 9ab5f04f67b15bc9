"""A file moves to another folder only where nothing has its name there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.fs import moving
from softcopy_napari.engine.fs.moving import move_file
from tests.engine.support import write


@pytest.fixture(params=["in one step", "as elsewhere"])
def folders(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, int]]:
    if os.name != "posix":
        pytest.skip("descriptors of folders")
    if request.param == "as elsewhere":
        monkeypatch.setattr(moving, "_renameat2", lambda: None)
    write(tmp_path / "a" / "file", b"one")
    (tmp_path / "b").mkdir()
    found = [os.open(tmp_path / name, os.O_RDONLY) for name in "ab"]
    yield found[0], found[1]
    for fd in found:
        os.close(fd)


def test_it_moves(folders: tuple[int, int], tmp_path: Path) -> None:
    move_file("file", "new", *folders)
    assert (tmp_path / "b" / "new").read_bytes() == b"one" and os.listdir(tmp_path / "a") == []


@pytest.mark.parametrize("kind", ["file", "folder", "broken link", "same file"])
def test_it_replaces_nothing(folders: tuple[int, int], tmp_path: Path, kind: str) -> None:
    there = tmp_path / "b" / "file"
    match kind:
        case "file":
            there.write_bytes(b"two")
        case "folder":
            there.mkdir()
        case "broken link":
            there.symlink_to("nowhere")
        case _:
            there.hardlink_to(tmp_path / "a" / "file")
    with pytest.raises(FileExistsError):
        move_file("file", "file", *folders)
    assert (tmp_path / "a" / "file").read_bytes() == b"one"


def test_what_is_not_there_is_said(folders: tuple[int, int]) -> None:
    with pytest.raises(FileNotFoundError):
        move_file("none", "new", *folders)
