"""Takes the events of a source off Linux's kernel, burst by burst: in C, without Python's lock, or in Python.

While the writer is at work events are only taken and counted (see burst_meter.py); Python, which acts upon them, gets
them when the burst is over, or has lasted for long. inotify comes by way of inotify_simple, not of watchdog's emitter:
with 20,000 renames in new nested folders its p99 lag is 0.5 s, and its CPU time 5 times ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import termios
import time
from abc import ABC, abstractmethod
from array import array

from inotify_simple import Event, INotify, flags, parse_events

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.native_library import load_library
from softcopy_napari.engine.watch.burst_meter import SETTLE, BurstMeter, long_holds

_GATHER = 0.15
"""Seconds for which events are kept back at most."""
_STEADY_GATHER = 0.02
"""The same while the writer does not pause."""
_BETWEEN = 0.008
"""Seconds between two times that the job is woken: to act on each event alone would cost the acquisition."""
_ROOM = 1 << 20
_UNSEEN = flags.MODIFY | flags.MOVED_FROM
"""Events that tell when the writer is at work, and nothing else."""


class SourceEvents(INotify, ABC):
    """One inotify instance.

    Raises
    ------
    OSError
        There can be no more (`fs.inotify.max_user_instances`).
    """

    def __init__(self) -> None:
        super().__init__()
        self._stop_read, self._stop_write = os.pipe()

    @abstractmethod
    def take_events(self) -> tuple[list[Event], bool] | None:
        """Wait for events; return them, and whether they are due. None when `stop` was called.

        They are due, with those returned before, when the writer pauses; `note_queued` is to follow. Before that some
        are returned because a folder was made, which should be watched at once.
        """

    @abstractmethod
    def note_queued(self) -> None:
        """Note that what was taken is where `unread` need not tell of it."""

    @property
    @abstractmethod
    def _kept_back(self) -> bool:
        """Whether there are events that were read and not queued."""

    @abstractmethod
    def pop_hold_times(self) -> list[float]:
        """Return how long files were open, see `BurstMeter.pop_hold_times`."""

    @property
    def unread(self) -> bool:
        """Whether there are events that were not queued."""
        count = array("i", [0])
        fcntl.ioctl(self.fileno(), termios.FIONREAD, count)
        # In this order: what is no longer with the kernel is kept back, until it is queued.
        return count[0] > 0 or self._kept_back

    def remove_watch(self, watch: int) -> None:
        """End a watch, which may have ended already."""
        with contextlib.suppress(OSError):
            self.rm_watch(watch)

    def stop(self) -> None:
        """End `take_events`, in whatever thread it runs, now and for ever."""
        os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Give everything back; when nobody reads any more."""
        if not self.closed:
            super().close()
            os.close(self._stop_read)
            os.close(self._stop_write)


class _OpenFile(ctypes.Structure):
    _fields_ = [("key", ctypes.c_uint64), ("since", ctypes.c_int64), ("writes", ctypes.c_int64)]


class _State(ctypes.Structure):
    """Mirrors the state in source_events.c."""

    _fields_ = [
        ("slot", ctypes.c_void_p),
        ("gather", ctypes.c_int64),
        ("unqueued", ctypes.c_int64),
        ("due", ctypes.c_int64),
        ("holds_ended", ctypes.c_int64),
        ("holds", ctypes.c_int64 * 256),
        ("open_count", ctypes.c_int64),
        ("open", _OpenFile * 128),
        ("own", ctypes.c_int64 * 32),
    ]


