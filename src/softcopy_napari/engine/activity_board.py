"""The activity board: a small file, mapped by every engine and copy process, that says which writers are at work.

Each watched source has a slot, in which its engine leaves until when its writer is at work. That is a time and not a
flag, so that an engine which dies holds nobody up for longer than a moment. All copy processes of all engines of a user
look at all slots before each file and each block: a writer suffers from any of them. `activity_board.h` says the same
to the C library. It imports nothing heavy.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time

SLOTS = 64
"""The first of them is the head: its first word says how many of the others were ever in use."""
_WORDS = 8
_OWNER, _BUSY_UNTIL, _FIRM_UNTIL = range(3)
SIZE = SLOTS * _WORDS * 8
_LONGEST = 2_000_000_000
"""No engine says for longer ahead (ns) that its writer is at work: a later time is one of before the system's start."""


class ActivitySlot:
    """The slot of one source.

    Parameters
    ----------
    words : memoryview
        Its words, each a signed integer of 64 bits.

    Attributes
    ----------
    address : int
        Of its words in memory.
    """

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self.address = ctypes.addressof(ctypes.c_int64.from_buffer(words))

    @property
    def owner(self) -> int:
        """The id of the process that it belongs to; 0 where it is free."""
        return int(self._words[_OWNER])

    @property
    def busy_until(self) -> int:
        """Until when the writer is at work, monotonic, ns."""
        return int(self._words[_BUSY_UNTIL])

    def set_busy(self, until: int, firm_until: int) -> None:
        """Say until when the writer is at work, and until when it is expected to pause: then a share may be taken."""
        self._words[_FIRM_UNTIL] = firm_until
        self._words[_BUSY_UNTIL] = until

    def claim(self, owner: int) -> None:
        """Make it the slot of a process."""
        self.set_busy(0, 0)
        self._words[_OWNER] = owner

    def release(self) -> None:
        """Give it back."""
        self.claim(0)

    @classmethod
    def private(cls) -> ActivitySlot:
        """Return one that nobody else sees."""
        return cls(memoryview(bytearray(_WORDS * 8)).cast("q"))


class ActivityBoard:
    """The board as one process sees it.

    Parameters
    ----------
    path : str
        The file, made if need be; empty for a board on which nobody ever is at work.

    Attributes
    ----------
    address : int
        Where the board begins in memory, for the C library.

    Raises
    ------
    OSError
        It cannot be made or mapped.
    """

    def __init__(self, path: str) -> None:
        if path:
            flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):  # a write through a map into a hole on a full disk kills the process
                    os.posix_fallocate(fd, 0, SIZE)
                elif os.fstat(fd).st_size < SIZE:
                    os.ftruncate(fd, SIZE)
                self._map: mmap.mmap | bytearray = mmap.mmap(fd, SIZE)
            finally:
                os.close(fd)
        else:
            self._map = bytearray(SIZE)
        self._words = memoryview(self._map).cast("q")
        self.address = ctypes.addressof(ctypes.c_int64.from_buffer(self._words))

    def slots(self) -> list[ActivitySlot]:
        """Return all slots that sources can have."""
        return [ActivitySlot(self._words[at : at + _WORDS]) for at in range(_WORDS, SLOTS * _WORDS, _WORDS)]

    def note_used(self, count: int) -> None:
        """Note that the first so many slots are in use."""
        self._words[0] = max(self._words[0], count)

    def held_until(self) -> tuple[int, int]:
        """Return until when a writer is at work, and until when all that are at work are expected to pause (ns).

        Both are 0 where none is at work.
        """
        now, words = time.monotonic_ns(), self._words
        busy = firm = 0
        for at in range(_WORDS, (1 + min(words[0], SLOTS - 1)) * _WORDS, _WORDS):
            until = words[at + _BUSY_UNTIL]
            if now < until < now + _LONGEST:
                busy = max(busy, until)
                firm = max(firm, words[at + _FIRM_UNTIL])
        return busy, firm
