"""A slow share: shows a folder at another place through FUSE, counts operations, and waits before each.

    python benchmarks/share_mount.py FOLDER PLACE DELAY_MS

It stands for SMB or NFS, whose every operation is a round trip, and which keep names and attributes for a second. When
it is unmounted it says how many operations of each kind there were, as JSON.
"""

from __future__ import annotations

import collections
import errno
import functools
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import mfusepy

_STAT = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
_TIMES = ("st_atime", "st_mtime", "st_ctime")


def _round_trips(share: type[Share]) -> type[Share]:
    """Have each operation counted and waited for, and given the path of what it is about."""

    def remote(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def operation(self: Share, path: str, *arguments: Any) -> Any:
            with self.counting:
                self.counts[method.__name__] += 1
            time.sleep(self.delay)
            return method(self, self.folder + path, *arguments)

        return operation

    for name, method in list(vars(share).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(share, name, remote(method))
    return share


@_round_trips
class Share(mfusepy.Operations):
    """A folder, one round trip away."""

    use_ns = True

    def __init__(self, folder: str, delay: float) -> None:
        self.folder = folder
        self.delay = delay
        self.counting = threading.Lock()
        self.counts: collections.Counter[str] = collections.Counter()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        found = os.lstat(path) if fh is None else os.fstat(fh)
        return {name: getattr(found, name) for name in _STAT} | {name: getattr(found, f"{name}_ns") for name in _TIMES}

    def access(self, path: str, amode: int) -> int:
        return 0

    def opendir(self, path: str) -> int:
        return 0

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(path)]

    def releasedir(self, path: str, fh: int) -> int:
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(path)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, self.folder + new)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, target)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(path, ns=times, follow_symlinks=False)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(path, length)

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags & ~(os.O_CREAT | os.O_EXCL | os.O_DIRECT))

    def create(self, path: str, mode: int, flags: int) -> int:
        return os.open(path, flags | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def flush(self, path: str, fh: int) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(path)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

    def ioctl(self, path: str, *arguments: Any) -> int:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def main() -> None:
    """Show the folder until it is unmounted."""
    folder, place, delay = sys.argv[1:]
    share = Share(os.path.abspath(folder), float(delay) / 1e3)
    os.umask(0)
    mfusepy.FUSE(share, place, foreground=True, fsname="softcopy-share", attr_timeout=1, entry_timeout=1)
    print(json.dumps(share.counts))


if __name__ == "__main__":
    main()
