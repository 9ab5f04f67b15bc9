"""Turns file system events into hints for a target's job: what was opened, written, renamed, deleted.

Events are hints only: reconciling finds what they miss. See docs/watching.md for what each system reports
and what it costs.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class Hint(Enum):
    """What happened to a file or folder of the source."""

    OPENED = auto()
    """It was created; its writer has it open."""
    WRITTEN = auto()
    """Its writer closed it."""
    RENAMED = auto()
    """It got this name, whole."""
    MODIFIED = auto()
    """Its content changes; only where the system does not tell of closing."""
    DELETED = auto()
    FOLDER = auto()
    """A folder appeared."""
    LOST = auto()
    """Events were lost: anything may have happened."""
    ROOT_GONE = auto()
    """The source itself was removed, renamed or unmounted."""


class Watcher(Protocol):
    """Watches a source; hints wait in `hints` as (Hint, path), `/` separated and relative to the source."""

    hints: deque[tuple[Hint, str]]
    problem: str
    """Why some folders cannot be watched, in words for the user; empty while all can."""
    tells_closing: bool
    """Whether WRITTEN is reported; where it is not, a file counts as written after a quiet time."""

    def watch(self, folder: str) -> None:
        """Watch a folder for what happens directly in it, from now on."""

    def stop(self) -> None:
        """End watching."""


def make_watcher(source: Path, wake: Callable[[], None]) -> Watcher:
    """Make the best watcher for this system.

    Parameters
    ----------
    source : Path
        An existing folder.
    wake : callable
        Called from another thread when `hints` was empty and no longer is.

    Raises
    ------
    OSError
        The source cannot be watched at all.
    """
    if sys.platform == "linux":
        return LinuxWatcher(source, wake)
    return PortableWatcher(source, wake)


class _Mailbox:
    """Hints on their way from the watching thread to the job."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.hints: deque[tuple[Hint, str]] = deque()
        self._wake = wake

    def put(self, hint: Hint, path: str) -> None:
        self.hints.append((hint, path))
        if len(self.hints) == 1:  # looked at after the append: whoever empties it before has seen this one
            self._wake()


if sys.platform == "linux":
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchDescriptor,
    )

    _CLOSE_WRITE = int(InotifyConstants.IN_CLOSE_WRITE)
    _MOVED_TO = int(InotifyConstants.IN_MOVED_TO)
    _CREATE = int(InotifyConstants.IN_CREATE)
    _DELETE = int(InotifyConstants.IN_DELETE)
    _GONE = int(InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT)
    _IS_FOLDER = int(InotifyConstants.IN_ISDIR)
    _MASK = Mask(
        _CLOSE_WRITE
        | _MOVED_TO
        | _CREATE
        | _DELETE
        | int(InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF)
        | int(InotifyConstants.IN_ONLYDIR | InotifyConstants.IN_DONT_FOLLOW | InotifyConstants.IN_EXCL_UNLINK)
    )
    _HINTS = {
        _CLOSE_WRITE: Hint.WRITTEN,
        _MOVED_TO: Hint.RENAMED,
        _CREATE: Hint.OPENED,
        _DELETE: Hint.DELETED,
    }

    class LinuxWatcher(_Mailbox):
        """One inotify watch a folder, set when the job says so: before it lists the folder.

        watchdog's `InotifyFD` is used directly. Its `Observer` pairs moves by a linear search, makes an object
        and two thread hand-overs of every event and walks new folders by itself: 50 to 460 us an event, and
        it loses bursts. This way an event costs 5 us and renames can be told from other writes.
        """

        tells_closing = True

        def __init__(self, source: Path, wake: Callable[[], None]) -> None:
            super().__init__(wake)
            self.problem = ""
            self._root = os.fsencode(source)
            self._folders: dict[WatchDescriptor, str] = {}
            self._watched: set[str] = set()
            self._id = CallbackId(id(self))
            self._inotify = InotifyFD()
            try:
                self._add("")
            except OSError:
                self._inotify.close()
                raise
            self._inotify.start()

        def watch(self, folder: str) -> None:
            if not self.problem and folder not in self._watched:
                try:
                    self._add(folder)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    self.problem = (
                        f"not all folders can be watched ({error.strerror}): new files are found by looking "
                        "every few seconds instead. To allow more: sysctl fs.inotify.max_user_watches=1000000"
                    )

        def _add(self, folder: str) -> None:
            path = os.path.join(self._root, os.fsencode(folder)) if folder else self._root
            wd = self._inotify.add_callback(path, _MASK, self, self._id)
            self._folders[wd] = folder + "/" if folder else ""
            self._watched.add(folder)

        def on_event(self, event: InotifyEvent) -> None:
            """Called by watchdog's reading thread."""
            mask = int(event.mask)
            folder = self._folders.get(event.wd)
            if folder is None:
                return
            if mask & _GONE:
                if folder == "":
                    self.put(Hint.ROOT_GONE, "")
                return
            path = folder + os.fsdecode(event.name)
            if mask & _IS_FOLDER:
                if mask & (_CREATE | _MOVED_TO):
                    self.put(Hint.FOLDER, path)
                return
            self.put(_HINTS[mask & (_CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE)], path)

        def on_watch_deleted(self, wd: WatchDescriptor) -> None:
            """Called when a watched folder has gone."""
            self._watched.discard(self._folders.pop(wd, "/").rstrip("/"))

        def on_queue_overflow(self) -> None:
            """Called when the kernel dropped events."""
            self.put(Hint.LOST, "")

        def stop(self) -> None:
            self._inotify.stop()
            self._inotify.join(5)


class PortableWatcher(_Mailbox, FileSystemEventHandler):
    """watchdog's own observer over the whole tree, for Windows and macOS, which do not tell of closing."""

    tells_closing = False

    def __init__(self, source: Path, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.problem = ""
        self._root = os.fspath(source)
        self._observer = Observer()
        self._observer.schedule(self, self._root, recursive=True)
        self._observer.start()

    def watch(self, folder: str) -> None:
        """Nothing to do: the whole tree is watched."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog's dispatching thread."""
        match event.event_type:
            case "created":
                self._put(Hint.FOLDER if event.is_directory else Hint.OPENED, event.src_path)
            case "modified" if not event.is_directory:
                self._put(Hint.MODIFIED, event.src_path)
            case "closed" if not event.is_directory:
                self._put(Hint.WRITTEN, event.src_path)
            case "deleted" if not event.is_directory:
                self._put(Hint.DELETED, event.src_path)
            case "deleted" if self._relative(event.src_path) == "":
                self.put(Hint.ROOT_GONE, "")
            case "moved":
                self._put(Hint.FOLDER if event.is_directory else Hint.RENAMED, event.dest_path)

    def _put(self, hint: Hint, path: bytes | str) -> None:
        relative = self._relative(path)
        if relative and not relative.startswith("../"):
            self.put(hint, relative)

    def _relative(self, path: bytes | str) -> str:
        relative = os.path.relpath(os.fsdecode(path), self._root).replace(os.sep, "/")
        return "" if relative == "." else relative

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(5)
