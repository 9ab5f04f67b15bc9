"""Who may read what arrives: a facility's folder is shared by a group, the acquisition's account is alone."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.engine.support import make_array, make_old, write
from tests.support.command import Softcopy, softcopy

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
OPTIONS = ("--nprocs", "1", "--settle", "0")
BESIDE = ("xxh128", "receipt.json", "progress.jsonl")
FILES = ("0", "large", ".zarray", *(f"copy.zarr.{ending}" for ending in BESIDE))
NOTICE = "is shared with a group that cannot read the copies"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A source that only its own account can read, with a small file and one that the library does not copy."""
    source = tmp_path / "private.zarr"
    make_array(source, (3,))
    write(source / "notes" / "large", b"x" * (1 << 20))
    for path in source.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    make_old(source)
    return source


def copied(source: Path, destination: Path, *options: str, umask: int = 0o022) -> tuple[dict[str, str], str]:
    """Modes of what arrived, and what was said."""
    before = os.umask(umask)
    try:
        copying = Softcopy(*OPTIONS, *options, source, destination)
    finally:
        os.umask(before)
    with copying as copy:
        assert copy.wait() == 0, copy.output
    paths = [destination, *destination.rglob("*"), *destination.parent.glob(f"{destination.name}.*")]
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in paths}
    return modes, copy.output


def shared_folder(tmp_path: Path, mode: int = 0o2770) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    return folder


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o022, "0o644", "0o755"), (0o027, "0o640", "0o750")])
def test_by_default_files_are_as_any_that_are_made_there(
    private: Path, tmp_path: Path, umask: int, file: str, folder: str
) -> None:
    modes, output = copied(private, tmp_path / "copy.zarr", umask=umask)
    assert {modes[name] for name in FILES} == {file}
    assert modes["copy.zarr"] == modes["notes"] == folder and NOTICE not in output


def test_it_is_said_once_that_a_group_cannot_read_what_arrives(private: Path, tmp_path: Path) -> None:
    modes, output = copied(private, shared_folder(tmp_path) / "copy.zarr", umask=0o077)
    assert modes["0"] == modes["large"] == "0o600"
    assert output.count(NOTICE) in (1, 2)  # when it is noticed, and in the summary
    assert "--permissions group" in output


@pytest.mark.parametrize("word", ["keep", "source"])
def test_kept_permissions_let_nobody_read_who_could_not_read_the_source(
    private: Path, tmp_path: Path, word: str
) -> None:
    private.chmod(0o700)
    modes, output = copied(private, shared_folder(tmp_path) / "copy.zarr", "--permissions", word, umask=0o002)
    assert {modes[name] for name in FILES} == {"0o600"}
    assert modes["copy.zarr"] == modes["notes"] == "0o2700", "a folder of 0700 stays shut, whatever lies in it"
    assert NOTICE in output


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files to any group")
def test_kept_permissions_of_a_group_do_not_go_to_another_group(private: Path, tmp_path: Path) -> None:
    for path in (private, *private.rglob("*")):
        path.chmod(0o754 if path.is_dir() else 0o640)
        os.chown(path, -1, 4242)
    make_old(private)
    modes, _ = copied(private, tmp_path / "copy.zarr", "--permissions", "keep", umask=0)
    assert modes["0"] == modes["large"] == "0o600" and modes["notes"] == modes["copy.zarr"] == "0o744"
    modes, _ = copied(private, tmp_path / "theirs.zarr", "--permissions", "keep", "--group", "4242", umask=0)
    assert modes["0"] == modes["large"] == "0o640" and modes["notes"] == modes["theirs.zarr"] == "0o754"
    copy = tmp_path / "theirs.zarr"
    beside = [copy.with_name(f"theirs.zarr.{ending}") for ending in BESIDE]
    for path in (copy, *copy.rglob("*"), *beside):
        assert path.stat().st_gid == 4242, path


def test_a_group_that_there_is_not_is_refused_in_words(private: Path, tmp_path: Path) -> None:
    done = softcopy("--group", "no such group", private, tmp_path / "copy.zarr")
    assert done.returncode == 2 and not (tmp_path / "copy.zarr").exists()
    assert 'group "no such group": there is no such group on this computer' in done.stderr


def test_nothing_is_said_of_a_folder_that_is_nobody_elses(private: Path, tmp_path: Path) -> None:
    _, output = copied(private, shared_folder(tmp_path, 0o755) / "copy.zarr")
    assert NOTICE not in output


def test_a_group_can_read_files_folders_and_receipt_where_that_is_asked_for(private: Path, tmp_path: Path) -> None:
    destination = shared_folder(tmp_path) / "below" / "copy.zarr"
    modes, output = copied(private, destination, "--permissions", "group")
    assert modes["copy.zarr"] == modes["notes"] == "0o2770"
    assert oct(stat.S_IMODE(destination.parent.stat().st_mode)) == "0o2770"
    assert {modes[name] for name in FILES} == {"0o660"}
    assert NOTICE not in output


def test_a_mode_is_what_files_have_whatever_the_umask(private: Path, tmp_path: Path) -> None:
    modes, _ = copied(private, tmp_path / "copy.zarr", "--permissions", "0664", umask=0o077)
    assert {modes[name] for name in FILES} == {"0o664"}
    assert modes["notes"] == modes["copy.zarr"] == "0o775"


@pytest.mark.skipif(subprocess.run(["sh", "-c", "command -v setfacl"]).returncode != 0, reason="no setfacl here")
def test_a_default_acl_decides_where_there_is_one(private: Path, tmp_path: Path) -> None:
    folder = shared_folder(tmp_path)
    done = subprocess.run(["setfacl", "-d", "-m", "u::rwx,g::r-x,o::---,g:4242:rwx", folder], capture_output=True)
    if done.returncode:
        pytest.skip("no ACLs on this disk")
    copied(private, folder / "copy.zarr", "--permissions", "group")
    acl = subprocess.run(["getfacl", "-n", folder / "copy.zarr" / "0"], capture_output=True, text=True).stdout
    assert "group:4242:rwx\t\t\t#effective:rw-" in acl or "group:4242:rw" in acl
