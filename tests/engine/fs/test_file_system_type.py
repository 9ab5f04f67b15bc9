"""What a folder lies on: a share of which nobody hears, a disk that can be flushed whole, which of several mounts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.engine.fs import file_system_type
from softcopy_napari.engine.fs.file_system_type import identify_file_system, is_share, parse_mounts
from softcopy_napari.engine.fs.statx import read_mount_id
from tests.faults.conftest import why_no_mounts
from tests.support.faultfs import FaultFs, why_not

may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())
may_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "afpfs", "ceph", "lustre", "beegfs", "gpfs", "glusterfs",
     "fuse", "fuse.sshfs", "fuse.rclone", "virtiofs", "vboxsf", "prl_fs", "pvfs2", "gfs2", "ocfs2", "webdav"],
)  # fmt: skip
def test_what_other_computers_may_change_is_a_share(kind: str) -> None:
    assert is_share(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "exfat", "vfat", "ntfs3", "NTFS", "apfs", ""]
)
def test_a_disk_of_this_machine_is_no_share(kind: str) -> None:
    assert not is_share(kind)


def test_mounts_are_read_whatever_stands_between_their_fields() -> None:
    text = (
        "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"
        "40 22 0:35 / /mnt/a\\040b rw shared:2 master:3 propagate_from:1 - nfs4 nas:/lab rw,vers=4.2\n"
        "41 22 0:36 / /mnt/empty rw - fuse  rw\n"
        "half a line\n"
    )
    assert [(one.number, one.place, one.kind) for one in parse_mounts(text)] == [
        ("22", "/", "ext4"), ("40", "/mnt/a\\040b", "nfs4"), ("41", "/mnt/empty", "fuse"),
    ]  # fmt: skip


def test_nothing_is_known_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert identify_file_system(str(tmp_path / "none")).kind == ""


def number(folder: Path) -> int:
    """What tells one mount from another."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        return read_mount_id(fd)
    finally:
        os.close(fd)


@may_mount
def test_of_several_mounts_the_one_on_which_a_folder_lies_counts(tmp_path: Path) -> None:
    place, link = tmp_path / "place", tmp_path / "link"
    place.mkdir()
    link.symlink_to(place)
    subprocess.run(["mount", "-t", "tmpfs", "below", str(place)], check=True)
    try:
        below = identify_file_system(str(place)), number(place)
        subprocess.run(["mount", "-t", "ramfs", "above", str(place)], check=True)
        try:
            for path in (place, link):
                found = identify_file_system(str(path))
                assert (found.kind, found.is_share, found.flushed_whole) == ("ramfs", False, True)
            assert number(place) != below[1] or not below[1]
        finally:
            subprocess.run(["umount", str(place)], check=True)
        assert (identify_file_system(str(place)), number(place)) == below
    finally:
        subprocess.run(["umount", str(place)], check=True)


@may_mount
def test_a_disk_that_is_put_back_is_another_mount_than_before(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    found = set()
    for _ in range(3):
        subprocess.run(["mount", "-t", "tmpfs", "disk", str(place)], check=True)
        found.add(number(place))
        subprocess.run(["umount", str(place)], check=True)
    if 0 in found:
        pytest.skip("a system before Linux 6.8 uses the numbers of mounts again")
    assert len(found) == 3


@may_fuse
def test_through_fuse_a_flush_of_the_whole_reaches_nobody(tmp_path: Path) -> None:
    with FaultFs(tmp_path / "below", tmp_path / "shown") as faults:
        found = identify_file_system(str(faults.place))
    assert found.kind.startswith("fuse") and found.is_share and not found.flushed_whole


@pytest.mark.skipif(sys.platform != "linux", reason="mounts of Linux")
@pytest.mark.parametrize(
    ("kind", "source", "uploads"),
    [
        ("fuse.rclone", "cloud:", "rclone"),
        ("fuse", "https://cloud/dav", "davfs2"),
        ("fuse", "sshfs", ""),
        ("nfs4", "", ""),
    ],
)
def test_mounts_that_are_known_to_store_files_later_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, source: str, uploads: str
) -> None:
    here = file_system_type._number_of(str(tmp_path))
    mounts = [file_system_type.Mount(here, str(tmp_path), kind, source)]
    monkeypatch.setattr(file_system_type, "_mounts", lambda: mounts)
    assert identify_file_system(str(tmp_path)).uploader == uploads


@pytest.mark.skipif(sys.platform != "linux", reason="processes of Linux")
@pytest.mark.parametrize(
    ("options", "uploads"),
    [
        ([], False),
        (["--vfs-cache-mode", "writes"], True),
        (["--vfs-cache-mode=full"], True),
        (["--vfs-cache-mode=off"], False),
    ],
)
def test_an_rclone_that_uploads_while_it_is_written_to_is_told_from_one_that_does_so_later(
    tmp_path: Path, options: list[str], uploads: bool
) -> None:
    program = tmp_path / "rclone"
    program.write_text("#!/bin/sh\necho\nread line\n")
    program.chmod(0o700)
    words = ["sh", str(program), "mount", "cloud:", str(tmp_path / "place"), *options]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mount = file_system_type.Mount("1", str(tmp_path / "place"), "fuse.rclone", "cloud:")
        assert file_system_type._uploader(mount) == ("rclone" if uploads else "")
        process.communicate(b"\n")
