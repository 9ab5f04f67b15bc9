"""A side's top folder: known again, and never left through a link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.fs import root_folder as place_module
from softcopy_napari.engine.fs.root_folder import RootFolder, WrongFolder
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.file_copier import FileCopier
from tests.engine.support import tree, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links")


@pytest.fixture(params=["descriptors", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of looking names up: Windows knows only the second."""
    if request.param == "paths":
        monkeypatch.setattr(place_module, "BY_DESCRIPTOR", False)


@pytest.fixture
def sides(tmp_path: Path, way: None) -> tuple[Path, Path, Path]:
    """Source, destination, and a folder outside of both that nobody may touch."""
    for name in ("source", "destination", "elsewhere"):
        (tmp_path / name).mkdir()
    write(tmp_path / "elsewhere" / "x", b"precious")
    return tmp_path / "source", tmp_path / "destination", tmp_path / "elsewhere"


def held(sides: tuple[Path, Path, Path], act: Callable[[FileCopier], object]) -> object:
    """Do something with a transfer between the two sides."""
    places = RootFolder(str(sides[0])), RootFolder(str(sides[1]))
    for place in places:
        place.open()
    try:
        return act(FileCopier(*places, ".softcopy-r-1.tmp", lambda: False, lambda size: None))
    finally:
        for place in places:
            place.close()


@pytest.mark.parametrize("path", ["d/x", "d/deep/x"])
def test_a_link_at_the_destination_where_the_source_has_a_folder_is_replaced(
    sides: tuple[Path, Path, Path], path: str
) -> None:
    """A writer that first made a link, which was copied as one, must not reach through it later."""
    source, destination, elsewhere = sides
    write(source / path, b"new")
    (destination / "d").symlink_to(elsewhere)
    before = tree(elsewhere)
    assert held(sides, lambda transfer: transfer.copy_file(path).outcome) is CopyOutcome.COPIED  # type: ignore[attr-defined]
    assert (destination / path).read_bytes() == b"new"
    assert not (destination / "d").is_symlink()
    assert tree(elsewhere) == before


def test_nothing_is_deleted_through_a_link(sides: tuple[Path, Path, Path]) -> None:
    source, destination, elsewhere = sides
    (source / "d").mkdir()
    (destination / "d").symlink_to(elsewhere)
    write(elsewhere / ".softcopy-dead-1.tmp", b"")
    before = tree(elsewhere)

    def act(transfer: FileCopier) -> None:
        transfer.copy_file("d/x", delete_if_gone=True)
        transfer.remove_temporaries("d", ".softcopy-dead-1.tmp")

    held(sides, act)
    assert tree(elsewhere) == before


def test_nothing_is_read_through_a_link(sides: tuple[Path, Path, Path]) -> None:
    source, destination, elsewhere = sides
    (source / "d").symlink_to(elsewhere)
    assert held(sides, lambda transfer: transfer.copy_file("d/x").outcome) is not CopyOutcome.COPIED
    assert tree(destination) == {}


def test_a_file_where_the_source_has_a_folder_is_kept(sides: tuple[Path, Path, Path]) -> None:
    source, destination, _ = sides
    write(source / "d" / "x", b"new")
    write(destination / "d", b"somebody's")
    assert held(sides, lambda transfer: transfer.copy_file("d/x").outcome) is CopyOutcome.FAILED
    assert (destination / "d").read_bytes() == b"somebody's"


def test_a_folder_is_known_by_its_mark_and_by_its_identity(tmp_path: Path, way: None) -> None:
    place = RootFolder(str(tmp_path / "new" / "place"))
    with pytest.raises(FileNotFoundError):
        place.open(marker=".mark")
    place.claim(".mark")
    place.open(marker=".mark")
    place.close()
    found = (tmp_path / "new" / "place").stat()
    place.open(identity=(found.st_dev, found.st_ino))
    place.close()
    os.rename(tmp_path / "new" / "place", tmp_path / "away")
    (tmp_path / "new" / "place").mkdir()
    for known in ({"marker": ".mark"}, {"identity": (found.st_dev, found.st_ino)}):
        with pytest.raises(WrongFolder):
            place.open(**known)  # type: ignore[arg-type]


def test_folders_that_were_made_anew_are_entered_anew(tmp_path: Path, way: None) -> None:
    place = RootFolder(str(tmp_path))
    place.open()
    place.enter_folder("a/b", make=True)
    os.rename(tmp_path / "a", tmp_path / "old")
    place.enter_folder("a/b", make=True)
    os.close(place.open_file("a/b/x", os.O_WRONLY | os.O_CREAT))
    place.close()
    assert (tmp_path / "a" / "b" / "x").exists()
    assert not (tmp_path / "old" / "b" / "x").exists()


def test_folders_side_by_side_and_above_are_told_apart(tmp_path: Path, way: None) -> None:
    place = RootFolder(str(tmp_path))
    paths = ["a/b/c/x", "a/b/x", "a/bb/c/x", "x", "a/b/c/d/x", "b/x", "a/b/c/x"]
    for path in paths:
        write(tmp_path / path, path.encode())
    place.open()
    for path in paths:
        with open(place.open_for_reading(path), "rb") as file:
            assert file.read() == path.encode()
    for folder in ("a/missing/b", "x", "a/x"):
        with pytest.raises((FileNotFoundError, NotADirectoryError)):
            place.enter_folder(folder)
    assert place.stat("a/b/x").st_size == len("a/b/x")
    place.close()
