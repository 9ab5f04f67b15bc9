"""What lies where a chunk should be and is none; names and paths of any length; bits that come back wrong."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import unicodedata
from pathlib import Path

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import make_array, tree, write
from tests.faults.lab import SOON, Lab, copied, make_chunks
from tests.support.faultfs import why_not

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fifos, sockets, links")
may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


def put(path: Path, kind: str, outside: Path) -> None:
    """Replace a chunk file by something else."""
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as sock:
                here = os.getcwd()
                os.chdir(path.parent)  # a socket's path is short
                try:
                    sock.bind(path.name)
                finally:
                    os.chdir(here)
        case "device":
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: it can be read without end
        case "folder":
            path.mkdir()
            write(path / "inside", b"x", old=True)
        case "link to itself":
            path.symlink_to(path.name)
        case "link to its folder":
            path.symlink_to("..")
        case "link out":
            path.symlink_to(outside)
        case "link to a device":
            path.symlink_to("/dev/zero")


KINDS = ["fifo", "socket", "device", "folder", "link to itself", "link to its folder", "link out", "link to a device"]
NO_FILES = {"fifo": "is a fifo, not a file", "socket": "is a socket, not a file", "device": "is a device, not a file"}


def kinds() -> list[str]:
    return KINDS if os.geteuid() == 0 else [kind for kind in KINDS if kind != "device"]


@pytest.mark.parametrize("live", [False, True], ids=["there before", "while it is watched"])
def test_what_is_no_file_is_named_or_copied_as_a_link_and_never_followed(lab: Lab, live: bool) -> None:
    precious = lab.folder / "precious"
    write(precious / "x", b"outside")
    chosen = kinds()
    make_chunks(lab.source, len(chosen) + 4, more=1)
    if live:
        lab.start()
        assert lab.caught_up()
        for number, kind in enumerate(chosen):
            (lab.source / "new" / str(number)).mkdir(parents=True)
            put(lab.source / "new" / str(number) / "0", kind, precious)
    else:
        for number, kind in enumerate(chosen):
            put(lab.source / str(number) / "0", kind, precious)
        lab.start()
    lab.finish(TargetState.FAILED)
    prefix = "new/" if live else ""
    expected = {f"{prefix}{chosen.index(kind)}/0": words for kind, words in NO_FILES.items() if kind in chosen}
    assert {failure.path: failure.reason for failure in lab.now.failures} == expected
    for number, kind in enumerate(chosen):
        here, there = lab.source / prefix / str(number) / "0", lab.destination / prefix / str(number) / "0"
        if kind.startswith("link"):
            assert os.readlink(there) == os.readlink(here)
        elif kind == "folder":
            assert tree(there) == tree(here)
        else:
            assert not os.path.lexists(there)
    assert lab.now.counts[ChunkState.COPIED] >= 4
    assert tree(precious) == {"x": b"outside"}


def test_what_lies_at_the_destination_in_a_chunks_place_is_replaced_and_never_written_through(lab: Lab) -> None:
    """But for a folder: that is kept, and named."""
    precious = write(lab.folder / "precious", b"outside")
    chosen = kinds()
    make_chunks(lab.source, len(chosen))
    for number, kind in enumerate(chosen):
        (lab.destination / str(number)).mkdir(parents=True)
        put(lab.destination / str(number) / "0", kind, precious)
    lab.start(settle=0.0, overwrite=True)
    end = lab.ends(SOON)
    folder = chosen.index("folder")
    assert end.state is TargetState.FAILED
    assert [failure.path for failure in end.failures] == [f"{folder}/0"], lab.words()
    assert "cannot be written" in end.failures[0].reason
    for number in range(len(chosen)):
        if number != folder:
            there = lab.destination / str(number) / "0"
            assert not there.is_symlink() and there.read_bytes() == (lab.source / str(number) / "0").read_bytes()
    assert (lab.destination / str(folder) / "0" / "inside").read_bytes() == b"x"
    assert precious.read_bytes() == b"outside" and stat.S_ISCHR(os.stat("/dev/zero").st_mode)


@may_fuse
def test_a_file_that_may_not_be_read_is_named_and_everything_else_arrives(lab: Lab) -> None:
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 6)
    faults.fail("open", "s.zarr/2/0", error=errno.EACCES)
    lab.start(settle=0.0, finish_idle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED
    assert [(failure.path, failure.reason) for failure in end.failures] == [
        ("2/0", "cannot be read: Permission denied")
    ]
    assert len(list(lab.real_destination.rglob("*/0"))) == 5


@may_fuse
@pytest.mark.soak
def test_a_folder_that_can_never_be_listed_is_named(lab: Lab) -> None:
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 6, more=1)
    faults.fail("listing", "s.zarr/4", error=errno.EACCES)
    lab.start()
    lab.finish(TargetState.FAILED)
    assert lab.now.reason == "4 cannot be listed: Permission denied"
    assert len(list(lab.real_destination.rglob("*/0"))) == 5


ODD = [
    " ", "-rf", "%s", "a b", "ünï-日本", "line\nbreak", "tab\t", "back\\slash", "quo'te\"", "*", "[1]", "\x07",
    "n" * 255, "ä" * 127, "con", "a.", "{x}", "$HOME", "~", "#", os.fsdecode(b"not-utf8-\xff"),
]  # fmt: skip


@pytest.mark.parametrize("live", [False, True], ids=["there before", "while it is watched"])
def test_names_of_any_kind_arrive(lab: Lab, live: bool) -> None:
    make_array(lab.source, (3,), chunks=False)
    if live:
        lab.start()
        assert lab.caught_up()
    for name in ODD:
        write(lab.source / name / name, name.encode("utf-8", "surrogateescape"), old=not live)
    if not live:
        lab.start()
    lab.finish()
    lab.assert_equal()


@pytest.mark.parametrize("live", [False, True], ids=["there before", "while it is watched"])
def test_paths_as_long_as_the_system_allows_arrive_at_a_destination_where_they_are_longer(
    lab: Lab, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's are just short enough; those of the destination have no name by which they could be opened."""
    longest = os.pathconf("/", "PC_PATH_MAX")
    levels, rest = divmod(longest - len(os.fsencode(lab.source)) - 40, 256)
    deep = "/".join([*["d" * 255] * levels, "e" * rest])
    lab.destination = lab.real_destination = lab.folder / ("f" * 250) / "destination"
    assert len(os.fsencode(lab.source / deep / "x")) < longest < len(os.fsencode(lab.destination / deep / "x"))
    make_array(lab.source, (3,), chunks=False)
    if live:
        lab.start()
        assert lab.caught_up()
    write(lab.source / deep / "x", b"deep down", old=not live)
    if not live:
        lab.start()
    lab.finish()
    monkeypatch.chdir(lab.destination)
    with open(os.path.join(deep, "x"), "rb") as file:
        assert file.read() == b"deep down"


