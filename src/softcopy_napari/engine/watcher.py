"""Turns file system events into hints for a target's job: what was opened, written, renamed, deleted.

Events are hints only: reconciling finds what they miss. See docs/dev/watching.md for what each system reports
and what it costs.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from softcopy_napari.engine import inotify
from softcopy_napari.engine.file_system_kind import file_system_of
from softcopy_napari.engine.folders import is_below
from softcopy_napari.engine.gather import PAUSE, Gatherer
from softcopy_napari.engine.lockclock import LockClock
from softcopy_napari.engine.writers import LOCK_ENDING

log = logging.getLogger(__name__)


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
    FOLDER_RENAMED = auto()
    """A folder has another name than before; both are told, with a NUL in between."""
    LOST = auto()
    """Events were lost: anything may have happened."""
    ROOT_GONE = auto()
    """The source itself was removed, renamed or unmounted."""
    ROOT_DELETED = auto()
    """The source itself was removed, for certain."""


_HINTS = {
    inotify.CLOSE_WRITE: Hint.WRITTEN,
    inotify.MOVED_TO: Hint.RENAMED,
    inotify.CREATE: Hint.OPENED,
    inotify.DELETE: Hint.DELETED,
}
_OF_FILES = inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.CREATE | inotify.DELETE
_GONE = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED
_MASK = (
    _OF_FILES | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.ONLYDIR | inotify.DONT_FOLLOW | inotify.EXCL_UNLINK
)


class Watcher(Protocol):
    """Watches a source; hints wait in `hints` as (Hint, path), `/` separated and relative to the source."""

    hints: deque[tuple[Hint, str]]
    locks: LockClock
    """How long writers hold their locks."""
    problem: str
    """Why some folders cannot be watched, in words for the user; empty while all can."""
    tells_closing: bool
    """Whether WRITTEN is reported; where it is not, a file counts as written after a quiet time."""

    @property
    def unread(self) -> bool:
        """Whether the system has reported something that is not among `hints` yet."""

    def watch(self, folder: str) -> None:
        """Watch a folder for what happens directly in it, from now on."""

    def stop(self) -> None:
        """End watching."""


def make_watcher(source: Path, wake: Callable[[], None], follow_links: bool = False) -> Watcher:
    """Make the best watcher for this system.

    Parameters
    ----------
    source : Path
        An existing folder.
    wake : callable
        Called from another thread when `hints` was empty and no longer is.
    follow_links : bool
        Whether folders to be watched may be links; not every system can watch those.

    Raises
    ------
    OSError
        The source cannot be watched at all.
    """
    if sys.platform == "linux":
        try:
            return LinuxWatcher(source, wake, follow_links)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE):
                raise
            return NoWatcher(wake)
    return PortableWatcher(source, wake)


class _Mailbox:
    """Hints on their way from the watching thread to the job."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.hints: deque[tuple[Hint, str]] = deque()
        self.locks = LockClock()
        self.wake = wake

    def put(self, hint: Hint, path: str) -> None:
        """Leave a hint; who leaves several wakes the job after the last."""
        if hint is Hint.RENAMED:
            self.locks.renamed(path)
        elif path.endswith(LOCK_ENDING):
            if hint is Hint.OPENED:
                self.locks.taken(path)
            elif hint is Hint.DELETED:
                self.locks.let_go(path)
        elif hint is Hint.LOST:
            self.locks.forget()
        self.hints.append((hint, path))


def _share_problem(source: Path) -> str:
    """Say so where a source lies on a network share: nobody hears of what other machines do there."""
    lies_on = file_system_of(os.fspath(source))
    if not lies_on.is_share:
        return ""
    kind = f" ({lies_on.kind})" if lies_on.kind else ""
    return f"the source is on a network share{kind}: new files are found by looking every few seconds"


class NoWatcher(_Mailbox):
    """Sees nothing: there are no watches left. Walks find what it does not."""

    tells_closing = False
    unread = False
    problem = (
        "folders cannot be watched: new files are found by looking every few seconds instead. "
        "To allow it: sysctl fs.inotify.max_user_watches=1000000 fs.inotify.max_user_instances=1024"
    )

    def watch(self, folder: str) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


