"""Linux's inotify, as plainly as it is: watches by folder, events in their order.

watchdog's binding is made for its observers: it pairs moves by a linear search, walks new folders by itself,
makes several objects and two thread hand-overs of every event (50 to 460 us each, and bursts are lost), and
its lower half warns when a folder is watched again after a rename. See docs/dev/watching.md.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from array import array

CLOSE_WRITE = 0x0008
MOVED_TO = 0x0080
CREATE = 0x0100
DELETE = 0x0200
DELETE_SELF = 0x0400
MOVE_SELF = 0x0800
UNMOUNT = 0x2000
OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x0100_0000
DONT_FOLLOW = 0x0200_0000
EXCL_UNLINK = 0x0400_0000
IS_FOLDER = 0x4000_0000

_BUFFER = 1 << 18
_HEAD = struct.Struct("iIII")


class Inotify:
    """One inotify instance.

    Attributes
    ----------
    taking : bool
        Set before events are read; whoever reads clears it when they are taken in.

    Raises
    ------
    OSError
        There can be no more (`fs.inotify.max_user_instances`).
    """

    def __init__(self) -> None:
        self.taking = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0:
            raise _error()
        self._stop_read, self._stop_write = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(self._stop_read, select.POLLIN)

    def add(self, path: bytes, mask: int) -> int:
        """Watch a folder; returns the watch's number, the same one for the same folder under another name.

        Raises
        ------
        OSError
            ENOSPC where there can be no more watches.
        """
        watch: int = self._libc.inotify_add_watch(self._fd, path, mask)
        if watch < 0:
            raise _error()
        return watch

    def remove(self, watch: int) -> None:
        """End a watch; unknown ones have ended already."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def read(self, timeout: float | None = None) -> list[tuple[int, int, bytes]] | None:
        """Wait for events, up to some seconds; returns watch, mask and name of each, None when `stop` was called."""
        ready = [fd for fd, _ in self._poll.poll(None if timeout is None else timeout * 1000)]
        if self._stop_read in ready:
            return None
        if not ready:
            return []
        self.taking = True
        buffer = os.read(self._fd, _BUFFER)
        events = []
        place = 0
        while place < len(buffer):
            watch, mask, _, length = _HEAD.unpack_from(buffer, place)
            place += _HEAD.size
            events.append((watch, mask, buffer[place : place + length].rstrip(b"\0")))
            place += length
        return events

    @property
    def waiting(self) -> bool:
        """Whether there are events that were not read."""
        import fcntl  # not on Windows, where none of this runs
        import termios

        count = array("i", [0])
        fcntl.ioctl(self._fd, termios.FIONREAD, count)
        return count[0] > 0

    def stop(self) -> None:
        """End `read`, in whatever thread it runs, now and for ever."""
        os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Give everything back; when nobody reads any more."""
        for fd in (self._fd, self._stop_read, self._stop_write):
            os.close(fd)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
