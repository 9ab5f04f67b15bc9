"""Moves a file to another folder of its disk without replacing anything, and tells whether a writer has it open."""

from __future__ import annotations

import errno
import functools
import os
import sys
from typing import Any

_NO_REPLACE = 1
"""RENAME_NOREPLACE of Linux."""
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def move_file(old: str, new: str, old_fd: int | None, new_fd: int | None) -> None:
    """Rename a file, also into another open folder, unless something has the new name.

    Linux refuses in the same step, where the file system can; elsewhere there is a moment between look and rename.

    Parameters
    ----------
    old, new : str
        Names in the two folders, or absolute paths where the system has no descriptors of folders.
    old_fd, new_fd : int or None
        The folders' descriptors.

    Raises
    ------
    FileExistsError
        Something has the new name; nothing was moved.
    OSError
        It cannot be moved, for example because the folders are on two disks.
    """
    call = _renameat2()
    if call is not None and old_fd is not None and new_fd is not None:
        number = call(old_fd, os.fsencode(old), new_fd, os.fsencode(new), _NO_REPLACE)
        if number == 0:
            return
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), old, None, new)
    try:
        os.stat(new, dir_fd=new_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


@functools.cache
def _renameat2() -> Any:
    """Return a function that calls `renameat2` and gives the number of its error; None where there is none."""
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "renameat2", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def call(*arguments: object) -> int:
        return ctypes.get_errno() if function(*arguments) else 0

    return call


if sys.platform == "linux":
    import fcntl
    import signal

    def is_open_for_writing(fd: int) -> bool:
        """Whether any process of any user has a file open for writing, as far as its file system can tell.

        A read lease is granted only where nobody has. It is given back at once; a writer that opens the file in
        between waits for a few microseconds.
        """
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # ignored by default, as the usual SIGIO is not
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:  # a share, or another owner's file
            return False
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
else:

    def is_open_for_writing(fd: int) -> bool:
        """Return False: this system does not tell."""
        return False
