"""Watches a source on Linux: one inotify watch a folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from inotify_simple import Event, flags

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.fs.relative_paths import is_below, join
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.watch.events import EventQueue, FileEvent, share_problem
from softcopy_napari.engine.watch.source_events import make_source_events
from softcopy_napari.engine.zarr_layout.file_names import LOCK_ENDING

log = logging.getLogger(__name__)

_FILE_EVENTS = {
    flags.CLOSE_WRITE: FileEvent.WRITTEN,
    flags.MOVED_TO: FileEvent.RENAMED,
    flags.CREATE: FileEvent.OPENED,
    flags.DELETE: FileEvent.DELETED,
}
_OF_FILES = flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE | flags.DELETE
_NEW_FOLDER = flags.CREATE | flags.ISDIR
_GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED
_OF_WRITER = flags.MODIFY | flags.MOVED_FROM  # they only tell that it is at work
_MASK = _OF_FILES | _OF_WRITER | flags.DELETE_SELF | flags.MOVE_SELF
_MASK |= flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK


class LinuxWatcher(EventQueue):
    """One inotify watch a folder, set when the job says so: before it lists the folder."""

    tells_closing = True

    def __init__(
        self, source: Path, wake: Callable[[], None], follow_links: bool = False, slot: ActivitySlot | None = None
    ) -> None:
        super().__init__(wake)
        self.problem = share_problem(source)
        self._mask = _MASK & ~flags.DONT_FOLLOW if follow_links else _MASK
        self._root = os.fsencode(os.path.realpath(source))  # the source itself may be a link
        self._lock = threading.Lock()
        self._folders: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._unasked: set[str] = set()
        """Those that are watched since they were made, and that the job has not asked for yet."""
        self._inotify = make_source_events(slot or ActivitySlot.private())
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        try:
            self._add("")
        except OSError:
            self._inotify.close()
            raise
        self._thread.start()

    def watch(self, folder: str) -> bool:
        with self._lock:
            if folder in self._watches:
                asked = folder not in self._unasked
                self._unasked.discard(folder)
                return not asked
        return self._try_to_add(folder)

    def _try_to_add(self, folder: str, asked: bool = True) -> bool:
        try:
            self._add(folder, asked)
            return True
        except OSError as error:
            # Any other reason is the folder's own, and a walk will say it: it has gone, may not be read...
            if error.errno == errno.ENOSPC:
                self.problem = make_reason(ReasonCode.SOME_FOLDERS_NOT_WATCHED)
        return False

    def let_go(self, folders: Iterable[str]) -> None:
        with self._lock:
            for folder in folders:
                watch = self._watches.pop(folder, None)
                if watch is not None and self._folders.get(watch) == folder:
                    del self._folders[watch]
                    self._inotify.remove_watch(watch)

    def _add(self, folder: str, asked: bool = True) -> None:
        path = os.path.join(self._root, os.fsencode(folder)) if folder else self._root
        with self._lock:
            watch = self._inotify.add_watch(path, self._mask)
            before = self._folders.get(watch, folder)
            if before != folder and self._watches.get(before) == watch:
                self._rename(before, folder)
            if not asked and self._watches.get(folder) != watch:
                self._unasked.add(folder)
            self._folders[watch] = folder
            self._watches[folder] = watch

    @property
    def unread(self) -> bool:
        return self._inotify.unread

    def pop_hold_times(self) -> list[float]:
        return self._inotify.pop_hold_times()

    def _rename(self, old: str, new: str) -> None:
        """Note that a folder has another name: its watch, and those of the folders in it, stay with it."""
        for path in [path for path in self._watches if is_below(path, old)]:
            watch = self._watches.pop(path)
            self._folders[watch] = new + path[len(old) :]
            self._watches[new + path[len(old) :]] = watch
        self.put(FileEvent.FOLDER_RENAMED, f"{old}\0{new}")

    def _read(self) -> None:
        try:
            self._listen()
        except Exception:  # a copy that hears nothing must not wait for word
            log.exception("unexpected error in watching")
            self.tells_closing = False
            self.problem = make_reason(ReasonCode.WATCHING_BROKE)
            self.put(FileEvent.LOST, "")
            self.wake()

    def _listen(self) -> None:
        kept: list[Event] = []
        while (taken := self._inotify.take_events()) is not None:
            events, due = taken
            for event in events:
                kept.append(event)
                if event.mask & _NEW_FOLDER == _NEW_FOLDER and event.wd in self._folders:
                    self._watch_new(join(self._folders[event.wd], event.name), kept)
            if not due:
                continue
            for watch, mask, _, name in kept:
                self._event_or_loss(watch, mask, name)
            kept.clear()
            self._inotify.note_queued()
            if self.events:
                self.wake()

    def _watch_new(self, folder: str, kept: list[Event]) -> None:
        """Watch a folder as soon as it was made, and what is in it by now; the job, which lists it, comes too late."""
        before = self._watches.get(folder)
        if not self._try_to_add(folder, asked=False) or (watch := self._watches.get(folder)) in (None, before):
            return
        with contextlib.suppress(OSError), os.scandir(os.path.join(self._root, os.fsencode(folder))) as entries:
            for entry in entries:
                name = os.fsdecode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    kept.append(Event(watch, _NEW_FOLDER, 0, name))
                    self._watch_new(join(folder, name), kept)
                elif name.endswith(LOCK_ENDING):
                    kept.append(Event(watch, flags.CREATE, 0, name))

    def _event_or_loss(self, watch: int, mask: int, name: str) -> None:
        folder = self._folders.get(watch)
        if mask & flags.Q_OVERFLOW:
            self.put(FileEvent.LOST, "")
        elif folder is not None:
            self._event(watch, mask, folder, name)

    def _event(self, watch: int, mask: int, folder: str, name: str) -> None:
        path = join(folder, name)
        if mask & _GONE:
            self._folder_gone(watch, mask, folder)
        elif not mask & flags.ISDIR:
            self.put(_FILE_EVENTS[mask & _OF_FILES], path)
        elif mask & (flags.CREATE | flags.MOVED_TO):
            known = self._watches.get(path)
            if known is not None and not self._still_there(known, path):
                self._forget(path)  # what was watched under that name was another folder
            if mask & flags.MOVED_TO:
                self.watch(path)  # before it is told that the folder of the old name has gone: that ends its watch
            self.put(FileEvent.FOLDER, path)

    def _folder_gone(self, watch: int, mask: int, folder: str) -> None:
        if mask & flags.IGNORED:  # the watch has ended
            with self._lock:
                self._folders.pop(watch, None)
                if self._watches.get(folder) == watch:
                    del self._watches[folder]
        elif not folder:
            self.put(FileEvent.ROOT_DELETED if mask & flags.DELETE_SELF else FileEvent.ROOT_GONE, "")
        elif mask & flags.MOVE_SELF and not self._still_there(watch, folder):
            if self._watches.get(folder) == watch:
                self._forget(folder)
            else:  # another one is in its place, and watched already
                self._forget_replaced(folder)

    def _still_there(self, watch: int, folder: str) -> bool:
        """Whether the folder of that name is the one that this watch is for."""
        try:
            return bool(self._inotify.add_watch(os.path.join(self._root, os.fsencode(folder)), self._mask) == watch)
        except OSError:
            return False

    def _forget(self, folder: str) -> None:
        """End the watches of a folder and of all below it."""
        with self._lock:
            for path in [path for path in self._watches if path == folder or path.startswith(folder + "/")]:
                watch = self._watches.pop(path)
                if self._folders.get(watch) == path:  # else it is known by its new name already
                    del self._folders[watch]
                    self._inotify.remove_watch(watch)

    def _forget_replaced(self, folder: str) -> None:
        """End the watches of what was in a folder's place before, and below it."""
        below = [path for path in self._watches if path != folder and is_below(path, folder)]
        for path in below:
            if not self._still_there(self._watches.get(path, -1), path):
                self._forget(path)
        with self._lock:
            for watch, path in list(self._folders.items()):
                if is_below(path, folder) and self._watches.get(path) != watch:
                    del self._folders[watch]
                    self._inotify.remove_watch(watch)

    def stop(self) -> None:
        self._inotify.stop()
        self._thread.join(1.0)
        if not self._thread.is_alive():  # else the source hangs it
            self._inotify.close()