class LinuxWatcher(_Mailbox):
    """One inotify watch a folder, set when the job says so: before it lists the folder."""

    tells_closing = True

    def __init__(self, source: Path, wake: Callable[[], None], follow_links: bool = False) -> None:
        super().__init__(wake)
        self.problem = _share_problem(source)
        self._mask = _MASK & ~inotify.DONT_FOLLOW if follow_links else _MASK
        self._root = os.fsencode(os.path.realpath(source))  # the source itself may be a link
        self._lock = threading.Lock()
        self._folders: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._inotify = inotify.Inotify()
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        try:
            self._add("")
        except OSError:
            self._inotify.close()
            raise
        self._thread.start()

    def watch(self, folder: str) -> None:
        if folder in self._watches:
            return
        try:
            self._add(folder)
        except OSError as error:
            # Any other reason is the folder's own, and a walk will say it: it has gone, may not be read...
            if error.errno == errno.ENOSPC:
                self.problem = (
                    "not all folders can be watched: new files are found by looking every few seconds instead. "
                    "To allow more: sysctl fs.inotify.max_user_watches=1000000"
                )

    def _add(self, folder: str) -> None:
        path = os.path.join(self._root, os.fsencode(folder)) if folder else self._root
        with self._lock:
            watch = self._inotify.add(path, self._mask)
            before = self._folders.get(watch, folder)
            if before != folder and self._watches.get(before) == watch:
                self._rename(before, folder)
            self._folders[watch] = folder
            self._watches[folder] = watch

    @property
    def unread(self) -> bool:
        # In this order: what is no longer with the kernel is being taken in, until it is among the hints.
        return self._inotify.waiting or self._inotify.taking

    def _rename(self, old: str, new: str) -> None:
        """A watch stays with its folder, whatever that is called: so do those of the folders in it."""
        for path in [path for path in self._watches if is_below(path, old)]:
            watch = self._watches.pop(path)
            self._folders[watch] = new + path[len(old) :]
            self._watches[new + path[len(old) :]] = watch
        self.put(Hint.FOLDER_RENAMED, f"{old}\0{new}")

    def _read(self) -> None:
        try:
            self._listen()
        except Exception:  # a copy that hears nothing must not wait for word
            log.exception("unexpected error in watching")
            self.tells_closing = False
            self.problem = (
                "folders are not watched any more, because of an error in softcopy itself, which its log describes: "
                "new files are found by looking every few seconds instead"
            )
            self.put(Hint.LOST, "")
            self.wake()

    def _listen(self) -> None:
        gatherer = Gatherer()
        timeout = None
        while (events := self._inotify.read(timeout)) is not None:
            for watch, mask, name in events:
                self._event_or_loss(watch, mask, name)
            self._inotify.taking = False
            now = time.monotonic()
            gatherer.heard(len(events), now)
            self.locks.closely = gatherer.closely
            timeout = gatherer.left(now)
            if self.hints and timeout is None:
                self.wake()
            if not gatherer.closely:
                time.sleep(PAUSE)

    def _event_or_loss(self, watch: int, mask: int, name: bytes) -> None:
        folder = self._folders.get(watch)
        if mask & inotify.OVERFLOW:
            self.put(Hint.LOST, "")
        elif folder is not None:
            self._event(watch, mask, folder, os.fsdecode(name))

    def _event(self, watch: int, mask: int, folder: str, name: str) -> None:
        path = f"{folder}/{name}" if folder else name
        if mask & _GONE:
            self._folder_gone(watch, mask, folder)
        elif not mask & inotify.IS_FOLDER:
            self.put(_HINTS[mask & _OF_FILES], path)
        elif mask & (inotify.CREATE | inotify.MOVED_TO):
            known = self._watches.get(path)
            if known is not None and not self._still_there(known, path):
                self._forget(path)  # what was watched under that name was another folder
            if mask & inotify.MOVED_TO:
                self.watch(path)  # before it is told that the folder of the old name has gone: that ends its watch
            self.put(Hint.FOLDER, path)

    def _folder_gone(self, watch: int, mask: int, folder: str) -> None:
        if mask & inotify.IGNORED:  # the watch has ended
            with self._lock:
                self._folders.pop(watch, None)
                if self._watches.get(folder) == watch:
                    del self._watches[folder]
        elif not folder:
            self.put(Hint.ROOT_DELETED if mask & inotify.DELETE_SELF else Hint.ROOT_GONE, "")
        elif mask & inotify.MOVE_SELF and not self._still_there(watch, folder):
            self._forget(folder)

    def _still_there(self, watch: int, folder: str) -> bool:
        """Whether the folder of that name is the one that this watch is for."""
        try:
            return self._inotify.add(os.path.join(self._root, os.fsencode(folder)), _MASK) == watch
        except OSError:
            return False

    def _forget(self, folder: str) -> None:
        """End the watches of a folder and of all below it."""
        with self._lock:
            for path in [path for path in self._watches if path == folder or path.startswith(folder + "/")]:
                watch = self._watches.pop(path)
                if self._folders.get(watch) == path:  # else it is known by its new name already
                    del self._folders[watch]
                    self._inotify.remove(watch)

    def stop(self) -> None:
        self._inotify.stop()
        self._thread.join(1.0)
        if not self._thread.is_alive():  # else the source hangs it
            self._inotify.close()


class PortableWatcher(_Mailbox, FileSystemEventHandler):
    """watchdog's own observer over the whole tree, for Windows and macOS, which do not tell of closing."""

    tells_closing = False

    def __init__(self, source: Path, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.problem = _share_problem(source)
        self._root = os.fspath(source)
        os.stat(self._root)  # watchdog leaves threads behind when it cannot start
        self._observer = Observer()
        self._observer.schedule(self, self._root, recursive=True)
        self._observer.start()

    @property
    def unread(self) -> bool:
        return not self._observer.event_queue.empty()

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
                self._wake_for_first()
            case "moved":
                if event.is_directory:
                    old, new = self._relative(event.src_path), self._relative(event.dest_path)
                    if not (old.startswith("../") or new.startswith("../")):
                        self.put(Hint.FOLDER_RENAMED, f"{old}\0{new}")
                self._put(Hint.FOLDER if event.is_directory else Hint.RENAMED, event.dest_path)

    def _put(self, hint: Hint, path: bytes | str) -> None:
        relative = self._relative(path)
        if relative and not relative.startswith("../"):
            self.put(hint, relative)
            self._wake_for_first()

    def _wake_for_first(self) -> None:
        if len(self.hints) == 1:  # looked at after it was left: whoever empties it before has seen this one
            self.wake()

    def _relative(self, path: bytes | str) -> str:
        relative = os.path.relpath(os.fsdecode(path), self._root).replace(os.sep, "/")
        return "" if relative == "." else relative

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(5)