@may_fuse
@pytest.mark.parametrize("size", [5000, 5 << 20])
def test_a_bit_that_flips_at_the_destination_is_found_when_it_is_read_back(lab: Lab, size: int) -> None:
    """Size and time are right; one copy is good the second time, the other never."""
    faults = lab.faulty_destination()
    make_chunks(lab.source, 6, size)
    once = faults.flip("d.zarr/2/0", offset=size - 1, times=2)
    always = faults.flip("d.zarr/4/0", offset=size // 2)
    lab.start(settle=0.0, verify="checksum")
    end = lab.ends(SOON)
    assert once.met and len(always.met) >= 5
    assert end.state is TargetState.FAILED
    assert [failure.path for failure in end.failures] == ["4/0"]
    assert "disk may be faulty" in end.failures[0].reason
    assert end.counts[ChunkState.VERIFIED] == 5


@may_fuse
def test_a_destination_that_spells_names_in_its_own_way_is_complete(lab: Lab) -> None:
    """A folder that is there under another spelling is not one that is gone from the source."""
    lab.faulty_destination(nfd=True)
    name = unicodedata.normalize("NFC", "Zellkörper é")
    make_chunks(lab.source / name, 3)
    write(lab.source / name / f"{name}.txt", b"x", old=True)
    for _ in range(2):
        end = copied(lab)
        assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
        assert end.notices == ()
    assert (lab.destination / name / f"{name}.txt").read_bytes() == b"x"
    assert [path.name for path in lab.real_destination.iterdir()] == [unicodedata.normalize("NFD", name)]
    assert end.files_copied == 0


def test_a_file_that_becomes_a_folder_or_the_reverse_is_named_with_what_is_in_its_way(lab: Lab) -> None:
    """What lies at the destination is deleted for neither."""
    make_chunks(lab.source, 3, more=1)
    write(lab.source / "note", b"x", old=True)
    write(lab.source / "notes" / "a", b"y", old=True)
    lab.start()
    assert lab.caught_up()
    (lab.source / "note").unlink()
    write(lab.source / "note" / "b", b"z")
    shutil.rmtree(lab.source / "notes")
    write(lab.source / "notes", b"z")
    lab.finish(TargetState.FAILED)
    reasons = {failure.path: failure.reason for failure in lab.now.failures}
    assert "a file is in the place of its folder at the destination" in reasons["note/b"]
    assert "a folder is in its place at the destination" in reasons["notes"]
    assert (lab.destination / "note").read_bytes() == b"x" and (lab.destination / "notes" / "a").exists()
    (lab.destination / "note").unlink()
    shutil.rmtree(lab.destination / "notes")
    lab.start()
    lab.finish()
    lab.assert_equal()