class NativeSourceEvents(SourceEvents):
    """Events taken by the C library.

    Raises
    ------
    OSError, AttributeError
        There is no such library, or an older one; or as for any of them.
    """

    def __init__(self, slot: ActivitySlot) -> None:
        self._take = load_library().softcopy_take_events
        self._take.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        self._slot = slot  # its memory is written to
        self._state = _State(slot=slot.address, gather=round(_GATHER * 1e9))
        self._buffer = ctypes.create_string_buffer(_ROOM)
        self._holds_taken = 0
        super().__init__()

    def take_events(self) -> tuple[list[Event], bool] | None:
        size = self._take(self.fileno(), self._stop_read, ctypes.byref(self._state), self._buffer, _ROOM)
        if size < 0:
            return None
        return parse_events(ctypes.string_at(self._buffer, size)), bool(self._state.due)

    def note_queued(self) -> None:
        self._state.unqueued = 0

    @property
    def _kept_back(self) -> bool:
        return bool(self._state.unqueued)

    def pop_hold_times(self) -> list[float]:
        state, ended = self._state, self._state.holds_ended
        first = max(self._holds_taken, ended - len(state.holds))
        self._holds_taken = ended
        holds = [state.holds[number % len(state.holds)] / 1e9 for number in range(first, ended)]
        return holds + long_holds([(one.since, one.writes) for one in state.open[: state.open_count]])


class PythonSourceEvents(SourceEvents):
    """Events taken in Python, where there is no library."""

    def __init__(self, slot: ActivitySlot) -> None:
        super().__init__()
        self._meter = BurstMeter(slot)
        self._reading = False
        self._returned = self._kept_since = 0.0
        self._moved = (0, "")
        self._cookie = 0
        self._ready = select.poll()
        self._ready.register(self.fileno(), select.POLLIN)
        self._ready.register(self._stop_read, select.POLLIN)

    def take_events(self) -> tuple[list[Event], bool] | None:
        new: list[Event] = []
        while True:
            now = time.monotonic()
            left = self._keeps_back(now) if self._kept_since else None
            if left is not None and left <= 0:
                self._kept_since, self._returned = 0.0, now
                return new, True
            if any(event.mask & flags.ISDIR and event.mask & flags.CREATE for event in new):
                return new, False
            ready = [fd for fd, _ in self._ready.poll(None if left is None else left * 1e3)]
            if self._stop_read in ready:
                return None
            if not ready:
                continue
            self._reading = True
            events = self.read(0)
            self._meter.begin(time.monotonic_ns())
            for event in events:
                self._measure(event)
            self._meter.end()
            new += [event for event in events if not event.mask & _UNSEEN]
            if new and not self._kept_since:
                self._kept_since = time.monotonic()
            self._reading = self._kept_since > 0
            time.sleep(SETTLE / 1e9)

    def _keeps_back(self, now: float) -> float:
        """Return the seconds for which what was read is still kept back."""
        last = self._kept_since + (_STEADY_GATHER if self._meter.steady else _GATHER)
        return min(max(self._returned + _BETWEEN, self._meter.busy_until / 1e9), last) - now

    def _measure(self, event: Event) -> None:
        file, mask = (event.wd, event.name), event.mask
        if mask & flags.Q_OVERFLOW:
            self._meter.forget()
        elif mask & flags.ISDIR:
            return
        elif mask & flags.CREATE:
            self._meter.created(file)
        elif mask & flags.CLOSE_WRITE:
            self._meter.closed(file)
        elif mask & flags.DELETE:
            self._meter.removed(file)
        elif mask & flags.MODIFY:
            self._meter.written(file)
        elif mask & flags.MOVED_FROM:
            self._moved, self._cookie = file, event.cookie
        elif mask & flags.MOVED_TO and event.cookie == self._cookie:
            self._meter.renamed(self._moved, file)

    def note_queued(self) -> None:
        self._reading = False

    @property
    def _kept_back(self) -> bool:
        return self._reading

    def pop_hold_times(self) -> list[float]:
        return self._meter.pop_hold_times()


def make_source_events(slot: ActivitySlot) -> SourceEvents:
    """Make one, with the C library if there is one.

    Raises
    ------
    OSError
        There can be no more (`fs.inotify.max_user_instances`).
    """
    try:
        load_library()
    except OSError:
        return PythonSourceEvents(slot)
    return NativeSourceEvents(slot)
