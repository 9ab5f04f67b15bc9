"""What kind of file system a folder lies on: a local disk or a share, and how far a flush reaches.

Watching, flushing and comparing depend on it.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple


class FileSystem(NamedTuple):
    """What is known of the file system that a path lies on."""

    kind: str = ""
    """The system's name for it, such as `ext4` or `fuse.sshfs`; empty where that is not known."""
    is_share: bool = False
    """Other computers or programs may change its files without this system noticing."""
    flushed_whole: bool = False
    """One call (`syncfs`) flushes all of it to where it is stored, and reports errors."""
    uploader: str = ""
    """The program that uploads files some time after they are closed; empty where none does."""
    on_demand: bool = False
    """The system mounts it on access and unmounts it when idle (autofs)."""
    device: int = 0
    """Its device number while it is mounted; 0 where that is not known."""
    stored_at_once: bool = False
    """What is written there is stored when the call returns: an object store."""


_SHARES = (
    *("nfs", "cifs", "smb", "9p", "afs", "afpfs", "auristorfs", "ceph", "lustre", "beegfs", "gpfs", "gluster"),
    *("fuse.", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "pvfs2", "orangefs", "gfs2", "ocfs2", "panfs", "wekafs"),
    *("ncp", "coda", "webdav", "ftp", "macfuse", "osxfuse"),
)
"""Beginnings of the names of shares. `fuseblk` is not one: ntfs-3g mounts local disks."""
_FLUSHED_WHOLE = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "nilfs2", "reiserfs", "tmpfs", "ramfs"),
    *("vfat", "msdos", "exfat", "ntfs3", "hfs", "hfsplus", "udf"),
}
"""File systems of Linux that `syncfs` flushes whole. FUSE ignores it; overlay passes it on, but not the errors."""
_UPLOADERS = {"fuse.rclone": "rclone", "FUSE-rclone": "rclone", "fuse.onedriver": "onedriver"}
_RCLONE = {"rclone", "rclonefs", "mount.rclone"}
_UPLOADERS["fuse.google-drive-ocamlfuse"] = "google-drive-ocamlfuse"


def identify_file_system(path: str) -> FileSystem:
    """Identify the file system of a folder; this may block on a share that hangs.

    Parameters
    ----------
    path : str
        An existing folder; links are followed.
    """
    try:
        if sys.platform == "linux":
            return _of_linux(path)
        if sys.platform == "win32":
            return _of_windows(path)
        if sys.platform == "darwin":
            return _of_macos(path)
    except (OSError, ValueError, LookupError, AttributeError):  # not there, or not told
        pass
    return FileSystem()


def is_share(kind: str) -> bool:
    """Whether a file system of this kind is a share."""
    return kind == "fuse" or kind.startswith(_SHARES)


# -- Linux --------------------------------------------------------------------------------------------


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo."""

    number: str
    place: str
    kind: str
    source: str


def parse_mounts(lines: str) -> list[Mount]:
    """Parse the text of /proc/self/mountinfo."""
    found = []
    for line in lines.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, source, *_) = before.split(" "), [*after.split(" "), "", ""]
        if len(fields) > 4:
            found.append(Mount(fields[0], fields[4], kind, source))
    return found


def _mounts() -> list[Mount]:
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        return parse_mounts(file.read())


def _number_of(path: str) -> str:
    """Return the id of the mount that a path lies on, as mountinfo spells it."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}") as file:
            return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}["mnt_id"]
    finally:
        os.close(fd)


def _of_linux(path: str) -> FileSystem:
    number, mounts = _number_of(path), _mounts()
    mount = {one.number: one for one in mounts}[number]
    on_demand = any(one.kind == "autofs" and one.place == mount.place for one in mounts)
    whole = mount.kind in _FLUSHED_WHOLE
    return FileSystem(mount.kind, is_share(mount.kind), whole, _uploader(mount), on_demand, os.stat(path).st_dev)


def _uploader(mount: Mount) -> str:
    if mount.kind == "fuse" and mount.source.startswith(("http://", "https://")):
        return "davfs2"
    program = _UPLOADERS.get(mount.kind, "")
    if program == "rclone" and _rclone_writes_through(mount.place):
        return ""
    return program


def _rclone_writes_through(place: str) -> bool:
    """Whether the rclone that serves a mount uploads while files are written, as it does by default."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = os.fsdecode(file.read()).split("\0")
            called = {os.path.basename(word) for word in words[:2]}
            if called.isdisjoint(_RCLONE) or place not in map(os.path.abspath, words[1:]):
                continue
            with open(f"/proc/{pid}/environ", "rb") as file:
                given = os.fsdecode(file.read()).replace("\0", " ")
        except OSError:
            continue
        text = f"{given} {' '.join(words)}".lower().replace("_", "-").replace("vfs-cache-mode ", "vfs-cache-mode=")
        return not any(f"vfs-cache-mode={mode}" in text for mode in ("writes", "full"))
    return False


# -- Windows and macOS --------------------------------------------------------------------------------

_DRIVE_REMOTE = 4
_MNT_LOCAL = 0x1000
_FLAGS_OFFSET, _NAME_OFFSET, _NAME_SIZE = 64, 72, 16
"""In macOS's `struct statfs`, with 64-bit inodes."""


def _of_windows(path: str) -> FileSystem:
    import ctypes

    windows = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    plain = os.path.realpath(path).removeprefix("\\\\?\\")
    plain = "\\\\" + plain[4:] if plain.startswith("UNC\\") else plain
    root = os.path.splitdrive(plain)[0] + "\\"
    name = ctypes.create_unicode_buffer(64)
    windows.GetVolumeInformationW(root, None, 0, None, None, None, name, len(name))
    remote = root.startswith("\\\\") or windows.GetDriveTypeW(root) == _DRIVE_REMOTE
    return FileSystem(name.value, remote or name.value.startswith("FUSE"), False, _UPLOADERS.get(name.value, ""))


def _of_macos(path: str) -> FileSystem:
    import ctypes

    library = ctypes.CDLL(None)
    call = getattr(library, "statfs$INODE64", None) or library.statfs
    buffer = ctypes.create_string_buffer(4096)
    if call(os.fsencode(path), buffer):
        return FileSystem()
    kind = buffer.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_SIZE].partition(b"\0")[0].decode("ascii", "replace")
    local = int.from_bytes(buffer.raw[_FLAGS_OFFSET : _FLAGS_OFFSET + 4], sys.byteorder) & _MNT_LOCAL
    return FileSystem(kind, is_share(kind) or not local)
